"""What is kept of one limit, and of runs with the same needs that wait."""

from bisect import bisect_left
from dataclasses import dataclass, field

from smbferry_operator.decide.limits import Counted, Demand, LimitKey, Turn
from smbferry_operator.model import Key

LaneKey = tuple[str, int, tuple[Counted, ...]]
"""A namespace, a number of agents, and what they count for."""
Queue = list[tuple[Turn, Key]]


@dataclass(slots=True)
class Use:
    """What a namespace uses of a limit: active and called runs."""

    runs: int = 0
    agents: int = 0
    proven: int = 0
    """Agents that count for other namespaces."""


@dataclass(slots=True, eq=False)
class Lane:
    """Runs that wait and have not been called."""

    key: LaneKey
    runs: Queue = field(default_factory=list)
    at: LimitKey | None = None
    turn: Turn | None = None
    """Where it stands, and with which first run."""


@dataclass(slots=True)
class Line:
    """One limit."""

    active: dict[Key, Demand] = field(default_factory=dict)
    used: dict[str, Use] = field(default_factory=dict)
    """By namespace."""
    waiting: dict[str, Queue] = field(default_factory=dict)
    """All waiting runs that count here, wherever their lanes stand, by namespace."""
    lanes: dict[str, list[tuple[Turn, Lane]]] = field(default_factory=dict)
    """The lanes that stand here, by namespace."""
    overtaken: Key | None = None
    """The run that gets the next room, as of the last look."""

    def runs_of(self, namespace: str) -> int:
        """The active and called runs of a namespace."""
        return self.used[namespace].runs if namespace in self.used else 0


def needs_of(demand: Demand) -> LaneKey:
    """The lane of a run."""
    return demand.namespace, demand.agents, demand.counted


def first_limit(demand: Demand) -> LimitKey:
    """Where a lane stands that has room everywhere, until its first run is called."""
    return demand.counted[0].key


def take_out(queues: dict[str, Queue], demand: Demand) -> None:
    """Removes a run from its namespace's queue."""
    queue = queues[demand.namespace]
    del queue[bisect_left(queue, (demand.turn, demand.run))]
    if not queue:
        del queues[demand.namespace]
