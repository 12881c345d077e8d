"""A run before it has a Job: what it waits for, and its launch.

Only one run writes to a destination at a time; one that is about to start yields to whoever already writes there or
has waited longer, and to any pod that may still be alive.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.agent_contract import Stage
from smbferry_api.reasons import (
    AGENT_LOST,
    AGENT_NOT_SCHEDULED,
    AGENT_STARTING,
    IDENTITY_CHECK_AWAITED,
    IDENTITY_NOT_FOUND,
    LOCATION_NOT_READY,
    RUN_QUEUED,
    SPEC_INVALID,
    TASK_NOT_FOUND,
)
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunState
from smbferry_operator.decide.access import build_access
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.jobs import MAX_ATTEMPTS, build_transfer_job, transfer_job_name, transfer_nameservers
from smbferry_operator.decide.network import build_network_policy
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.decide.proof import doubted
from smbferry_operator.decide.record import by_identities, recorded
from smbferry_operator.decide.resolve import Obstacle, overlap_obstacle, readiness_obstacle, resolve
from smbferry_operator.decide.run.status import (
    POLL_END,
    POLL_QUEUE,
    POLL_START,
    attempts_so_far,
    ended,
    standing,
    state_by_phases,
    wait,
)
from smbferry_operator.decide.run_end import End, failed
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.stages import Work, first_work
from smbferry_operator.decide.text import sentence
from smbferry_operator.model import Kind, Manifest, Meta

LATER_STAGES: Final = frozenset({Stage.SHARDS, Stage.FINISH})
TASK_GRACE: Final = timedelta(minutes=1)
ACCOUNT_PATIENCE: Final = timedelta(seconds=20)  # no longer: that other run may be unable to start


def snapshot(seen: RunObservation) -> ResolvedTask | None:
    """The task that the run works by: as its Jobs record it, or before there are any, as it stands now."""
    work = recorded(seen.jobs, seen.pods)
    if work is not None:
        return work.task
    return resolve(seen.task, seen.ends) if seen.task else None


def without_job(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a run that has no Job: launch its first one, wait, or give up."""
    task = snapshot(seen)
    if task is None:
        return _unresolved(seen, now)
    used = attempts_so_far(seen, None)
    if end := _hopeless(task, used):
        return ended(seen, end, now)
    return begin(seen, task, used, now, settings, to_check=doubted(seen.ends.identities))


