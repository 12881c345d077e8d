"""The operator's part of a run's status, while the run is active and after its end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.fields import parse_quantity
from smbferry_api.limit_status import Limit
from smbferry_api.queue_status import QueueStatus
from smbferry_api.reasons import (
    AGENT_LOST,
    AGENT_NOT_SCHEDULED,
    AGENT_STARTING,
    AGENT_SUSPENDED,
    APPROVAL_REQUIRED,
    LIMIT_REACHED,
    LOCATION_NOT_FOUND,
    LOCATION_NOT_READY,
    PLAN_CHANGED,
    RETRYING,
    RUN_CANCELLED,
    RUN_FAILED,
    RUN_QUEUED,
    RUN_STARTED,
    TASK_NOT_FOUND,
    WINDOW_CLOSED,
    Reason,
    by_name,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunEnding, RunState
from smbferry_api.windows import Windows, problem_of
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.owned import RunFields
from smbferry_operator.decide.record import as_information, attempts_before, recorded
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.run.end import End
from smbferry_operator.decide.run.waits import POLL_END, Wait
from smbferry_operator.decide.stages import attempts_of
from smbferry_operator.decide.status import Summary, changed
from smbferry_operator.decide.text import format_duration
from smbferry_operator.model import Job, Key, Kind, Run
from smbferry_words.run import PhaseState

RUN_TYPES: Final = (ConditionType.SUCCEEDED, ConditionType.RECONCILING, ConditionType.STALLED)
ENDED_PHASE: Final = frozenset({PhaseState.SUCCEEDED, PhaseState.FAILED})
POLL_START: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The run's newest Job, as the status names it."""

    job_ref: str
    attempts: int
    """Agents that were started for the run, one after the other."""
    start_time: datetime
    """When the run's first agent began."""

    @classmethod
    def of(cls, seen: RunObservation, job: Job) -> "Attempt":
        """The attempt whose Job exists."""
        return cls(job.meta.name, attempts_so_far(seen, job), seen.run.status.start_time or job.meta.created)


def unfinished(
    seen: RunObservation,
    state: RunState,
    reason: Reason,
    message: str,
    now: datetime,
    *,
    requeue_after: timedelta | None,
    attempt: Attempt | None = None,
    task: ResolvedTask | None = None,
    ending: RunEnding | None = None,
    queue: QueueStatus | None = None,
) -> Decision:
    """A decision after which the run has not ended.

    Args:
        attempt: the newest Job; None keeps what the status says.
        task: the snapshot of a Job that is created now.
        ending: how the run ends once its last agent has ended.
    """
    fields = _fields(seen, state, attempt)
    fields = replace(fields, task=task or fields.task, ending=ending, queue=queue)
    status = OwnedStatus(unfinished_conditions(seen.run, reason, message, now), fields.as_wire())
    return Decision(
        status=status if changed(seen.run.status, seen.run.status.conditions, status, RUN_TYPES) else None,
        events=(
            *_started(seen, attempt, message if reason is AGENT_STARTING else ""),
            *_queue_events(seen, reason, message),
        ),
        requeue_after=requeue_after,
    )


