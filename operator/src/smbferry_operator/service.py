"""One operator process: its parts, its start and its stop."""

import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from smbferry_operator.background import Background
from smbferry_operator.clock import utc_now
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.events import EventRecorder
from smbferry_operator.health import Health
from smbferry_operator.leader import Fence, Store
from smbferry_operator.leadership import Leadership
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.notify.notifier import Notifier, Surroundings
from smbferry_operator.notify.sink import HttpSink
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.tags import TAG_UNDELIVERED
from smbferry_operator.reconcile.control_loop import ControlLoop
from smbferry_operator.settings import Settings
from smbferry_operator.telemetry.access import MetricsAccess
from smbferry_operator.telemetry.certificate import Certificate
from smbferry_operator.telemetry.metrics import Metrics
from smbferry_operator.telemetry.serve import Protection, Server
from smbferry_operator.watch.credentials import CredentialWatches
from smbferry_operator.watch.echo import Echo
from smbferry_operator.watch.event_router import EventRouter, Intake
from smbferry_operator.watch.lists import Lister
from smbferry_operator.watch.relist import relist_forever, relist_overdue_forever

logger = logging.getLogger(__name__)

STOP_GRACE: Final = 20.0
LAST_EVENTS_GRACE: Final = 3.0


class Service:
    """The operator, from start to stop."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        fence: Fence,
        candidate: tuple[Store, str] | None,
        *,
        unfenced: Cluster,
    ) -> None:
        """Creates an operator that has not started.

        Args:
            candidate: as for `Leadership`.
            unfenced: a client that writes whether or not this operator leads. Events are posted by it, and it is asked
                who may read the metrics.

        Raises:
            CertificateError: the certificate of the metrics cannot be used.
        """
        cache, echo, namespaces = Cache(), Echo(), settings.namespaces
        class_name = settings.agent.class_name

        def leading() -> bool:
            return fence.remaining() > 0

        metrics = Metrics(cache, leading, settings.agent.limits, class_name, settings.tasks_with_series)
        self._settings = settings
        self._notifier = self._notifier_of(cache, leading, metrics)
        changed = self._notifier.seen if self._notifier else _ignored
        router = EventRouter(cache, self._enqueue, metrics.run_ended, changed, class_name=class_name)
        self._background = Background()
        self._recorder = EventRecorder(unfenced, utc_now, settings.instance)
        self._intake = Intake(router, echo, by_namespace=bool(namespaces))
        applier = Applier(cluster, self._intake.written, self._recorder.record)
        self._control_loop = ControlLoop(
            cache,
            applier,
            settings.agent,
            settings.workers,
            timed=metrics.timed,
            leading=leading,
            is_delivered=self._notifier.is_delivered if self._notifier else None,
        )
        workers = self._control_loop.workers
        self._lister = Lister(
            cluster, cache, router, echo,
            namespaces=namespaces, class_name=class_name, halted=self._control_loop.halted,
        )  # fmt: skip
        self._credentials = CredentialWatches(
            cluster, (namespaces or (None,)) if settings.watch_secrets else (), self._control_loop.outdate
        )
        self._leadership = Leadership(fence, candidate, self._control_loop, self._lister, self._background)
        self.health = Health(self._background, self._control_loop, echo, leading)
        self._server = Server(
            alive=self.health.alive,
            ready=self.health.ready,
            metrics=lambda: metrics.exposed(workers.figures),
            protection=_protection(settings.metrics_tls, unfenced),
        )

    async def start(self) -> None:
        """Lists everything, then takes part in the election, so that no decision is made on an incomplete cache."""
        await self._server.start(self._settings.health_port, self._settings.metrics_port)
        await self._lister.until_answered(Kind)
        await self._control_loop.take_in_all()
        gc.collect()
        gc.freeze()  # keeps the collector off thousands of objects that stay: scanning them would block the event loop
        self.health.warm = True
        self._control_loop.workers.pause()
        self._control_loop.workers.start()
        logger.info("%d objects listed; ready", self._control_loop.known)
        self._background.start("take in", self._control_loop.take_in_forever())
        self._background.start("resync", relist_forever(self._lister, self._settings.resync))
        self._background.start("echo", relist_overdue_forever(self._lister))
        self._background.start("events", self._recorder.post_forever())
        if self._notifier is not None:
            self._background.start("cloud events", self._notifier.send_forever())
        self._credentials.start()
        self._leadership.start()

    async def stop(self) -> None:
        """Lets running rounds end, starts no new ones, and then releases the lease."""
        self.health.warm = False
        self._credentials.stop()
        ended = await self._control_loop.workers.stop(STOP_GRACE)
        await self._recorder.flush(LAST_EVENTS_GRACE)
        await self._background.stop()
        if ended:
            await self._leadership.release()
        await self._server.stop()

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in a watch event."""
        self._intake.seen(kind, body, deleted=deleted)

    def _notifier_of(self, cache: Cache, leading: Callable[[], bool], metrics: Metrics) -> Notifier | None:
        sink = self._settings.sink
        if sink is None:
            return None
        around = Surroundings(leading, self._enqueue, metrics.deliveries.accepted, metrics.deliveries.failed)
        notifier = Notifier(cache, TAG_UNDELIVERED, HttpSink(sink), sink.source, around)
        metrics.deliveries.follow(lambda: notifier.pending)
        return notifier

    def _enqueue(self, key: Key) -> None:
        self._control_loop.enqueue(key)


def _protection(certificate: Path | None, cluster: Cluster) -> Protection | None:
    return Protection(MetricsAccess(cluster), Certificate(certificate).context) if certificate else None


def _ignored(_kind: Kind, _body: Manifest) -> None:
    """Without a sink, nobody takes in noted events."""
