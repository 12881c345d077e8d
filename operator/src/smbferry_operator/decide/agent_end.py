"""What became of an agent, read from its Job and its pods: why it does not start, and how it ended."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from smbferry_api.agent_contract import TerminationMessage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import AGENT_LOST, AGENT_NOT_SCHEDULED
from smbferry_operator.decide.text import sentence, with_remedy
from smbferry_operator.model import Job, Pod

# The Job controller's own words when a podFailurePolicy rule matched; they outlive the pod.
_POLICY_MESSAGE: Final = re.compile(r"failed with exit code (\d+)")

# A container that waits for these still starts by itself.
ORDINARY_WAITING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


@dataclass(frozen=True, slots=True)
class Stuck:
    """An agent's pod that can't start."""

    since: datetime
    why: str

    @property
    def message(self) -> str:
        """For a condition."""
        return with_remedy(f"The agent's pod can't be started: {sentence(self.why)}", AGENT_NOT_SCHEDULED)


def stuck(job: Job, pods: Iterable[Pod], now: datetime, *, patience: timedelta) -> Stuck | None:
    """Why the Job's newest pod does not start, if it does not.

    Args:
        patience: how long a Job may be without any pod before that is a finding.
    """
    own = [pod for pod in pods if pod.job == job.meta.name and not pod.meta.deleting]
    if not own:
        if now - job.meta.created >= patience:
            return Stuck(job.meta.created, "its Job made no pod; a quota or an admission rule may forbid it")
        return None
    pod = max(own, key=lambda p: p.meta.created)
    if pod.phase != "Pending":
        return None
    if pod.unschedulable:
        return Stuck(pod.meta.created, f"no node takes it: {pod.unschedulable}")
    if pod.waiting_reason not in ORDINARY_WAITING:
        return Stuck(pod.meta.created, f"{pod.waiting_reason}: {pod.waiting_message}".rstrip(": "))
    return None


def exit_code(job: Job, pods: Iterable[Pod]) -> int | None:
    """How the last agent of the Job ended: from its pod, or, where that is gone, from the Job's own words."""
    if job.complete:
        return int(ExitCode.DONE)
    if match := _POLICY_MESSAGE.search(job.failure_message):
        return int(match[1])
    last = last_ended(job, pods)
    return last.exit_code if last else None


def last_ended(job: Job, pods: Iterable[Pod]) -> Pod | None:
    """The pod of the Job that ended last with an exit code."""
    ended = [p for p in pods if p.job == job.meta.name and p.exit_code is not None]
    return max(ended, key=lambda p: p.ended_at or p.meta.created, default=None)


def termination(pod: Pod | None) -> TerminationMessage | None:
    """What the agent left for when its status could not be written; None if it left nothing readable."""
    if pod is None or not pod.termination_message.strip():
        return None
    try:
        return TerminationMessage.model_validate_json(pod.termination_message)
    except ValidationError:  # the kernel's or the runtime's words, not the agent's
        return None


def lost_message(job: Job, pods: Iterable[Pod]) -> str:
    """For an agent that ended without a report: what Kubernetes knows of it."""
    pod = last_ended(job, pods)
    if pod is not None:
        word = f" ({pod.exit_reason})" if pod.exit_reason and pod.exit_reason != "Error" else ""
        text = f"The agent's pod {pod.meta.name} ended with exit code {pod.exit_code}{word} without a report"
        if pod.exit_reason == "OOMKilled":
            text += ": it needed more memory than its limit"
    elif job.failure_reason == "DeadlineExceeded":
        text = "The agent was ended because it took longer than its deadline"
    else:
        words = ": ".join(w for w in (job.failure_reason, job.failure_message) if w)
        text = f"The agent's Job {job.meta.name} ended without a report" + (f" ({words})" if words else "")
    return with_remedy(text, AGENT_LOST)
