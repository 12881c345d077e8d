"""Why an agent does not start, read from its Job and its pods."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.reasons import AGENT_NOT_SCHEDULED
from smbferry_api.run_status import TransferRunStatus
from smbferry_operator.decide.text import sentence, with_remedy
from smbferry_operator.model import Job, Pod

# A container that waits for these still starts by itself.
ORDINARY_WAITING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class Stuck:
    """An agent's pod that can't start."""

    since: datetime
    why: str
    waits_for_room: bool = False
    """It starts by itself as soon as there is room: on a node, or in a quota."""

    @property
    def message(self) -> str:
        """For a condition."""
        return with_remedy(f"The agent's pod can't be started: {sentence(self.why)}", AGENT_NOT_SCHEDULED)


def stuck(job: Job, pods: Iterable[Pod], now: datetime, *, patience: timedelta) -> Stuck | None:
    """Why the Job's newest pod does not start, if it does not.

    Each pod is judged from its own creation: a Job that is days old may have had its pod drained a moment ago.

    Args:
        patience: how long a Job may be without any pod before that is a finding.
    """
    own = [pod for pod in pods if pod.job == job.meta.name]
    if not own:
        return _without_pod(job, now, patience)
    pod = max(own, key=lambda p: (not p.meta.deleting, p.meta.created))
    if pod.meta.deleting or pod.phase != "Pending":  # the Job replaces it once it has ended
        return None
    if pod.unschedulable:
        return Stuck(pod.meta.created, f"no node takes it: {pod.unschedulable}", waits_for_room=True)
    if pod.waiting_reason not in ORDINARY_WAITING:
        return Stuck(pod.meta.created, f"{pod.waiting_reason}: {pod.waiting_message}".rstrip(": "))
    return None


def _without_pod(job: Job, now: datetime, patience: timedelta) -> Stuck | None:
    why = f"its Job {job.meta.name} is suspended: {job.suspended}"
    if not job.suspended:
        if now - job.meta.created < patience:
            return None
        # Only the Job's events say which, and the operator has no permission to read events.
        why = f"its Job made no pod; a quota or an admission rule may forbid it: kubectl describe job {job.meta.name}"
    return Stuck(job.meta.created, why, waits_for_room=True)


def has_begun(job: Job, pods: Iterable[Pod], status: TransferRunStatus) -> bool:
    """Whether an agent of the Job has ever run: its pod may be gone, what it reported is not."""
    if job.failed or job.succeeded or any(p.job == job.meta.name and p.phase != "Pending" for p in pods):
        return True
    phases = [phase for _, phase in status.phases or () if phase is not None]
    return any(phase.start_time is not None and phase.start_time >= job.meta.created for phase in phases)
