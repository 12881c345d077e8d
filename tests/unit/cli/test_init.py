"""`smbferry init`: manifests that can be applied and checked as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.arguments import parse
from smbferry_cli.main import main
from smbferry_cli.manifests import ManifestError, load
from smbferry_cli.writing import init_command

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

KEYTAB = b"\x05\x02" + b"\x00" * 16
FLAGS = (
    "--principal", "svc@CORP.EXAMPLE.COM",
    "--source", "//files1.corp.example.com/finance",
    "--destination", r"\\files2.corp.example.com\finance\copy",
)  # fmt: skip


def arguments(folder: Path, *more: str) -> argparse.Namespace:
    return parse("1.0", ["init", str(folder), *more])


def test_the_files_hold_a_whole_transfer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "svc.keytab").write_bytes(KEYTAB)
    folder = tmp_path / "new" / "manifests"
    assert main(["init", str(folder), *FLAGS, "--keytab", str(tmp_path / "svc.keytab")]) == ExitCode.DONE
    found = load([folder])
    resolved = found.resolve("transfer")
    assert resolved.source.spec.server == "files1.corp.example.com"
    assert (resolved.destination.spec.share, resolved.destination.full_path) == ("finance", "/copy")
    assert found.secrets["svc-keytab"]["keytab"] == KEYTAB
    assert "default_realm = CORP.EXAMPLE.COM" in found.config_maps["corp-example-com-krb5"]["krb5.conf"].decode()
    assert (folder / "15-keytabs.yaml").stat().st_mode & 0o077 == 0
    assert "kubectl apply -f" in capsys.readouterr().out


def test_two_principals_make_two_identities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init_command(arguments(tmp_path / "m", *FLAGS, "--destination-principal", "svc-dst@CORP.EXAMPLE.COM"))
    found = load([tmp_path / "m"])
    assert set(found.identities) == {"svc", "svc-dst"}
    assert found.locations["destination"].identity_ref.name == "svc-dst"
    assert "create secret generic svc-dst-keytab" in capsys.readouterr().out


def test_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    answers = iter(["//a.example.com/x", "//b.example.com/y/z", "svc@EXAMPLE.COM"])
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(answers)

    init_command(arguments(tmp_path / "m", "--schedule", "0 2 * * *"), ask)
    assert len(asked) == 3
    task = yaml.safe_load((tmp_path / "m" / "40-task.yaml").read_text())
    assert task["spec"]["schedule"] == {"cron": "0 2 * * *"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--source", "//a.example.com/x", "--destination", "//b.example.com/y"), "--principal is missing"),
        ((*FLAGS, "--keytab", "/nowhere"), "/nowhere: No such file"),
        ((*FLAGS, "--keytab", "/dev/null"), "expected a keytab"),
        ((*FLAGS, "--schedule", "daily"), "spec.schedule.cron"),
        ((*FLAGS[:2], "--source", "//10.0.0.1/x", *FLAGS[4:]), "expected a DNS name, got an IP address"),
        (("--principal", "svc", *FLAGS[2:]), "spec.principal"),
    ],
)
def test_what_can_not_be_used_is_said_and_nothing_is_written(tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        init_command(arguments(tmp_path / "m", *more), None)
    assert not (tmp_path / "m").exists()


def test_files_that_are_there_stay_unless_forced(tmp_path: Path) -> None:
    init_command(arguments(tmp_path, *FLAGS))
    before = (tmp_path / "40-task.yaml").read_text()
    with pytest.raises(ManifestError, match="already there; use --force to replace them"):
        init_command(arguments(tmp_path, *FLAGS, "--schedule", "0 2 * * *"))
    assert (tmp_path / "40-task.yaml").read_text() == before
    init_command(arguments(tmp_path, *FLAGS, "--schedule", "0 2 * * *", "--force"))
    assert "0 2 * * *" in (tmp_path / "40-task.yaml").read_text()


@pytest.mark.parametrize("text", ["files/x", "//files", "x", ""])
def test_a_path_without_server_or_share_is_a_wrong_argument(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["init", "m", "--source", text])
    assert raised.value.code == 2
    assert "expected //server/share" in capsys.readouterr().err
