"""One object's round: observe, decide, apply."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from smbferry_operator.clock import utc_now
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.errors import RefusedError, TerminatingError
from smbferry_operator.decide.decision import Decision
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.invalid import decide_invalid
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.run.request import decide_request
from smbferry_operator.decide.settings import AgentSettings
from smbferry_operator.decide.task import decide_task
from smbferry_operator.decide.undelivered import is_kept, noted
from smbferry_operator.model import Key, Kind, Meta, Refusal, logged
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.claims import claim_of
from smbferry_operator.observe.observer import Observer
from smbferry_operator.parse import InvalidObjectError
from smbferry_operator.reconcile.in_flight import InFlight
from smbferry_operator.reconcile.patience import Patience
from smbferry_operator.reconcile.wanted_checks import WantedChecks

logger = logging.getLogger(__name__)


class Reconciler:
    """Reconciles objects of all our kinds."""

    def __init__(
        self,
        cache: Cache,
        applier: Applier,
        settings: AgentSettings,
        wake: Callable[[Key], None],
        clock: Callable[[], datetime] = utc_now,
        *,
        is_delivered: Callable[[str], bool] | None = None,
    ) -> None:
        """Creates a reconciler with nothing in flight.

        Args:
            wake: queues an object to be reconciled soon.
            clock: the time of day.
            is_delivered: whether the sink has accepted the event with this id; None if there is no sink.
        """
        self._cache = cache
        self._is_delivered = is_delivered
        self._observer = Observer(cache, settings.limits)
        self._applier = applier
        self._settings = settings
        self._wake = wake
        self._clock = clock
        self._in_flight = InFlight()
        self._wanted = WantedChecks()
        self._patience = Patience()

    def reset(self) -> None:
        """Called before this operator acts, on a fresh cache."""
        self._in_flight.reset()
        self._wanted.clear()

    def outdate(self, identity: Key) -> None:
        """The identity's Secret or ConfigMap has changed: checks it at once."""
        self._in_flight.outdate(identity)
        self._wake(identity)

    async def reconcile(self, key: Key) -> timedelta | None:
        """Brings an object closer to its spec; returns after how long to look again at the latest, None for never.

        Raises:
            ClusterError: retry with backoff.
        """
        try:
            again = await self._round(key, None)
        except TerminatingError:
            self._in_flight.not_started(key)
            self._observer.fleet.stand_aside(key)
            return None
        except RefusedError as error:
            logger.warning("%s: %s", key, error, extra=logged(key))
            since = self._in_flight.refused_since(key, self._clock())
            refusal = Refusal(error.what, error.message, error.permanent, error.room, since)
            return await self._round(key, refusal)
        self._in_flight.accepted(key)
        return again

    async def _round(self, key: Key, refusal: Refusal | None) -> timedelta | None:
        decided = self._decide(key, refusal)
        if decided is None:
            self._in_flight.forget(key)
            self._wanted.note(key, None)
            self._wake_others(key)
            return None
        self._wake_others(key)
        about, decision = decided
        decision = self._noted(key, decision)
        for name in decision.awaits:
            identity = Key(Kind.IDENTITY, key.namespace, name)
            self._in_flight.want_check(identity)
            self._wake(identity)
        self._note_check(key, decision)
        try:
            await self._applier.carry_out(key, about, decision)
        except RefusedError as error:
            if not decision.only_carries:
                raise
            return await self._refuse_locations(key, about, decision, error)
        except Exception:
            self._observer.fleet.stand_aside(key)  # retried later, and meanwhile nobody waits for it
            raise
        finally:
            self._in_flight.attempted(key)
        self._in_flight.carried_out(key)
        for location in decision.carries:
            self._in_flight.carried(Key(Kind.LOCATION, key.namespace, location))
        self._wake_others(key)
        return decision.requeue_after

    def _noted(self, key: Key, decision: Decision) -> Decision:
        """The decision, with the events for the sink that it causes."""
        body = self._cache.get(key)
        if self._is_delivered is None or body is None:
            return decision
        return noted(key, body, decision, is_delivered=self._is_delivered, is_kept=self._is_kept)

    def _is_kept(self, key: Key) -> bool:
        """Whether it is an ended run that must not be deleted yet."""
        run = self._cache.get(key) if key.kind is Kind.RUN else None
        return run is not None and self._is_delivered is not None and is_kept(run, self._clock(), self._is_delivered)

    def _note_check(self, key: Key, decision: Decision) -> None:
        """Notes the next check that a location wants; its identity decides about it once it is due."""
        if key.kind is not Kind.LOCATION:
            return
        self._wanted.note(key, decision.check)
        if decision.check is not None and decision.check.due_at <= self._clock():
            self._wake(Key(Kind.IDENTITY, key.namespace, decision.check.identity))

    async def _refuse_locations(
        self, key: Key, about: Meta, decision: Decision, error: RefusedError
    ) -> timedelta | None:
        """The API server refuses the Job that was to carry these locations: they say so, their identity does not."""
        logger.warning("%s: %s", key, error, extra=logged(key))
        now = self._clock()
        for location in (Key(Kind.LOCATION, key.namespace, name) for name in decision.carries):
            self._in_flight.refuse(location, Refusal(error.what, error.message, error.permanent, error.room), now)
            self._wanted.note(location, None)
            self._wake(location)
        await self._applier.carry_out(key, about, replace(decision, apply=(), create=()))
        return decision.requeue_after

    def _wake_others(self, key: Key) -> None:
        """Wakes the runs that may go on by what has changed."""
        self._observer.fleet.starts(self._in_flight.starting, self._in_flight.claims)
        for run in self._observer.fleet.to_wake():
            if run != key:
                self._wake(run)

    def take_in(self, most: int) -> bool:
        """Takes in what has changed since the last decision, so that the next one need not take in everything.

        Args:
            most: how many changed objects.

        Returns:
            Whether that was all.
        """
        return self._observer.fleet.refresh(most)

    def _decide(self, key: Key, refusal: Refusal | None) -> tuple[Meta, Decision] | None:
        """Observes and decides in one step of the event loop, so that no other decision comes between.

        Returns:
            None if the object does not exist.
        """
        now = self._clock()
        try:
            match key.kind:
                case Kind.IDENTITY:
                    return self._decide_identity(key, refusal, now)
                case Kind.LOCATION:
                    location = self._observer.location(key, self._in_flight.refusal_of(key))
                    return (
                        (location.location.meta, decide_location(location, now, self._settings)) if location else None
                    )
                case Kind.TASK:
                    task = self._observer.task(key, refusal)
                    return (task.task.meta, decide_task(task, now)) if task else None
                case Kind.RUN:
                    return self._decide_run(key, refusal, now)
                case _:
                    raise ValueError(f"expected a key of a kind that is reconciled, got {key}")
        except InvalidObjectError as error:
            at_work = self._observer.at_work(key, error.meta)
            return error.meta, decide_invalid(key.kind, error.meta, error.status, str(error), now, at_work=at_work)

    def _decide_identity(self, key: Key, refusal: Refusal | None, now: datetime) -> tuple[Meta, Decision] | None:
        seen = self._observer.identity(
            key,
            refusal,
            awaited=self._in_flight.is_wanted(key),
            outdated=self._in_flight.is_outdated(key),
            checking=self._in_flight.launching_checks(but=key),
            wanted=self._wanted.of(key),
        )
        if seen is None:
            return None
        if not (seen.account_busy or seen.checks.fill(self._settings.max_concurrent_checks)):
            self._in_flight.withdraw(key)
        decision = decide_identity(seen, now, self._settings)
        if seen.account_busy:
            alone = decide_identity(replace(seen, account_busy=False), now, self._settings)
            decision = self._patience.choose(key, decision, alone, now)
        if decision.create:
            self._in_flight.launch_check(key)
        return seen.identity.meta, decision

    def _decide_run(self, key: Key, refusal: Refusal | None, now: datetime) -> tuple[Meta, Decision] | None:
        if (request := self._observer.request(key, refusal)) is not None:
            return request.run.meta, decide_request(request, now, self._settings)
        seen = self._observer.run(key, self._in_flight.claims, refusal, starting=self._in_flight.starting)
        if seen is None:
            return None
        decision = decide_run(seen, now, self._settings)
        if seen.account_used_at is not None:
            alone = decide_run(replace(seen, account_used_at=None), now, self._settings)
            decision = self._patience.choose(key, decision, alone, now)
        if decision.create and seen.standing is not None:
            self._in_flight.start(key, seen.standing.demand)
        if decision.claim is not None:
            self._in_flight.claim(key, claim_of(seen.run, decision.claim, now, writing=True))
        return seen.run.meta, decision
