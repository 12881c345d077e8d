"""Which of several operators acts: decisions about one coordination.k8s.io Lease.

All times are seconds of this machine's monotonic clock; clocks of two machines are never compared. A candidate counts
from the moment at which it saw the lease change, the holder from before it requested the renewal. The holder stops
`margin` seconds before anybody else may begin, so two operators never act at once, whichever messages are lost.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Final


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Time limits, in seconds."""

    duration: float = 12.0
    """How long other candidates wait after they saw a renewal."""
    renew_deadline: float = 8.0
    """How long the holder acts after it requested a renewal."""
    retry: float = 2.0
    """Time between two renewals, and between two reads by a candidate."""
    request_timeout: float = 3.0

    def __post_init__(self) -> None:
        if not self.request_timeout + self.retry < self.renew_deadline < self.duration:
            raise ValueError("expected request timeout + retry < renew deadline < duration")

    @property
    def margin(self) -> float:
        """Time between the last act of one holder and the first act of the next."""
        return self.duration - self.renew_deadline


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The Lease as the API server has it."""

    holder: str
    duration: float
    """leaseDurationSeconds: how long the holder asks others to wait."""
    transitions: int
    version: str
    """The resourceVersion; each write names it."""
    acquired: str = ""
    """acquireTime, for people."""


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What one candidate knows of the lease."""

    record: LeaseRecord | None = None
    seen_at: float = -inf
    """When the record was first seen in its current version."""
    missing: bool = False
    """The lease was deleted. Its last holder may still act for as long as the record says."""
    held_until: float = -inf
    """Until when this candidate may act."""

    def remaining(self, now: float) -> float:
        """Returns for how many seconds it may still act; 0 or less if it may not."""
        return self.held_until - now


class Step(Enum):
    """The next action of a candidate."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


BY_ALL_MEANS: Final = 1.0
"""The shortest duration that is respected, whatever a holder writes, in seconds."""


def observed(view: LeaseView, record: LeaseRecord | None, now: float) -> LeaseView:
    """The view after a read.

    Args:
        now: when the answer arrived.
    """
    if record is None:
        return replace(view, missing=view.record is not None)
    if view.record is None or record.version != view.record.version:
        return replace(view, record=record, seen_at=now, missing=False)
    return replace(view, missing=False)


def decide_lease(view: LeaseView, me: str, now: float) -> Step:
    """The next action, by the lease as last seen.

    Args:
        me: this process's name; not even an earlier process of the same pod has it.
    """
    record = view.record
    if record is None:
        return Step.CREATE
    if record.holder == me:
        return Step.CREATE if view.missing else Step.RENEW
    if not record.holder or now >= expires_at(view):
        return Step.CREATE if view.missing else Step.TAKE
    return Step.WAIT


def expires_at(view: LeaseView) -> float:
    """When a lease that another holds may be taken."""
    if view.record is None:
        return -inf
    return view.seen_at + max(view.record.duration, BY_ALL_MEANS)


def won(record: LeaseRecord, asked_at: float, now: float, times: LeaseTimes) -> LeaseView:
    """The view after a write that made this candidate the holder, or kept it.

    Args:
        asked_at: when the write was requested; the lease counts from there.
    """
    return LeaseView(record, now, held_until=asked_at + times.renew_deadline)


def lost(view: LeaseView) -> LeaseView:
    """The view after the lease was released, or seen to have another holder."""
    return replace(view, held_until=-inf)


def pause_before_next(view: LeaseView, me: str, now: float, times: LeaseTimes) -> float:
    """Seconds to sleep before the next read or renewal."""
    if view.record is None or view.record.holder == me:
        return times.retry
    return max(0.0, min(times.retry, expires_at(view) - now))
