"""All runs as others see them: their claims on destinations, and what they count for at limits.

Everything is kept up to date by what has changed, so that a decision costs the same with ten and with ten thousand
runs. What a run is told follows from the cache and from the Jobs that are being created; a restart loses nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.limits import Demand, RunLimits, Scope, Standing
from smbferry_operator.decide.observation import Claim
from smbferry_operator.model import Key, Kind, Run
from smbferry_operator.observe.claims import Claims, Found
from smbferry_operator.observe.destinations import Destinations, Held
from smbferry_operator.observe.facts import Facts
from smbferry_operator.observe.lines import Lines
from smbferry_operator.observe.reader import Reader
from smbferry_operator.observe.relation import Relation
from smbferry_operator.observe.tags import ENDED_TAGS

NOTHING: Final = Found()


class Fleet:
    """Claims and demands of all runs, by what they are on."""

    def __init__(self, reader: Reader, limits: RunLimits) -> None:
        self._cache = reader.cache
        self._claims = Claims(reader, limits)
        self._facts = Facts(reader.cache)
        self._changes = reader.cache.follow()
        self._concerned: dict[Key, None] = {}
        self._found: dict[Key, Found] = {}
        self._dependents: Relation[Key, Key] = Relation()
        self._destinations = Destinations()
        self._lines = Lines(limits.per_namespace)
        self._starting: dict[Key, Demand] = {}
        self._freed: dict[Key, None] = {}
        self._aside: set[Key] = set()

    # --- Changes

    def refresh(self, most: int | None = None) -> bool:
        """Takes in what has changed in the cache; returns whether that was all.

        Args:
            most: how many changed objects to take in and runs to look at, all if None. Each run is looked at once after
                all changes, however many of them concern it.
        """
        taken = 0
        while self._changes and taken != most:
            self._concerned.update(dict.fromkeys(self._concerned_by(self._changes.pop())))
            taken += 1
        while self._concerned and not self._changes and taken != most:
            self._look_at(self._concerned.popitem()[0])
            taken += 1
        return not (self._changes or self._concerned)

    def decides(self, run: Key) -> None:
        """A decision about the run is about to be made: it waits again if it stood aside."""
        if run in self._aside:
            self._aside.discard(run)
            self._look_at(run)

    def stand_aside(self, run: Key) -> None:
        """The run could not be brought further: until its next decision it holds up nobody."""
        self._aside.add(run)
        self._lines.stand_aside(run)

    def starts(self, starting: Mapping[Key, Demand], claims: Mapping[Key, Claim]) -> None:
        """Tells which Jobs are being created: their runs count as if their agents worked.

        Args:
            starting: what each counts for.
            claims: of those that write, the claim.
        """
        for claim in claims.values():
            self._claims.start(claim)
        over = [run for run in self._starting if run not in starting]
        self._starting = dict(starting)
        for run, demand in starting.items():
            if (found := self._found.get(run)) is None or found.active is None:
                self._lines.set_active(demand)
        for run in over:
            self._look_at(run)

    def _concerned_by(self, key: Key) -> Iterator[Key]:
        """The runs that a change may concern."""
        owners = self._facts.owners(key) if key.kind in {Kind.JOB, Kind.POD} else frozenset()
        if not self._facts.changed(key):
            return
        match key.kind:
            case Kind.RUN:
                yield key
                yield from self._dependents.of(key)  # the run that serves it
            case Kind.JOB | Kind.POD:
                yield from owners
            case _:
                yield from self._dependents.of(key)

    def _look_at(self, run: Key) -> None:
        before = self._found.get(run, NOTHING)
        found = self._claims.found(run, starting=run in self._starting) if self._matters(run) else NOTHING
        for held in before.held - found.held:
            self._destinations.remove(held)
        for held in found.held - before.held:
            self._destinations.add(held)
        self._depend(run, before.inputs, found.inputs)
        active = found.active or self._starting.get(run)
        if active is not None:
            self._lines.set_active(active)
        elif found.waiting is not None and run not in self._aside:
            self._lines.set_waiting(found.waiting)
        else:
            self._lines.remove(run)
        if found == NOTHING:
            self._found.pop(run, None)
            self._aside.discard(run)
        else:
            self._found[run] = found
        self._free(before.held, found.held)

    def _matters(self, run: Key) -> bool:
        """Whether it may have agents, or may get one."""
        return run in self._cache and (self._cache.is_busy(run) or ENDED_TAGS.isdisjoint(self._cache.tags_of(run)))

    def _depend(self, run: Key, before: tuple[Key, ...], now: tuple[Key, ...]) -> None:
        for key in set(before).difference(now):
            self._dependents.discard(key, run)
        for key in set(now).difference(before):
            self._dependents.add(key, run)

    # --- What a run asks

    def claims_on(self, here: Destination, run: Run, launching: Mapping[Key, Claim]) -> tuple[Claim, ...]:
        """The claims of other runs that collide with a destination, as far as the run must respect them."""
        others = [Held(claim, proven=True) for claim in launching.values() if claim.destination.collides(here)]
        others += self._destinations.colliding(here)
        return tuple(held.claim for held in others if held.counts_for(run.meta.namespace, run.meta.uid))

    def standing(self, run: Run, task: ResolvedTask, priority: int, *, begun: bool) -> Standing:
        """The run among those that count at the same limits.

        Args:
            task: the snapshot that it works by, or would.
            begun: whether an agent works: then nothing keeps it from starting.
        """
        demand = self._claims.demand(run, task, priority, begun=begun)
        full = None if begun else self._lines.full(demand)
        return Standing(demand, full, self._lines.rate(demand))

    def active_at(self, scope: Scope) -> dict[str, int]:
        """Active agents by the name of their limit."""
        return self._lines.active_at(scope)

    @property
    def looked_at(self) -> int:
        """Counts the runs and claims that were looked at for others."""
        return self._lines.looked_at + self._destinations.looked_at

    # --- Whom a change lets go on

    def to_wake(self) -> list[Key]:
        """Runs that may go on since the last call, because a limit has room or a destination is free."""
        self.refresh()
        woken = list(dict.fromkeys((*self._freed, *self._lines.to_wake())))
        self._freed.clear()
        return woken

    def _free(self, before: frozenset[Held], now: frozenset[Held]) -> None:
        """Notes the runs that waited for a claim that is gone: of those that wait for each other, the first."""
        kept = {held.claim.destination for held in now if held.claim.writing}
        for held in before - now:
            if held.claim.destination in kept or any(_same_claim(held, other) for other in now):
                continue
            first: list[Claim] = []
            waits = (other.claim for other in self._destinations.colliding(held.claim.destination))
            for claim in sorted((c for c in waits if not c.writing), key=lambda c: (c.since, c.run_uid)):
                if not any(claim.destination.collides(other.destination) for other in first):
                    first.append(claim)
            for claim in first:
                namespace, _, name = claim.holder.partition("/")
                self._freed[Key(Kind.RUN, namespace, name)] = None


def _same_claim(held: Held, other: Held) -> bool:
    return (held.claim.destination, held.claim.writing) == (other.claim.destination, other.claim.writing)
