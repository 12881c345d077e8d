"""TransferRun: one execution, from Queued to its end.

The state is derived each time from what is seen: the Job, its pods, the phases that the agent reports. Only one run
writes to a destination at a time; one that is about to start yields to whoever already writes there or has waited
longer, and to any pod that may still be alive.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.agent_contract import Stage
from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import (
    AGENT_LOST,
    AGENT_NOT_SCHEDULED,
    AGENT_STARTING,
    IDENTITY_CHECK_AWAITED,
    KEY_REFUSED,
    LOCATION_NOT_FOUND,
    LOCATION_NOT_READY,
    RETRYING,
    RUN_CANCELLED,
    RUN_IN_PROGRESS,
    RUN_QUEUED,
    RUN_STARTED,
    SPEC_INVALID,
    TASK_NOT_FOUND,
    Reason,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import PhaseState, RunState
from smbferry_operator.decide.access import build_access
from smbferry_operator.decide.agent_end import last_ended, stuck, termination
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.jobs import (
    FINAL_EXIT_CODES,
    MAX_ATTEMPTS,
    build_transfer_job,
    transfer_job_name,
    transfer_nameservers,
)
from smbferry_operator.decide.naming import ANNOTATION_ATTEMPTS_BEFORE
from smbferry_operator.decide.network import build_network_policy
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.decide.proof import doubted, unproven
from smbferry_operator.decide.resolve import Obstacle, overlap_obstacle, readiness_obstacle, resolve
from smbferry_operator.decide.run_end import End, end_of, failed
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import Work, attempts_of, first_work, next_work, stage_of
from smbferry_operator.decide.status import Summary, as_wire, changed
from smbferry_operator.decide.text import format_duration
from smbferry_operator.model import Job, Key, Kind, Manifest, Meta, Run

RUN_TYPES: Final = (ConditionType.SUCCEEDED, ConditionType.RECONCILING, ConditionType.STALLED)
ENDS_THE_JOB: Final = frozenset({ExitCode.DONE, *FINAL_EXIT_CODES})
LATER_STAGES: Final = frozenset({Stage.SHARDS, Stage.FINISH})
ENDED_PHASE: Final = frozenset({PhaseState.SUCCEEDED, PhaseState.FAILED})
REPORT_GRACE: Final = timedelta(seconds=3)  # Job and status come by separate watches
TASK_GRACE: Final = timedelta(minutes=1)
POLL_QUEUE: Final = timedelta(seconds=30)
POLL_START: Final = timedelta(seconds=15)
POLL_END: Final = timedelta(seconds=2)
ACCOUNT_PATIENCE: Final = timedelta(seconds=20)  # no longer: that other run may be unable to start
POD_PATIENCE: Final = timedelta(seconds=30)


def decide_run(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a run."""
    run = seen.run
    if run.meta.deleting or (run.status.state and run.status.state.ended):
        return Decision()
    job = current_job(seen)
    if run.spec.cancel and not (job and job.finished):
        return _cancel(seen, job, now)
    if seen.refusal is not None:
        return _refused(seen, now)
    if job is None:
        return _without_job(seen, now, settings)
    if job.finished:
        return _finished(seen, job, now, settings)
    return _under_way(seen, job, now, settings)


def current_job(seen: RunObservation) -> Job | None:
    """The run's newest Job, unless it is being deleted."""
    jobs = [job for job in seen.jobs if not job.meta.deleting]
    return max(jobs, key=attempts_before, default=None)


def attempts_before(job: Job) -> int:
    """Attempts that were used up before this Job."""
    return int(job.meta.annotations.get(ANNOTATION_ATTEMPTS_BEFORE, "0"))


def attempts_so_far(seen: RunObservation, job: Job | None) -> int:
    """How many agents have been started for the run, the one at work among them."""
    counted = attempts_before(job) + attempts_of(job) if job else 0
    return max(seen.run.status.attempts, counted)


def snapshot(seen: RunObservation) -> ResolvedTask | None:
    """The task as the run sees it: its own snapshot, or for a run that a person made, one that is taken now."""
    run = seen.run
    if run.spec.task is not None:
        return run.spec.task
    if run.status.task is not None:
        return ResolvedTask.model_validate(run.status.task)
    return resolve(seen.task, seen.ends) if seen.task else None


# --- Before there is a Job -------------------------------------------------------------------------------------------


