"""Derives from a TransferTask whether a run is active or due. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_api.served import read_status
from smbferry_api.task import TransferTaskStatus
from smbferry_cli.exits import code_of_reason

_NOT_WORKING: Final = frozenset({RunState.QUEUED, RunState.LAUNCHING, RunState.CANCELLING})


@dataclass(frozen=True, slots=True)
class NextRun:
    """The run to watch, or the reason why there is none.

    Args:
        run: the queued or active run.
        why: explanation if there is no run; may be empty.
        waits: True if a run will start automatically.
        last: the most recent finished run.
        code: exit code if no run is due and none has finished.
    """

    run: str | None = None
    why: str = ""
    waits: bool = False
    last: str | None = None
    code: ExitCode = ExitCode.CONFIGURATION


def next_run(task: dict[str, Any]) -> NextRun:
    """Returns the state of a TransferTask."""
    status = read_status(TransferTaskStatus, task.get("status") or {})[0]
    found = NextRun(run=status.active_run) if status.active_run else next(_next_runs(task, status))
    return replace(found, last=status.last_run.name if status.last_run else None)


def _next_runs(task: dict[str, Any], status: TransferTaskStatus) -> Iterator[NextRun]:
    """Yields the reasons why there is no run, most important first."""
    spec = task.get("spec") or {}
    trigger = spec.get("trigger", "")
    if status.observed_generation != task["metadata"].get("generation"):
        yield NextRun(why="The operator has not processed the latest spec yet.", waits=True)
    if stalled := _condition(status, ConditionType.STALLED, "True"):
        yield NextRun(why=_said(stalled), code=code_of_reason(stalled.reason))
    if spec.get("suspend"):
        yield NextRun(why="The task is suspended because spec.suspend is true.")
    if unready := _condition(status, ConditionType.READY, "False", "Unknown"):
        yield NextRun(why=_said(unready), waits=True)
    if status.observed_trigger != trigger and (trigger or not spec.get("schedule")):
        yield NextRun(why="A run will start soon.", waits=True)
    if status.next_schedule_time:
        yield NextRun(why=f"The next run is scheduled for {status.next_schedule_time:%Y-%m-%d %H:%M:%SZ}.", waits=True)
    name = task["metadata"]["name"]
    yield NextRun(why=f"No run is active or due. To start one, run: smbferry trigger {name}")


def blocking_condition(status: TransferRunStatus) -> str:
    """Returns why an active run is blocked, or an empty string."""
    found = _condition(status, ConditionType.SUCCEEDED, "Unknown")
    return _said(found) if found and status.state in _NOT_WORKING else ""


def _condition(status: TransferTaskStatus | TransferRunStatus, type_: str, *statuses: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == type_ and c.status in statuses), None)


def _said(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason
