"""A run before it has a Job: it waits, is launched, or ends because it can never start.

Only one run writes to a destination at a time; one that is about to start yields to whoever already writes there or
has waited longer, and to any pod that may still be alive. `waits` has the order.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.agent_contract import Stage
from smbferry_api.reasons import (
    AGENT_LOST,
    AGENT_NOT_SCHEDULED,
    AGENT_STARTING,
    LOCATION_NOT_READY,
    SPEC_INVALID,
    TASK_NOT_FOUND,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.manifests.access import build_access
from smbferry_operator.decide.manifests.jobs import (
    MAX_ATTEMPTS,
    build_transfer_job,
    transfer_job_name,
    transfer_nameservers,
)
from smbferry_operator.decide.manifests.network import build_network_policy
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.proof import doubted
from smbferry_operator.decide.record import by_identities, pauses_before, recorded
from smbferry_operator.decide.resolve import overlap_obstacle, readiness_obstacle, resolve
from smbferry_operator.decide.run.end import End, failed
from smbferry_operator.decide.run.pause import active_time, was_paused
from smbferry_operator.decide.run.status import (
    POLL_START,
    Attempt,
    attempts_so_far,
    ended,
    job_key,
    limit,
    state_by_phases,
    unfinished,
    waiting,
)
from smbferry_operator.decide.run.waits import WAITS, Start, Wait, first_wait
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import Work, first_work
from smbferry_operator.decide.text import sentence, with_remedy
from smbferry_operator.model import Kind, Manifest, Meta

LATER_STAGES: Final = frozenset({Stage.SHARDS, Stage.FINISH})
TASK_GRACE: Final = timedelta(minutes=1)


def snapshot(seen: RunObservation) -> ResolvedTask | None:
    """The task that the run works by: as its Jobs record it, or as it is now before there are any."""
    work = recorded(seen.jobs, seen.pods)
    if work is not None:
        return work.task
    return resolve(seen.task, seen.ends) if seen.task else None


def without_job(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a run that has no Job: launch its first one, wait, or end the run."""
    task = snapshot(seen)
    if task is None:
        return _unresolved(seen, now)
    used = attempts_so_far(seen, None)
    if end := _hopeless(task, used):
        return ended(seen, end, now)
    return begin(Start(seen, task, now, doubted(seen.ends.identities)), used, settings)


def begin(start: Start, used: int, settings: AgentSettings) -> Decision:
    """Launches the run's first agent as soon as no rule makes it wait."""
    seen = start.seen
    if wait := first_wait(WAITS, start):
        return waiting(seen, RunState.QUEUED, wait, start.now)
    work = first_work(_within_limits(seen, start.task), copies=seen.run.spec.copies)
    return launch(seen, start.task, used, start.now, settings, work=work)


def _hopeless(task: ResolvedTask, used: int) -> End | None:
    """Why the run can never start, if so."""
    if overlap := overlap_obstacle(task):
        return failed(overlap.reason, overlap.message)
    if used >= MAX_ATTEMPTS:
        return failed(AGENT_LOST, f"The agent's Job was deleted after {used} attempts, and no attempt is left.")
    return None


def _unresolved(seen: RunObservation, now: datetime) -> Decision:
    """The run's task, or a location of the task, does not exist. It may still be created: a task soon, or never."""
    name = seen.run.spec.task_ref.name
    if seen.task is None:
        of_class = f" with className {seen.run.spec.class_name}" if seen.run.spec.class_name else ""
        message = with_remedy(f"There is no TransferTask {name}{of_class} in this namespace.", TASK_NOT_FOUND)
        if now - seen.run.meta.created >= TASK_GRACE:
            return ended(seen, failed(TASK_NOT_FOUND, message), now)
        return waiting(seen, RunState.QUEUED, Wait(TASK_NOT_FOUND, message, POLL_START), now)
    obstacle = readiness_obstacle(seen.task.spec.location_names, seen.ends)
    if obstacle is None:
        wait = Wait(LOCATION_NOT_READY, "Waiting for the identities of the locations.")
    else:
        wait = Wait(obstacle.reason, obstacle.advice)
    return waiting(seen, RunState.QUEUED, wait, now)


def launch(
    seen: RunObservation, task: ResolvedTask, used: int, now: datetime, settings: AgentSettings, *, work: Work
) -> Decision:
    """Creates the run's next Job, which records the snapshot, and what its agent needs. Paused Jobs are deleted."""
    said = seen.run.status.limit
    if said is not None and limit(seen) != said:
        # The agent prefers it to what its Job records: no agent may start by what is no longer true.
        message = "The limit is written before the agent starts."
        return unfinished(seen, state_by_phases(seen.run), AGENT_STARTING, message, now, requeue_after=timedelta(0))
    wanted = task.agent.parallelism
    task = _within_limits(seen, by_identities(task, seen.all_identities) or task)
    run = seen.run.meta
    writes = seen.run.spec.writes
    paused = [job for job in seen.jobs if was_paused(job, seen.pods)]
    pauses = max((pauses_before(job.meta) + (job in paused) for job in seen.jobs), default=0)
    elapsed = active_time(seen.jobs, seen.pods, now)
    job = build_transfer_job(run, task, used, settings, writes=writes, work=work, elapsed=elapsed, pauses=pauses)
    attempt = Attempt(transfer_job_name(run, used, pauses), used, seen.run.status.start_time or now)
    decision = unfinished(
        seen,
        state_by_phases(seen.run) if work.stage in LATER_STAGES else RunState.LAUNCHING,
        AGENT_STARTING,
        f"Agent Job {attempt.job_ref} was launched{_fewer(task.agent.parallelism, wanted)}.",
        now,
        requeue_after=POLL_START,
        attempt=attempt,
        task=task,
    )
    return replace(
        decision,
        create=(*_agent_needs(run, task, settings), job),
        delete=tuple(job_key(old) for old in paused),
        claim=Destination.of(task.destination) if writes else None,
    )


def _within_limits(seen: RunObservation, task: ResolvedTask) -> ResolvedTask:
    """The snapshot with as many agents as limits permit, and with the share of bandwidth that the agent starts with."""
    if seen.standing is None:
        return task
    agents = min(task.agent.parallelism, seen.standing.demand.agents) if seen.run.spec.copies else None
    agent = task.agent.model_copy(update={"parallelism": agents}) if agents else task.agent
    return task.model_copy(update={"agent": agent, "bytes_per_second": seen.standing.rate})


def _fewer(agents: int, wanted: int) -> str:
    return f" with {agents} instead of {wanted} agents at a time, as limits permit" if agents < wanted else ""


def _agent_needs(run: Meta, task: ResolvedTask, settings: AgentSettings) -> tuple[Manifest, ...]:
    """What the agent needs beside its Job. It is the same for all Jobs of the run and never changes."""
    # The agent reads their status, so as not to try a key that the KDC has refused since.
    ports, nameservers = [end.spec.port for end in task.ends], transfer_nameservers(task)
    return (
        *build_access(Kind.RUN, run, identities=task.identity_names),
        *build_network_policy(Kind.RUN, run, settings, nameservers=nameservers, smb_ports=ports),
    )


def refused(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a Job, or an object of its agent, that the API server refused.

    The run ends if the object itself is wrong, or if it is still refused at the deadline for an agent's start. It waits
    without a deadline for a quota, which others use up.
    """
    refusal = seen.refusal
    if refusal is None:
        raise ValueError("expected a refusal, got none")
    message = f"Kubernetes refused the agent's {refusal.what}: {sentence(refusal.message)}"
    if refusal.permanent:
        return ended(seen, failed(SPEC_INVALID, message), now)
    if refusal.lasts(now) >= settings.start_deadline and not refusal.room:
        return ended(seen, failed(AGENT_NOT_SCHEDULED, message), now)
    wait = Wait(AGENT_NOT_SCHEDULED, message, refusal.again_in(now))
    return waiting(seen, RunState.QUEUED, wait, now)
