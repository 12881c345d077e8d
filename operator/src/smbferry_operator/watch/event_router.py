"""From a watch event to the keys that are decided about again: what was heard, and which objects a change concerns.

Whom a run that ends lets go on is not found here but from the index of claims and limits, after the decision about it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from smbferry_api.conditions import ConditionType
from smbferry_api.run_status import ENDED
from smbferry_operator.clock import uptime
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache, key_of, version_of
from smbferry_operator.observe.tags import TAG_KEY_REFUSED, TAG_QUEUED, user_tag
from smbferry_operator.parse import class_of, parse_owner
from smbferry_operator.watch.echo import Echo, Stream

GONE: Final = "Gone"


class EventRouter:
    """Takes objects into the cache and queues the keys that each change concerns."""

    def __init__(
        self,
        cache: Cache,
        enqueue: Callable[[Key], None],
        run_ended: Callable[[Manifest], None] = lambda _: None,
        changed: Callable[[Kind, Manifest], None] = lambda _kind, _body: None,
        *,
        class_name: str = "",
    ) -> None:
        """Creates a router.

        Args:
            run_ended: called with each run that ends.
            changed: called with each new version of an object.
            class_name: the class of this operator; empty for the default class.
        """
        self._cache = cache
        self._enqueue = enqueue
        self._run_ended = run_ended
        self._class_name = class_name
        self._changed = changed

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool = False) -> None:
        """Takes in one object, from a watch event, a list or an answer to a write.

        An object of another class is for this operator one that does not exist. If an object of this class had its
        name, that was deleted.
        """
        key, foreign = key_of(kind, body), not self._handles(kind, body)
        if foreign and key not in self._cache:
            self._cache.remove(kind, body)  # so that an older version, of this class, does not enter later
            return
        before = _SharedFacts.of(self._cache, key)
        if deleted or foreign:
            self._cache.remove(kind, body)
        elif not self._cache.put(kind, body):
            return
        after = _SharedFacts.of(self._cache, key)
        if kind is Kind.RUN and before.active and after.ended:
            self._run_ended(body)
        if not deleted:
            self._changed(kind, body)
        self.enqueue({key, *self._cache.referrer_keys(key)} | self._affected(key, before, after))

    def listed(self, kind: Kind, bodies: Iterable[Manifest]) -> set[Key]:
        """Takes in one page of a list; returns the keys on it."""
        keys: set[Key] = set()
        for body in bodies:
            keys.add(key_of(kind, body))
            self.seen(kind, body)
        return keys

    def complete(self, kind: Kind, keys: set[Key], version: int, *, within: Callable[[Key], bool]) -> None:
        """Removes what a full list as of this resourceVersion does not contain."""
        for body in self._cache.missing(kind, keys, version, within):
            self.seen(kind, body, deleted=True)

    def enqueue(self, keys: Iterable[Key]) -> None:
        """Queues the keys of kinds that are reconciled."""
        for key in keys:
            if key.kind in OWN_KINDS:
                self._enqueue(key)

    def _handles(self, kind: Kind, body: Manifest) -> bool:
        """Whether the object is of this operator's class. Of Jobs and pods, watches and lists select only such."""
        return kind not in OWN_KINDS or class_of(body) == self._class_name

    def _affected(self, key: Key, before: "_SharedFacts", after: "_SharedFacts") -> set[Key]:
        """The keys beside the object itself and its referrers."""
        references = before.references | after.references
        match key.kind:
            case Kind.IDENTITY:
                same_account = self._same_account(key) if before.key_use != after.key_use else set()
                return self._queued_runs(key) | same_account
            case Kind.JOB | Kind.POD:  # its owner, what it carries, and who waits for the owner's check
                return {*references, *self._carried(key)}.union(*(self._queued_runs(owner) for owner in references))
            case Kind.LOCATION if before.key_use != after.key_use:  # a refused key casts doubt on the identity
                return set(after.references)
            case Kind.RUN:
                changed = before.state != after.state
                return self._around_run(key, references) if changed else _served_by(references)
            case Kind.NAMESPACE:  # its labels decide which locations it may use
                tasks = set(self._cache.tagged(user_tag(key.name)))
                return tasks | {run for task in tasks for run in self._cache.referrer_keys(task, Kind.RUN)}
            case _:
                return set()

    def _around_run(self, run: Key, references: Iterable[Key]) -> set[Key]:
        """What a run refers to, and the locations and identities that it uses."""
        named = {place for task in references for place in self._cache.references_of(task)}
        # A task may name any location: only runs beside it tell whether it works.
        locations = {place for place in named if place.namespace == run.namespace}
        identities = {identity for place in locations for identity in self._cache.references_of(place)}
        return set(references) | locations | identities

    def _carried(self, key: Key) -> frozenset[Key]:
        """Of a pod: what its Job works for. (A Job refers to what it carries.)"""
        body = self._cache.get(key)
        controller = parse_owner(body["metadata"]) if body is not None and key.kind is Kind.POD else None
        if controller is None or controller.kind != Kind.JOB:
            return frozenset()
        return self._cache.references_of(Key(Kind.JOB, key.namespace, controller.name))

    def _queued_runs(self, identity: Key) -> set[Key]:
        """The runs without a Job that are to use the identity."""
        if identity.kind is not Kind.IDENTITY:
            return set()
        refer = self._cache.referrer_keys
        tasks = {task for location in refer(identity, Kind.LOCATION) for task in refer(location, Kind.TASK)}
        runs = {run for task in tasks for run in refer(task, Kind.RUN)}
        return {run for run in runs if run.namespace == identity.namespace and TAG_QUEUED in self._cache.tags_of(run)}

    def _same_account(self, key: Key) -> set[Key]:
        """The identities of the same account: a wrong key of one counts for all."""
        return {other for tag in self._cache.tags_of(key) for other in self._cache.tagged(tag)}


