"""One object's round: observe, decide, apply. And the news that sets rounds going."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import RUN_QUEUED
from smbferry_api.run_status import RunState
from smbferry_operator.cache import TAG_QUEUED, TAG_WRITER, Cache, key_of
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.claims import claim_of
from smbferry_operator.cluster.errors import RefusedError, TerminatingError
from smbferry_operator.cluster.observe import Observer
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.invalid import decide_invalid
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest, Meta, Refusal
from smbferry_operator.parse import InvalidObjectError

if TYPE_CHECKING:
    from smbferry_operator.decide.observation import Claim

logger = logging.getLogger(__name__)

GONE: Final = "Gone"
ENDED_STATES: Final = frozenset(state.value for state in RunState if state.ended)


def utc_now() -> datetime:
    """The time, for everything that decides by it."""
    return datetime.now(UTC)


class Reconciler:
    """Knows which function decides about which kind."""

    def __init__(
        self,
        cache: Cache,
        applier: Applier,
        settings: AgentSettings,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Puts it together.

        Args:
            wake: has an object reconciled soon.
        """
        self._observer = Observer(cache)
        self._applier = applier
        self._settings = settings
        self._wake = wake
        self._clock = clock
        self._reserved: dict[Key, Claim] = {}
        self._refused: dict[Key, datetime] = {}
        """Since when the API server has refused what an object needs."""
        self._awaited: set[Key] = set()
        """Identities that are to be checked before others use their keys; whoever waits asks again."""
        self._outdated: set[Key] = set()
        """Identities whose Secret or ConfigMap has changed; their next check, or a restart, forgets it."""
        self._patience = Patience()
        self._checking: set[Key] = set()
        """Identities whose check is being launched: others of the account wait as if its Job were there."""

    def forget_reservations(self) -> None:
        """When this operator begins to act: what it once had under way has ended, and the cache is fresh."""
        self._reserved.clear()
        self._awaited.clear()

    def outdate(self, identity: Key) -> None:
        """What the identity refers to has changed: it is checked at once."""
        self._outdated.add(identity)
        self._wake(identity)

    async def reconcile(self, key: Key) -> timedelta | None:
        """Brings an object nearer to what is wanted; returns when to look again at the latest.

        Raises:
            ClusterError: to be repeated with backoff.
        """
        try:
            again = await self._round(key, None)
        except TerminatingError:
            return None
        except RefusedError as error:
            logger.warning("%s: %s", key, error)
            since = self._refused.setdefault(key, self._clock())
            refusal = Refusal(error.what, error.message, error.permanent, error.room, since)
            return await self._round(key, refusal)
        self._refused.pop(key, None)
        return again

    async def _round(self, key: Key, refusal: Refusal | None) -> timedelta | None:
        decided = self._decide(key, refusal)
        if decided is None:
            return None
        about, decision = decided
        for name in decision.awaits:
            identity = Key(Kind.IDENTITY, key.namespace, name)
            self._awaited.add(identity)
            self._wake(identity)
        try:
            await self._applier.carry_out(key, about, decision)
        finally:
            self._checking.discard(key)
        self._reserved.pop(key, None)  # the Job is in the cache now and speaks for itself
        return decision.requeue_after

    def _decide(self, key: Key, refusal: Refusal | None) -> tuple[Meta, Decision] | None:
        """Observes and decides in one step of the event loop: no other decision comes between."""
        now = self._clock()
        try:
            match key.kind:
                case Kind.IDENTITY:
                    return self._decide_identity(key, refusal, now)
                case Kind.LOCATION:
                    location = self._observer.location(key, refusal)
                    return (
                        (location.location.meta, decide_location(location, now, self._settings)) if location else None
                    )
                case Kind.TASK:
                    task = self._observer.task(key, refusal)
                    return (task.task.meta, decide_task(task, now)) if task else None
                case Kind.RUN:
                    return self._decide_run(key, refusal, now)
                case _:
                    raise ValueError(f"{key} is not reconciled by itself")
        except InvalidObjectError as error:
            at_work = self._observer.at_work(key, error.meta)
            return error.meta, decide_invalid(key.kind, error.meta, error.status, str(error), now, at_work=at_work)

    def _decide_identity(self, key: Key, refusal: Refusal | None, now: datetime) -> tuple[Meta, Decision] | None:
        awaited, outdated = key in self._awaited, key in self._outdated
        checking = self._checking - {key}
        seen = self._observer.identity(key, refusal, awaited=awaited, outdated=outdated, checking=checking)
        if seen is None or not (seen.account_busy or seen.checks.fill(self._settings.max_concurrent_checks)):
            self._awaited.discard(key)
        if seen is None:
            self._outdated.discard(key)
            return None
        decision = decide_identity(seen, now, self._settings)
        if seen.account_busy:
            free = decide_identity(replace(seen, account_busy=False), now, self._settings)
            decision = self._patience.either(key, decision, free, now)
        if decision.create:
            self._outdated.discard(key)
            self._checking.add(key)
        return seen.identity.meta, decision

    def _decide_run(self, key: Key, refusal: Refusal | None, now: datetime) -> tuple[Meta, Decision] | None:
        seen = self._observer.run(key, self._reserved, refusal)
        if seen is None:
            self._reserved.pop(key, None)
            return None
        decision = decide_run(seen, now, self._settings)
        if seen.account_used_at is not None:
            free = decide_run(replace(seen, account_used_at=None), now, self._settings)
            decision = self._patience.either(key, decision, free, now)
        if decision.claim is not None:
            self._reserved[key] = claim_of(seen.run, decision.claim, now, writing=True)
        return seen.run.meta, decision


