"""What a task in a cluster is about to do, told from its object. Pure."""

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
class Standing:
    """Which run there is to watch, or why there is none.

    Args:
        run: the run that is queued or under way.
        why: why there is none, for a person; empty where there is nothing to say.
        waits: whether one will come by itself.
        last: the newest run that has ended.
        code: how to end where none will come and none has been.
    """

    run: str | None = None
    why: str = ""
    waits: bool = False
    last: str | None = None
    code: ExitCode = ExitCode.CONFIGURATION


def standing(task: dict[str, Any]) -> Standing:
    """Where a TransferTask stands."""
    status = read_status(TransferTaskStatus, task.get("status") or {})[0]
    found = Standing(run=status.active_run) if status.active_run else next(_standings(task, status))
    return replace(found, last=status.last_run.name if status.last_run else None)


def _standings(task: dict[str, Any], status: TransferTaskStatus) -> Iterator[Standing]:
    """Why there is no run, what weighs most first."""
    spec = task.get("spec") or {}
    trigger = spec.get("trigger", "")
    if status.observed_generation != task["metadata"].get("generation"):
        yield Standing(why="The operator has not looked at the newest specification yet.", waits=True)
    if stalled := _condition(status, ConditionType.STALLED, "True"):
        yield Standing(why=_said(stalled), code=code_of_reason(stalled.reason))
    if spec.get("suspend"):
        yield Standing(why="The task is suspended: spec.suspend is true.")
    if unready := _condition(status, ConditionType.READY, "False", "Unknown"):
        yield Standing(why=_said(unready), waits=True)
    if status.observed_trigger != trigger and (trigger or not spec.get("schedule")):
        yield Standing(why="A run is about to start.", waits=True)
    if status.next_schedule_time:
        yield Standing(why=f"The next run is scheduled for {status.next_schedule_time:%Y-%m-%d %H:%M:%SZ}.", waits=True)
    yield Standing(why="No run is under way, and none is due: change spec.trigger to start one.")


def held_up(status: TransferRunStatus) -> str:
    """Why a run that there is does not work just now; empty where it does."""
    found = _condition(status, ConditionType.SUCCEEDED, "Unknown")
    return _said(found) if found and status.state in _NOT_WORKING else ""


def _condition(status: TransferTaskStatus | TransferRunStatus, type_: str, *statuses: str) -> Condition | None:
    return next((c for c in status.conditions if c.type == type_ and c.status in statuses), None)


def _said(condition: Condition) -> str:
    return f"{condition.reason}: {condition.message}" if condition.message else condition.reason
