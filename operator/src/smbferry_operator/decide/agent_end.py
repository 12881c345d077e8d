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

# The Job controller's own words when a podFailurePolicy rule matched; they outlive the pod.
_POLICY_MESSAGE: Final = re.compile(r"failed with exit code (\d+)")


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
