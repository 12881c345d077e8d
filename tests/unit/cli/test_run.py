"""How the end of a run becomes a state, an exit code and a status; the transfer itself is the agent's, and replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.cli.samples import console

from smbferry_agent.errors import AgentError
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import KEYTAB_STALE, RUN_CANCELLED
from smbferry_api.task_options import SidMap
from smbferry_cli import run as module
from smbferry_cli.cancel import Cancel
from smbferry_cli.manifests import load
from smbferry_cli.progress import Lines
from smbferry_cli.workspace import Workspace
from smbferry_engine import Counters
from smbferry_words.run import PhaseName, PhaseState

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[3] / "examples" / "basic"


def ends(monkeypatch: pytest.MonkeyPatch, transfer: Callable[[Any, Any], ExitCode]) -> module.Ended:
    """Runs the example's task with `transfer(report, cancelled)` in the place of the agent's."""
    manifests = load([EXAMPLES])

    def run_transfer(_task: object, environment: Any, report: Any, **_options: object) -> ExitCode:
        report.phase(PhaseName.PREFLIGHT, PhaseState.RUNNING)
        return transfer(report, environment.control.cancelled)

    monkeypatch.setattr(module, "run_transfer", run_transfer)
    cancel = Cancel(lambda: None, lambda: None)
    with cancel, Workspace() as workspace, Lines(console(terminal=False)[0]) as view:
        return module.run(manifests.resolve("nightly"), manifests, workspace, view, cancel, dry_run=False)


def test_the_sid_map_of_a_task_is_a_config_map_in_the_files() -> None:
    option = SidMap.model_validate({"configMapRef": {"name": "corp-sids"}})
    manifests = load([EXAMPLES])
    with Workspace() as workspace:
        assert workspace.mount_sid_map(None, manifests).read(None).rules == ()
        with pytest.raises(AgentError, match="ConfigMap 'corp-sids' does not exist in the files"):
            workspace.mount_sid_map(option, manifests).read(option)
    manifests.config_maps["corp-sids"] = {"sids": b"S-1-5-21-1-2-3 S-1-5-21-4-5-6"}
    with Workspace() as workspace:
        assert len(workspace.mount_sid_map(option, manifests).read(option).rules) == 1


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def transfer(report: Any, _cancelled: Any) -> ExitCode:
        counters = Counters()
        counters.files.to_delete, counters.directories.to_delete = 3, 1
        report.progress(counters)
        return ExitCode.DONE_WITH_FAILURES

    ended = ends(monkeypatch, transfer)
    assert (ended.code, ended.to_delete) == (ExitCode.DONE_WITH_FAILURES, 4)
    status = ended.manifest()["status"]
    assert status["state"] == "PartiallySucceeded"
    assert {"startTime", "completionTime", "duration", "counters", "phases"} <= set(status)


def test_a_run_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def transfer(report: Any, _cancelled: Any) -> ExitCode:
        error = AgentError(KEYTAB_STALE, "Source: refused.")
        report.failed(error)
        raise error

    ended = ends(monkeypatch, transfer)
    assert ended.code is ExitCode.IDENTITY
    assert ended.status.failure is not None
    assert (ended.status.state, ended.status.failure.reason) == ("Failed", "KeytabStale")


def test_ctrl_c_before_any_data_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    def transfer(_report: Any, _cancelled: Any) -> ExitCode:
        interrupt()
        return ExitCode.DONE

    ended = ends(monkeypatch, transfer)
    assert ended.code is ExitCode.CANCELLED
    assert (ended.status.state, ended.manifest()["status"]["failure"]["reason"]) == ("Cancelled", "RunCancelled")
    assert ended.manifest()["status"]["phases"]["preflight"]["state"] == "Failed"


def test_ctrl_c_while_data_moves_is_left_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def transfer(report: Any, cancelled: Callable[[], bool]) -> ExitCode:
        report.phase(PhaseName.PREFLIGHT, PhaseState.SUCCEEDED)
        assert not cancelled()
        interrupt()
        assert cancelled()
        raise AgentError(RUN_CANCELLED, "The run was cancelled.")

    assert ends(monkeypatch, transfer).code is ExitCode.CANCELLED


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def transfer(_report: Any, _cancelled: Any) -> ExitCode:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ends(monkeypatch, transfer)
