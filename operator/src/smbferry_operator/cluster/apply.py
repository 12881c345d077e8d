"""Carries out a Decision. Every step may be repeated: names are deterministic and statuses are applied whole."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from smbferry_operator.decide.decision import Decision, Event
from smbferry_operator.model import Key, Kind, Manifest, Meta

logger = logging.getLogger(__name__)

R = TypeVar("R")

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
            await self._create(body, once=True)
        for other in decision.delete:
            await self._insisting(self._cluster.delete(other, about.uid if other == key else ""))
        if decision.status is not None and not await self._write_status(key, about, decision.status.as_json()):
            return
        for event in decision.events:
            self._record(key, about, event)

    async def _create(self, body: Manifest, *, once: bool = False) -> None:
        """Creates an object.

        Args:
            once: its name says what it is for: one that exists must be it, and not somebody else's.
        """
        try:
            created = await self._cluster.create(body)
        except AlreadyExistsError:
            if not once:
                return
            created = await self._existing(body)
        if body["kind"] in set(Kind):
            self._seen(Kind(body["kind"]), created)

    async def _existing(self, wanted: Manifest) -> Manifest:
        """The object that was created before; the answer to that may have been lost.

        Raises:
            RefusedError: it is somebody else's.
            NotFoundError: it has gone meanwhile: to be repeated.
        """
        kind, meta = wanted["kind"], wanted["metadata"]
        found = await self._cluster.get(kind, meta["namespace"], meta["name"])
        if _controller(found) != _controller(wanted):
            raise RefusedError(kind, f"{kind} {meta['name']} exists and has another owner; delete or rename it")
        logger.info("%s %s exists already", kind, meta["name"])
        return found

    async def _write_status(self, key: Key, about: Meta, status: Manifest) -> bool:
        """Whether the object is still there."""
        try:
            written = await self._insisting(self._cluster.apply_status(key, about.uid, status))
        except NotFoundError:
            return False
        except ConflictError as error:
            if "uid" in str(error).lower():  # another object has the name now
                return False
            raise
        self._seen(key.kind, written)
        return True

    async def _insisting(self, request: Awaitable[R]) -> R:
        """A request that is not about an object which is to be made: refused, it is repeated, and decides nothing.

        Raises:
            UnavailableError: it was refused.
        """
        try:
            return await request
        except RefusedError as error:
            raise UnavailableError(str(error)) from error


def _controller(body: Manifest) -> str | None:
    owners = body["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), None)


def _in_order(bodies: Iterable[Manifest]) -> tuple[list[Manifest], list[Manifest]]:
    """What may be written at once, and what after that."""
    first: list[Manifest] = []
    second: list[Manifest] = []
    for body in bodies:
        (second if body["kind"] == REFERRING else first).append(body)
    return first, second