def begin(
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
        return wait(seen, waiting.reason, waiting.advice, now)
    if seen.account_used_at is not None and now - seen.account_used_at < ACCOUNT_PATIENCE:
        message = "Waits until another run has tried the key of the same account: a domain counts wrong ones together."
        return replace(wait(seen, RUN_QUEUED, message, now), requeue_after=POLL_END)
    if to_check:
        return await_check(seen, RunState.QUEUED, to_check, now)
    return launch(seen, task, used, now, settings, work=first_work(task, dry_run=seen.run.spec.dry_run))


def await_check(seen: RunObservation, state: RunState, identities: tuple[str, ...], now: datetime) -> Decision:
    """A check of these tries their keys before any agent of the run does."""
    message = f"Waits for a check of KerberosIdentity {' and '.join(identities)}, which tries the key before any agent."
    delay = POLL_QUEUE if state is RunState.QUEUED else POLL_END
    decision = standing(seen, state, IDENTITY_CHECK_AWAITED, message, now, requeue_after=delay)
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
    if not_ready := ends_obstacle(seen, task):
        return not_ready
    other = None if seen.run.spec.dry_run else blocker(seen, task)
    return Obstacle(RUN_QUEUED, behind(other, task)) if other else None


def ends_obstacle(seen: RunObservation, task: ResolvedTask) -> Obstacle | None:
    """Why the ends of the transfer can't be used now: their locations, or an identity that is gone."""
    if not_ready := readiness_obstacle((end.location for end in task.ends), seen.ends):
        return not_ready
    gone = next((name for name in task.identity_names if name not in seen.all_identities), None)
    return Obstacle(IDENTITY_NOT_FOUND, f"There is no KerberosIdentity {gone} in this namespace.") if gone else None


def _unresolved(seen: RunObservation, now: datetime) -> Decision:
    """A task or a location that the run names is not there: it may be on its way, for a task not for long."""
    name = seen.run.spec.task_ref.name
    if seen.task is None:
        message = f"There is no TransferTask {name} in this namespace."
        if now - seen.run.meta.created >= TASK_GRACE:
            return ended(seen, failed(TASK_NOT_FOUND, message), now)
        return replace(wait(seen, TASK_NOT_FOUND, message, now), requeue_after=POLL_START)
    obstacle = readiness_obstacle(seen.task.spec.location_names, seen.ends)
    if obstacle is None:
        return wait(seen, LOCATION_NOT_READY, "Waits for the identities of its locations.", now)
    return wait(seen, obstacle.reason, obstacle.advice, now)


def blocker(seen: RunObservation, task: ResolvedTask) -> Claim | None:
    """Who must be waited for: a writer first, else whoever has queued for longer."""
    here = _here(task)
    mine = (seen.run.meta.created, seen.run.meta.uid)
    others = [c for c in seen.claims if c.destination.collides(here)]
    ahead = [c for c in others if c.writing or (c.since, c.run_uid) < mine]
    return min(ahead, key=lambda c: (not c.writing, c.since, c.run_uid), default=None)


def behind(other: Claim, task: ResolvedTask) -> str:
    """For a condition: whom the run waits for, and how it is known where its names would not tell."""
    doing = "writes to" if other.writing else "waits for"
    where = other.destination
    alias = f" (the same server, by its ServerGuid {where.guid})" if where.is_alias(_here(task)) else ""
    return f"Queued behind TransferRun {other.holder}, which {doing} {where}{alias}."


def _here(task: ResolvedTask) -> Destination:
    return Destination.of(task.destination)


def launch(
    seen: RunObservation, task: ResolvedTask, used: int, now: datetime, settings: AgentSettings, *, work: Work
) -> Decision:
    """Creates the run's next Job, which records the snapshot, and what its agent needs."""
    task = by_identities(task, seen.all_identities) or task
    run = seen.run.meta
    began = min((job.meta.created for job in seen.jobs), default=now)
    writes = not seen.run.spec.dry_run
    job = build_transfer_job(run, task, used, settings, writes=writes, work=work, elapsed=now - began)
    message = f"Agent Job {job['metadata']['name']} was launched."
    decision = standing(
        seen,
        state_by_phases(seen.run) if work.stage in LATER_STAGES else RunState.LAUNCHING,
        AGENT_STARTING,
        message,
        now,
        requeue_after=POLL_START,
        jobRef=transfer_job_name(run, used),
        attempts=used,
        startTime=seen.run.status.start_time or now,
        task=task.model_dump(mode="json", by_alias=True, exclude_none=True),
    )
    return replace(
        decision,
        provide=_surroundings(run, task, settings),
        create=(job,),
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


def refused(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about an object that the API server refused: end the run if the object itself is wrong, or if nothing
    has changed until the deadline for an agent's start; wait for a quota, which others use up, without one."""
    refusal = seen.refusal
    if refusal is None:
        raise ValueError("nothing was refused")
    message = f"Kubernetes refused the agent's {refusal.what}: {sentence(refusal.message)}"
    if refusal.permanent:
        return ended(seen, failed(SPEC_INVALID, message), now)
    if refusal.lasts(now) >= settings.start_deadline and not refusal.room:
        return ended(seen, failed(AGENT_NOT_SCHEDULED, message), now)
    again = refusal.again_in(now)
    return standing(seen, RunState.QUEUED, AGENT_NOT_SCHEDULED, message, now, requeue_after=again)
