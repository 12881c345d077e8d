"""Servers, a run on them and a neighbor, in steps of one request: models for tests of how a run gives way."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, factorial
from typing import TYPE_CHECKING, Final

from smbferry_engine.plan.concurrency import MOST, ConcurrencyController, quantile

if TYPE_CHECKING:
    from smbferry_engine.model import SideName

STEP: Final = 0.025
SERVICE: Final = 0.001
Load = Callable[[float], float]
"""How many of the server's processors others keep busy, by the time in seconds."""


@lru_cache(4096)
def waits(cores: int, busy: float) -> float:
    """The probability that a request finds all processors busy (Erlang C)."""
    busy = min(busy, 0.98 * cores)
    waiting = busy**cores / factorial(cores) * cores / (cores - busy)
    return waiting / (sum(busy**n / factorial(n) for n in range(cores)) + waiting)


@dataclass
class PlayedServer:
    """A queue in front of some processors or disks, at the end of a line.

    The run keeps as many of them busy as it has requests in flight, up to `most`. `tail` is the standard deviation of
    the logarithms of its service times. `slower` is how many times as long everything takes, by the time.
    """

    cores: int = 8
    line: float = 0.0
    tail: float = 0.2
    most: float = 4.0
    others: Load = lambda _now: 0.2
    slower: Load = lambda _now: 1.0
    source: random.Random = field(default_factory=lambda: random.Random(19))

    def rate(self, in_flight: float) -> float:
        """How busy the run keeps it: what is in flight, but for the time on the line and in the agent."""
        return min(self.most, in_flight * SERVICE / (2 * SERVICE + self.line))

    def reply(self, now: float, in_flight: float) -> float:
        """How long a small request takes, in seconds."""
        busy = self.others(now) + self.rate(in_flight) * self.slower(now)
        seconds = SERVICE * self.source.lognormvariate(0.0, self.tail)
        if self.source.random() < waits(self.cores, round(busy, 2)):
            seconds += self.source.expovariate((self.cores - min(busy, 0.98 * self.cores)) / SERVICE)
        return self.line + seconds * self.slower(now)


@dataclass
class Played:
    """A run that copies between played servers, and what became of it second by second."""

    servers: dict[SideName, PlayedServer]
    factor: float = 1.2
    demand: int = 24
    now: float = 0.0
    limits: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = ConcurrencyController(self.factor, tuple(self.servers), interval=STEP, now=self.now)

    def learn(self, samples: int = 80) -> None:
        for side, server in self.servers.items():
            self.controller.learn(side, [server.reply(self.now, 0.0) for _ in range(samples)], self.now)

    @property
    def in_flight(self) -> float:
        return min(self.demand, self.controller.limit)

    def run(self, seconds: float) -> None:
        until, due = self.now + seconds, dict.fromkeys(self.servers, self.now)
        while self.now < until:
            self.now += STEP
            for side, server in self.servers.items():
                if self.now >= due[side]:
                    took = server.reply(self.now, self.in_flight)
                    due[side] = self.now + max(STEP, took)
                    self.controller.add(side, took, self.now)
            self.controller.decide(self.now, ceil(self.in_flight), {})
            if int(self.now / STEP) % int(1 / STEP) == 0:
                self.limits.append(self.in_flight)
                self.shares.append(self.controller.share)
                self.rates.append(min(server.rate(self.in_flight) for server in self.servers.values()))

    def of_full_rate(self, last: int) -> float:
        """The rate in the last seconds, to that of a run that never gives way."""
        full = min(server.rate(min(self.demand, MOST)) for server in self.servers.values())
        return sum(self.rates[-last:]) / last / full

    def usual(self, side: SideName, in_flight: float, samples: int = 2_000) -> float:
        """The time that 95 of 100 replies take at most, with so much in flight."""
        server = self.servers[side]
        return quantile([server.reply(self.now, in_flight) for _ in range(samples)], 0.95)
