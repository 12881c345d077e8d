"""Puts the parts together: the cache, the work queue, the reconciler, and what keeps them supplied."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from smbferry_operator.cache import Cache, key_of, version_of
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError
from smbferry_operator.cluster.events import EventRecorder
from smbferry_operator.cluster.metadata import MetadataWatch
from smbferry_operator.echo import Echo, Stream
from smbferry_operator.leader import Elector, Fence, Store, uptime
from smbferry_operator.lists import Lister
from smbferry_operator.metrics import Metrics
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.reconcile import News, Reconciler, utc_now
from smbferry_operator.serve import Server, Verdict
from smbferry_operator.settings import Settings
from smbferry_operator.workers import Workers

logger = logging.getLogger(__name__)

STOP_GRACE: Final = 20.0
LAST_EVENTS_GRACE: Final = 3.0
ECHO_CHECK: Final = 15.0
DECISIVE: Final = (Kind.RUN, Kind.JOB, Kind.POD)
"""Kinds that a new leader lists before it acts: a stale picture of them could start a second writer."""


class Service:
    """One operator's life: start, news, turns as the leader, stop."""

    def __init__(
        self, settings: Settings, cluster: Cluster, fence: Fence, store: Store | None, identity: str, *, aside: Cluster
    ) -> None:
        """Puts an operator together.

        Args:
            store: where the lease is kept; None for one that elects no leader.
            identity: a name for the lease that no other process ever has.
            aside: for what is written whether or not this operator leads: Events.
        """
        self._settings = settings
        self._cluster = cluster
        self._fence = fence
        self._cache = Cache()
        self._echo = Echo()
        self._metrics = Metrics(self._cache, self._leading)
        self._news = News(self._cache, self._enqueue, self._metrics.run_ended)
        self._recorder = EventRecorder(aside, utc_now, settings.instance)
        applier = Applier(cluster, self._written, self._recorder.record)
        self._reconciler = Reconciler(self._cache, applier, settings.agent, self._enqueue)
        self._workers = Workers(
            self._metrics.timed(self._reconciler.reconcile), settings.workers, goes_first=self._cache.is_to_begin
        )
        watched = settings.namespaces
        self._lister = Lister(cluster, self._cache, self._news, self._echo, namespaces=watched, halted=self._halted)
        self._elector = (
            Elector(store, identity, fence, began=self._began, ceased=self._ceased, utc_now=utc_now) if store else None
        )
        self._metadata = [
            MetadataWatch(cluster, kind, namespace, self._changed)
            for kind in ("Secret", "ConfigMap")
            for namespace in (settings.namespaces or (None,))
            if settings.watch_secrets
        ]
        self._server = Server(alive=self.alive, ready=self.ready, metrics=self._exposed)
        self._tasks: list[asyncio.Task[None]] = []
        self._tenure: asyncio.Task[None] | None = None
        self._warm = False

    async def start(self) -> None:
        """Lists everything, then stands for election: nothing is decided on half a picture."""
        await self._server.start(self._settings.health_port, self._settings.metrics_port)
        await self._lister.until_answered(Kind)
        gc.collect()
        gc.freeze()  # thousands of objects that stay: going through them again and again would halt everything else
        self._warm = True
        self._workers.pause()
        self._workers.start()
        logger.info("%d objects listed; ready", len(self._cache))
        self._run(self._resync_forever(self._settings.resync), "resync")
        self._run(self._listen_forever(), "echo")
        self._run(self._recorder.post_forever(), "events")
        self._loop = asyncio.get_running_loop()
        for watch in self._metadata:
            watch.start()
        if self._elector is not None:
            self._run(self._elector.run(), "election")
        else:
            self._fence.hold(float("inf"))
            self._began()

    async def stop(self) -> None:
        """Ends what is under way, takes nothing new, and gives the lease up only then."""
        self._warm = False
        for watch in self._metadata:
            watch.stop()
        ended = await self._workers.stop(STOP_GRACE)
        await self._recorder.flush(LAST_EVENTS_GRACE)
        for task in self._all_tasks():
            task.cancel()
        await asyncio.gather(*self._all_tasks(), return_exceptions=True)
        if self._elector is not None and ended:
            await self._elector.release()
        await self._server.stop()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _enqueue(self, key: Key) -> None:
        self._workers.add(key)

    # --- News

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in a watch event."""
        self._echo.heard(self._stream(kind, body), version_of(body))
        self._news.seen(kind, body, deleted=deleted)

    def _changed(self, kind: str, namespace: str, name: str) -> None:
        """Takes in, from a watch's own thread, that a Secret or a ConfigMap is another one now."""
        self._loop.call_soon_threadsafe(self._outdate, kind, namespace, name)

    def _outdate(self, kind: str, namespace: str, name: str) -> None:
        for identity in self._cache.identities_with(kind, namespace, name):
            self._reconciler.outdate(identity)

    def _written(self, kind: Kind, body: Manifest) -> None:
        """Takes in what we wrote ourselves; its watch has to tell of it, too."""
        self._echo.expect(self._stream(kind, body), version_of(body), uptime())
        self._news.seen(kind, body)

    def _stream(self, kind: Kind, body: Manifest) -> Stream:
        return Stream(kind, key_of(kind, body).namespace if self._settings.namespaces else "")

    # --- Turns as the leader

    def _began(self) -> None:
        """The lease is ours."""
        self._tenure = asyncio.create_task(self._begin(), name="tenure")

    def _ceased(self) -> None:
        """The lease is ours no more."""
        self._workers.pause()
        self._fence.act(acting=False)
        if self._tenure is not None:
            self._tenure.cancel()

    async def _begin(self) -> None:
        """From a warm picture to a fresh one, and to work."""
        await self._workers.idle()
        await self._lister.until_answered(DECISIVE)
        self._look_at_all()
        self._fence.act(acting=True)
        self._workers.resume()
        logger.info("%d objects known; at work", len(self._cache))

    def _leading(self) -> bool:
        return self._fence.remaining() > 0

    # --- Probes and metrics

    def alive(self) -> Verdict:
        """Whether a restart would not help."""
        ended = next((task.get_name() for task in self._all_tasks() if _failed(task)), None)
        problem = f"its task {ended!r} has ended" if ended else self._workers.problem() if self._warm else None
        problem = problem or self._echo.problem()
        return Verdict(problem is None, {"problem": problem, **self._workers.figures})

    def ready(self) -> Verdict:
        """Whether it could lead at once."""
        return Verdict(self._warm, {"leading": self._leading(), "objects": len(self._cache)})

    def _all_tasks(self) -> list[asyncio.Task[None]]:
        return [*self._tasks, *([self._tenure] if self._tenure else [])]

    def _exposed(self) -> bytes:
        return self._metrics.exposed(self._workers.figures)

    # --- Lists

    @asynccontextmanager
    async def _halted(self) -> AsyncIterator[None]:
        """Nothing is decided meanwhile; afterwards everything is looked at again."""
        self._workers.pause()
        await self._workers.idle()
        yield
        self._look_at_all()
        if self._leading():  # else whoever begins to act resumes
            self._workers.resume()

    def _look_at_all(self) -> None:
        self._reconciler.forget_reservations()
        for key in self._cache:
            if key.kind in OWN_KINDS:
                self._enqueue(key)

    async def _resync_forever(self, interval: timedelta) -> None:
        while True:
            await asyncio.sleep(interval.total_seconds())
            try:
                await self._lister.all(Kind)
            except ClusterError as error:
                logger.warning("the full list failed and is repeated later: %s", error)

    async def _listen_forever(self) -> None:
        """Looks itself where a watch should have told of something and has not."""
        while True:
            await asyncio.sleep(ECHO_CHECK)
            for stream in self._echo.overdue(uptime()):
                try:
                    newest = await self._lister.one(stream.kind, stream.namespace or None)
                except ClusterError as error:
                    logger.warning("%s is silent, and a list failed, too: %s", stream, error)
                    break
                self._echo.confirm(stream, newest)


def _failed(task: asyncio.Task[None]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is not None
