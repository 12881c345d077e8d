"""Full lists: they find what a watch has missed, and they notice that etcd was restored from a backup.

A resourceVersion only grows, unless etcd was restored. Then the cache is newer than everything that arrives, and would
ignore it. So a list that is older than what was known before its request clears the cache, and everything is listed
again before the next decision.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from smbferry_operator.clock import uptime
from smbferry_operator.cluster.client import Cluster, selector_of
from smbferry_operator.cluster.errors import ClusterError, NotFoundError
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache, version_of
from smbferry_operator.watch.echo import Echo, Stream
from smbferry_operator.watch.event_router import EventRouter

logger = logging.getLogger(__name__)

RETRY: Final = 2.0


class RestoredError(ClusterError):
    """The listed objects are older than known ones: etcd was restored from a backup."""


class Lister:
    """Lists all objects of a kind into the cache, a page at a time."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        router: EventRouter,
        echo: Echo,
        *,
        namespaces: tuple[str, ...],
        class_name: str,
        halted: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """Creates a lister.

        Args:
            namespaces: the watched namespaces; all if empty.
            class_name: the class of this operator, by which it finds its Jobs and pods.
            halted: a context in which no decision is made and after which every object is decided again.
        """
        self._cluster = cluster
        self._cache = cache
        self._router = router
        self._echo = echo
        self._namespaces = namespaces
        self._class_name = class_name
        self._halted = halted
        self._whole = True
        """False from the moment the cache was cleared until everything was listed again."""

    async def until_answered(self, kinds: Iterable[Kind]) -> None:
        """Retries until the API server lists all these kinds, and logs why it waits."""
        complaint = ""
        while True:
            try:
                await self.all(kinds)
            except NotFoundError as error:
                text = f"the CustomResourceDefinitions of smbferry.io are not installed yet ({error})"
            except ClusterError as error:
                text = str(error)
            else:
                return
            if text != complaint:
                logger.warning("waiting until everything can be listed: %s", text)
                complaint = text
            await asyncio.sleep(RETRY)

    async def all(self, kinds: Iterable[Kind]) -> None:
        """Lists these kinds, or all kinds if the cache was cleared and not filled since.

        Raises:
            ClusterError: retry.
        """
        try:
            await self._all(kinds if self._whole else Kind)
        except RestoredError as error:
            await self._anew(error)

    async def one(self, kind: Kind, namespace: str | None) -> int:
        """Lists a kind; returns the newest resourceVersion among its objects.

        Raises:
            ClusterError: retry.
        """
        try:
            return await self._one(kind, namespace)
        except RestoredError as error:
            await self._anew(error)
            return await self._one(kind, namespace)

    async def overdue(self) -> None:
        """Lists the kinds whose watches have not delivered what they should have; retried at the next call."""
        for stream in self._echo.overdue(uptime()):
            try:
                newest = await self.one(stream.kind, stream.namespace or None)
            except ClusterError as error:
                logger.warning("%s is silent, and the list failed: %s", stream, error)
                break
            self._echo.confirm(stream, newest)

    async def _anew(self, error: RestoredError) -> None:
        logger.error("%s; reading everything again", error)
        async with self._halted():
            self._whole = False
            self._cache.clear()
            self._echo.reset()
            await self.until_answered(Kind)

    async def _all(self, kinds: Iterable[Kind]) -> None:
        everything = not self._whole
        for namespace in self._namespaces or (None,):
            for kind in kinds:
                if namespace is None or kind is not Kind.NAMESPACE:
                    await self._one(kind, namespace)
        self._whole = self._whole or everything

    async def _one(self, kind: Kind, namespace: str | None) -> int:
        heard = self._cache.newest(kind)
        names: set[Key] = set()
        newest = version = -1
        async for page in self._cluster.pages(kind, namespace, selector_of(kind, self._class_name)):
            version = page.version
            if version < heard:
                raise RestoredError(
                    f"list of {kind}: expected resourceVersion {heard} or newer, got {version}:"
                    " the API server's store was restored from a backup"
                )
            names |= self._router.listed(kind, page.items)
            newest = max((newest, *map(version_of, page.items)))

        def within(key: Key) -> bool:
            return namespace is None or key.namespace == namespace

        self._echo.expect(Stream(kind, namespace or ""), newest, uptime())
        self._router.complete(kind, names, version, within=within)
        return newest