def _without_job(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    task = snapshot(seen)
    if task is None:
        return _unresolved(seen, now)
    used = attempts_so_far(seen, None)
    if end := _hopeless(task, used):
        return _ended(seen, end, now)
    return _begin(seen, task, used, now, settings, to_check=doubted(seen.ends.identities))


def _begin(
    seen: RunObservation,
    task: ResolvedTask,
    used: int,
    now: datetime,
    settings: AgentSettings,
    *,
    to_check: tuple[str, ...],
) -> Decision:
    """Launches the run's first agent as soon as nothing keeps it from that.

    Args:
        to_check: identities whose keys a check is to try first.
    """
    if waiting := _obstacle(seen, task):
        return _wait(seen, waiting.reason, waiting.advice, now)
    if seen.account_used_at is not None and now - seen.account_used_at < ACCOUNT_PATIENCE:
        message = "Waits until another run has tried the key of the same account: a domain counts wrong ones together."
        return replace(_wait(seen, RUN_QUEUED, message, now), requeue_after=POLL_END)
    if to_check:
        return _await_check(seen, RunState.QUEUED, to_check, now)
    return _launch(seen, task, used, now, settings, work=first_work(task, dry_run=seen.run.spec.dry_run))


def _await_check(seen: RunObservation, state: RunState, identities: tuple[str, ...], now: datetime) -> Decision:
    """A check of these tries their keys before any agent of the run does."""
    message = f"Waits for a check of KerberosIdentity {' and '.join(identities)}, which tries the key before any agent."
    delay = POLL_QUEUE if state is RunState.QUEUED else POLL_END
    decision = _standing(seen, state, IDENTITY_CHECK_AWAITED, message, now, requeue_after=delay)
    return replace(decision, awaits=identities)


def _hopeless(task: ResolvedTask, used: int) -> End | None:
    """Why the run can't ever start, if it can't."""
    if overlap := overlap_obstacle(task):
        return failed(overlap.reason, overlap.message)
    if used >= MAX_ATTEMPTS:
        return failed(AGENT_LOST, f"The agent's Job was deleted, and {used} attempts have been used up.")
    return None


def _obstacle(seen: RunObservation, task: ResolvedTask) -> Obstacle | None:
    """Why the run can't start now, if it can't."""
    if any(pod.living for pod in seen.pods):
        return Obstacle(RUN_QUEUED, "Waits until an earlier agent of this run has ended.")
    if not_ready := readiness_obstacle((end.location for end in task.ends), seen.ends):
        return not_ready
    other = None if seen.run.spec.dry_run else _blocker(seen, task)
    return Obstacle(RUN_QUEUED, _behind(other)) if other else None


def _unresolved(seen: RunObservation, now: datetime) -> Decision:
    """A task or a location that the run names is not there: it may be on its way, for a task not for long."""
    name = seen.run.spec.task_ref.name
    if seen.task is None:
        message = f"There is no TransferTask {name} in this namespace."
        if now - seen.run.meta.created >= TASK_GRACE:
            return _ended(seen, failed(TASK_NOT_FOUND, message), now)
        return replace(_wait(seen, TASK_NOT_FOUND, message, now), requeue_after=POLL_START)
    obstacle = readiness_obstacle(seen.task.spec.location_names, seen.ends)
    if obstacle is None:
        return _wait(seen, LOCATION_NOT_READY, "Waits for the identities of its locations.", now)
    return _wait(seen, obstacle.reason, obstacle.advice, now)


def _blocker(seen: RunObservation, task: ResolvedTask) -> Claim | None:
    """Who must be waited for: a writer first, else whoever has queued for longer."""
    here = Destination.of(task.destination)
    mine = (seen.run.meta.created, seen.run.meta.uid)
    others = [c for c in seen.claims if c.destination.overlaps(here)]
    ahead = [c for c in others if c.writing or (c.since, c.run_uid) < mine]
    return min(ahead, key=lambda c: (not c.writing, c.since, c.run_uid), default=None)


def _behind(other: Claim) -> str:
    doing = "writes to" if other.writing else "waits for"
    return f"Queued behind TransferRun {other.holder}, which {doing} {other.destination}."


def _wait(seen: RunObservation, reason: Reason, message: str, now: datetime) -> Decision:
    return _standing(seen, RunState.QUEUED, reason, message, now, requeue_after=POLL_QUEUE)


def _launch(
    seen: RunObservation, task: ResolvedTask, used: int, now: datetime, settings: AgentSettings, *, work: Work
) -> Decision:
    if seen.run.spec.task is None and seen.run.status.task is None:
        return _take_snapshot(seen, task, now)
    run = seen.run.meta
    start = seen.run.status.start_time or now
    writes = not seen.run.spec.dry_run
    job = build_transfer_job(run, task, used, settings, writes=writes, work=work, elapsed=now - start)
    message = f"Agent Job {job['metadata']['name']} was launched."
    decision = _standing(
        seen,
        state_by_phases(seen.run) if work.stage in LATER_STAGES else RunState.LAUNCHING,
        AGENT_STARTING,
        message,
        now,
        requeue_after=POLL_START,
        jobRef=transfer_job_name(run, used),
        attempts=used,
        startTime=start,
    )
    return replace(
        decision,
        provide=_surroundings(run, task, settings),
        create=(job,),
        events=(Event("Normal", RUN_STARTED, message),),
        claim=Destination.of(task.destination) if writes else None,
    )


def _surroundings(run: Meta, task: ResolvedTask, settings: AgentSettings) -> tuple[Manifest, ...]:
    """What the agent needs beside its Job: the same for all Jobs of the run, so it is made once and never changed."""
    # It looks at their status, so as not to try a key that the KDC has refused since.
    identities = tuple((Kind.IDENTITY, name) for name in task.identity_names)
    ports, nameservers = [end.spec.port for end in task.ends], transfer_nameservers(task)
    return (
        *build_access(Kind.RUN, run, also_reads=identities),
        *build_network_policy(Kind.RUN, run, settings, nameservers=nameservers, smb_ports=ports),
    )


def _take_snapshot(seen: RunObservation, task: ResolvedTask, now: datetime) -> Decision:
    """Before the agent starts, which works by what stands there; the launch follows at once."""
    text = "The task was taken down as it stands now."
    stored = task.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _standing(seen, RunState.QUEUED, AGENT_STARTING, text, now, requeue_after=timedelta(0), task=stored)


# --- With a Job ------------------------------------------------------------------------------------------------------


def _under_way(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    facts = _job_facts(seen, job)
    state = state_by_phases(seen.run)
    at_work = any(p.phase == "Running" and p.job == job.meta.name for p in seen.pods)
    shards = stage_of(job) is Stage.SHARDS
    if not (shards and at_work) and (obstacle := stuck(job, seen.pods, now, patience=POD_PATIENCE)):
        if now - obstacle.since >= settings.start_deadline:
            end = failed(AGENT_NOT_SCHEDULED, f"The agent's pod could not be started: {obstacle.why}.")
            return replace(_ended(seen, end, now, **facts), delete=(_key(job),))
        message = obstacle.message
        return _standing(seen, RunState.LAUNCHING, AGENT_NOT_SCHEDULED, message, now, requeue_after=POLL_START, **facts)
    last = None if at_work else last_ended(job, seen.pods)
    if last is not None and not (shards and last.exit_code == ExitCode.DONE):
        if last.exit_code in ENDS_THE_JOB:  # which the Job controller is about to say
            return Decision(requeue_after=POLL_END)
        left = termination(last)
        why = f"{left.reason}: {left.message}" if left else f"exit code {last.exit_code}"
        message = f"Attempt {attempts_so_far(seen, job)} of {MAX_ATTEMPTS} failed ({why}); the next starts by itself."
        return _standing(seen, RunState.LAUNCHING, RETRYING, message, now, requeue_after=POLL_START, **facts)
    if _is_through(seen.run):
        return Decision(requeue_after=POLL_START)
    # The agent's own word counts before the pod's phase, which comes later.
    said: tuple[Reason, str, timedelta | None] = (RUN_IN_PROGRESS, f"{state.value}.", None)
    if state is RunState.LAUNCHING:
        said = AGENT_STARTING, f"Agent Job {job.meta.name} was launched.", POLL_START
    reason, message, delay = said
    return _standing(seen, state, reason, message, now, requeue_after=delay, **facts)


def _is_through(run: Run) -> bool:
    """Whether the agent has ended all its phases and only its exit is missing: the state it leaves is told then."""
    reported = [phase for _, phase in run.status.phases or () if phase is not None]
    return bool(reported) and all(phase.state in ENDED_PHASE for phase in reported)


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


def _finished(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    # Of a later Job, too, that was deleted by hand: its agents end in their time.
    if any(pod.living for pod in seen.pods):
        return Decision(requeue_after=POLL_END)
    if job.complete and (work := next_work(job, seen.run.status)):
        return _go_on(seen, job, work, now, settings)
    unreported = not job.complete and seen.run.status.failure is None
    if unreported and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    end, task, used = end_of(seen, job), snapshot(seen), attempts_so_far(seen, job)
    if _was_turned_away(end, job) and task is not None and used < MAX_ATTEMPTS:
        since = job.finished_at or job.meta.created
        return _begin(seen, task, used, now, settings, to_check=unproven(seen.proofs, task.identity_names, since))
    return _ended(seen, end, now, finished_at=job.finished_at, **_job_facts(seen, job))


def _was_turned_away(end: End, job: Job) -> bool:
    """Whether the KDC refused the key to the run's first agent: it has not begun, and waits for a key that works."""
    return end.state is RunState.FAILED and end.reason.name in KEY_REFUSED and stage_of(job) not in LATER_STAGES


def _go_on(seen: RunObservation, job: Job, work: Work, now: datetime, settings: AgentSettings) -> Decision:
    """The run's next stage, once nobody else writes to its destination."""
    task = snapshot(seen)
    if seen.run.spec.cancel or task is None:
        return _ended(
            seen, End(RunState.CANCELLED, RUN_CANCELLED, "The run was cancelled while it was under way."), now
        )
    surveyed = stage_of(job) is not Stage.SURVEY or seen.run.status.split is not None
    if not surveyed and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    other = _blocker(seen, task)
    if other is not None and other.writing:
        return _wait(seen, RUN_QUEUED, _behind(other), now)
    if work.stage is Stage.SHARDS:
        if not_ready := readiness_obstacle((end.location for end in task.ends), seen.ends):
            return _wait(seen, not_ready.reason, not_ready.advice, now)
        if first := unproven(seen.proofs, task.identity_names, job.finished_at or job.meta.created):
            return _await_check(seen, state_by_phases(seen.run), first, now)
    return _launch(seen, task, attempts_so_far(seen, job), now, settings, work=work)


def _job_facts(seen: RunObservation, job: Job) -> dict[str, Any]:
    return {
        "jobRef": job.meta.name,
        "attempts": attempts_so_far(seen, job),
        "startTime": seen.run.status.start_time or job.meta.created,
    }


def _cancel(seen: RunObservation, job: Job | None, now: datetime) -> Decision:
    """The Job is deleted, its pods get their grace period; Cancelled is said when none of them lives any more."""
    if job is None and not any(pod.living for pod in seen.pods):
        started = seen.run.status.start_time is not None
        text = "The run was cancelled" + (" while it was under way." if started else " before it started.")
        return _ended(seen, End(RunState.CANCELLED, RUN_CANCELLED, text), now)
    facts = _job_facts(seen, job) if job else {}
    message = "The agent finishes its last frame and removes its temporary files."
    decision = _standing(seen, RunState.CANCELLING, RUN_CANCELLED, message, now, requeue_after=POLL_END, **facts)
    return replace(decision, delete=(_key(job),)) if job else decision


def _refused(seen: RunObservation, now: datetime) -> Decision:
    refusal = seen.refusal
    if refusal is None:
        raise ValueError("nothing was refused")
    message = f"Kubernetes refused the agent's {refusal.what}: {refusal.message}"
    if refusal.permanent:
        return _ended(seen, failed(SPEC_INVALID, message), now)
    return _standing(seen, RunState.QUEUED, AGENT_NOT_SCHEDULED, message, now, requeue_after=POLL_QUEUE)


def _key(job: Job) -> Key:
    return Key(Kind.JOB, job.meta.namespace, job.meta.name)


# --- The status ------------------------------------------------------------------------------------------------------


def _standing(
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
        events=_queue_events(seen, reason, message),
        requeue_after=requeue_after,
    )


def _queue_events(seen: RunObservation, reason: Reason, message: str) -> tuple[Event, ...]:
    """Said once for each new reason to wait; the ordinary course is not worth an Event."""
    before = find(seen.run.status.conditions, ConditionType.SUCCEEDED)
    if before is not None and before.reason == reason.name:
        return ()
    if reason in {RUN_QUEUED, LOCATION_NOT_FOUND, LOCATION_NOT_READY, TASK_NOT_FOUND}:
        return (Event("Normal", reason, message),)
    return (Event("Warning", reason, message),) if reason in {AGENT_NOT_SCHEDULED, RETRYING} else ()


def _ended(
    seen: RunObservation, end: End, now: datetime, *, finished_at: datetime | None = None, **facts: Any
) -> Decision:
    """A run's last decision: nothing changes it any more."""
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
    return Decision(status=status, events=(Event("Normal" if peaceful else "Warning", end.reason, end.message),))


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
        "task": status.task,
        "limit": limit(seen),
        **facts,
    }
    return OwnedStatus(conditions, {k: as_wire(v) for k, v in fields.items()})


def limit(seen: RunObservation) -> dict[str, str] | None:
    """status.limit: the one option that travels to a run under way; None while the snapshot's still holds."""
    standing, taken = seen.run.status.limit, seen.run.spec.task or seen.run.status.task
    kept = standing.model_dump(mode="json", by_alias=True, exclude_none=True) if standing else None
    if seen.task is None or taken is None:
        return kept
    snapshot_ = taken if isinstance(taken, ResolvedTask) else ResolvedTask.model_validate(taken)
    if seen.task.meta.uid != snapshot_.uid:  # another task of the same name
        return kept
    wanted = seen.task.spec.options.bytes_per_second
    if standing is None and wanted == snapshot_.options.bytes_per_second:
        return None
    return {"bytesPerSecond": str(wanted)} if wanted is not None else {}
