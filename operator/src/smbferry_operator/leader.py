"""Hot standby: keeps asking for the lease, and tells when this operator begins and ceases to be the one that acts."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from smbferry_operator.cluster.errors import ClusterError, ConflictError, NotFoundError
from smbferry_operator.decide.lease import (
    LeaseRecord,
    LeaseTimes,
    Standing,
    Step,
    decide_lease,
    lost,
    observed,
    pause_before_next,
    won,
)

logger = logging.getLogger(__name__)


def uptime() -> float:
    """Seconds of a clock that never goes back and that, where the system has such a one, runs on in a suspension."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Store(Protocol):
    """Where the lease is kept. It does one thing after another, what was begun and given up on, too."""

    async def read(self) -> LeaseRecord | None:
        """The lease; None if there is none."""

    async def write(self, holder: str, before: LeaseRecord | None, now: datetime) -> LeaseRecord:
        """Changes the holder; ConflictError if another was faster."""


class Fence:
    """Whether, and for how much longer, this operator may write. Asked from threads, before each single write."""

    def __init__(self, clock: Callable[[], float] = uptime) -> None:
        self._clock = clock
        self._held_until = float("-inf")
        self._acting = False

    def hold(self, until: float) -> None:
        """The lease is ours until then."""
        self._held_until = until

    def act(self, *, acting: bool) -> None:
        """Whether what is held is made use of: not before the picture of the cluster is fresh."""
        self._acting = acting

    def remaining(self) -> float:
        """Seconds; zero if nothing may be written."""
        return max(0.0, self._held_until - self._clock()) if self._acting else 0.0


class Elector:
    """One candidate."""

    def __init__(
        self,
        store: Store,
        me: str,
        fence: Fence,
        *,
        began: Callable[[], None],
        ceased: Callable[[], None],
        utc_now: Callable[[], datetime],
        clock: Callable[[], float] = uptime,
        times: LeaseTimes | None = None,
    ) -> None:
        """Makes a candidate.

        Args:
            me: a name that no other process ever has.
            began: told when the lease becomes ours; must not block.
            ceased: told when it is ours no more; must not block.
            utc_now: the time of day, for people who read the lease.
            clock: seconds of a clock that never goes back.
        """
        self._store = store
        self._me = me
        self._fence = fence
        self._began = began
        self._ceased = ceased
        self._utc_now = utc_now
        self._clock = clock
        self._times = times or LeaseTimes()
        self._standing = Standing()
        self._leading = False
        self._complaint = ""

    @property
    def leading(self) -> bool:
        """Whether the lease is ours."""
        return self._leading

    async def run(self) -> None:
        """Stands for election until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(pause_before_next(self._standing, self._me, self._clock(), self._times))

    async def round(self) -> None:
        """One look at the lease, and what follows from it."""
        try:
            await self._look_and_step()
        except (ConflictError, NotFoundError):
            self._standing = lost(self._standing)  # another was faster, or somebody deleted it: look again
        except ClusterError as error:
            self._complain(str(error))
        else:
            self._complaint = ""
        self._tell()

    async def release(self) -> None:
        """Gives the lease up, so that another need not wait for its end. Nothing may be under way any more.

        Only the API server knows whether it is ours: a write that was cut off with its round may have been done.
        """
        self._standing = Standing()
        try:
            record = await self._store.read()
            if record is not None and record.holder == self._me:
                await self._store.write("", record, self._utc_now())
                logger.info("%s released", self._store)
        except ClusterError as error:
            logger.warning("%s could not be released and runs out by itself: %s", self._store, error)
        self._tell()

    async def _look_and_step(self) -> None:
        if self._standing.remaining(self._clock()) <= 0:
            record = await self._store.read()
            self._standing = observed(self._standing, record, self._clock())
        step = decide_lease(self._standing, self._me, asked_at := self._clock())
        if step is Step.WAIT:
            self._standing = lost(self._standing)
            return
        before = None if step is Step.CREATE else self._standing.record
        written = await self._store.write(self._me, before, self._utc_now())
        self._standing = won(written, asked_at, self._clock(), self._times)
        self._fence.hold(self._standing.held_until)

    def _tell(self) -> None:
        leading = self._standing.remaining(self._clock()) > 0
        if not leading:
            self._fence.hold(float("-inf"))
        if leading != self._leading:
            self._leading = leading
            logger.info("%s: %s", self._store, "this operator leads" if leading else "this operator leads no more")
            (self._began if leading else self._ceased)()

    def _complain(self, text: str) -> None:
        """Once for each new trouble."""
        if text != self._complaint:
            logger.warning("%s can't be renewed or taken: %s", self._store, text)
            self._complaint = text
