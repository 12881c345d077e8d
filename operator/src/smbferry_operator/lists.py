"""Full lists: what a watch has missed is found, and what was heard of a cluster that is no more is forgotten.

A resourceVersion only grows, unless the API server's store was restored from a backup. Then all that is known is newer
than all that comes, and none of it would be believed: a list that is older than what was heard before it was asked for
drops everything, and it is read anew before anything else is decided.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from smbferry_api.names import LABEL_MANAGED_BY, MANAGED_BY_OPERATOR
from smbferry_operator.cache import Cache, version_of
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ClusterError, NotFoundError
from smbferry_operator.echo import Echo, Stream
from smbferry_operator.leader import uptime
from smbferry_operator.model import Key, Kind
from smbferry_operator.reconcile import News

logger = logging.getLogger(__name__)

RETRY: Final = 2.0
AGENT_SELECTOR: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY_OPERATOR}"
SELECTED: Final = (Kind.JOB, Kind.POD)
"""Kinds of which only our own objects are asked for."""


class RestoredError(ClusterError):
    """The API server's objects are older than what was heard of it: its store was restored from a backup."""


class Lister:
    """Takes in all objects of a kind, a page at a time."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        news: News,
        echo: Echo,
        *,
        namespaces: tuple[str, ...],
        halted: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """Puts it together.

        Args:
            namespaces: those that are watched; all when empty.
            halted: while it is entered nothing is decided; when it is left all is looked at again.
        """
        self._cluster = cluster
        self._cache = cache
        self._news = news
        self._echo = echo
        self._namespaces = namespaces
        self._halted = halted
        self._whole = True
        """False from when everything was dropped until everything was read again."""

    async def until_answered(self, kinds: Iterable[Kind]) -> None:
        """Waits, aloud, for an API server that answers and knows our kinds."""
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
                logger.warning("waiting for the lists: %s", text)
                complaint = text
            await asyncio.sleep(RETRY)

    async def all(self, kinds: Iterable[Kind]) -> None:
        """Lists these kinds; all of them where everything has been dropped.

        Raises:
            ClusterError: to be repeated.
        """
        try:
            await self._all(kinds if self._whole else Kind)
        except RestoredError as error:
            await self._anew(error)

    async def one(self, kind: Kind, namespace: str | None) -> int:
        """Lists a kind; returns the newest resourceVersion among its objects.

        Raises:
            ClusterError: to be repeated.
        """
        try:
            return await self._one(kind, namespace)
        except RestoredError as error:
            await self._anew(error)
            return await self._one(kind, namespace)

    async def _anew(self, error: RestoredError) -> None:
        logger.error("%s; everything is read anew", error)
        async with self._halted():
            self._whole = False
            self._cache.clear()
            self._echo.reset()
            await self.until_answered(Kind)

    async def _all(self, kinds: Iterable[Kind]) -> None:
        everything = not self._whole
        for namespace in self._namespaces or (None,):
            for kind in kinds:
                await self._one(kind, namespace)
        self._whole = self._whole or everything

    async def _one(self, kind: Kind, namespace: str | None) -> int:
        heard = self._cache.newest(kind)
        names: set[Key] = set()
        newest = version = -1
        async for page in self._cluster.pages(kind, namespace, AGENT_SELECTOR if kind in SELECTED else ""):
            version = page.version
            if version < heard:
                raise RestoredError(
                    f"list of {kind}: expected resourceVersion {heard} or newer, got {version}:"
                    " the API server's store was restored from a backup"
                )
            names |= self._news.listed(kind, page.items)
            newest = max((newest, *map(version_of, page.items)))

        def within(key: Key) -> bool:
            return namespace is None or key.namespace == namespace

        self._echo.expect(Stream(kind, namespace or ""), newest, uptime())
        self._news.complete(kind, names, version, within=within)
        return newest