def _served_by(references: Iterable[Key]) -> set[Key]:
    """The run that a run serves."""
    return {other for other in references if other.kind is Kind.RUN}


class Intake:
    """Where watch events and answers to writes come in. It remembers which versions the watches must still deliver."""

    def __init__(self, router: EventRouter, echo: Echo, *, by_namespace: bool) -> None:
        """Creates an intake.

        Args:
            by_namespace: each watched namespace has watches of its own.
        """
        self._router = router
        self._echo = echo
        self._by_namespace = by_namespace

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool) -> None:
        """Takes in a watch event."""
        self._echo.heard(self._stream(kind, body), version_of(body))
        self._router.seen(kind, body, deleted=deleted)

    def written(self, kind: Kind, body: Manifest) -> None:
        """Takes in an object that this operator wrote; its watch must deliver it, too."""
        self._echo.expect(self._stream(kind, body), version_of(body), uptime())
        self._router.seen(kind, body)

    def _stream(self, kind: Kind, body: Manifest) -> Stream:
        return Stream(kind, key_of(kind, body).namespace if self._by_namespace else "")


@dataclass(frozen=True, slots=True)
class _SharedFacts:
    """The facts of an object by which other objects are decided."""

    references: frozenset[Key]
    state: str | None
    key_use: tuple[Any, ...]
    """Of an identity: the KDC's answers about its keys. Of a location: when its agent was refused the key."""

    @property
    def ended(self) -> bool:
        """Whether it is a run that has ended."""
        return self.state in ENDED

    @property
    def active(self) -> bool:
        """Whether it exists and has not ended."""
        return self.state != GONE and not self.ended

    @classmethod
    def of(cls, cache: Cache, key: Key) -> "_SharedFacts":
        body = cache.get(key)
        status = (body or {}).get("status") or {}
        use = status.get("keyUse") or {}
        tickets = [c for c in status.get("conditions") or () if c["type"] == ConditionType.TICKET_ACQUIRED]
        key_use: tuple[Any, ...] = ()
        if key.kind is Kind.IDENTITY:
            key_use = (use.get("wrong"), use.get("refused"), [ticket["status"] for ticket in tickets])
        elif TAG_KEY_REFUSED in cache.tags_of(key):
            key_use = (status.get("lastCheckTime"),)
        return cls(cache.references_of(key), status.get("state") if body else GONE, key_use)
