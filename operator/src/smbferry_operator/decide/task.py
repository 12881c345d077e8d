"""TransferTask: whether it can run, when it is due, which runs it creates and deletes.

The name of a run contains what made it due, a value of `trigger` or a scheduled time, so that it is created once. A due
run waits for its locations; it is not lost.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.fields import format_time
from smbferry_api.names import (
    ANNOTATION_SCHEDULED_AT,
    ANNOTATION_TRIGGER,
)
from smbferry_api.reasons import (
    IN_SYNC,
    LOCATION_NOT_FOUND,
    NEVER_RAN,
    RUN_CANCELLED,
    RUN_FAILED,
    RUN_IN_PROGRESS,
    RUN_NOT_CREATED,
    RUN_PARTIALLY_SUCCEEDED,
    RUN_SKIPPED,
    SAME_DESTINATION,
    SPEC_INVALID,
    SUSPENDED,
    TASK_READY,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_api.task import Concurrency
from smbferry_api.windows import problem_of
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus, soonest
from smbferry_operator.decide.history import ended_runs, last_runs, surplus
from smbferry_operator.decide.mirror import copied_to, mirrored_to
from smbferry_operator.decide.naming import HASH_LENGTH, short_hash
from smbferry_operator.decide.new_run import MAX_NAME, run_manifest
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.owned import TaskFields
from smbferry_operator.decide.punctuality import Missed, add_on_schedule, missed
from smbferry_operator.decide.resolve import Obstacle, overlap_obstacle, readiness_obstacle, resolve
from smbferry_operator.decide.retry import FurtherRun, further_run, retry_status
from smbferry_operator.decide.schedule import ScheduleError, Timetable
from smbferry_operator.decide.sharing import discreet, sharing_obstacle
from smbferry_operator.decide.status import Summary, changed, failure_of, is_permanent, transition_event
from smbferry_operator.decide.text import sentence
from smbferry_operator.model import Manifest, Refusal, Run, Task
from smbferry_words.options import DeletedFiles

TASK_TYPES: Final = (
    ConditionType.READY,
    ConditionType.IN_SYNC,
    ConditionType.ON_SCHEDULE,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
)
OUTDATED: Final = frozenset({LOCATION_NOT_FOUND.name, SAME_DESTINATION.name, SPEC_INVALID.name})
"""Reasons of Ready that no longer apply while a location is being checked."""
A_MOMENT: Final = timedelta(seconds=1)
LONGEST_SLEEP: Final = timedelta(hours=1)  # a wall clock may be set, a timer is not


@dataclass(frozen=True, slots=True)
class Due:
    """A run that is due."""

    trigger: str | None = None
    at: datetime | None = None

    @property
    def why(self) -> str:
        """Why it is due, for a message."""
        return f"scheduled for {format_time(self.at)}" if self.at else f"requested by trigger {self.trigger!r}"


@dataclass(frozen=True, slots=True)
class Act:
    """What to do about a due run."""

    settled: Due | None = None
    """Its run was created or skipped: it is no longer due."""
    run: Manifest | None = None
    events: tuple[Event, ...] = ()
    missed: Missed | None = None
    """A scheduled run that is no longer due because it could not start in time."""
    waits: datetime | None = None
    """The time of a scheduled run that is due and has not started: it stays the next one until it does or is missed."""
    planned: FurtherRun | None = None
    """A run that follows a failed one; ``run`` is its manifest once its time has come."""


def decide_task(seen: TaskObservation, now: datetime) -> Decision:
    """What to do about a task."""
    task = seen.task
    if task.meta.deleting:
        return Decision()
    try:
        timetable = Timetable.read(task.spec.schedule, task.meta.uid) if task.spec.schedule else None
    except ScheduleError as error:
        return _decision(seen, Obstacle(SPEC_INVALID, str(error), stalled=True), None, Act(), now)
    snapshot = resolve(task, seen.ends, mirrored_to(seen))
    obstacle = _windows_obstacle(task) or _locations_obstacle(seen, snapshot)
    due = _due(seen, timetable, now)
    ready = obstacle is None and snapshot is not None
    act = _act(seen, due, ready=ready) if due else _retried(seen, now, ready=ready)
    if act.run is not None and seen.refusal is not None:
        obstacle, act = _refused(seen.refusal), Act(planned=act.planned)
    if timetable is not None and not task.spec.suspend:
        lost = missed(seen, timetable, obstacle, now)
        at = _scheduled(seen, timetable, now)
        waits = at if act.settled is None or act.settled.at != at else None
        act = replace(act, missed=lost, waits=waits, events=(*act.events, *((lost.event,) if lost else ())))
    return _decision(seen, obstacle, timetable, act, now)


def _windows_obstacle(task: Task) -> Obstacle | None:
    problem = problem_of(task.spec.windows)
    return Obstacle(SPEC_INVALID, f"{problem}.", stalled=True) if problem else None


def _locations_obstacle(seen: TaskObservation, snapshot: ResolvedTask | None) -> Obstacle | None:
    names, given = seen.task.spec.location_names, seen.given
    if given is not None and (obstacle := sharing_obstacle(seen.task, given, seen.ends)):
        return obstacle
    obstacle = readiness_obstacle(names, seen.ends)
    if obstacle is None and snapshot is not None:
        obstacle = overlap_obstacle(snapshot)
    return discreet(obstacle, given) if given is not None else obstacle


def _refused(refusal: Refusal) -> Obstacle:
    """The run stays due: it is retried until it is accepted or, if scheduled, until its starting deadline."""
    text = f"Kubernetes refused the {refusal.what}: {sentence(refusal.message)}"
    return Obstacle(RUN_NOT_CREATED, text, stalled=refusal.permanent)


def _act(seen: TaskObservation, due: Due, *, ready: bool) -> Act:
    """Creates the run, skips it, or waits until it can start."""
    if _is_skipped(seen, due):
        return Act(due, events=(Event("Normal", RUN_SKIPPED, f"{RUN_SKIPPED.when} It was {due.why}."),))
    if _known(seen, due) is not None:
        return Act(due)
    if seen.task.spec.suspend or not ready:
        return Act()
    return Act(due, build_run(seen.task, due))


def _retried(seen: TaskObservation, now: datetime, *, ready: bool) -> Act:
    """Creates the run that follows a failed one, as soon as its time has come."""
    planned = further_run(seen)
    if planned is None or planned.at > now or seen.task.spec.suspend or not ready:
        return Act(planned=planned)
    return Act(run=planned.build(seen), planned=planned, events=(planned.event,))


# --- When ------------------------------------------------------------------------------------------------------------


def _due(seen: TaskObservation, timetable: Timetable | None, now: datetime) -> Due | None:
    """The run that is due now, None if none is; a changed trigger precedes a scheduled time."""
    spec, observed = seen.task.spec, seen.task.status.observed_trigger
    if observed is None and timetable is not None and spec.trigger == "":
        observed = ""  # a scheduled task does not run at creation unless its trigger asks for it
    if observed != spec.trigger:
        return Due(trigger=spec.trigger)
    at = _scheduled(seen, timetable, now) if timetable is not None else None
    return Due(at=at) if at is not None else None


def _scheduled(seen: TaskObservation, timetable: Timetable, now: datetime) -> datetime | None:
    """The last scheduled time whose run has not been created or skipped, and may still start."""
    since = max(filter(None, (seen.task.meta.created, timetable.after_run(seen.task.status.last_schedule_time))))
    at = timetable.last_until(now, after=since)
    return at if at is not None and now - at <= timetable.deadline else None


def _is_skipped(seen: TaskObservation, due: Due) -> bool:
    """Whether the due run is skipped: the spec asks for it, or a queued run will do the same work."""
    going_on = [run for run in seen.runs if not _ended(run) and not _is_for(run, due)]
    if seen.task.spec.suspend or not going_on:
        return False
    if seen.task.spec.concurrency is Concurrency.SKIP:
        return True
    return due.at is not None and any(_is_to_begin(run) for run in going_on)


def _is_to_begin(run: Run) -> bool:
    """Whether a run has not read the source yet: it will see all changes up to now."""
    return run.status.state in {None, RunState.QUEUED} and run.status.phases is None


def _is_for(run: Run, due: Due) -> bool:
    notes = run.meta.annotations
    if due.at is not None:
        return notes.get(ANNOTATION_SCHEDULED_AT) == format_time(due.at)
    return notes.get(ANNOTATION_TRIGGER) == due.trigger


def _known(seen: TaskObservation, due: Due) -> Run | None:
    """The run that was already created for this, if the status could not be written afterwards."""
    key = ANNOTATION_SCHEDULED_AT if due.at else ANNOTATION_TRIGGER
    alike = [r for r in seen.runs if r.meta.controller_uid == seen.task.meta.uid and key in r.meta.annotations]
    newest = max(alike, key=lambda r: r.meta.created, default=None)
    return newest if newest is not None and _is_for(newest, due) else None


def _ended(run: Run) -> bool:
    return run.status.state is not None and run.status.state.ended


def build_run(task: Task, due: Due) -> Manifest:
    """The manifest of the due TransferRun."""
    if due.at is not None:
        suffix = due.at.strftime("%Y%m%d-%H%M")
        annotations = {ANNOTATION_SCHEDULED_AT: format_time(due.at)}
    else:
        suffix = short_hash(task.meta.uid, due.trigger, task.meta.generation)
        annotations = {ANNOTATION_TRIGGER: due.trigger or ""}
    stem = task.meta.name[: MAX_NAME - 1 - max(len(suffix), HASH_LENGTH)].rstrip("-.")
    return run_manifest(task, f"{stem}-{suffix}", annotations)


# --- The status ------------------------------------------------------------------------------------------------------


def _fields(seen: TaskObservation, timetable: Timetable | None, act: Act, upcoming: datetime | None) -> TaskFields:
    """All that the operator owns beside the conditions.

    Args:
        upcoming: the first scheduled time after now.
    """
    task, status = seen.task, seen.task.status
    active = sorted((r for r in seen.runs if not _ended(r)), key=lambda r: (r.meta.created, r.meta.name))
    made = act.run["metadata"]["name"] if act.run else None
    last, last_good = last_runs(seen.runs, task)
    mirrored = mirrored_to(seen)
    taken = resolve(task, seen.ends, mirrored) if task.spec.options.deleted_files is DeletedFiles.REMOVE else None
    settled = act.settled
    if settled is not None and settled.at is None:
        observed = settled.trigger
    elif timetable is not None and task.spec.trigger == "" and status.observed_trigger is None:
        observed = ""
    else:
        observed = status.observed_trigger
    return TaskFields(
        observed_generation=task.meta.generation,
        active_run=active[0].meta.name if active else made,
        last_run=last,
        last_successful_run=last_good,
        mirrored_to=mirrored,
        copied_to=copied_to(seen),
        unconfirmed=taken.unconfirmed if taken else None,
        next_schedule_time=act.waits or upcoming,
        last_schedule_time=settled.at if settled is not None and settled.at else status.last_schedule_time,
        observed_trigger=observed,
        retry=retry_status(seen, act.planned, created=act.run is not None),
    )


def _decision(
    seen: TaskObservation, obstacle: Obstacle | None, timetable: Timetable | None, act: Act, now: datetime
) -> Decision:
    task = seen.task
    existing = task.status.conditions
    conditions = _conditions(seen, obstacle, now, act, scheduled=timetable is not None)
    upcoming = _upcoming(seen, timetable, act, now) if timetable and not task.spec.suspend else None
    fields = _fields(seen, timetable, act, upcoming)
    given_up = act.waits + timetable.deadline if timetable and act.waits else None
    status = OwnedStatus(conditions, fields.as_wire())
    return Decision(
        create=(act.run,) if act.run else (),
        delete=surplus(seen, keep=act.planned.after if act.planned and not act.run else None),
        status=status if changed(task.status, existing, status, TASK_TYPES) else None,
        events=(*transition_event(existing, conditions, ConditionType.READY), *act.events),
        requeue_after=soonest(
            LONGEST_SLEEP if upcoming else None,
            upcoming - now if upcoming else None,
            given_up - now + A_MOMENT if given_up else None,
            seen.refusal.again_in(now) if seen.refusal else None,
            max(act.planned.at - now, A_MOMENT) if act.planned and act.planned.at > now else None,
        ),
    )


def _upcoming(seen: TaskObservation, timetable: Timetable, act: Act, now: datetime) -> datetime | None:
    """The first scheduled time after now that will have a run."""
    last = act.settled.at if act.settled is not None and act.settled.at else seen.task.status.last_schedule_time
    return timetable.next_after(max(filter(None, (now, timetable.after_run(last)))))


def _conditions(
    seen: TaskObservation, obstacle: Obstacle | None, now: datetime, act: Act, *, scheduled: bool
) -> tuple[Condition, ...]:
    """All conditions of the task.

    Args:
        scheduled: whether it has a schedule that can be read.
    """
    task = seen.task
    summary = Summary(task.meta, task.status.conditions, now)
    if obstacle is None:
        reason = SUSPENDED if task.spec.suspend else TASK_READY
        summary.add(ConditionType.READY, "True", reason)
    elif obstacle.pending:
        before = find(task.status.conditions, ConditionType.READY)
        if before is None or before.observed_generation != task.meta.generation or before.reason in OUTDATED:
            summary.add(ConditionType.READY, "Unknown", obstacle.reason, obstacle.message)
        else:
            summary.keep(before)
        summary.add(ConditionType.RECONCILING, "True", obstacle.reason, obstacle.message)
    else:
        word, message = obstacle.reason.name, obstacle.advice
        summary.add_verbatim(ConditionType.READY, "False", word, message)
        if obstacle.stalled:
            summary.add_verbatim(ConditionType.STALLED, "True", word, message)
        elif obstacle.reason is RUN_NOT_CREATED:
            summary.add_verbatim(ConditionType.RECONCILING, "True", word, message)
    _add_in_sync(seen, summary, begins=act.run is not None)
    if scheduled:
        add_on_schedule(seen, summary, act.missed, started=act.settled is not None and act.settled.at is not None)
    if obstacle is None:
        _add_stalled_by_failure(seen, summary)
    return summary.done()


def _add_in_sync(seen: TaskObservation, summary: Summary, *, begins: bool) -> None:
    """Adds InSync: from the last ended run, if the spec still asks for the same work."""
    ended = ended_runs(seen.runs)
    before = find(seen.task.status.conditions, ConditionType.IN_SYNC)
    if ended and seen.done is None and before and before.observed_generation == seen.task.meta.generation:
        summary.keep(before)  # the record of what the run did no longer exists
        return
    if not ended or not _same_work(seen):
        under_way = begins or any(not _ended(r) for r in seen.runs)
        summary.add(ConditionType.IN_SYNC, "Unknown", RUN_IN_PROGRESS if under_way else NEVER_RAN)
        return
    last = ended[-1]
    name = f"TransferRun {last.meta.name}"
    match last.status.state:
        case RunState.SUCCEEDED:
            summary.add(ConditionType.IN_SYNC, "True", IN_SYNC, f"{name} made the destination match the source.")
        case RunState.PARTIALLY_SUCCEEDED:
            text = f"{name} ended, but some files failed."
            summary.add(ConditionType.IN_SYNC, "False", RUN_PARTIALLY_SUCCEEDED, text)
        case RunState.CANCELLED:
            summary.add(ConditionType.IN_SYNC, "False", RUN_CANCELLED, f"{name} was cancelled.")
        case _:
            summary.add(ConditionType.IN_SYNC, "False", RUN_FAILED, f"{name} failed: {_why(last)}")


def _why(run: Run) -> str:
    failure = run.status.failure
    return f"{failure.reason}: {sentence(failure.message)}" if failure else "it reported no cause."


def _same_work(seen: TaskObservation) -> bool:
    """Whether the last run did what the spec asks for now, as far as InSync depends on it."""
    task, spec = seen.done, seen.task.spec
    return task is not None and (
        task.source.location == spec.source.location_ref.name
        and task.source.path == spec.source.path
        and task.destination.location == spec.destination.location_ref.name
        and task.destination.path == spec.destination.path
        and task.filters == spec.filters
        and task.options == spec.options
    )


def _add_stalled_by_failure(seen: TaskObservation, summary: Summary) -> None:
    """Adds Stalled if the last run failed in a way that the next one would, too."""
    ended = ended_runs(seen.runs)
    failure = ended[-1].status.failure if ended and ended[-1].status.state is RunState.FAILED else None
    if failure and is_permanent(failure_of(failure.reason) or failure.class_) and _same_work(seen):
        text = f"TransferRun {ended[-1].meta.name} failed: {_why(ended[-1])}"
        summary.add(ConditionType.STALLED, "True", RUN_FAILED, text)
