"""A run with a Job: agents at work, the next stage, and the end."""

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
    WINDOW_CLOSED,
    Reason,
)
from smbferry_api.run_status import RunState
from smbferry_operator.decide.agent_end import last_ended, termination
from smbferry_operator.decide.agent_start import Stuck, has_begun, stuck
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.manifests.jobs import FINAL_EXIT_CODES, MAX_ATTEMPTS
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.proof import doubted, unproven
from smbferry_operator.decide.run.approval import approved, unapproved
from smbferry_operator.decide.run.end import End, end_of, failed
from smbferry_operator.decide.run.pause import REST, awaits_approval, same_work, used_before, was_paused
from smbferry_operator.decide.run.queue import LATER_STAGES, begin, launch, snapshot
from smbferry_operator.decide.run.status import (
    ENDED_PHASE,
    POLL_START,
    Attempt,
    attempts_so_far,
    ended,
    job_key,
    state_by_phases,
    unfinished,
    waiting,
)
from smbferry_operator.decide.run.waits import POLL_END, SHARD_WAITS, STAGE_WAITS, WAITS, Start, Wait, first_wait
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import Work, next_work, stage_of
from smbferry_operator.model import Job, Run

ENDS_THE_JOB: Final = frozenset({ExitCode.DONE, *FINAL_EXIT_CODES})
REPORT_GRACE: Final = timedelta(seconds=3)  # Job and status come by separate watches
POD_PATIENCE: Final = timedelta(seconds=30)


