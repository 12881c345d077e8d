"""A run with a Job: its agents at work, the next stage, its end."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.agent_contract import Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import (
    AGENT_NOT_SCHEDULED,
    AGENT_STARTING,
    KEY_REFUSED,
    RETRYING,
    RUN_CANCELLED,
    RUN_IN_PROGRESS,
    RUN_QUEUED,
    Reason,
)
from smbferry_api.run_status import RunState
from smbferry_operator.decide.agent_end import last_ended, termination
from smbferry_operator.decide.agent_start import Stuck, has_begun, stuck
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.jobs import FINAL_EXIT_CODES, MAX_ATTEMPTS
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.proof import unproven
from smbferry_operator.decide.run.queue import (
    LATER_STAGES,
    await_check,
    begin,
    behind,
    blocker,
    ends_obstacle,
    launch,
    snapshot,
)
from smbferry_operator.decide.run.status import (
    ENDED_PHASE,
    POLL_END,
    POLL_START,
    attempts_so_far,
    ended,
    job_facts,
    job_key,
    standing,
    state_by_phases,
    wait,
)
from smbferry_operator.decide.run_end import End, end_of, failed
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import Work, next_work, stage_of
from smbferry_operator.model import Job, Run

ENDS_THE_JOB: Final = frozenset({ExitCode.DONE, *FINAL_EXIT_CODES})
REPORT_GRACE: Final = timedelta(seconds=3)  # Job and status come by separate watches
POD_PATIENCE: Final = timedelta(seconds=30)


def under_way(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    """What to do while the Job has not finished: say where its agent is, or what keeps it from starting."""
    facts = job_facts(seen, job)
    state = state_by_phases(seen.run)
    at_work = any(p.phase == "Running" and p.job == job.meta.name for p in seen.pods)
    shards = stage_of(job) is Stage.SHARDS
    if not (shards and at_work) and (obstacle := stuck(job, seen.pods, now, patience=POD_PATIENCE)):
        return _stuck(seen, job, obstacle, now, settings)
    last = None if at_work else last_ended(job, seen.pods)
    if last is not None and not (shards and last.exit_code == ExitCode.DONE):
        if last.exit_code in ENDS_THE_JOB:  # which the Job controller is about to say
            return Decision(requeue_after=POLL_END)
        left = termination(last)
        why = f"{left.reason}: {left.message}" if left else f"exit code {last.exit_code}"
        message = f"Attempt {attempts_so_far(seen, job)} of {MAX_ATTEMPTS} failed ({why}); the next starts by itself."
        return standing(seen, RunState.LAUNCHING, RETRYING, message, now, requeue_after=POLL_START, **facts)
    if _is_through(seen.run):
        return Decision(requeue_after=POLL_START)
    # The agent's own word counts before the pod's phase, which comes later.
    said: tuple[Reason, str, timedelta | None] = (RUN_IN_PROGRESS, f"{state.value}.", None)
    if state is RunState.LAUNCHING:
        said = AGENT_STARTING, f"Agent Job {job.meta.name} was launched.", POLL_START
    reason, message, delay = said
    return standing(seen, state, reason, message, now, requeue_after=delay, **facts)


def _stuck(seen: RunObservation, job: Job, obstacle: Stuck, now: datetime, settings: AgentSettings) -> Decision:
    """What only waits for room is Queued for as long as that takes; what can't start is given up if it never has."""
    facts = job_facts(seen, job)
    begun = has_begun(job, seen.pods, seen.run.status)
    if begun and not any(pod.job == job.meta.name for pod in seen.pods) and not job.suspended:
        message = f"The agent's pod is gone; its Job makes another by itself (kubectl describe job {job.meta.name})."
        return standing(seen, RunState.LAUNCHING, RETRYING, message, now, requeue_after=POLL_START, **facts)
    if not (begun or obstacle.waits_for_room) and now - obstacle.since >= settings.start_deadline:
        end = failed(AGENT_NOT_SCHEDULED, f"The agent's pod could not be started: {obstacle.why}.")
        return ended(seen, end, now, **facts)
    state = RunState.QUEUED if obstacle.waits_for_room else RunState.LAUNCHING
    return standing(seen, state, AGENT_NOT_SCHEDULED, obstacle.message, now, requeue_after=POLL_START, **facts)


def _is_through(run: Run) -> bool:
    """Whether the agent has ended all its phases and only its exit is missing: the state it leaves is told then."""
    reported = [phase for _, phase in run.status.phases or () if phase is not None]
    return bool(reported) and all(phase.state in ENDED_PHASE for phase in reported)


def finished(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    """What follows on a Job that has finished: the next stage, another try, or the run's end."""
    # Of a later Job, too, that was deleted by hand: its agents end in their time.
    if any(pod.living for pod in seen.pods):
        return Decision(requeue_after=POLL_END)
    if job.complete and (work := next_work(job, seen.run.status, snapshot(seen))):
        return _go_on(seen, job, work, now, settings)
    unreported = not job.complete and seen.run.status.failure is None
    if unreported and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    end, task, used = end_of(seen, job), snapshot(seen), attempts_so_far(seen, job)
    if _was_turned_away(end, job) and task is not None and used < MAX_ATTEMPTS:
        since = job.finished_at or job.meta.created
        return begin(seen, task, used, now, settings, to_check=unproven(seen.proofs, task.identity_names, since))
    return ended(seen, end, now, finished_at=job.finished_at, **job_facts(seen, job))


def _was_turned_away(end: End, job: Job) -> bool:
    """Whether the KDC refused the key to the run's first agent: it has not begun, and waits for a key that works."""
    return end.state is RunState.FAILED and end.reason.name in KEY_REFUSED and stage_of(job) not in LATER_STAGES


def _go_on(seen: RunObservation, job: Job, work: Work, now: datetime, settings: AgentSettings) -> Decision:
    """The run's next stage, once nobody else writes to its destination."""
    task = snapshot(seen)
    if seen.run.spec.cancel or task is None:
        return ended(seen, End(RunState.CANCELLED, RUN_CANCELLED, "The run was cancelled while it was under way."), now)
    surveyed = stage_of(job) is not Stage.SURVEY or seen.run.status.split is not None
    if not surveyed and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    other = blocker(seen, task)
    if other is not None and other.writing:
        return wait(seen, RUN_QUEUED, behind(other, task), now)
    if work.stage is Stage.SHARDS:
        if not_ready := ends_obstacle(seen, task):
            return wait(seen, not_ready.reason, not_ready.advice, now)
        if first := unproven(seen.proofs, task.identity_names, job.finished_at or job.meta.created):
            return await_check(seen, state_by_phases(seen.run), first, now)
    return launch(seen, task, attempts_so_far(seen, job), now, settings, work=work)


def cancel(seen: RunObservation, job: Job | None, now: datetime) -> Decision:
    """The Job is deleted, its pods get their grace period; Cancelled is said when none of them lives any more."""
    if job is None and not any(pod.living for pod in seen.pods):
        started = seen.run.status.start_time is not None
        text = "The run was cancelled" + (" while it was under way." if started else " before it started.")
        return ended(seen, End(RunState.CANCELLED, RUN_CANCELLED, text), now)
    facts = job_facts(seen, job) if job else {}
    message = "The agent finishes its last frame and removes its temporary files."
    decision = standing(seen, RunState.CANCELLING, RUN_CANCELLED, message, now, requeue_after=POLL_END, **facts)
    return replace(decision, delete=(job_key(job),)) if job else decision