class Patience:
    """How long objects have waited for others of the same account, which may lie in namespaces of other people.

    Whoever keeps an identity of the account busy there, or says so, keeps nobody waiting for longer than `ENOUGH`.
    """

    ENOUGH: Final = timedelta(minutes=1)

    def __init__(self) -> None:
        self._since: dict[Key, datetime] = {}

    def either(self, key: Key, waits: Decision, goes: Decision, now: datetime) -> Decision:
        """What to do of two decisions, where the second is that without the others."""
        if waits.create or not goes.create:
            self._since.pop(key, None)
            return waits
        if now - self._since.setdefault(key, now) < self.ENOUGH:
            return waits
        del self._since[key]
        return goes


class News:
    """From what changed in the cluster to what must be looked at."""

    def __init__(
        self, cache: Cache, enqueue: Callable[[Key], None], run_ended: Callable[[Manifest], None] = lambda _: None
    ) -> None:
        self._cache = cache
        self._enqueue = enqueue
        self._run_ended = run_ended

    def seen(self, kind: Kind, body: Manifest, *, deleted: bool = False) -> None:
        """Takes in a watch event."""
        key = key_of(kind, body)
        before = _Standing.of(self._cache, key)
        if deleted:
            self._cache.remove(kind, body)
        elif not self._cache.put(kind, body):
            return
        after = _Standing.of(self._cache, key)
        if kind is Kind.RUN and before.going_on and after.ended:
            self._run_ended(body)
        concerned = {key, *self._cache.referrer_keys(key)}
        if kind is Kind.IDENTITY:
            concerned |= self._users(key)
            if before.key_use != after.key_use:
                concerned |= self._of_one_account(key)
        elif kind in {Kind.JOB, Kind.POD}:
            concerned |= before.references | after.references
            for owner in after.references:  # who waits for an identity's check
                concerned |= self._users(owner)
        elif kind is Kind.LOCATION:
            concerned |= after.references  # a key that was refused casts doubt on its identity
        elif kind is Kind.RUN and before.state != after.state:
            tasks = before.references | after.references
            locations = {place for task in tasks for place in self._cache.references_of(task)}
            concerned |= tasks | locations
            concerned |= {identity for place in locations for identity in self._cache.references_of(place)}
        if before.in_the_way and not after.in_the_way and not after.launched:
            concerned |= {run for run in self._cache.tagged(TAG_QUEUED) if self._is_in_line(run)}
        self.changed(concerned)

    def _is_in_line(self, run: Key) -> bool:
        """Whether a run says that it waits for another; one that has not said so yet is looked at when it has."""
        conditions = ((self._cache.get(run) or {}).get("status") or {}).get("conditions") or ()
        return any(c.get("type") == ConditionType.SUCCEEDED and c.get("reason") == RUN_QUEUED.name for c in conditions)

    def _users(self, identity: Key) -> set[Key]:
        """The locations of an identity, and the runs that have not begun and are to use it."""
        if identity.kind is not Kind.IDENTITY:
            return set()
        refer = self._cache.referrer_keys
        locations = set(refer(identity, Kind.LOCATION))
        tasks = {task for location in locations for task in refer(location, Kind.TASK)}
        runs = {run for task in tasks for run in refer(task, Kind.RUN)}
        return locations | {run for run in runs if TAG_QUEUED in self._cache.tags_of(run)}

    def _of_one_account(self, identity: Key) -> set[Key]:
        """The identities that a wrong key of this one concerns."""
        return {other for tag in self._cache.tags_of(identity) for other in self._cache.tagged(tag)}

    def listed(self, kind: Kind, bodies: Iterable[Manifest]) -> set[Key]:
        """Takes in a part of a list; returns what it names."""
        names: set[Key] = set()
        for body in bodies:
            names.add(key_of(kind, body))
            self.seen(kind, body)
        return names

    def complete(self, kind: Kind, names: set[Key], version: int, *, within: Callable[[Key], bool]) -> None:
        """Forgets what a full list as of that version did not name."""
        for body in self._cache.missing(kind, names, version, within):
            self.seen(kind, body, deleted=True)

    def changed(self, keys: Iterable[Key]) -> None:
        """Queues what is reconciled by itself."""
        for key in keys:
            if key.kind in OWN_KINDS:
                self._enqueue(key)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What of an object matters to others."""

    references: frozenset[Key]
    state: str | None
    in_the_way: bool
    """It writes to a destination, or waits for one before others."""
    key_use: tuple[Any, ...]
    """Of an identity: what the KDC said of its keys, which concerns all of its account."""

    @property
    def ended(self) -> bool:
        """Whether it is a run that is over."""
        return self.state in ENDED_STATES

    @property
    def launched(self) -> bool:
        """Whether it is a run that begins: its Job stands in the way from now on."""
        return self.state == RunState.LAUNCHING

    @property
    def going_on(self) -> bool:
        """Whether it is there and not over."""
        return self.state != GONE and not self.ended

    @classmethod
    def of(cls, cache: Cache, key: Key) -> "_Standing":
        body = cache.get(key)
        status = (body or {}).get("status") or {}
        in_the_way = bool(cache.tags_of(key) & {TAG_WRITER, TAG_QUEUED})
        use = status.get("keyUse") or {}
        ticket = [c["status"] for c in status.get("conditions") or () if c["type"] == ConditionType.TICKET_ACQUIRED]
        key_use = (use.get("wrong"), use.get("refused"), ticket) if key.kind is Kind.IDENTITY else ()
        return cls(cache.references_of(key), status.get("state") if body else GONE, in_the_way, key_use)
