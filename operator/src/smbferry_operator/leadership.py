"""The terms of this operator as the leader: what happens when it wins the election, and when it no longer leads."""

import logging
from typing import Final

from smbferry_operator.background import Background
from smbferry_operator.clock import utc_now
from smbferry_operator.leader import Elector, Fence, Store
from smbferry_operator.model import Kind
from smbferry_operator.reconcile.control_loop import ControlLoop
from smbferry_operator.watch.lists import Lister

logger = logging.getLogger(__name__)

DECISIVE: Final = (Kind.RUN, Kind.JOB, Kind.POD)
"""Kinds that a new leader lists before it acts: acting on stale ones could start a second writer."""
TERM: Final = "term"


class Leadership:
    """Takes part in the election and lets the control loop run while this operator leads."""

    def __init__(
        self,
        fence: Fence,
        candidate: tuple[Store, str] | None,
        control_loop: ControlLoop,
        lister: Lister,
        background: Background,
    ) -> None:
        """Creates a leadership that has not started.

        Args:
            candidate: where the lease is kept, and this operator's name in it, which no other process may ever use;
                None if no leader is elected.
        """
        self._fence = fence
        self._control_loop = control_loop
        self._lister = lister
        self._background = background
        self._elector: Elector | None = None
        if candidate is not None:
            store, name = candidate
            self._elector = Elector(store, name, fence, turned=self._turned, utc_now=utc_now)

    def start(self) -> None:
        """Joins the election; without one, this operator leads at once."""
        if self._elector is not None:
            self._background.start("election", self._elector.run())
        else:
            self._fence.hold(float("inf"))
            self._turned(leading=True)

    async def release(self) -> None:
        """Releases the lease. Call it when nothing is running."""
        if self._elector is not None:
            await self._elector.release()

    def _turned(self, *, leading: bool) -> None:
        """This operator holds the lease from now on, or no longer."""
        if leading:
            self._background.start(TERM, self._begin())
        else:
            self._control_loop.workers.pause()
            self._fence.act(acting=False)
            self._background.cancel(TERM)

    async def _begin(self) -> None:
        """Lists runs, Jobs and pods again, then begins to act."""
        await self._control_loop.workers.idle()
        await self._lister.until_answered(DECISIVE)
        self._control_loop.enqueue_all()
        self._fence.act(acting=True)
        self._control_loop.workers.resume()
        logger.info("%d objects known; acting", self._control_loop.known)
