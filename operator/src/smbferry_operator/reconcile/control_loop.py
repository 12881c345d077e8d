"""The control loop: keys from the queue, rounds of the reconciler, and pauses in which no decision is made."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from smbferry_operator.cluster.apply import Applier
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.model import OWN_KINDS, Key
from smbferry_operator.observe.cache import Cache
from smbferry_operator.reconcile.reconciler import Reconciler
from smbferry_operator.reconcile.workers import Reconcile, Workers

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
    ) -> None:
        """Creates a control loop that has not started.

        Args:
            workers: how many objects are reconciled at a time.
            timed: measures each round.
            leading: whether this operator may act.
        """
        self._cache = cache
        self._leading = leading
        self._reconciler = Reconciler(cache, applier, settings, self.enqueue)
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
