"""Who works and who waits at each limit. It does no IO and knows no clock.

Waiting runs of one namespace with the same needs form a lane; only the first of a lane can be next. A lane stands at
one limit that has no room for it. So when an agent ends, only the lanes that stand at its limits are looked at, however
many runs wait: the first of each either is called, or stands at another limit that is full. A called run has its room
from then on, and is woken to be decided about.

At a limit the namespace with the fewest runs there comes next, then the oldest run; within a namespace the order is
that of `Demand.turn`.

A run that needs room at two limits, or room for several agents, could be overtaken for ever by runs that need less. So
the oldest run that waits at a limit gets the next room there once every active run has overtaken it (ADR 41).
"""

from bisect import bisect_left, insort
from typing import Final

from smbferry_operator.decide.limits import Counted, Demand, Full, LimitKey, Scope
from smbferry_operator.model import Key
from smbferry_operator.observe.lanes import Lane, LaneKey, Line, Use, first_limit, needs_of, take_out

ENDS: Final = frozenset({Scope.LOCATION, Scope.SERVER})


class Lines:
    """All limits of the cluster."""

    def __init__(self, per_namespace: int | None = None) -> None:
        """Creates empty lines.

        Args:
            per_namespace: agents that a namespace may have at a time. What exceeds it was not started by an operator,
                and does not count for other namespaces.
        """
        self._cap = per_namespace
        self._lines: dict[LimitKey, Line] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        self._lane_of: dict[Key, Lane] = {}
        self._active: dict[Key, Demand] = {}
        self._waiting: dict[Key, Demand] = {}
        self._called: dict[Key, Demand] = {}
        self._touched: dict[LimitKey, None] = {}
        self._to_wake: dict[Key, None] = {}
        self.looked_at = 0
        """Counts the runs that were looked at, for the tests that hold the cost of a decision."""

    # --- What is known

    def set_active(self, demand: Demand) -> None:
        """Agents of the run work, or are about to."""
        if self._active.get(demand.run) == demand:
            return
        self.remove(demand.run)
        self._active[demand.run] = demand
        for counted in demand.counted:
            line = self._lines.setdefault(counted.key, Line())
            line.active[demand.run] = demand
            self._share_anew(counted, line)
        self._use(demand, 1)

    def set_waiting(self, demand: Demand) -> None:
        """The run would start if limits allowed it."""
        if self._waiting.get(demand.run) == demand:
            return
        self.remove(demand.run)
        self._waiting[demand.run] = demand
        place = (demand.turn, demand.run)
        for counted in demand.counted:
            line = self._lines.setdefault(counted.key, Line())
            insort(line.waiting.setdefault(demand.namespace, []), place)
            self._touched[counted.key] = None
        lane = self._lanes.setdefault(needs_of(demand), Lane(needs_of(demand)))
        self._lane_of[demand.run] = lane
        insort(lane.runs, place)
        self._stand(lane)

    def remove(self, run: Key) -> None:
        """The run neither works nor waits for a limit."""
        if (active := self._active.pop(run, None)) is not None:
            self._use(active, -1)
            for counted in active.counted:
                line = self._lines[counted.key]
                del line.active[run]
                self._share_anew(counted, line, run)
            self._tidy(active)
        if (waiting := self._waiting.pop(run, None)) is not None:
            for counted in waiting.counted:  # before its lane: whoever is first there now is compared with all who wait
                take_out(self._lines[counted.key].waiting, waiting)
                self._touched[counted.key] = None
            if self._called.pop(run, None) is not None:
                self._use(waiting, -1)
            else:
                self._leave_lane(waiting)
            self._tidy(waiting)

    def stand_aside(self, run: Key) -> None:
        """A waiting run leaves the lines until it is told to wait again."""
        if run in self._waiting:
            self.remove(run)

    def _use(self, demand: Demand, sign: int) -> None:
        """Adds what a run uses, or takes it away."""
        for counted in demand.counted:
            used = self._lines[counted.key].used
            use = used.setdefault(demand.namespace, Use())
            use.runs += sign
            use.agents += sign * demand.agents
            use.proven += sign * demand.agents * counted.proven
            if not use.runs:
                del used[demand.namespace]
            self._touched[counted.key] = None

    def _share_anew(self, counted: Counted, line: Line, *also: Key) -> None:
        """The active runs of a location have changed: they divide its bandwidth anew."""
        if counted.rate is not None:
            self._to_wake.update(dict.fromkeys((*line.active, *also)))

    def _tidy(self, demand: Demand) -> None:
        for counted in demand.counted:
            line = self._lines[counted.key]
            if not (line.active or line.waiting):
                del self._lines[counted.key]

    # --- Lanes

    def _stand(self, lane: Lane) -> None:
        """A lane stands where its first run finds no room."""
        first = self._waiting[lane.runs[0][1]]
        at = self._full_at(first) or first_limit(first)
        if (lane.at, lane.turn) == (at, first.turn):
            return
        self._leave_line(lane)
        insort(self._lines[at].lanes.setdefault(first.namespace, []), (first.turn, lane))
        lane.at, lane.turn = at, first.turn
        self._touched[at] = None

    def _leave_line(self, lane: Lane) -> None:
        if lane.at is None or lane.turn is None:
            return
        namespace, lanes = lane.key[0], self._lines[lane.at].lanes
        del lanes[namespace][bisect_left(lanes[namespace], (lane.turn,))]
        if not lanes[namespace]:
            del lanes[namespace]
        lane.at = lane.turn = None

    def _leave_lane(self, demand: Demand) -> None:
        lane = self._lane_of.pop(demand.run)
        self._leave_line(lane)
        del lane.runs[bisect_left(lane.runs, (demand.turn, demand.run))]
        if lane.runs:
            self._stand(lane)
        else:
            del self._lanes[lane.key]

    def to_wake(self) -> list[Key]:
        """Runs that may start now, and active runs whose share of a bandwidth has changed, since the last call."""
        self._serve_all()
        woken = [run for run in self._to_wake if run in self._active or run in self._called]
        self._to_wake.clear()
        return woken

    def _serve_all(self) -> None:
        while self._touched:
            key, _ = self._touched.popitem()
            if key in self._lines:
                self._serve(key)

    def _serve(self, key: LimitKey) -> None:
        """Calls the runs that have room at a limit, in their order."""
        line = self._lines[key]
        self._note_overtaken(key, line)
        if line.overtaken is not None:
            self._call_if_room(self._waiting[line.overtaken])
        passed: set[Lane] = set()
        while (lane := self._next(line, passed)) is not None:
            self.looked_at += 1
            first = self._waiting[lane.runs[0][1]]
            full = self._full_at(first)
            if full is None:
                self._call(first)
            elif full != key:
                self._stand(lane)
            elif first.agents == 1:
                return
            else:
                passed.add(lane)  # a run with fewer agents may have room

    def _next(self, line: Line, passed: set[Lane]) -> Lane | None:
        """The lane that comes next: of the namespace with the fewest runs here, then by the age of its first run."""
        firsts = (
            (line.runs_of(namespace), lane[0][1:], lane[1])
            for namespace, lanes in line.lanes.items()
            if (lane := next((each for each in lanes if each[1] not in passed), None)) is not None
        )
        found = min(firsts, key=lambda each: each[:2], default=None)
        return found[2] if found is not None else None

    def _call_if_room(self, demand: Demand) -> None:
        if demand.run not in self._called and self._full_at(demand) is None:
            self._call(demand)

    def _call(self, demand: Demand) -> None:
        """The run has its room from now on, and is to be decided about."""
        self._leave_lane(demand)
        self._called[demand.run] = demand
        self._use(demand, 1)
        self._to_wake[demand.run] = None

    # --- Room

    def _full_at(self, demand: Demand) -> LimitKey | None:
        """The first limit without room for the run."""
        first = demand.run in self._active or self._was_overtaken(demand)  # between two Jobs a run keeps its room
        for counted in demand.counted:
            if counted.most is None:
                continue
            room = counted.most - self._used(counted.key, demand) - demand.agents
            if room < 0 or (not first and room < self._kept(counted.key, demand)):
                return counted.key
        return None

    def _used(self, key: LimitKey, demand: Demand) -> int:
        """The agents that count for the run, without its own."""
        line = self._lines.get(key)
        if line is None:
            return 0
        known = line.active.get(demand.run) or self._called.get(demand.run)
        others = sum(self._for(demand.namespace, namespace, use) for namespace, use in line.used.items())
        return others - (known.agents if known is not None else 0)

    def _for(self, namespace: str, other: str, use: Use) -> int:
        if namespace == other:
            return use.agents
        return use.proven if self._cap is None else min(use.proven, self._cap)

    def _kept(self, key: LimitKey, demand: Demand) -> int:
        """The agents for which room is kept: of the run that was overtaken here."""
        line = self._lines.get(key)
        first = self._overtaken_at(key, line) if line is not None else None
        return first.agents if first is not None and first.run != demand.run else 0

    def _note_overtaken(self, key: LimitKey, line: Line) -> None:
        """If room is kept for another run than before, the other limits of both are looked at, too."""
        first = self._overtaken_at(key, line)
        now = first.run if first is not None else None
        if now == line.overtaken:
            return
        for run in (line.overtaken, now):
            if run is not None and run in self._waiting:
                self._touched.update(dict.fromkeys(counted.key for counted in self._waiting[run].counted))
        line.overtaken = now

    def _overtaken_at(self, key: LimitKey, line: Line) -> Demand | None:
        """The run that gets the next room at a limit because all active runs there have overtaken it."""
        first = self._oldest(line) if key.scope in ENDS else None
        return first if first is not None and self._was_overtaken(first) else None

    def _oldest(self, line: Line) -> Demand | None:
        """Of the runs that come first in their namespaces: the oldest that waits here."""
        firsts = (self._waiting[queue[0][1]] for queue in line.waiting.values())
        return min(firsts, key=lambda demand: demand.age, default=None)

    def _was_overtaken(self, demand: Demand) -> bool:
        """Whether it comes first at all of its ends, and every active run there should have started later.

        Only its ends may keep it from starting: a server is not kept idle by the limit of one namespace.
        """
        if demand.run not in self._waiting or demand.run in self._called:
            return False
        for counted in demand.counted:
            if counted.most is None:
                continue
            if counted.key.scope not in ENDS:
                if self._used(counted.key, demand) + demand.agents > counted.most:
                    return False
                continue
            line = self._lines[counted.key]
            oldest = self._oldest(line)
            if oldest is None or oldest.run != demand.run:
                return False
            self.looked_at += len(line.active)
            if not all(demand.precedes(other) for other in line.active.values()):
                return False
        return True

    # --- What a run asks

    def full(self, demand: Demand) -> Full | None:
        """What keeps the run from starting, None if nothing does."""
        self._serve_all()
        if demand.run in self._called:
            return None
        demand = self._waiting.get(demand.run, demand)
        lane = self._lane_of.get(demand.run) or self._lanes.get(needs_of(demand))
        if (
            lane is not None and demand.run not in self._active and lane.runs[0][0] <= demand.turn
        ):  # it waits, or those wait that come before it
            return self._told(demand, lane.at or first_limit(demand))
        full = self._full_at(demand)
        return self._told(demand, full) if full is not None else None

    def rate(self, demand: Demand) -> int | None:
        """The run's share of its locations' bandwidth in bytes per second, None without a limit."""
        shares = [
            max(1, counted.rate // len({*self._active_at(counted.key), demand.run}))
            for counted in demand.counted
            if counted.rate is not None
        ]
        return min(shares, default=None)

    def _active_at(self, key: LimitKey) -> dict[Key, Demand]:
        line = self._lines.get(key)
        return line.active if line is not None else {}

    def _told(self, demand: Demand, key: LimitKey) -> Full:
        line = self._lines.get(key, Line())
        length = sum(len(queue) for queue in line.waiting.values()) + (demand.run not in self._waiting)
        counted = next(counted for counted in demand.counted if counted.key == key)
        return Full(counted, self._used(key, demand), self._before(line, demand) + 1, length)

    def _before(self, line: Line, demand: Demand) -> int:
        """How many of the waiting runs start before this one if all need room here only, without going through them."""
        before = bisect_left(line.waiting.get(demand.namespace, []), (demand.turn, demand.run))
        rank = before + line.runs_of(demand.namespace)
        for namespace, queue in line.waiting.items():
            if namespace == demand.namespace:
                continue
            sooner = max(0, rank - line.runs_of(namespace))
            before += min(len(queue), sooner)
            if sooner < len(queue) and rank >= line.runs_of(namespace):
                before += self._waiting[queue[sooner][1]].age < demand.age
        return before

    def active_at(self, scope: Scope) -> dict[str, int]:
        """Active agents by the name of their limit."""
        return {
            key.name: sum(demand.agents for demand in line.active.values())
            for key, line in self._lines.items()
            if key.scope is scope and line.active
        }
