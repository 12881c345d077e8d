"""How many requests a run may have in flight, from the times in which servers answer small requests (ADR 45). Pure.

A reply is slow if it takes more than ``latency_factor`` times as long as 95 of 100 replies take while the run sends
nothing. As long as more than one in ten replies is slow, the run gives way; while at most one in twenty is, it takes
room. It begins with little. The slower server decides. What is in flight may be a fraction: 0.5 is one request for half
of the time.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from smbferry_engine.model import PolitenessFact, SideName

MOST: Final = 64.0
"""More than a run ever has in flight on one session: no limit."""
START: Final = 2.0
FLOOR: Final = 0.25
"""A run goes on with one request in flight for a quarter of the time, however slow the servers are."""
UNMEASURED: Final = 1.0
"""The most in flight while a server's replies cannot be measured."""
USUAL: Final = 0.95
"""The quantile of reply times that is compared."""
ALLOWED, TOO_MANY = 1 - USUAL, 2 * (1 - USUAL)
UNMEASURED_AFTER: Final = 5.0
"""Seconds without a reply after which a server counts as not measured."""
RECOVERY: Final = 300.0
"""Time constant in seconds with which replies that stay slow at the floor become the usual ones."""
_INTERVAL, _LONGEST_INTERVAL = 1.0, 3.0
_ENOUGH = 20
_LEAST = 1e-6  # seconds; no reply is faster
_RECENT = 200
_MOST_PER_REPLY = 100
_STALLED = 1.0  # seconds; until then a reply may have come that nobody has looked at
_LEAST_CUT = 0.1
_FIRST_STEP, _LARGEST_STEP = 0.1, 0.8
# A limit at which replies were slow is approached by the smallest step, and forgotten once it was exceeded by so much.
_FORGOTTEN = 1.2
_CORRECTION = 0.2