def unfinished_conditions(run: Run, reason: Reason, message: str, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a run that has not ended."""
    summary = Summary(run.meta, run.status.conditions, now)
    summary.add_verbatim(ConditionType.SUCCEEDED, "Unknown", reason.name, message)
    summary.add_verbatim(ConditionType.RECONCILING, "True", reason.name, message)
    return summary.done()


def ended_conditions(run: Run, end: End, now: datetime) -> tuple[Condition, ...]:
    """The conditions of a run that ends like this."""
    summary = Summary(run.meta, run.status.conditions, now)
    succeeded = end.state is RunState.SUCCEEDED
    summary.add_verbatim(ConditionType.SUCCEEDED, "True" if succeeded else "False", end.reason.name, end.message)
    if end.state is RunState.FAILED:  # whatever the cause: a run that has ended does not try again
        summary.add_verbatim(ConditionType.STALLED, "True", end.reason.name, end.message)
    return summary.done()


def end_event(end: End) -> Event:
    """The Event of a run that ends like this."""
    normal = end.state in {RunState.SUCCEEDED, RunState.CANCELLED}
    return Event("Normal" if normal else "Warning", end.reason, end.message)


def waiting(seen: RunObservation, state: RunState, wait: Wait, now: datetime) -> Decision:
    """A decision to wait; it asks for the checks that the run waits for."""
    decision = unfinished(
        seen, state, wait.reason, wait.message, now, requeue_after=wait.requeue_after, queue=wait.queue
    )
    return replace(decision, awaits=wait.checks)


def _started(seen: RunObservation, attempt: Attempt | None, message: str = "") -> tuple[Event, ...]:
    """Emitted with the status that first names the Job: the decision that created it may not have been completed."""
    if attempt is None or attempt.job_ref == seen.run.status.job_ref:
        return ()
    return (Event("Normal", RUN_STARTED, message or f"Agent Job {attempt.job_ref} was launched."),)


def _queue_events(seen: RunObservation, reason: Reason, message: str) -> tuple[Event, ...]:
    """Emitted once for each new reason to wait; the ordinary course gets no Event."""
    before = find(seen.run.status.conditions, ConditionType.SUCCEEDED)
    if before is not None and before.reason == reason.name:
        return ()
    queued = {
        AGENT_SUSPENDED,
        APPROVAL_REQUIRED,
        RUN_QUEUED,
        LIMIT_REACHED,
        WINDOW_CLOSED,
        LOCATION_NOT_FOUND,
        LOCATION_NOT_READY,
    }
    if reason in {*queued, TASK_NOT_FOUND}:
        return (Event("Normal", reason, message),)
    return (Event("Warning", reason, message),) if reason in {AGENT_NOT_SCHEDULED, PLAN_CHANGED, RETRYING} else ()


def ended(
    seen: RunObservation,
    end: End,
    now: datetime,
    *,
    finished_at: datetime | None = None,
    attempt: Attempt | None = None,
) -> Decision:
    """The decision that ends a run; no later one changes it.

    It is taken only when no agent of the run is left: whoever reads of the end may use the destination. Until then the
    verdict is in `status.ending`, where it is written before the Jobs are deleted.

    Args:
        finished_at: when the last Job finished; now if None.
    """
    working = tuple(job_key(job) for job in seen.jobs if not job.finished and not job.meta.deleting)
    if working or any(pod.living for pod in seen.pods):
        noted = seen.run.status.ending is not None
        return replace(_ending(seen, end, now, attempt), delete=working if noted else ())
    fields, completion = _fields(seen, end.state, attempt), finished_at or now
    fields = replace(
        fields,
        completion_time=completion,
        duration=format_duration(completion - fields.start_time) if fields.start_time else None,
        failure=end.failure if _is_unsaid(seen, end) else None,
    )
    status = OwnedStatus(ended_conditions(seen.run, end, now), fields.as_wire())
    return Decision(status=status, events=(*_started(seen, attempt), end_event(end)))


def _ending(seen: RunObservation, end: End, now: datetime, attempt: Attempt | None) -> Decision:
    """A run whose end is decided while its agents are being ended."""
    return unfinished(
        seen,
        seen.run.status.state or state_by_phases(seen.run),
        end.reason,
        f"The run ends when its agent has ended: {end.message}",
        now,
        requeue_after=POLL_END if seen.run.status.ending is not None else timedelta(0),
        attempt=attempt,
        ending=RunEnding(state=end.state, reason=end.reason.name, message=end.message, failure=end.failure),
    )


def pending_end(run: Run) -> End | None:
    """The end that was decided while agents of the run still existed."""
    ending = run.status.ending
    if ending is None:
        return None
    return End(ending.state, by_name(ending.reason) or RUN_FAILED, ending.message, ending.failure)


def job_key(job: Job) -> Key:
    """The Job's key."""
    return Key(Kind.JOB, job.meta.namespace, job.meta.name)


def _fields(seen: RunObservation, state: RunState, attempt: Attempt | None) -> RunFields:
    """All that the operator owns; what the status said before is kept."""
    status = seen.run.status
    return RunFields(
        observed_generation=seen.run.meta.generation,
        state=state,
        start_time=attempt.start_time if attempt else status.start_time,
        job_ref=attempt.job_ref if attempt else status.job_ref,
        attempts=attempt.attempts if attempt else status.attempts,
        task=_shown(seen),
        limit=limit(seen),
        queue=None,
    )


def _shown(seen: RunObservation) -> ResolvedTask | Mapping[str, Any] | None:
    """status.task: the snapshot, for people."""
    work = recorded(seen.jobs, seen.pods)
    if work is not None:
        return as_information(work)
    if seen.run.status.task is not None or seen.task is None or not seen.jobs:
        return seen.run.status.task
    # Begun by an operator that recorded nothing: the agent of that version reads it here when it starts once more.
    return resolve(seen.task, seen.ends)


def limit(seen: RunObservation) -> Limit | None:
    """status.limit: what reaches a run under way of its task's limit, of its share of its locations' limits, and of its
    task's windows. They travel together: whatever of them changes, the others are said again.

    None while all that the snapshot says still applies.
    """
    before, work = seen.run.status.limit, recorded(seen.jobs, seen.pods)
    if work is None:  # the next Job records what applies then
        return None
    wanted, windows = rate_of(seen, work.task), _changed_windows(seen, work.task)
    snapshot = lower(work.task.options.bytes_per_second, work.task.bytes_per_second)
    if before is None and wanted == snapshot and windows is None:
        return None
    return Limit(bytes_per_second=str(wanted) if wanted is not None else None, windows=windows)


def _is_unsaid(seen: RunObservation, end: End) -> bool:
    """Whether the agent has not said why the run failed, or only that it was told to stop, which nobody had asked."""
    said = seen.run.status.failure
    return said is None or (said.reason == RUN_CANCELLED.name and end.reason is AGENT_LOST)


def rate_of(seen: RunObservation, work: ResolvedTask) -> str | int | None:
    """What the run may move per second: what its task says now, or its share of its locations if that is lower."""
    own: str | int | None
    if seen.task is not None and seen.task.meta.uid == work.uid:
        own = seen.task.spec.options.bytes_per_second
    else:  # the task is gone, or another of the same name: what was said last stays
        own = _said_last(seen, work)
    return lower(own, seen.standing.rate if seen.standing is not None else None)


def _changed_windows(seen: RunObservation, work: ResolvedTask) -> Windows | None:
    """The windows of the task if they are others than the snapshot's and can be used.

    Without them those of the snapshot hold, for the agent as in `waits`: if the two disagreed, agents would
    be started and would stop again and again.
    """
    if seen.task is None or seen.task.meta.uid != work.uid:
        return None
    windows = seen.task.spec.windows
    return None if windows == work.windows or problem_of(windows) else windows


def _said_last(seen: RunObservation, work: ResolvedTask) -> str | int | None:
    """The limit in the status; the snapshot's if there is none, or if an agent has made it unreadable."""
    before = seen.run.status.limit
    if before is None:
        return work.options.bytes_per_second
    try:
        parse_quantity(before.bytes_per_second or 1)
    except ValueError:
        return work.options.bytes_per_second
    return before.bytes_per_second


def lower(one: str | int | None, other: str | int | None) -> str | int | None:
    """The lower of two quantities as it is written; None is no limit."""
    limits = [limit for limit in (one, other) if limit is not None]
    return min(limits, key=parse_quantity, default=None)


def attempts_so_far(seen: RunObservation, job: Job | None) -> int:
    """How many agents have been started for the run, the one at work included."""
    counted = attempts_before(job) + attempts_of(job) if job else 0
    return max(seen.run.status.attempts, counted)


def state_by_phases(run: Run) -> RunState:
    """The state by the phases that the agent reports. Phases overlap: files are verified while others are copied."""
    phases = run.status.phases
    if phases is None:
        return RunState.LAUNCHING
    order = (
        (phases.transfer, RunState.TRANSFERRING),
        (phases.verify, RunState.VERIFYING),
        (phases.delete, RunState.VERIFYING),
        (phases.prepare, RunState.PREPARING),
        (phases.preflight, RunState.PREPARING),
    )
    for phase, state in order:
        if phase is not None and phase.state is PhaseState.RUNNING:
            return state
    furthest = (*order[1:3], order[0], *order[3:])
    return next(
        (state for phase, state in furthest if phase is not None and phase.state in ENDED_PHASE), RunState.LAUNCHING
    )
