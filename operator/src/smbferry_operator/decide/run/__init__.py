"""TransferRun: one execution, from Queued to its end.

Each decision derives the state from the Job, its pods and the phases that the agent reports.
"""

from datetime import datetime

from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.record import order_of
from smbferry_operator.decide.run.expiry import expire
from smbferry_operator.decide.run.progress import cancel, finished, under_way
from smbferry_operator.decide.run.queue import refused, without_job
from smbferry_operator.decide.run.status import ended, pending_end
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import Job


def decide_run(seen: RunObservation, now: datetime, settings: AgentSettings) -> Decision:
    """What to do about a run."""
    run = seen.run
    if run.meta.deleting:
        return Decision()
    if run.status.state and run.status.state.ended:
        return expire(run, now, settings)
    if end := pending_end(run):
        return ended(seen, end, now)
    job = current_job(seen)
    if run.spec.cancel and not (job and job.finished):
        return cancel(seen, job, now)
    return _course(seen, job, now, settings)


def _course(seen: RunObservation, job: Job | None, now: datetime, settings: AgentSettings) -> Decision:
    # A refusal while an agent is at work does not end the agent; the write is retried.
    if seen.refusal is not None and (job is None or job.finished):
        return refused(seen, now, settings)
    if job is None:
        return without_job(seen, now, settings)
    if job.finished:
        return finished(seen, job, now, settings)
    return under_way(seen, job, now, settings)


def current_job(seen: RunObservation) -> Job | None:
    """The run's newest Job, unless it is being deleted."""
    jobs = [job for job in seen.jobs if not job.meta.deleting]
    return max(jobs, key=order_of, default=None)