def quantile(values: Iterable[float], part: float) -> float:
    """Return the value that ``part`` of the values do not exceed; the values must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass(slots=True)
class _Server:
    """The reply times of one server in seconds. ``idle``: the usual one while the run sends nothing."""

    idle: float | None = None
    current: float = 0.0
    window: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    heard: float = float("-inf")

    def slow(self, factor: float) -> float:
        """Return which part of the window is slow, 0 if nothing is known."""
        if self.idle is None or not self.window:
            return 0.0
        limit = factor * self.idle
        return sum(seconds > limit for seconds in self.window) / len(self.window)

    def settle(self, seconds: float, *, at_floor: bool) -> None:
        """Close the window of so many seconds, and correct the idle time.

        Replies that are usually faster show that it was measured in a busy moment. At the floor the run itself is
        hardly the reason for slow ones: if they stay, the server has become slower.
        """
        if self.window:
            self.current = quantile(self.window, USUAL)
        self.window.clear()
        if len(self.recent) < _RECENT:
            return
        usual = quantile(self.recent, USUAL)
        if self.idle is None:
            self.idle = usual
        elif usual < self.idle:
            self.idle += (usual - self.idle) * _CORRECTION
        elif at_floor:
            self.idle += (usual - self.idle) * min(1.0, seconds / RECOVERY)


class ConcurrencyController:
    """Decides how many requests may be in flight on a session of a run; never fewer than :data:`FLOOR`.

    Times are monotonic seconds. ``interval`` is the time between two samples of one server.
    """

    def __init__(self, latency_factor: float, servers: Sequence[SideName], *, interval: float, now: float) -> None:
        self._factor = latency_factor
        self._interval = interval
        self._servers = {server: _Server() for server in servers}
        self._began = self._decided = now
        self._demand = 0.0
        self._streak = 0
        self._ceiling = float("inf")
        self.limit = START
        self.slowed = 0.0

    def learn(self, server: SideName, seconds: Sequence[float], now: float) -> None:
        """Take the reply times of a server to which the run has sent nothing yet; without any, it is learned later."""
        if seconds:
            found = self._servers[server]
            found.idle = found.current = max(_LEAST, quantile(seconds, USUAL))
            found.heard = now

    def begin(self, now: float) -> None:
        """Record that the run begins: the first decision is about the time from now on."""
        self._began = self._decided = now

    def add(self, server: SideName, seconds: float, now: float) -> None:
        """Add a reply time. A long one counts for all the samples that it has prevented."""
        found, seconds = self._servers[server], max(_LEAST, seconds)
        found.heard = now
        times = self._weight(found, seconds)
        found.window += [seconds] * times
        found.recent.extend([seconds] * times)

    def _weight(self, server: _Server, seconds: float) -> int:
        usual = max(self._interval, server.idle or seconds)
        return max(1, min(_MOST_PER_REPLY, int(seconds / usual)))

    def decide(self, now: float, in_flight: int, waiting: Mapping[SideName, float]) -> bool:
        """Move the limit if there are enough samples; returns whether it did.

        ``in_flight``: the most requests that one session had in flight since the last decision. ``waiting``: how long
        the outstanding request of each server has waited.
        """
        elapsed = now - self._decided
        if elapsed < _INTERVAL or (elapsed < _LONGEST_INTERVAL and not self._has_enough()):
            return False
        self._decided = now
        self._overdue(waiting)
        if in_flight:
            self._demand = in_flight if in_flight < self.limit else max(self._demand, self.limit)
        self._move(max(server.slow(self._factor) for server in self._servers.values()), in_flight)
        if self.unmeasured(now):
            self.limit = min(self.limit, UNMEASURED)
        if self.share < 1:
            self.slowed += elapsed
        for server in self._servers.values():
            server.settle(elapsed, at_floor=self.limit <= FLOOR)
        return True

    def _has_enough(self) -> bool:
        return all(len(server.window) >= _ENOUGH for server in self._servers.values())

    def _overdue(self, waiting: Mapping[SideName, float]) -> None:
        """Count an outstanding request to a server that has stalled."""
        for name, seconds in waiting.items():
            server = self._servers[name]
            if server.idle is not None and seconds > max(_STALLED, self._factor * server.idle):
                server.window += [seconds] * self._weight(server, seconds)

    def _move(self, slow: float, in_flight: int) -> None:
        if slow > TOO_MANY:
            cut = max(_LEAST_CUT, slow / 2)
            self._ceiling = min(self.limit, max(1, in_flight))
            self.limit = max(FLOOR, self._ceiling * (1 - cut))
            self._streak = 0
        elif slow > ALLOWED:
            self._streak = 0
        else:
            self._grow()

    def _grow(self) -> None:
        step = min(_LARGEST_STEP, _FIRST_STEP * 2.0 ** min(self._streak, 8))
        if self.limit * (1 + step) > self._ceiling:
            step = _FIRST_STEP
        self._streak += 1
        self.limit = min(MOST, self.limit * (1 + step))
        if self.limit > self._ceiling * _FORGOTTEN:
            self._ceiling, self._streak = float("inf"), 0

    def unmeasured(self, now: float) -> tuple[SideName, ...]:
        """Return the servers whose replies cannot be compared: none came lately, or too few so far."""
        return tuple(
            name
            for name, server in self._servers.items()
            if server.idle is None or now - max(server.heard, self._began) > UNMEASURED_AFTER
        )

    @property
    def share(self) -> float:
        """Which part of its usual requests the run may have in flight, above 0 up to 1."""
        return min(1.0, self.limit / self._demand) if self._demand and self.limit < MOST else 1.0

    def fact(self, now: float) -> PolitenessFact:
        """Return what it knows; the figures are those of the server whose replies are the slowest by comparison."""
        measured = {name: it for name, it in self._servers.items() if it.idle}
        slowest = max(measured, key=lambda name: measured[name].current / (measured[name].idle or 1), default=None)
        server = None if slowest is None else measured[slowest]
        return PolitenessFact(
            latency_factor=self._factor,
            side=slowest,
            idle=None if server is None else server.idle,
            current=None if server is None else server.current,
            share=self.share,
            slowed=self.slowed,
            unmeasured=self.unmeasured(now),
        )
