"""The control loop: keys from the work queue, a limited number of rounds at a time, pauses in which none begins."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from smbferry_operator.cluster.apply import Applier
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import OWN_KINDS, Key, logged
from smbferry_operator.observe.cache import Cache
from smbferry_operator.reconcile.reconciler import Reconciler
from smbferry_operator.reconcile.workqueue import WorkQueue

logger = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[timedelta | None]]
STALLED_AFTER: Final = 300.0
BATCH: Final = 50
PAUSE: Final = 0.5


class ControlLoop:
    """Reconciles queued objects while this operator leads."""

    def __init__(
        self,
        cache: Cache,
        applier: Applier,
        settings: AgentSettings,
        workers: int,
        *,
        timed: Callable[[Reconcile], Reconcile],
        leading: Callable[[], bool],
        is_delivered: Callable[[str], bool] | None = None,
    ) -> None:
        """Creates a control loop that has not started.

        Args:
            workers: how many objects are reconciled at a time.
            timed: measures each round.
            leading: whether this operator may act.
            is_delivered: as for `Reconciler`.
        """
        self._cache = cache
        self._leading = leading
        self._reconciler = Reconciler(cache, applier, settings, self.enqueue, is_delivered=is_delivered)
        self.workers = Workers(timed(self._reconciler.reconcile), workers, goes_first=cache.is_to_begin)

    @property
    def known(self) -> int:
        """The number of objects in the cache."""
        return len(self._cache)

    def enqueue(self, key: Key) -> None:
        """Queues an object to be reconciled."""
        self.workers.add(key)

    def enqueue_all(self) -> None:
        """Queues every object, as if nothing were in flight."""
        self._reconciler.reset()
        for key in self._cache:
            if key.kind in OWN_KINDS:
                self.enqueue(key)

    def outdate(self, kind: str, namespace: str, name: str) -> None:
        """A Secret or a ConfigMap has changed: checks the identities that use it."""
        for identity in self._cache.identities_with(kind, namespace, name):
            self._reconciler.outdate(identity)

    async def take_in_forever(self) -> None:
        """Keeps up with the changes while no decision is made, a few at a time so that the event loop never stands.

        At the start and in a standby, one decision would otherwise have to take in everything.
        """
        while True:
            await asyncio.sleep(0 if not self._reconciler.take_in(BATCH) else PAUSE)

    async def take_in_all(self) -> None:
        """Returns when all that has been listed is taken in."""
        while not self._reconciler.take_in(BATCH):
            await asyncio.sleep(0)

    @asynccontextmanager
    async def halted(self) -> AsyncIterator[None]:
        """No decision is made inside this context; afterwards every object is decided again."""
        self.workers.pause()
        await self.workers.idle()
        yield
        self.enqueue_all()
        if self._leading():  # otherwise the next term resumes
            self.workers.resume()


class Workers:
    """Takes keys from the queue and reconciles them, up to `count` at a time."""

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
        """Queues a key to be reconciled now."""
        self._queue.add(key)
        self._wake.set()

    def add_after(self, key: Key, delay: timedelta) -> None:
        """Queues a key to be reconciled after a delay."""
        self._queue.add_at(key, self._clock() + max(0.0, delay.total_seconds()))
        self._wake.set()

    def start(self) -> None:
        """Starts the dispatcher; keys that were added before are kept."""
        self._dispatcher = asyncio.create_task(self._dispatch(), name="work queue")

    def pause(self) -> None:
        """Starts no round until `resume`; added keys wait."""
        self._paused = True

    def resume(self) -> None:
        """Starts rounds again."""
        self._paused = False
        self._wake.set()

    async def idle(self) -> None:
        """Waits until no round is running."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def stop(self, grace: float) -> bool:
        """Starts no round and waits for running ones, for `grace` seconds; returns whether all of them ended."""
        self._stopping = True
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace)
        return not self._running

    def problem(self) -> str | None:
        """Returns why the workers are not alive, None if they are. For the liveness probe."""
        if self._dispatcher is None or (self._dispatcher.done() and not self._stopping):
            return "the dispatcher of the work queue has ended"
        oldest = min(self._running.values(), default=None)
        if oldest is not None and self._clock() - oldest > STALLED_AFTER:
            return f"expected a round to end within {STALLED_AFTER:.0f} s, but one still runs"
        return None

    @property
    def figures(self) -> dict[str, int]:
        """Lengths of the queue, by the names that probes and metrics use."""
        return {"ready": len(self._queue), "delayed": self._queue.delayed, "underWay": self._queue.under_way}

    async def _dispatch(self) -> None:
        while not self._stopping:
            while self._may_take() and (key := self._take()) is not None:
                task = asyncio.create_task(self._work(key), name=f"reconcile {key}")
                self._running[task] = self._clock()
                task.add_done_callback(self._ended)
            await self._sleep()

    def _take(self) -> Key | None:
        """Keeps a quarter of the workers for keys that go first: otherwise all could be busy with something long."""
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
            message = "%s: %s; retrying in %.1f s"
            logger.warning(message, key, error, delay, exc_info=_traceback(error), extra=logged(key))
            return
        self._queue.done(key)
        if again is not None:
            self.add_after(key, again)


def _traceback(error: Exception) -> Exception | None:
    """The error for a traceback in the log, None for expected errors: all others are bugs."""
    return None if getattr(error, "expected", False) else error
