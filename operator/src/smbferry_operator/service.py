"""Puts the parts together: the cache, the work queue, the reconciler, and what keeps them supplied."""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from smbferry_api.names import LABEL_MANAGED_BY, MANAGED_BY_OPERATOR
from smbferry_operator.cache import Cache
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError, NotFoundError
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.reconcile import News, Reconciler, utc_now
from smbferry_operator.settings import Settings
from smbferry_operator.workers import Workers

logger = logging.getLogger(__name__)

STARTUP_RETRY: Final = 2.0
STOP_GRACE: Final = 20.0
AGENT_SELECTOR: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY_OPERATOR}"
SELECTED: Final = (Kind.JOB, Kind.POD)
"""Kinds of which only our own objects are asked for."""


class Service:
    """One operator's life: start, news, stop."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster
        self._cache = Cache()
        self._news = News(self._cache, self._enqueue)
        applier = Applier(cluster, self._news.seen, utc_now, settings.instance)
        reconciler = Reconciler(self._cache, applier, settings.agent)
        self._workers = Workers(reconciler.reconcile, settings.workers)
        self._resync: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Lists everything, then begins to work: nothing is decided on half a picture."""
        await self._first_list()
        self._workers.start()
        self._resync = asyncio.create_task(self._resync_forever(self._settings.resync), name="resync")
        logger.info("%d objects listed; at work", len(self._cache))

    async def stop(self) -> None:
        """Ends what is under way and takes nothing new."""
        if self._resync is not None:
            self._resync.cancel()
        await self._workers.stop(STOP_GRACE)

    def _enqueue(self, key: Key) -> None:
        self._workers.add(key)

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in a watch event."""
        self._news.seen(kind, body, deleted=deleted)

    def alive(self) -> dict[str, int]:
        """Figures for the liveness probe.

        Raises:
            RuntimeError: the operator is stuck and should be started anew.
        """
        if problem := self._workers.problem():
            raise RuntimeError(problem)
        return self._workers.figures

    async def _first_list(self) -> None:
        """Waits, aloud, for an API server that answers and knows our kinds."""
        complaint = ""
        while True:
            try:
                await self._list_all()
            except NotFoundError as error:
                text = f"the CustomResourceDefinitions of smbferry.io are not installed yet ({error})"
            except ClusterError as error:
                text = str(error)
            else:
                return
            if text != complaint:
                logger.warning("can't start yet: %s", text)
                complaint = text
            await asyncio.sleep(STARTUP_RETRY)

    async def _list_all(self) -> None:
        for namespace in self._settings.namespaces or (None,):
            for kind in Kind:
                await self._list_one(kind, namespace)

    async def _list_one(self, kind: Kind, namespace: str | None) -> None:
        listing = await self._cluster.list(kind, namespace, AGENT_SELECTOR if kind in SELECTED else "")

        def within(key: Key) -> bool:
            return namespace is None or key.namespace == namespace

        self._news.listed(kind, listing.items, listing.version, within=within)

    async def _resync_forever(self, interval: timedelta) -> None:
        while True:
            await asyncio.sleep(interval.total_seconds())
            try:
                await self._list_all()
            except ClusterError as error:
                logger.warning("the full list failed and is repeated later: %s", error)
