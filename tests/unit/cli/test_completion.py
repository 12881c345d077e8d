"""What shells and kubectl are told may come next."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.arguments import parser
from smbferry_cli.completion import FILES, SCRIPTS, candidates
from smbferry_cli.main import complete_for_kubectl, main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {"check", "run", "watch", "init", "import", "report", "completion", "help", "get", "trigger", "logs"}),
        ("wa", {"watch"}),
        ("watch --n", {"--namespace"}),
        ("watch nightly -n ferry -o ", {"text", "json"}),
        ("watch nightly --output=json --c", {"--context"}),
        ("import ", {"datasync"}),
        ("import datasync ", set()),
        ("import datasync task.json ", set()),
        ("check manifests/ --keytab ", set()),
        ("completion ", {"bash", "zsh", "fish"}),
        ("help re", {"report"}),
        ("fly ", set()),
    ],
)
def test_what_may_come_next(typed: str, offered: set[str]) -> None:
    assert set(completed(typed)) >= offered
    assert bool(offered) == bool(completed(typed))


def completed(typed: str) -> list[str]:
    """The candidates, where no cluster is asked."""
    *found, last = candidates(parser("1"), typed.split(" "), lambda *_: [], ())
    assert last == FILES
    return found


def test_every_option_of_every_command_is_offered() -> None:
    for name in completed(""):
        offered = completed(f"{name} -")
        assert "--help" in offered
        assert all(option.startswith("-") for option in offered)


def test_kubectl_is_told_to_offer_files_where_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl_complete-smbferry", "wat"])
    assert complete_for_kubectl() == 0
    assert capsys.readouterr().out == "watch\n:0\n"


def test_as_a_plugin_it_speaks_of_itself_as_kubectl_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-smbferry", "help"])
    assert main() == ExitCode.DONE
    said = capsys.readouterr().out
    assert said.startswith("usage: kubectl smbferry ")
    assert "kubectl smbferry help COMMAND shows the help of a command." in said


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == ExitCode.DONE
    assert capsys.readouterr().out == SCRIPTS[shell]


@pytest.mark.parametrize(
    ("answer", "offered", "files"),
    [
        ("watch\n:0", "watch", True),
        ("nightly\nweekly\n:4", "nightly weekly", False),
        (":0", "", True),
        (":4", "", False),
        ("", "", True),
    ],
)
def test_bash_completes_by_it(
    answer: str, offered: str, files: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "smbferry"
    program.write_text(f'#!/bin/sh\nprintf "{answer}"; echo "$*" >>"$0.asked"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    # compopt works only while a shell completes: what it is told is printed instead.
    asked = 'compopt() { echo "$*"; }; COMP_WORDS=(smbferry "" ); COMP_CWORD=1; _smbferry; echo "[${COMPREPLY[*]}]"'
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "-c", f"{SCRIPTS['bash']}{asked}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("[")[0].split() == ([] if files else ["+o", "default"])
    assert done.stdout.split("[")[1].split() == f"{offered}]".split()
    assert (tmp_path / "smbferry.asked").read_text() == "__complete \n"
