"""Why an agent does not start: from its Job and its pods."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.names import LABEL_QUEUE
from smbferry_api.reasons import AGENT_NOT_SCHEDULED, AGENT_SUSPENDED, Reason
from smbferry_api.run_status import TransferRunStatus
from smbferry_operator.decide.text import sentence, with_remedy
from smbferry_operator.model import Job, Pod

# Waiting reasons of a container that is about to start.
ORDINARY_WAITING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why an agent's pod cannot start."""

    since: datetime
    why: str
    waits_for_room: bool = False
    """It starts as soon as there is room on a node, in a quota or in a queue."""
    reason: Reason = AGENT_NOT_SCHEDULED

    @property
    def message(self) -> str:
        """For a condition."""
        return with_remedy(f"The agent's pod cannot start: {sentence(self.why)}", self.reason)


def stuck(job: Job, pods: Iterable[Pod], now: datetime, *, patience: timedelta) -> Stuck | None:
    """Why the Job's newest pod does not start, None if it does.

    Each pod is judged from its own creation: the pod of a Job that is days old may just have been drained.

    Args:
        patience: how long a Job may have no pod before that is reported.
    """
    own = [pod for pod in pods if pod.job == job.meta.name]
    if not own:
        return _without_pod(job, now, patience)
    pod = max(own, key=lambda p: (not p.meta.deleting, p.meta.created))
    if pod.meta.deleting or pod.phase != "Pending":  # the Job replaces it once it has ended
        return None
    if pod.unschedulable:
        return Stuck(pod.meta.created, f"it was not scheduled: {pod.unschedulable}", waits_for_room=True)
    if pod.waiting_reason not in ORDINARY_WAITING:
        return Stuck(pod.meta.created, f"{pod.waiting_reason}: {pod.waiting_message}".rstrip(": "))
    return None


def _without_pod(job: Job, now: datetime, patience: timedelta) -> Stuck | None:
    name = job.meta.name
    if job.suspended:
        queue = job.meta.labels.get(LABEL_QUEUE)
        holder = f'Kueue has not admitted it to the queue "{queue}"' if queue else job.suspended
        why = f"its Job {name} is suspended: {holder}"
        return Stuck(job.meta.created, why, waits_for_room=True, reason=AGENT_SUSPENDED)
    if now - job.meta.created < patience:
        return None
    # Only the Job's Events say which, and the operator may not read Events, nor kinds of the cluster.
    given = f'whether the PriorityClass "{job.priority_class}" exists, and ' if job.priority_class else ""
    why = f"its Job created no pod; look {given}for a quota or an admission rule: kubectl describe job {name}"
    return Stuck(job.meta.created, why, waits_for_room=True)


def has_begun(job: Job, pods: Iterable[Pod], status: TransferRunStatus) -> bool:
    """Whether an agent of the Job has ever run, even if its pod no longer exists."""
    if job.failed or job.succeeded or any(p.job == job.meta.name and p.phase != "Pending" for p in pods):
        return True
    phases = [phase for _, phase in status.phases or () if phase is not None]
    return any(phase.start_time is not None and phase.start_time >= job.meta.created for phase in phases)
