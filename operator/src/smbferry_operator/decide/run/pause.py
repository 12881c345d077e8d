"""Runs that stop at the end of a window and continue in the next one (ADR 43), or when their plan is approved (ADR 53).

A paused run has no agent: its Job has ended with the exit code PAUSED or AWAITS_APPROVAL. Later a further Job does the
rest of the same stage. It counts as no attempt, so its name also has the number of pauses before it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from smbferry_api.agent_contract import Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_operator.decide.agent_end import exit_code
from smbferry_operator.decide.record import active_before, attempts_before, order_of
from smbferry_operator.decide.stages import WHOLE, Work, stage_of
from smbferry_operator.model import Job, Pod

REST: Final = timedelta(seconds=10)
"""An agent whose clock differs from the operator's is not started again and again in between."""


PAUSES: Final = frozenset({ExitCode.PAUSED, ExitCode.AWAITS_APPROVAL})


def was_paused(job: Job, pods: Iterable[Pod]) -> bool:
    """Whether the Job has ended because a window did, or because its plan must be approved."""
    return job.finished and exit_code(job, pods) in PAUSES


def awaits_approval(job: Job, pods: Iterable[Pod]) -> bool:
    """Whether the Job has ended because its plan must be approved."""
    return job.finished and exit_code(job, pods) == ExitCode.AWAITS_APPROVAL


def used_before(job: Job) -> int:
    """Attempts that the run has used up when a paused Job is followed by another one. The pause is no attempt."""
    ended = 0 if stage_of(job) is Stage.SHARDS else max(0, job.failed - 1)  # the other shards fail with the first
    return attempts_before(job) + ended


def same_work(job: Job) -> Work:
    """The stage of a paused Job, which its successor does the rest of."""
    match stage_of(job):
        case Stage.WHOLE:
            return WHOLE
        case Stage.SHARDS:
            return Work(Stage.SHARDS, job.completions)  # limits may let fewer of them work at a time than there are
        case other:
            return Work(other)


def active_time(jobs: Sequence[Job], pods: Iterable[Pod], now: datetime) -> timedelta:
    """How long the run has been active since its first Job was created; the time between a pause and the next Job does
    not count.
    """
    newest = max(jobs, key=order_of, default=None)
    if newest is None:
        return timedelta()
    end = newest.finished_at if newest.finished_at and was_paused(newest, pods) else now
    noted = active_before(newest)
    began = min(job.meta.created for job in jobs) if noted is None else newest.meta.created - noted
    return end - began
