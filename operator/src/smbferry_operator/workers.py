"""Runs the work queue: a bounded number of workers on the event loop."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from smbferry_operator.model import Key
from smbferry_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[timedelta | None]]
STALLED_AFTER: Final = 300.0


class Workers:
    """Takes keys from the queue and reconciles them, a few at a time."""

    def __init__(
        self,
        reconcile: Reconcile,
        count: int,
        clock: Callable[[], float] = time.monotonic,
        goes_first: Callable[[Key], bool] = lambda _key: False,
    ) -> None:
        self._reconcile = reconcile
        self._count = count
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(goes_first=goes_first)
        self._wake = asyncio.Event()
        self._stopping = False
        self._paused = False
        self._dispatcher: asyncio.Task[None] | None = None
        self._running: dict[asyncio.Task[None], float] = {}

    def add(self, key: Key) -> None:
        """To be looked at now."""
        self._queue.add(key)
        self._wake.set()

    def add_after(self, key: Key, delay: timedelta) -> None:
        """To be looked at later."""
        self._queue.add_at(key, self._clock() + max(0.0, delay.total_seconds()))
        self._wake.set()

    def start(self) -> None:
        """Begins to work; what was added before is not lost."""
        self._dispatcher = asyncio.create_task(self._dispatch(), name="work queue")

    def pause(self) -> None:
        """Takes nothing more for now; what is added waits."""
        self._paused = True

    def resume(self) -> None:
        """Goes on."""
        self._paused = False
        self._wake.set()

    async def idle(self) -> None:
        """Waits until nothing is under way."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def stop(self, grace: float) -> bool:
        """Takes nothing new and waits for what is under way, for as many seconds; tells whether all of it ended."""
        self._stopping = True
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace)
        return not self._running

    def problem(self) -> str | None:
        """Why the workers can't be called alive, if so: for the liveness probe."""
        if self._dispatcher is None or (self._dispatcher.done() and not self._stopping):
            return "the work queue is not served"
        oldest = min(self._running.values(), default=None)
        if oldest is not None and self._clock() - oldest > STALLED_AFTER:
            return f"an object has been worked on for more than {STALLED_AFTER:.0f} s"
        return None

    @property
    def figures(self) -> dict[str, int]:
        """How much there is to do."""
        return {"ready": len(self._queue), "delayed": self._queue.delayed, "underWay": self._queue.under_way}

    async def _dispatch(self) -> None:
        while not self._stopping:
            while self._may_take() and (key := self._take()) is not None:
                task = asyncio.create_task(self._work(key), name=f"reconcile {key}")
                self._running[task] = self._clock()
                task.add_done_callback(self._ended)
            await self._sleep()

    def _take(self) -> Key | None:
        """A quarter of the workers is kept for what goes first: the others would all be at something long."""
        free = self._count - len(self._running)
        return self._queue.take(self._clock(), only_first=free <= self._count // 4)

    def _may_take(self) -> bool:
        return not self._paused and len(self._running) < self._count

    async def _sleep(self) -> None:
        due = self._queue.next_due()
        timeout = max(0.0, due - self._clock()) if due is not None and self._may_take() else None
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return
        self._wake.clear()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._wake.set()

    async def _work(self, key: Key) -> None:
        try:
            again = await self._reconcile(key)
        except Exception as error:
            delay = self._queue.failed(key, self._clock())
            logger.warning("%s: %s; tried again in %.1f s", key, error, delay, exc_info=_traceback(error))
            return
        self._queue.done(key)
        if again is not None:
            self.add_after(key, again)


def _traceback(error: Exception) -> Exception | None:
    """Errors that speak for themselves need no traceback; all others are bugs and get one."""
    return None if getattr(error, "expected", False) else error
