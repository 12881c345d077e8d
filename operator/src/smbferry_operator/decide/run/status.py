"""What a run's status says while it goes on, and at its end: all that the operator owns of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.reasons import (
    AGENT_NOT_SCHEDULED,
    LOCATION_NOT_FOUND,
    LOCATION_NOT_READY,
    RETRYING,
    RUN_FAILED,
    RUN_QUEUED,
    RUN_STARTED,
    TASK_NOT_FOUND,
    Reason,
    by_name,
)
from smbferry_api.run_status import PhaseState, RunEnding, RunState
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.record import as_information, attempts_before, recorded
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.run_end import End
from smbferry_operator.decide.stages import attempts_of
from smbferry_operator.decide.status import Summary, as_wire, changed
from smbferry_operator.decide.text import format_duration
from smbferry_operator.model import Job, Key, Kind, Run

RUN_TYPES: Final = (ConditionType.SUCCEEDED, ConditionType.RECONCILING, ConditionType.STALLED)
ENDED_PHASE: Final = frozenset({PhaseState.SUCCEEDED, PhaseState.FAILED})
POLL_QUEUE: Final = timedelta(seconds=30)
POLL_START: Final = timedelta(seconds=15)
POLL_END: Final = timedelta(seconds=2)


def standing(
    seen: RunObservation,
    state: RunState,
    reason: Reason,
    message: str,
    now: datetime,
    *,
    requeue_after: timedelta | None,
    **facts: Any,
) -> Decision:
    """A run that goes on."""
    summary = Summary(seen.run.meta, seen.run.status.conditions, now)
    summary.add_as_said(ConditionType.SUCCEEDED, "Unknown", reason.name, message)
    summary.add_as_said(ConditionType.RECONCILING, "True", reason.name, message)
    status = _status(seen, state, summary.done(), facts)
    return Decision(
        status=status if changed(seen.run.status, seen.run.status.conditions, status, RUN_TYPES) else None,
        events=(*_started(seen, facts), *_queue_events(seen, reason, message)),
        requeue_after=requeue_after,
    )


def wait(seen: RunObservation, reason: Reason, message: str, now: datetime) -> Decision:
    """A run that stays Queued."""
    return standing(seen, RunState.QUEUED, reason, message, now, requeue_after=POLL_QUEUE)


def _started(seen: RunObservation, facts: dict[str, Any]) -> tuple[Event, ...]:
    """Said with the status that first names the Job: its launch may have been cut off before that was written."""
    job = facts.get("jobRef")
    if job is None or job == seen.run.status.job_ref:
        return ()
    return (Event("Normal", RUN_STARTED, f"Agent Job {job} was launched."),)


def _queue_events(seen: RunObservation, reason: Reason, message: str) -> tuple[Event, ...]:
    """Said once for each new reason to wait; the ordinary course is not worth an Event."""
    before = find(seen.run.status.conditions, ConditionType.SUCCEEDED)
    if before is not None and before.reason == reason.name:
        return ()
    if reason in {RUN_QUEUED, LOCATION_NOT_FOUND, LOCATION_NOT_READY, TASK_NOT_FOUND}:
        return (Event("Normal", reason, message),)
    return (Event("Warning", reason, message),) if reason in {AGENT_NOT_SCHEDULED, RETRYING} else ()


def ended(
    seen: RunObservation, end: End, now: datetime, *, finished_at: datetime | None = None, **facts: Any
) -> Decision:
    """A run's last decision: nothing changes it any more.

    It is taken only when no agent of the run is left: whoever reads of an end may use the destination. Until then the
    verdict stands in `status.ending`, where it is written before the Jobs are deleted.
    """
    working = tuple(job_key(job) for job in seen.jobs if not job.finished and not job.meta.deleting)
    if working or any(pod.living for pod in seen.pods):
        noted = seen.run.status.ending is not None
        return replace(_ending(seen, end, now, facts), delete=working if noted else ())
    good = end.state is RunState.SUCCEEDED
    summary = Summary(seen.run.meta, seen.run.status.conditions, now)
    summary.add_as_said(ConditionType.SUCCEEDED, "True" if good else "False", end.reason.name, end.message)
    if end.state is RunState.FAILED:  # whatever the cause: a run that has ended does not try again
        summary.add_as_said(ConditionType.STALLED, "True", end.reason.name, end.message)
    completion = finished_at or now
    start = facts.get("startTime") or seen.run.status.start_time
    facts |= {"completionTime": completion}
    if start is not None:
        facts |= {"startTime": start, "duration": format_duration(completion - start)}
    if end.failure is not None and seen.run.status.failure is None:
        facts["failure"] = end.failure.model_dump(mode="json", by_alias=True)
    status = _status(seen, end.state, summary.done(), facts)
    peaceful = end.state in {RunState.SUCCEEDED, RunState.CANCELLED}
    last = Event("Normal" if peaceful else "Warning", end.reason, end.message)
    return Decision(status=status, events=(*_started(seen, facts), last))


def _ending(seen: RunObservation, end: End, now: datetime, facts: dict[str, Any]) -> Decision:
    """A run whose end is decided, and whose agents are being ended."""
    verdict = RunEnding(state=end.state, reason=end.reason.name, message=end.message, failure=end.failure)
    facts["ending"] = verdict.model_dump(mode="json", by_alias=True, exclude_none=True)
    delay = POLL_END if seen.run.status.ending is not None else timedelta(0)
    state = seen.run.status.state or state_by_phases(seen.run)
    message = f"The run ends as soon as its agent has ended: {end.message}"
    return standing(seen, state, end.reason, message, now, requeue_after=delay, **facts)


def pending_end(run: Run) -> End | None:
    """The end that was decided while agents of the run were still there."""
    ending = run.status.ending
    if ending is None:
        return None
    return End(ending.state, by_name(ending.reason) or RUN_FAILED, ending.message, ending.failure)


def job_key(job: Job) -> Key:
    """Names the Job."""
    return Key(Kind.JOB, job.meta.namespace, job.meta.name)


def _status(
    seen: RunObservation, state: RunState, conditions: tuple[Condition, ...], facts: dict[str, Any]
) -> OwnedStatus:
    """All that the operator owns; what was known before stays known."""
    status = seen.run.status
    fields: dict[str, Any] = {
        "observedGeneration": seen.run.meta.generation,
        "state": state.value,
        "startTime": status.start_time,
        "jobRef": status.job_ref,
        "attempts": status.attempts,
        "task": _shown(seen),
        "limit": limit(seen),
        **facts,
    }
    return OwnedStatus(conditions, {k: as_wire(v) for k, v in fields.items()})


def _shown(seen: RunObservation) -> dict[str, Any] | None:
    """status.task: what people see of the snapshot."""
    work = recorded(seen.jobs, seen.pods)
    if work is not None:
        return as_information(work)
    if seen.run.status.task is not None or seen.task is None or not seen.jobs:
        return seen.run.status.task
    # Begun by an operator that recorded nothing: should the agent of then start once more, it looks here.
    now = resolve(seen.task, seen.ends)
    return now.model_dump(mode="json", by_alias=True, exclude_none=True) if now else None


def limit(seen: RunObservation) -> dict[str, str] | None:
    """status.limit: the one option that travels to a run under way; None while the snapshot's still holds."""
    standing, work = seen.run.status.limit, recorded(seen.jobs, seen.pods)
    kept = standing.model_dump(mode="json", by_alias=True, exclude_none=True) if standing else None
    if seen.task is None or work is None:
        return kept
    if seen.task.meta.uid != work.task.uid:  # another task of the same name
        return kept
    wanted = seen.task.spec.options.bytes_per_second
    if standing is None and wanted == work.task.options.bytes_per_second:
        return None
    return {"bytesPerSecond": str(wanted)} if wanted is not None else {}


def attempts_so_far(seen: RunObservation, job: Job | None) -> int:
    """How many agents have been started for the run, the one at work among them."""
    counted = attempts_before(job) + attempts_of(job) if job else 0
    return max(seen.run.status.attempts, counted)


def job_facts(seen: RunObservation, job: Job) -> dict[str, Any]:
    """What the status says of the Job at work."""
    return {
        "jobRef": job.meta.name,
        "attempts": attempts_so_far(seen, job),
        "startTime": seen.run.status.start_time or job.meta.created,
    }


def state_by_phases(run: Run) -> RunState:
    """Where the agent is. Phases overlap: files are verified while others are still transferred."""
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
