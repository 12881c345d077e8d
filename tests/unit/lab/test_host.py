"""What the lab reads off the machine, and what it takes out of the packet filter."""

from __future__ import annotations

import ipaddress

import pytest
from lab.smblab import docker, firewall, host

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
br0\t00044F0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""

WITH_DOCKER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-43f41c15ddfd -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i smbferry0 ! -o smbferry0 -j ACCEPT
-A FORWARD -i br0 -j ACCEPT
-A DOCKER -d 10.79.4.128/32 ! -i br-43f41c15ddfd -o br-43f41c15ddfd -p tcp -m tcp --dport 6443 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.79.4.0/24 ! -o br-43f41c15ddfd -j MASQUERADE
-A POSTROUTING -s 10.79.4.128/32 -d 10.79.4.128/32 -p tcp -m tcp --dport 6443 -j MASQUERADE
-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 ! -i br-43f41c15ddfd -p tcp -m tcp --dport 39477 -j DNAT --to-destination 10.79.4.128:6443
COMMIT
"""

WITHOUT_DOCKER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A FORWARD -i br0 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.9.0.0/24 -o eth0 -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize(
    ("effective", "has"), [("000001ffffffffff", True), ("000001fffeffffff", False), ("0000000000000000", False)]
)
def test_cap_sys_resource_is_read_from_the_effective_set(effective: str, has: bool) -> None:
    status = f"Name:\tpython3\nCapPrm:\t000001ffffffffff\nCapEff:\t{effective}\nCapBnd:\t000001ffffffffff\n"
    assert host.has_capability(status, host.CAP_SYS_RESOURCE) is has


def test_a_status_without_capabilities_has_none() -> None:
    assert not host.has_capability("Name:\tpython3\n", host.CAP_SYS_RESOURCE)


def test_routes_are_read_without_the_default_route() -> None:
    assert host.routes(ROUTES) == [ipaddress.IPv4Network("192.0.2.0/24"), ipaddress.IPv4Network("10.79.4.0/24")]


@pytest.mark.parametrize(
    ("wanted", "found"), [("10.79.4.128/25", "10.79.4.0/24"), ("10.0.0.0/8", "10.79.4.0/24"), ("10.80.0.0/24", None)]
)
def test_a_network_in_use_is_found_by_overlap(wanted: str, found: str | None) -> None:
    expected = ipaddress.IPv4Network(found) if found else None
    assert host.collision(ipaddress.IPv4Network(wanted), host.routes(ROUTES)) == expected


def test_dockers_rules_are_taken_out_and_others_stay() -> None:
    assert firewall.without_docker(WITH_DOCKER, "ACCEPT") == WITHOUT_DOCKER


def test_rules_without_docker_stay_as_they_are() -> None:
    assert firewall.without_docker(WITHOUT_DOCKER, "ACCEPT") == WITHOUT_DOCKER


@pytest.mark.parametrize(("version", "number"), [("20.10.24+dfsg1", 20), ("28.2.2", 28), ("dev", 0), ("", 0)])
def test_the_engines_major_version_is_read(version: str, number: int) -> None:
    assert docker.major(version) == number


@pytest.mark.parametrize(
    ("meminfo", "available"),
    [
        ("MemTotal:  100 kB\nMemFree:  7 kB\nMemAvailable:   30 kB\n", 30 * 1024),
        ("MemTotal:  100 kB\nMemFree:  7 kB\n", 0),
        ("", 0),
    ],
)
def test_memory_that_is_not_told_is_not_counted_on(meminfo: str, available: int) -> None:
    assert host.available_memory(meminfo) == available
