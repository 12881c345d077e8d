"""Which of several operators acts: decisions about one coordination.k8s.io Lease.

All times are seconds of this machine's own clock that never goes back; clocks of two machines are never compared. A
candidate counts from the moment it saw the lease change, its holder from before it asked for the renewal. As the
holder stops `margin` seconds before anybody else may begin, two never act at once, whatever was lost on the way.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Final


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long things may take, in seconds."""

    duration: float = 12.0
    """For how long nobody else takes a lease that was seen to be renewed."""
    renew_deadline: float = 8.0
    """For how long after asking for a renewal its holder acts."""
    retry: float = 2.0
    """Between two renewals, and between two looks of a candidate."""
    request_timeout: float = 3.0

    def __post_init__(self) -> None:
        if not self.request_timeout + self.retry < self.renew_deadline < self.duration:
            raise ValueError("expected request timeout + retry < renew deadline < duration")

    @property
    def margin(self) -> float:
        """Between the end of one holder's acts and the beginning of the next one's."""
        return self.duration - self.renew_deadline


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The Lease as the API server has it."""

    holder: str
    duration: float
    """What its holder asked others to wait for, in seconds."""
    transitions: int
    version: str
    """The resourceVersion, without which nothing is written."""
    acquired: str = ""
    """acquireTime as it stands, for people."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one candidate knows."""

    record: LeaseRecord | None = None
    seen_at: float = -inf
    """When the record was first seen as it is now."""
    missing: bool = False
    """Somebody deleted the lease; who held it then may still act for as long as the record says."""
    held_until: float = -inf
    """Until when this candidate may act."""

    def remaining(self, now: float) -> float:
        """For how many more seconds it may act; none or less if it may not."""
        return self.held_until - now


class Step(Enum):
    """What a candidate does next."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


BY_ALL_MEANS: Final = 1.0
"""A duration that a hostile or broken holder can't undercut, in seconds."""


def observed(standing: Standing, record: LeaseRecord | None, now: float) -> Standing:
    """After a look: `now` is when the answer had come."""
    if record is None:
        return replace(standing, missing=standing.record is not None)
    if standing.record is None or record.version != standing.record.version:
        return replace(standing, record=record, seen_at=now, missing=False)
    return replace(standing, missing=False)


def decide_lease(standing: Standing, me: str, now: float) -> Step:
    """What to do about the lease as last seen.

    Args:
        me: a name that no other process ever has, not even an earlier one in the same pod.
    """
    record = standing.record
    if record is None:
        return Step.CREATE
    if record.holder == me:
        return Step.CREATE if standing.missing else Step.RENEW
    if not record.holder or now >= expires_at(standing):
        return Step.CREATE if standing.missing else Step.TAKE
    return Step.WAIT


def expires_at(standing: Standing) -> float:
    """When another one's lease may be taken."""
    if standing.record is None:
        return -inf
    return standing.seen_at + max(standing.record.duration, BY_ALL_MEANS)


def won(record: LeaseRecord, asked_at: float, now: float, times: LeaseTimes) -> Standing:
    """After a write that made or left us the holder: valid from before it was asked for."""
    return Standing(record, now, held_until=asked_at + times.renew_deadline)


def lost(standing: Standing) -> Standing:
    """After the lease was given away, or seen to be another's."""
    return replace(standing, held_until=-inf)


def pause_before_next(standing: Standing, me: str, now: float, times: LeaseTimes) -> float:
    """How long to sleep before the next look or renewal, in seconds."""
    if standing.record is None or standing.record.holder == me:
        return times.retry
    return max(0.0, min(times.retry, expires_at(standing) - now))
