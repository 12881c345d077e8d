"""Files in the place of Secrets and ConfigMaps, DNS servers, and the private folder that it all lies in."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from smbferry_agent.errors import AgentError
from smbferry_cli.manifests import ManifestError, Manifests, load
from smbferry_cli.run import chosen_task
from smbferry_cli.sources import NamedPath, with_files, with_nameservers
from smbferry_cli.workspace import Workspace

EXAMPLES = Path(__file__).parents[3] / "examples" / "basic"


@pytest.fixture
def manifests() -> Manifests:
    return load([EXAMPLES])


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir()
    return {"XDG_RUNTIME_DIR": str(tmp_path / "run")}


@pytest.mark.parametrize("text", ["", "name", "=path", "name="])
def test_a_pair_needs_both_halves(text: str) -> None:
    with pytest.raises(ValueError, match="expected NAME=PATH"):
        NamedPath.parse(text)


def test_a_path_may_hold_an_equals_sign() -> None:
    assert NamedPath.parse("a=b=c") == NamedPath("a", Path("b=c"))


def test_a_file_stands_for_the_key_that_the_identity_refers_to(manifests: Manifests, tmp_path: Path) -> None:
    file = tmp_path / "any name.keytab"
    file.write_bytes(b"\x05\x02key")
    found = with_files(manifests, keytabs=[NamedPath("svc-src-keytab", file)])
    assert found.secrets == {"svc-src-keytab": {"keytab": b"\x05\x02key"}}
    assert found.config_maps == manifests.config_maps


def test_a_folder_stands_for_all_keys(manifests: Manifests, tmp_path: Path) -> None:
    for name in ("krb5.conf", "other"):
        (tmp_path / name).write_text(name)
    found = with_files(manifests, krb5_confs=[NamedPath("corp-krb5", tmp_path)])
    assert found.config_maps["corp-krb5"] == {"krb5.conf": b"krb5.conf", "other": b"other"}


def test_a_name_that_nobody_refers_to_is_a_mistake(manifests: Manifests, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"--keytab svc: .* found: svc-dst-keytab, svc-src-keytab"):
        with_files(manifests, keytabs=[NamedPath("svc", tmp_path)])


def test_a_file_that_is_not_there_is_named(manifests: Manifests, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"--keytab svc-src-keytab=.*none: No such file"):
        with_files(manifests, keytabs=[NamedPath("svc-src-keytab", tmp_path / "none")])


def test_nameservers_are_for_objects_without_their_own(manifests: Manifests) -> None:
    own = manifests.locations["source"].model_copy(update={"nameservers": ("10.0.0.1",)})
    manifests.locations["source"] = own
    found = with_nameservers(manifests, ["10.0.0.53"])
    assert found.locations["source"].nameservers == ("10.0.0.1",)
    assert found.locations["destination"].nameservers == ("10.0.0.53",)
    assert {spec.nameservers for spec in found.identities.values()} == {("10.0.0.53",)}


# --- The task --------------------------------------------------------------------------------------------------------


def test_the_only_task_needs_no_name(manifests: Manifests) -> None:
    assert chosen_task(manifests, None).name == "nightly"


@pytest.mark.parametrize(
    ("names", "chosen", "said"),
    [
        ([], None, "found: none; choose one with --task"),
        (["a", "b"], None, "found: a, b; choose one with --task"),
        (["a"], "b", "TransferTask b, to run, is not in the files; found: a"),
    ],
)
def test_a_task_that_can_not_be_chosen(manifests: Manifests, names: list[str], chosen: str | None, said: str) -> None:
    manifests.tasks = dict.fromkeys(names, manifests.tasks["nightly"])
    with pytest.raises(ManifestError, match=said):
        chosen_task(manifests, chosen)


# --- The private folder ----------------------------------------------------------------------------------------------


def test_the_folder_is_private_and_gone_afterwards(manifests: Manifests, home: dict[str, str]) -> None:
    manifests.secrets["svc-src-keytab"] = {"keytab": b"secret"}
    spec = manifests.identities["svc-src"]
    with Workspace(home) as workspace:
        folder = workspace.folder
        assert folder.parent == Path(home["XDG_RUNTIME_DIR"])
        mount = workspace.mount(spec, manifests)
        assert mount.read_keytab(spec) == b"secret"
        assert "CORP.EXAMPLE.COM" in mount.read_krb5_config(spec)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((mount.keytab_dir / "keytab").stat().st_mode) == 0o600
    assert not folder.exists()


def test_what_is_wiped_is_overwritten_first(manifests: Manifests, home: dict[str, str], tmp_path: Path) -> None:
    manifests.secrets["svc-src-keytab"] = {"keytab": b"secret"}
    other = tmp_path / "hard-link"
    with Workspace(home) as workspace:
        mount = workspace.mount(manifests.identities["svc-src"], manifests)
        other.hardlink_to(mount.keytab_dir / "keytab")
    assert other.read_bytes() == bytes(6)


def test_wiping_twice_does_no_harm(home: dict[str, str]) -> None:
    with Workspace(home) as workspace:
        workspace.wipe()


def test_a_missing_secret_is_said_to_be_missing_in_the_files(manifests: Manifests, home: dict[str, str]) -> None:
    spec = manifests.identities["svc-src"]
    with Workspace(home) as workspace, pytest.raises(AgentError, match="does not exist in the files") as raised:
        workspace.mount(spec, manifests).read_keytab(spec)
    assert raised.value.reason.name == "SecretNotFound"


@pytest.mark.parametrize("key", ["../keytab", "..", "..data", "a/b", ""])
def test_a_key_can_not_leave_the_folder(manifests: Manifests, home: dict[str, str], key: str) -> None:
    manifests.secrets["svc-src-keytab"] = {key: b"x"}
    with Workspace(home) as workspace, pytest.raises(ManifestError, match="expected a key of"):
        workspace.mount(manifests.identities["svc-src"], manifests)


@pytest.mark.parametrize("value", ["", "relative", "/nonesuch"])
def test_without_a_runtime_folder_another_is_taken(value: str) -> None:
    with Workspace({"XDG_RUNTIME_DIR": value}) as workspace:
        assert workspace.folder.is_dir()
