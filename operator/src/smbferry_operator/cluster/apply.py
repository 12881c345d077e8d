"""Carries out a Decision. Every step may be repeated: names are deterministic and statuses are applied whole."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import ConflictError, NotFoundError
from smbferry_operator.decide.decision import Decision, Event
from smbferry_operator.model import Key, Kind, Manifest, Meta

logger = logging.getLogger(__name__)

REFERRING: Final = "RoleBinding"
"""Kubernetes looks up what it refers to, so it comes after everything else."""


class Applier:
    """Writes to the cluster; what comes back is news at once, so that the next decision sees it."""

    def __init__(
        self,
        cluster: Cluster,
        seen: Callable[[Kind, Manifest], None],
        record: Callable[[Key, Meta, Event], None],
    ) -> None:
        self._cluster = cluster
        self._seen = seen
        self._record = record

    async def carry_out(self, key: Key, about: Meta, decision: Decision) -> None:
        """Does what was decided about an object.

        Raises:
            RefusedError: the API server does not accept an object; nothing after it was done.
            ClusterError: to be repeated.
        """
        for together in _in_order(decision.apply):
            await asyncio.gather(*(self._cluster.apply(body) for body in together))
        for together in _in_order(decision.provide):
            await asyncio.gather(*(self._create(body) for body in together))
        for body in decision.create:
            await self._create(body)
        for other in decision.delete:
            await self._cluster.delete(other, about.uid if other == key else "")
        if decision.status is not None and not await self._write_status(key, about, decision.status.as_json()):
            return
        for event in decision.events:
            self._record(key, about, event)

    async def _create(self, body: Manifest) -> None:
        try:
            created = await self._cluster.create(body)
        except ConflictError:
            logger.info("%s %s exists already", body["kind"], body["metadata"]["name"])
            return
        if body["kind"] in set(Kind):
            self._seen(Kind(body["kind"]), created)

    async def _write_status(self, key: Key, about: Meta, status: Manifest) -> bool:
        """Whether the object is still there."""
        try:
            written = await self._cluster.apply_status(key, about.uid, status)
        except (NotFoundError, ConflictError):
            return False
        self._seen(key.kind, written)
        return True


def _in_order(bodies: Iterable[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """What may be written at once, and what after that."""
    first: list[Manifest] = []
    second: list[Manifest] = []
    for body in bodies:
        (second if body["kind"] == REFERRING else first).append(body)
    return first, second