def under_way(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    """What to do while the Job has not finished: report where its agent is, or why it does not start."""
    attempt = Attempt.of(seen, job)
    state = state_by_phases(seen.run)
    at_work = any(p.phase == "Running" and p.job == job.meta.name for p in seen.pods)
    shards = stage_of(job) is Stage.SHARDS
    if not (shards and at_work) and (obstacle := stuck(job, seen.pods, now, patience=POD_PATIENCE)):
        return _stuck(seen, job, obstacle, now, settings)
    last = None if at_work else last_ended(job, seen.pods)
    if last is not None and not (shards and last.exit_code == ExitCode.DONE):
        if last.exit_code in ENDS_THE_JOB:  # the Job controller is about to report it
            return Decision(requeue_after=POLL_END)
        left = termination(last)
        why = f"{left.reason}: {left.message}" if left else f"exit code {last.exit_code}"
        message = f"Attempt {attempts_so_far(seen, job)} of {MAX_ATTEMPTS} failed ({why}); the Job starts the next one."
        return unfinished(seen, RunState.LAUNCHING, RETRYING, message, now, requeue_after=POLL_START, attempt=attempt)
    if _is_through(seen.run):
        return Decision(requeue_after=POLL_START)
    # The agent's report precedes the pod's phase, which arrives later.
    retry = seen.run.status.retry
    now_doing = f"{state.value}. {retry.message}" if retry is not None else f"{state.value}."
    said: tuple[Reason, str, timedelta | None] = (RUN_IN_PROGRESS, now_doing, None)
    if state is RunState.LAUNCHING:
        said = AGENT_STARTING, f"Agent Job {job.meta.name} was launched.", POLL_START
    reason, message, delay = said
    return unfinished(seen, state, reason, message, now, requeue_after=delay, attempt=attempt)


def _stuck(seen: RunObservation, job: Job, obstacle: Stuck, now: datetime, settings: AgentSettings) -> Decision:
    """An agent that waits for room is Queued without a limit; one that cannot start otherwise fails in time."""
    attempt = Attempt.of(seen, job)
    begun = has_begun(job, seen.pods, seen.run.status)
    if begun and not any(pod.job == job.meta.name for pod in seen.pods) and not job.suspended:
        message = f"The agent's pod no longer exists; its Job creates another (kubectl describe job {job.meta.name})."
        return unfinished(seen, RunState.LAUNCHING, RETRYING, message, now, requeue_after=POLL_START, attempt=attempt)
    if not (begun or obstacle.waits_for_room) and now - obstacle.since >= settings.start_deadline:
        end = failed(AGENT_NOT_SCHEDULED, f"The agent's pod could not be started: {obstacle.why}.")
        return ended(seen, end, now, attempt=attempt)
    state = RunState.QUEUED if obstacle.waits_for_room else RunState.LAUNCHING
    return unfinished(seen, state, obstacle.reason, obstacle.message, now, requeue_after=POLL_START, attempt=attempt)


def _is_through(run: Run) -> bool:
    """Whether all phases have ended and only the agent's exit is missing: its exit code gives the state."""
    reported = [phase for _, phase in run.status.phases or () if phase is not None]
    return bool(reported) and all(phase.state in ENDED_PHASE for phase in reported)


def finished(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    """What follows a finished Job: the next stage, another attempt, or the end of the run."""
    # They may belong to a later Job that was deleted by hand.
    if any(pod.living for pod in seen.pods):
        return Decision(requeue_after=POLL_END)
    if was_paused(job, seen.pods):
        return _after_pause(seen, job, now, settings)
    if job.complete and (work := next_work(job, seen.run.status, snapshot(seen))):
        return _go_on(seen, job, work, now, settings)
    unreported = not job.complete and seen.run.status.failure is None
    if unreported and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    end, task, used = end_of(seen, job), snapshot(seen), attempts_so_far(seen, job)
    if _key_was_refused(end, job) and task is not None and used < MAX_ATTEMPTS:
        since = job.finished_at or job.meta.created
        to_check = unproven(seen.proofs, task.identity_names, since)
        return begin(Start(seen, task, now, to_check), used, settings)
    return ended(seen, end, now, finished_at=job.finished_at, attempt=Attempt.of(seen, job))


def _key_was_refused(end: End, job: Job) -> bool:
    """Whether the KDC refused the key of the run's first agent: then nothing was done, and the run waits for a key."""
    return end.state is RunState.FAILED and end.reason.name in KEY_REFUSED and stage_of(job) not in LATER_STAGES


def _go_on(seen: RunObservation, job: Job, work: Work, now: datetime, settings: AgentSettings) -> Decision:
    """Starts the run's next stage once no rule makes it wait."""
    task = snapshot(seen)
    if seen.run.spec.cancel or task is None:
        return _cancelled(seen, now)
    surveyed = stage_of(job) is not Stage.SURVEY or seen.run.status.split is not None
    if not surveyed and job.finished_at and now - job.finished_at < REPORT_GRACE:
        return Decision(requeue_after=timedelta(seconds=1))
    to_check = unproven(seen.proofs, task.identity_names, job.finished_at or job.meta.created)
    rules = SHARD_WAITS if work.stage is Stage.SHARDS else STAGE_WAITS
    if wait := first_wait(rules, Start(seen, task, now, to_check)):
        if not wait.checks:
            return waiting(seen, RunState.QUEUED, wait, now)
        return waiting(seen, state_by_phases(seen.run), replace(wait, requeue_after=POLL_END), now)
    return launch(seen, task, attempts_so_far(seen, job), now, settings, work=work)


def _cancelled(seen: RunObservation, now: datetime) -> Decision:
    return ended(seen, End(RunState.CANCELLED, RUN_CANCELLED, "The run was cancelled while it was under way."), now)


def _after_pause(seen: RunObservation, job: Job, now: datetime, settings: AgentSettings) -> Decision:
    """Continues the stage that the end of a window stopped, or whose plan had to be approved, once the windows are open
    and no other rule makes it wait.
    """
    task, planned = snapshot(seen), awaits_approval(job, seen.pods)
    if seen.run.spec.cancel or task is None:
        return _cancelled(seen, now)
    if planned:
        granted = approved(seen, task)
        if granted is None:
            return unapproved(seen, task, job, now)
        task = granted
    work = same_work(job)
    # After a night, locations and keys may have changed: the finish looks at them, too.
    rules = SHARD_WAITS if work.stage in LATER_STAGES else WAITS
    wait = first_wait(rules, Start(seen, task, now, doubted(seen.ends.identities)))
    if wait is None and not planned and job.finished_at and now - job.finished_at < REST:
        message = "The agent has stopped for the end of a window; the next one starts in a moment."
        wait = Wait(WINDOW_CLOSED, message, POLL_END)
    if wait is not None:
        return waiting(seen, RunState.QUEUED, wait, now)
    return launch(seen, task, used_before(job), now, settings, work=work)


def cancel(seen: RunObservation, job: Job | None, now: datetime) -> Decision:
    """Deletes the Job, so that its pods get their grace period; the run is Cancelled when all of them have ended."""
    if job is None and not any(pod.living for pod in seen.pods):
        started = seen.run.status.start_time is not None
        text = "The run was cancelled" + (" while it was under way." if started else " before it started.")
        return ended(seen, End(RunState.CANCELLED, RUN_CANCELLED, text), now)
    attempt = Attempt.of(seen, job) if job else None
    message = "The agent is finishing its last request and removing its temporary files."
    decision = unfinished(
        seen, RunState.CANCELLING, RUN_CANCELLED, message, now, requeue_after=POLL_END, attempt=attempt
    )
    return replace(decision, delete=(job_key(job),)) if job else decision
