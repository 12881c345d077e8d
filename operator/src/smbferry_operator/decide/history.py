"""A task's ended runs: the last ones, and those beyond spec.history."""

from collections.abc import Iterable
from datetime import datetime

from smbferry_api.run_status import RunState
from smbferry_api.run_summary import RunSummary
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.model import Key, Kind, Run, Task


def ended_runs(runs: Iterable[Run]) -> list[Run]:
    """Runs that have ended, without dry runs and surveys, oldest first."""
    ended = [r for r in runs if r.status.state is not None and r.status.state.ended and r.spec.copies]
    return sorted(ended, key=lambda r: (r.status.completion_time or r.meta.created, r.meta.created, r.meta.name))


def last_ended(runs: Iterable[Run]) -> Run | None:
    """The newest ended run that was no dry run."""
    return next(reversed(ended_runs(runs)), None)


def summary_of(run: Run) -> RunSummary:
    """The run's summary for the task's status."""
    status = run.status
    return RunSummary(
        name=run.meta.name,
        state=status.state or RunState.QUEUED,
        start_time=status.start_time,
        completion_time=status.completion_time,
        duration=status.duration,
        recovery_point=_recovery_point(run),
        counters=status.counters,
    )


def _recovery_point(run: Run) -> datetime | None:
    """The time that the source's files had, at the earliest, when the run copied them."""
    snapshot = run.status.source_snapshot
    return snapshot.time if snapshot is not None and snapshot.time is not None else run.status.start_time


def is_of(run: Run, task: Task) -> bool:
    """Whether it is a run of this task, and not of an earlier task of the same name."""
    return run.meta.controller_uid == task.meta.uid or (
        not run.meta.controller_uid and run.meta.created > task.meta.created
    )


def last_runs(runs: Iterable[Run], task: Task) -> tuple[RunSummary | None, RunSummary | None]:
    """The last ended and the last successful run; if they were deleted, as the status has them."""
    status = task.status
    ended = [run for run in ended_runs(runs) if is_of(run, task)]
    good = [r for r in ended if r.status.state is RunState.SUCCEEDED]
    return (
        summary_of(ended[-1]) if ended else status.last_run,
        summary_of(good[-1]) if good else status.last_successful_run,
    )


def surplus(seen: TaskObservation, *, keep: Run | None = None) -> tuple[Key, ...]:
    """Ended runs that the task created, beyond what spec.history keeps.

    Args:
        keep: a failed run that is still needed.
    """
    own = [r for r in ended_runs(seen.runs) if r.meta.controller_uid == seen.task.meta.uid and not r.meta.deleting]
    good = [r for r in own if r.status.state is RunState.SUCCEEDED]
    bad = [r for r in own if r.status.state is not RunState.SUCCEEDED]
    limits = seen.task.spec.history
    too_many = [*good[: max(0, len(good) - limits.succeeded)], *bad[: max(0, len(bad) - limits.failed)]]
    return tuple(Key(Kind.RUN, r.meta.namespace, r.meta.name) for r in too_many if r is not keep)
