"""Arguments, help, and how each kind of end is told: a sentence on stderr and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smbferry_api.exit_codes import ExitCode
from smbferry_cli import commands
from smbferry_cli.arguments import parse
from smbferry_cli.exits import TIMED_OUT, ClusterError
from smbferry_cli.main import main, missing
from smbferry_cli.verbs.arguments import IN_CLUSTER

EXAMPLES = Path(__file__).parents[3] / "examples" / "basic"


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["check", "a"], {"command": "check", "output": "table", "keytab": [], "nameserver": [], "verbose": False}),
        (["check", "a", "b", "-o", "json", "-v"], {"output": "json", "verbose": True}),
        (["check", "a", "--nameserver", "10.0.0.1", "--nameserver", "::1"], {"nameserver": ["10.0.0.1", "::1"]}),
        (["run", "a"], {"command": "run", "output": "text", "task": None, "dry_run": False}),
        (["run", "a", "--task", "t", "--dry-run"], {"task": "t", "dry_run": True}),
        (["help"], {"command": "help", "topic": None}),
        (["help", "run"], {"topic": "run"}),
        (["get", "tasks", "-n", "ferry", "a", "-o", "wide", "b"], {"names": ["a", "b"], "output": "wide"}),
        (["get", "-A", "xrun"], {"names": [], "all_namespaces": True}),
    ],
)
def test_arguments(argv: list[str], expected: dict[str, Any]) -> None:
    found = vars(parse("1.0", argv))
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "COMMAND"),
        (["check"], "FILE"),
        (["fly"], "invalid choice"),
        (["check", "a", "--keytab", "x"], "expected NAME=PATH, got 'x'"),
        (["check", "a", "--nameserver", "dc1"], "expected an IP address, got 'dc1'"),
        (["check", "a", *["--nameserver", "10.0.0.1"] * 4], "at most 3"),
        (["check", "a", "-o", "yaml"], "invalid choice"),
        (["check", "a", "--dry-run"], "unrecognized"),
        (["get", "tsks"], 'expected tasks, runs, identities, locations or all, got "tsks"; did you mean "tasks"?'),
        (["get", "all", "a"], "get: expected one kind for a name, got all"),
        (["get", "tasks", "a", "-A"], "get: expected a name or --all-namespaces, got both"),
        (["get", "task/a", "-l", "b=c"], "get: expected a name or --selector, got both"),
        (["get", "task/A"], "expected a name of lower-case letters, digits, '-' and '.', got \"A\""),
        (["trigger", "run/a"], 'expected NAME or task/NAME, got "run/a"'),
        (["trigger", "a", "--dry-run", "--survey"], "not allowed with"),
        (["trigger", "a", "--measure-destination"], "trigger: --measure-destination requires --survey"),
        (["trigger", "a", "--priority", "1001"], 'expected a number, -1000 to 1000, got "1001"'),
        (["trigger", "a", "--ttl", "soon"], "expected a duration such as 30s, 5m or 1h30m, got 'soon'"),
        (["trigger", "a", "-n", "../b"], "expected a name of lower-case letters, digits and '-', got \"../b\""),
        (["cancel"], "cancel: expected RUN or --task, got neither"),
        (["cancel", "a", "--task", "b"], "cancel: expected RUN or --task, got both"),
        (["suspend"], "suspend: expected TASK or --all, got neither"),
        (["recheck", "svc-src"], 'expected identity/NAME or location/NAME, got "svc-src"'),
        (["recheck", "task/a"], 'expected identity/NAME or location/NAME, got "task/a"'),
        (["logs", "a", "--tail", "-1"], 'expected a number, 0 or more, got "-1"'),
    ],
)
def test_wrong_arguments_end_with_2(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["help"], *(["help", name] for name in ("check", "run", *sorted(IN_CLUSTER)))])
def test_help_fits_a_terminal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: smbferry")
    assert max(map(len, said.splitlines())) <= 120


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out.startswith("smbferry ")


def test_manifests_that_can_not_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none")]) == ExitCode.CONFIGURATION
    captured = capsys.readouterr()
    assert captured.err == f"smbferry: {tmp_path}/none: there is no such file or folder\n"
    assert captured.out == ""


def test_files_with_nothing_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == ExitCode.CONFIGURATION
    assert "nothing to check" in capsys.readouterr().err


def test_a_broken_secret_is_not_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text('kind: Secret\ndata: {keytab: "BQIAAABPAAIAC0NPUlA\n')
    assert main(["check", str(tmp_path)]) == ExitCode.CONFIGURATION
    said = capsys.readouterr().err
    assert "a.yaml: not readable as YAML: line " in said
    assert "BQIA" not in said


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), ExitCode.CANCELLED, "cancelled"),
        (RuntimeError("odd"), ExitCode.BUG, "RuntimeError: odd. This is a bug in smbferry"),
    ],
)
def test_other_ends(
    error: BaseException, code: ExitCode, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_arguments: object) -> ExitCode:
        raise error

    monkeypatch.setattr(commands, "check_command", fails)
    assert main(["check", "a"]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), ExitCode.CANCELLED, "stopped waiting; nothing in the cluster was cancelled"),
        (ClusterError("expected X, got Y", TIMED_OUT), TIMED_OUT, "expected X, got Y"),
        (RuntimeError("odd"), ExitCode.BUG, "RuntimeError: odd. This is a bug in smbferry"),
    ],
)
def test_ends_of_commands_for_a_cluster(
    error: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_arguments: object) -> ExitCode:
        raise error

    monkeypatch.setattr("smbferry_cli.verbs.run.run_verb", fails)
    assert main(["trigger", "nightly", "--wait"]) == code
    assert capsys.readouterr().err.startswith(f"smbferry: {said}")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'gssapi'", name="gssapi"), "apt-get install libkrb5-dev"),
        (ImportError("libgssapi_krb5.so.2: cannot open shared object file"), "apt-get install libkrb5-dev"),
        (ModuleNotFoundError("No module named 'rich'", name="rich"), "No module named 'rich'"),
        (
            ModuleNotFoundError("No module named 'dns.resolver'", name="dns.resolver"),
            "extras: pip install '.[agent,cli,kerberos]'",
        ),
    ],
)
def test_what_to_install(error: ImportError, said: str) -> None:
    assert said in missing(error)


@pytest.mark.parametrize("module", ["gssapi", "krb5", "gssapi.raw"])
def test_without_the_kerberos_binding_a_sentence_says_so(module: str) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; from smbferry_cli.main import main; sys.exit(main())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", script, "check", str(EXAMPLES)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ended.returncode == ExitCode.CONFIGURATION
    assert "cannot load the MIT Kerberos library" in ended.stderr
    assert "Traceback" not in ended.stderr
