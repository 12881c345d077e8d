"""Secrets and ConfigMaps as the kubelet mounts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.facts import SPEC

from smbferry_agent.errors import AgentError
from smbferry_agent.mounts import MAX_KEYTAB, MAX_KRB5_CONFIG, IdentityMount

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mount(tmp_path: Path) -> IdentityMount:
    found = IdentityMount(tmp_path / "keytab", tmp_path / "krb5")
    found.keytab_dir.mkdir()
    found.krb5_dir.mkdir()
    return found


def reason(mount: IdentityMount, which: str) -> tuple[str, str]:
    with pytest.raises(AgentError) as raised:
        mount.read_keytab(SPEC) if which == "keytab" else mount.read_krb5_config(SPEC)
    return raised.value.reason.name, raised.value.message


def test_keys_are_read_through_the_kubelets_links(mount: IdentityMount) -> None:
    data = mount.keytab_dir / "..2026_11_21"
    data.mkdir()
    (data / "keytab").write_bytes(b"\x05\x02")
    (mount.keytab_dir / "..data").symlink_to(data.name)
    (mount.keytab_dir / "keytab").symlink_to("..data/keytab")
    assert mount.read_keytab(SPEC) == b"\x05\x02"


@pytest.mark.parametrize(("which", "expected"), [("keytab", "SecretNotFound"), ("krb5", "ConfigMapNotFound")])
def test_an_empty_folder_is_a_missing_object(mount: IdentityMount, which: str, expected: str) -> None:
    name, message = reason(mount, which)
    assert name == expected
    assert f"'{which}'" in message


def test_no_folder_at_all_is_a_missing_object(tmp_path: Path) -> None:
    assert reason(IdentityMount(tmp_path / "no", tmp_path / "no"), "keytab")[0] == "SecretNotFound"


@pytest.mark.parametrize(("which", "expected"), [("keytab", "SecretKeyNotFound"), ("krb5", "ConfigMapKeyNotFound")])
def test_another_key_is_a_missing_key_and_is_named(mount: IdentityMount, which: str, expected: str) -> None:
    folder = mount.keytab_dir if which == "keytab" else mount.krb5_dir
    (folder / "other").write_bytes(b"x")
    name, message = reason(mount, which)
    assert name == expected
    assert "'other'" in message


def test_too_large_is_named(mount: IdentityMount) -> None:
    (mount.keytab_dir / "keytab").write_bytes(bytes(MAX_KEYTAB + 1))
    (mount.krb5_dir / "krb5.conf").write_bytes(b"#" * (MAX_KRB5_CONFIG + 1))
    assert reason(mount, "keytab")[0] == "KeytabTooLarge"
    assert reason(mount, "krb5") == (
        "Krb5ConfigInvalid",
        "Key 'krb5.conf' of ConfigMap 'krb5' is larger than 128 KiB.",
    )


def test_text_that_is_not_utf8_is_named(mount: IdentityMount) -> None:
    (mount.krb5_dir / "krb5.conf").write_bytes(b"[libdefaults]\xff")
    assert reason(mount, "krb5")[0] == "Krb5ConfigInvalid"


def test_a_key_that_is_a_folder_is_unreadable(mount: IdentityMount) -> None:
    (mount.keytab_dir / "keytab").mkdir()
    assert reason(mount, "keytab")[0] == "KeytabUnreadable"
