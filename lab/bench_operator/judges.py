"""What the bench concludes from what it has seen. Pure; times are seconds of one clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.bench_operator.measured import Second

GRACE = 2.0
"""Whoever has waited in line for less than this may be overtaken: it was not seen yet by who started another."""


@dataclass(frozen=True)
class Change:
    """A run's Job came, or has ended or gone."""

    at: float
    server: str
    run: str
    begins: bool


@dataclass(frozen=True)
class Waiter:
    """A run that stood in line."""

    run: str
    server: str
    turn: tuple[int, str, str]
    """Whoever comes first is smaller: the negative priority, the time of creation, the uid."""
    since: float
    """When it was first seen to wait for a limit."""


def most_at_once(changes: Iterable[Change]) -> dict[str, int]:
    """By server: how many runs had a Job at once at most. A start counts before an end at the same moment."""
    active: dict[str, set[str]] = {}
    most: Counter[str] = Counter()
    for change in sorted(changes, key=lambda c: (c.at, not c.begins)):
        here = active.setdefault(change.server, set())
        if change.begins:
            here.add(change.run)
        else:
            here.discard(change.run)
        most[change.server] = max(most[change.server], len(here))
    return dict(most)


def overtaken(waiters: Iterable[Waiter], changes: Iterable[Change]) -> list[str]:
    """Each start of a run, before one that comes first and stood in the same line: out of order."""
    starts: dict[str, float] = {}
    for change in changes:
        if change.begins:
            starts[change.run] = min(change.at, starts.get(change.run, change.at))
    by_server: dict[str, list[Waiter]] = {}
    for waiter in waiters:
        by_server.setdefault(waiter.server, []).append(waiter)
    found = []
    for line in by_server.values():
        for late in line:
            started = starts.get(late.run, float("inf"))
            early = [
                other.run
                for other in line
                if late.turn < other.turn and late.since + GRACE < starts.get(other.run, float("inf")) < started
            ]
            if early:
                found.append(f"{late.run} was overtaken at {late.server} by {', '.join(sorted(early))}")
    return found


def percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, p95 and p99.

    Raises:
        ValueError: there are too few values.
    """
    if len(values) < 100:
        raise ValueError(f"expected at least 100 values, got {len(values)}")
    cuts = quantiles(values, n=100)
    return cuts[49], cuts[94], cuts[98]


def longest_stand(seconds: Sequence[Second]) -> tuple[float, float]:
    """How long the event loop stood at most, and for how long it worked meanwhile at most.

    Raises:
        ValueError: nothing was measured.
    """
    return max(second.stood for second in seconds), max(second.worked for second in seconds)


def not_leading(seconds: Sequence[Second]) -> int:
    """Seconds without the lease after the first one with it; all of them if it was never held."""
    first = next((n for n, second in enumerate(seconds) if second.leading), 0)
    return sum(not second.leading for second in seconds[first:])


def overdue(
    locations: Iterable[str], checks: Mapping[str, Sequence[float]], since: float, until: float, most: float
) -> list[str]:
    """The locations that went unchecked for longer than `most` at a moment from `since` to `until`.

    One that was never checked before `since` has been unchecked from then on.
    """
    late = []
    for location in locations:
        before = [moment for moment in checks.get(location, ()) if moment < since]
        within = sorted(moment for moment in checks.get(location, ()) if since <= moment < until)
        moments = [max(before, default=since), *within, until]
        if max(later - sooner for sooner, later in pairwise(moments)) > most:
            late.append(location)
    return late
