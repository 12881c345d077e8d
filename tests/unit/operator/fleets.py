"""Runs at limits in a few words, and a fleet of them that is simulated without a cluster."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from tests.support.builders import NOW

from smbferry_operator.decide.limits import Counted, Demand, LimitKey, Scope
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.lines import Lines

if TYPE_CHECKING:
    import random


def server(name: str, most: int | None = 4, *, proven: bool = True) -> Counted:
    return Counted(LimitKey(Scope.SERVER, name), name, most, proven=proven)


def place(name: str, most: int | None = None, rate: int | None = None) -> Counted:
    return Counted(LimitKey(Scope.LOCATION, name), name, most, rate)


def namespace(name: str, most: int | None) -> Counted:
    return Counted(LimitKey(Scope.NAMESPACE, name), name, most)


def demand(
    name: str, *counted: Counted, home: str = "team", age: float = 0, priority: int = 0, agents: int = 1
) -> Demand:
    """A run that is `age` seconds old."""
    key = Key(Kind.RUN, home, name)
    return Demand(key, f"uid-{home}-{name}", NOW - timedelta(seconds=age), priority, agents, counted)


@dataclass
class Fleet:
    """Runs that wait, work and end; what the operator knows of them is in `lines`."""

    chance: random.Random
    ordered: bool = False
    """Whether the order is checked at each start."""
    lines: Lines = field(default_factory=Lines)
    waiting: dict[Key, Demand] = field(default_factory=dict)
    """As their statuses say it."""
    active: dict[Key, Demand] = field(default_factory=dict)
    started: list[Demand] = field(default_factory=list)
    queue: list[Demand] = field(default_factory=list)
    """Runs that are to be decided about."""
    most: Counter[LimitKey] = field(default_factory=Counter)
    """The most agents that were ever active at a limit."""

    def comes(self, run: Demand) -> None:
        """A run is created."""
        self.queue.append(run)

    def ends(self, run: Demand) -> None:
        """Its last agent ends."""
        del self.active[run.run]
        self.lines.remove(run.run)
        self._wake()

    def leaves(self) -> Demand:
        """One of those that wait has something else to wait for, such as its windows."""
        run = self.chance.choice(list(self.waiting.values()))
        del self.waiting[run.run]
        self.queue = [other for other in self.queue if other != run]
        self.lines.remove(run.run)
        self._wake()
        return run

    def restarts(self) -> None:
        """Another operator reads everything anew, in any order."""
        self.lines = Lines()
        everything = [*self.active.values(), *self.waiting.values()]
        self.chance.shuffle(everything)
        for run in everything:
            (self.lines.set_active if run.run in self.active else self.lines.set_waiting)(run)
        self._wake()

    def _wake(self) -> None:
        known = self.waiting
        self.queue += [known[key] for key in self.lines.to_wake() if key in known]

    def decides(self) -> None:
        """About one of the runs that are queued, as workers come to it."""
        run = self.queue.pop(self.chance.randrange(len(self.queue)))
        if run.run in self.active or run in self.started:
            return
        if self.lines.full(run) is None:
            self.waiting.pop(run.run, None)
            self.lines.set_active(run)
            self.active[run.run] = run
            if self.ordered:
                self._check_order(run)
            self.started.append(run)
            self._check_limits()
        else:
            self.waiting[run.run] = run
            self.lines.set_waiting(run)
        self._wake()

    def settles(self) -> None:
        """Decides about all that are queued."""
        while self.queue:
            self.decides()

    def _check_limits(self) -> None:
        used: Counter[LimitKey] = Counter()
        limits = {}
        for run in self.active.values():
            for counted in run.counted:
                used[counted.key] += run.agents
                limits[counted.key] = counted.most
        for key, most in limits.items():
            assert most is None or used[key] <= most, f"{used[key]} of {most} agents at {key}"
            self.most[key] = max(self.most[key], used[key])

    def _check_order(self, run: Demand) -> None:
        """Each run of the namespace with the same needs that comes first may go, too."""
        ahead = [
            other.run
            for other in self.waiting.values()
            if (other.namespace, other.counted, other.agents) == (run.namespace, run.counted, run.agents)
            and other.turn < run.turn
            and self.lines.full(other) is not None
        ]
        assert not ahead, f"{run.run} overtakes {ahead}"


SEEDS: Final = range(2)
