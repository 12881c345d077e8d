"""Carries out a Decision. Every step can be repeated: names are deterministic and statuses are applied whole."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    NotFoundError,
    PolicyRefusedError,
    RefusedError,
    UnavailableError,
)
from smbferry_operator.decide.decision import Decision, Event
from smbferry_operator.model import Key, Kind, Manifest, Meta
from smbferry_operator.parse import class_of

logger = logging.getLogger(__name__)

R = TypeVar("R")

REFERRING: Final = "RoleBinding"
"""Kubernetes looks up what it refers to, so it is written after that."""

POLICY_LAG: Final = 1.0
"""Seconds for which the API server's policies may be behind what the operator has seen."""


class Applier:
    """Writes to the cluster. The answers enter the cache at once, so that the next decision sees them."""

    def __init__(
        self,
        cluster: Cluster,
        seen: Callable[[Kind, Manifest], None],
        record: Callable[[Key, Meta, Event], None],
        policy_lag: float = POLICY_LAG,
    ) -> None:
        self._cluster = cluster
        self._policy_lag = policy_lag
        self._seen = seen
        self._record = record

    async def carry_out(self, key: Key, about: Meta, decision: Decision) -> None:
        """Carries out a decision about an object.

        Raises:
            RefusedError: the API server does not accept an object; no later step was carried out.
            ClusterError: retry.
        """
        for together in _in_order(decision.apply):
            await asyncio.gather(*(self._cluster.apply(body) for body in together))
        for together in _in_order(decision.create):
            await asyncio.gather(*(self._create(body) for body in together))
        for other in decision.delete:
            await self._insisting(self._cluster.delete(other, about.uid if other == key else ""))
        if decision.status is not None and not await self._write_status(key, about, decision.status.as_json()):
            return
        for event in decision.events:
            self._record(key, about, event)

    async def _create(self, body: Manifest) -> None:
        """Creates an object if it does not exist.

        An object of a watched kind that exists must have the expected owner. The operator may not read other kinds,
        such as a ServiceAccount; their names contain a hash of the owner's uid.
        """
        watched = body["kind"] in set(Kind)
        try:
            created = await self._create_as_policies_allow(body)
        except AlreadyExistsError:
            if not watched:
                return
            created = await self._existing(body)
        if watched:
            self._seen(Kind(body["kind"]), created)

    async def _create_as_policies_allow(self, body: Manifest) -> Manifest:
        """Creates an object, in a second attempt if a policy refuses the first.

        A policy about keytabs compares a Job with its identity as the API server's cache has it, which may be behind a
        change that the operator has seen.
        """
        try:
            return await self._cluster.create(body)
        except PolicyRefusedError:
            await asyncio.sleep(self._policy_lag)
        return await self._cluster.create(body)

    async def _existing(self, wanted: Manifest) -> Manifest:
        """The existing object of that name; the answer to its creation may have been lost.

        Raises:
            RefusedError: it has another owner or another class.
            NotFoundError: it was deleted meanwhile: retry.
        """
        kind, meta = wanted["kind"], wanted["metadata"]
        found = await self._cluster.get(kind, meta["namespace"], meta["name"])
        if (_controller(found), class_of(found)) != (_controller(wanted), class_of(wanted)):
            text = f"{kind} {meta['name']} exists and has another owner or className; delete or rename it"
            raise RefusedError(kind, text)
        logger.info("%s %s already exists", kind, meta["name"])
        return found

    async def _write_status(self, key: Key, about: Meta, status: Manifest) -> bool:
        """Writes the status; returns whether the object still exists."""
        try:
            written = await self._insisting(self._cluster.apply_status(key, about.uid, status, about.version))
        except NotFoundError:  # deleted, and perhaps made anew
            return False
        self._seen(key.kind, written)
        return True

    async def _insisting(self, request: Awaitable[R]) -> R:
        """A request that creates nothing: its refusal leads to a retry and to no decision.

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


def _in_order(bodies: Iterable[Manifest]) -> list[list[Manifest]]:
    """Groups that are written one after the other: a RoleBinding after what it names, a Job or a run after all else."""
    groups: list[list[Manifest]] = [[], [], []]
    for body in bodies:
        groups[2 if body["kind"] in set(Kind) else 1 if body["kind"] == REFERRING else 0].append(body)
    return groups
