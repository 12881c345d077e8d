"""What limits how many agents work at a time, and what a run counts for. Pure.

A run counts once for each of its agents: at the file servers of its source and destination, at both locations, in its
namespace and in the operator. A file server is one limit by its name and another by its ServerGuid, so that its aliases
share a limit whichever of the two they have in common.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from smbferry_api.location import NO_LIMITS, LocationLimits
from smbferry_api.run import ResolvedEnd, ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.model import Key, Kind, Run

SMB_PORT: Final = 445


class Scope(StrEnum):
    """What a limit is about; the words stand in `status.queue.waitingFor`."""

    LOCATION = "SmbLocation"
    SERVER = "FileServer"
    NAMESPACE = "Namespace"
    OPERATOR = "Operator"


class LimitKey(NamedTuple):
    """Identifies a limit in the cluster."""

    scope: Scope
    name: str
    """A server as host:port, or as its ServerGuid after a "?"; a location as namespace/name; empty for the operator."""


Age = tuple[datetime, str]
"""When a run was created, and its uid: whoever came first is smaller."""
Turn = tuple[int, datetime, str]
"""The order in a namespace: a higher priority first, then whoever came first."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of the installation in agents at a time, None for no limit."""

    per_server: int | None = 10
    per_namespace: int | None = None
    total: int | None = 100


UNLIMITED: Final = RunLimits(None, None, None)


@dataclass(frozen=True, slots=True)
class Counted:
    """A limit at which a run counts."""

    key: LimitKey
    shown: str
    """The limit's object as people know it: a server by the name that the run uses."""
    most: int | None
    """Agents at a time, None for no limit."""
    rate: int | None = None
    """Of a location: bytes per second of all runs together, None for no limit."""
    proven: bool = True
    """Whether it counts for runs of other namespaces: a check or the run's agent has opened the end that leads here."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run counts for, and its place among others."""

    run: Key
    uid: str
    created: datetime
    priority: int
    agents: int
    """How many agents of it work at a time at most, from its start to its end."""
    counted: tuple[Counted, ...]

    @property
    def namespace(self) -> str:
        """The run's namespace."""
        return self.run.namespace

    @property
    def age(self) -> Age:
        """Its place by age."""
        return (self.created, self.uid)

    @property
    def turn(self) -> Turn:
        """Its place in its namespace."""
        return (-self.priority, self.created, self.uid)

    def precedes(self, other: "Demand") -> bool:
        """Whether it should start first: priorities count within a namespace only."""
        if self.namespace == other.namespace:
            return self.turn < other.turn
        return self.age < other.age


@dataclass(frozen=True, slots=True)
class Full:
    """The limit that a run waits for, and its place in the queue there."""

    counted: Counted
    active: int
    """Agents that count there now."""
    position: int
    length: int

    @property
    def waiting_for(self) -> str:
        """For `status.queue`."""
        return f"{self.counted.key.scope} {self.counted.shown}".rstrip()

    @property
    def message(self) -> str:
        """For the condition: what is full, and the run's place."""
        where = {
            Scope.SERVER: f"at file server {self.counted.shown}",
            Scope.LOCATION: f"at SmbLocation {self.counted.shown}",
            Scope.NAMESPACE: f"in namespace {self.counted.shown}",
            Scope.OPERATOR: "in the cluster",
        }[self.counted.key.scope]
        room = f"{self.active} of {self.counted.most} agents are active {where}"
        turn = ", and other runs start first" if self.active < (self.counted.most or 0) else ""
        return f"Queued: {room}{turn}. Place {self.position} of {self.length}."


@dataclass(frozen=True, slots=True)
class Standing:
    """A run among those that count at the same limits."""

    demand: Demand
    full: Full | None = None
    """What keeps it from starting, None if nothing does."""
    rate: int | None = None
    """Its share of its locations' bandwidth in bytes per second, None without a limit."""


def demand_of(
    run: Run,
    task: ResolvedTask,
    priority: int,
    limits: RunLimits,
    *,
    located: Mapping[str, LocationLimits],
    proven: Callable[[ResolvedEnd], bool],
    begun: bool,
) -> Demand:
    """What a run counts for.

    Args:
        priority: that of its task.
        begun: whether its agents work: then it counts for as many as were started. Before, it asks for as many as its
            limits permit at most.
        located: the limits of its locations as they are now, by name; those of the snapshot for others.
        proven: whether an end counts in other namespaces.
    """
    key = Key(Kind.RUN, run.meta.namespace, run.meta.name)
    counted = tuple(_counted(run.meta.namespace, task, limits, located, proven))
    agents = task.agent.parallelism if run.spec.copies else 1
    if not begun:
        agents = min([agents, *(each.most for each in counted if each.most is not None)])
    own = run.spec.priority
    return Demand(key, run.meta.uid, run.meta.created, priority if own is None else own, agents, counted)


def _counted(
    namespace: str,
    task: ResolvedTask,
    limits: RunLimits,
    located: Mapping[str, LocationLimits],
    proven: Callable[[ResolvedEnd], bool],
) -> Iterator[Counted]:
    """All limits, each once, the most specific first: a run waits at the first that is full.

    What limits nothing is left out, but for the operator, at which each run counts.
    """
    ends = (task.source, task.destination)
    for name, end in {end.location: end for end in ends}.items():
        own = located.get(name, end.spec.limits or NO_LIMITS)
        if own.concurrent_runs is not None or own.rate is not None:
            yield Counted(LimitKey(Scope.LOCATION, f"{namespace}/{name}"), name, own.concurrent_runs, own.rate)
    servers: dict[LimitKey, tuple[str, bool]] = {}
    for end in ends:
        sure = proven(end)
        for server, shown in servers_of(Destination.of(end)):
            servers[server] = (shown, sure or (server in servers and servers[server][1]))
    for server, (shown, sure) in servers.items():
        yield _once(Counted(server, shown, limits.per_server, proven=sure))
    if limits.per_namespace is not None:
        yield _once(Counted(LimitKey(Scope.NAMESPACE, namespace), namespace, limits.per_namespace))
    yield _once(Counted(LimitKey(Scope.OPERATOR, ""), "", limits.total))


@lru_cache(maxsize=1000)
def _once(counted: Counted) -> Counted:
    """Thousands of runs count at the same limit: it is kept once."""
    return counted


def servers_of(place: Destination) -> Iterator[tuple[LimitKey, str]]:
    """The limits of a file server, by its name and by its ServerGuid, each with the name to show."""
    shown = place.server if place.port == SMB_PORT else f"{place.server}:{place.port}"
    yield LimitKey(Scope.SERVER, f"{place.server}:{place.port}"), shown
    if place.guid:
        yield LimitKey(Scope.SERVER, f"?{place.guid}"), shown
