"""Where the lab keeps things and what it refuses in its environment."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from lab.smblab import exports, settings
from lab.smblab.errors import LabError

REPO = Path("/checkout")


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.cache/smbferry/lab"),
        ({"HOME": "/home/ann", "XDG_CACHE_HOME": "/var/cache/ann"}, "/var/cache/ann/smbferry/lab"),
        ({"HOME": "/home/ann", "XDG_CACHE_HOME": "/var/cache/ann", "SMBFERRY_CACHE": "/big"}, "/big/lab"),
    ],
)
def test_the_cache_lies_where_the_environment_says(environ: dict[str, str], cache: str) -> None:
    assert settings.from_environment(environ, REPO).cache == Path(cache)


def test_fixed_addresses_stay_clear_of_those_docker_gives_out() -> None:
    lab = settings.from_environment({"SMBFERRY_LAB_SUBNET": "10.1.2.0/24"}, REPO)
    assert lab.dc_address == ipaddress.IPv4Address("10.1.2.10")
    assert lab.fs_address == ipaddress.IPv4Address("10.1.2.11")
    assert lab.gateway == ipaddress.IPv4Address("10.1.2.1")
    assert lab.dynamic_range == ipaddress.IPv4Network("10.1.2.128/25")
    assert not {lab.dc_address, lab.fs_address} & set(lab.dynamic_range)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SMBFERRY_LAB_SUBNET": "10.1.2.3/24"}, "SMBFERRY_LAB_SUBNET: expected .* got '10.1.2.3/24': .*host bits"),
        ({"SMBFERRY_LAB_SUBNET": "10.1.2.0/30"}, "of /26 or wider"),
        ({"SMBFERRY_LAB_SUBNET": "8.8.8.0/24"}, "expected a private IPv4 network"),
        ({"SMBFERRY_LAB_SUBNET": "fd00::/64"}, "expected a private IPv4 network such as"),
        ({"SMBFERRY_LAB_BRIDGE": "here"}, "SMBFERRY_LAB_BRIDGE: expected an address such as .* got 'here'"),
        ({"SMBFERRY_LAB_IMAGES": "both"}, "expected auto, upstream or build"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(environ: dict[str, str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        settings.from_environment(environ, REPO)


@pytest.mark.parametrize(("value", "tmpfs"), [("", False), ("0", False), ("1", True)])
def test_shares_lie_in_memory_only_where_asked(value: str, tmpfs: bool) -> None:
    assert settings.from_environment({"SMBFERRY_LAB_TMPFS": value}, REPO).tmpfs is tmpfs


def test_exports_survive_a_shell_and_differ_inside_a_container() -> None:
    lab = settings.from_environment({"SMBFERRY_CACHE": "/my cache"}, REPO)
    outside = exports.variables(lab, {"DOCKER_HOST": "unix:///run/docker.sock"}, inside=False)
    lines = exports.render(outside).splitlines()
    assert "export DOCKER_HOST=unix:///run/docker.sock" in lines
    assert "export KUBECONFIG='/my cache/lab/kubeconfig'" in lines
    assert "export SMBFERRY_LAB_SERVER=dc1.corp.example.com" in lines
    inside = exports.variables(lab, {}, inside=True)
    assert inside["KUBECONFIG"] == "/my cache/lab/kubeconfig-internal"
    assert not any("password" in value.lower() for value in inside.values())


def test_the_labs_programs_come_first_in_path_once() -> None:
    lab = settings.from_environment({"SMBFERRY_CACHE": "/c"}, REPO)
    once = exports.path(lab, "/usr/bin:/bin")
    assert once == "/c/lab/bin:/usr/bin:/bin"
    assert exports.path(lab, once) == once
