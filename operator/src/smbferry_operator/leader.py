"""Leader election: renews or takes the lease, and reports when this operator becomes the leader and when it stops."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from smbferry_operator.clock import uptime
from smbferry_operator.cluster.errors import ClusterError, ConflictError, NotFoundError
from smbferry_operator.decide.lease import (
    LeaseRecord,
    LeaseTimes,
    LeaseView,
    Step,
    decide_lease,
    lost,
    observed,
    pause_before_next,
    won,
)

logger = logging.getLogger(__name__)


class Store(Protocol):
    """Where the lease is kept. Requests are carried out one after the other, including those that were cancelled."""

    async def read(self) -> LeaseRecord | None:
        """Returns the lease, None if it does not exist."""

    async def write(self, holder: str, before: LeaseRecord | None, now: datetime) -> LeaseRecord:
        """Changes the holder.

        Raises:
            ConflictError: the lease has changed since it was read.
        """


class Turned(Protocol):
    """Receives notice that this operator leads from now on, or no longer."""

    def __call__(self, *, leading: bool) -> None:
        """Must not block."""


class Fence:
    """Whether this operator may write, and for how much longer. Asked before each write, from several threads."""

    def __init__(self, clock: Callable[[], float] = uptime) -> None:
        self._clock = clock
        self._held_until = float("-inf")
        self._acting = False

    def hold(self, until: float) -> None:
        """This operator holds the lease until then."""
        self._held_until = until

    def act(self, *, acting: bool) -> None:
        """Allows writes while the lease is held. Not allowed before the cache is fresh."""
        self._acting = acting

    def remaining(self) -> float:
        """Returns the seconds for which writes are allowed, 0 if none are."""
        return max(0.0, self._held_until - self._clock()) if self._acting else 0.0


class Elector:
    """One candidate in the election."""

    def __init__(
        self,
        store: Store,
        me: str,
        fence: Fence,
        *,
        turned: Turned,
        utc_now: Callable[[], datetime],
        clock: Callable[[], float] = uptime,
        times: LeaseTimes | None = None,
    ) -> None:
        """Makes a candidate.

        Args:
            me: the holder's name in the lease; no other process may ever use it.
            turned: called when this operator becomes the leader, and when it no longer is.
            utc_now: the time of day, for people who read the lease.
            clock: seconds of a clock that never goes back.
        """
        self._store = store
        self._me = me
        self._fence = fence
        self._turned = turned
        self._utc_now = utc_now
        self._clock = clock
        self._times = times or LeaseTimes()
        self._view = LeaseView()
        self._leading = False
        self._complaint = ""

    @property
    def leading(self) -> bool:
        """Whether this operator holds the lease."""
        return self._leading

    async def run(self) -> None:
        """Takes part in the election until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(pause_before_next(self._view, self._me, self._clock(), self._times))

    async def round(self) -> None:
        """Reads the lease if necessary, and takes or renews it if possible."""
        try:
            await self._look_and_step()
        except (ConflictError, NotFoundError):
            self._view = lost(self._view)  # another candidate was faster, or the lease was deleted: read it again
        except ClusterError as error:
            self._complain(str(error))
        else:
            self._complaint = ""
        self._tell()

    async def release(self) -> None:
        """Releases the lease, so that another operator need not wait for its expiry. Call it when nothing is running.

        Only the API server knows the holder: a write that was cancelled may have been carried out.
        """
        self._view = LeaseView()
        try:
            record = await self._store.read()
            if record is not None and record.holder == self._me:
                await self._store.write("", record, self._utc_now())
                logger.info("%s released", self._store)
        except ClusterError as error:
            logger.warning("could not release %s; it expires: %s", self._store, error)
        self._tell()

    async def _look_and_step(self) -> None:
        if self._view.remaining(self._clock()) <= 0:
            record = await self._store.read()
            self._view = observed(self._view, record, self._clock())
        step = decide_lease(self._view, self._me, asked_at := self._clock())
        if step is Step.WAIT:
            self._view = lost(self._view)
            return
        before = None if step is Step.CREATE else self._view.record
        written = await self._store.write(self._me, before, self._utc_now())
        self._view = won(written, asked_at, self._clock(), self._times)
        self._fence.hold(self._view.held_until)

    def _tell(self) -> None:
        leading = self._view.remaining(self._clock()) > 0
        if not leading:
            self._fence.hold(float("-inf"))
        if leading != self._leading:
            self._leading = leading
            logger.info("%s: %s", self._store, "this operator leads" if leading else "this operator no longer leads")
            self._turned(leading=leading)

    def _complain(self, text: str) -> None:
        """Logs each new error once."""
        if text != self._complaint:
            logger.warning("could not renew or take %s: %s", self._store, text)
            self._complaint = text
