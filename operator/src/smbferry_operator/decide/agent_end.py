"""How an agent ended, read from its Job and its pods."""

import re
from collections.abc import Iterable
from typing import Final

from pydantic import ValidationError

from smbferry_api.agent_contract import TerminationMessage
from smbferry_api.exit_codes import ExitCode
from smbferry_api.reasons import AGENT_LOST
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Job, Pod

# The Job controller's message after a podFailurePolicy rule matched; it outlives the pod.
_POLICY_MESSAGE: Final = re.compile(r"failed with exit code (\d+)")


def exit_code(job: Job, pods: Iterable[Pod]) -> int | None:
    """The exit code of the Job's last agent: from the Job, or from the agent's pod."""
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
    """The agent's termination message, which it leaves in case its status cannot be written; None if unreadable."""
    if pod is None or not pod.termination_message.strip():
        return None
    try:
        return TerminationMessage.model_validate_json(pod.termination_message)
    except ValidationError:  # written by the kernel or the runtime, not by the agent
        return None


def lost_message(job: Job, pods: Iterable[Pod]) -> str:
    """What Kubernetes knows about an agent that ended without a report."""
    pod = last_ended(job, pods)
    if pod is not None:
        word = f" ({pod.exit_reason})" if pod.exit_reason and pod.exit_reason != "Error" else ""
        text = f"The agent's pod {pod.meta.name} ended with exit code {pod.exit_code}{word} without a report"
        if pod.exit_reason == "OOMKilled":
            text += ": it exceeded its memory limit"
    elif job.failure_reason == "DeadlineExceeded":
        text = "The agent was ended because it exceeded its deadline"
    else:
        words = ": ".join(w for w in (job.failure_reason, job.failure_message) if w)
        text = f"The agent's Job {job.meta.name} ended without a report" + (f" ({words})" if words else "")
    return with_remedy(text, AGENT_LOST)
