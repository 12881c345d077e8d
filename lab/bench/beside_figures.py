"""What a neighbor of a run finds, and what the run loses by giving way: medians and the table of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from lab.bench.report import rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.bench.cases import Unit

BEGIN, END = "<!-- bench-beside: begin (written by `python3 -m lab.bench.beside`) -->", "<!-- bench-beside: end -->"
ALONE, IDLE, BESIDE, POLITE = "neighbor alone", "run alone", "both", "both, the run gives way"
MOST_SLOWER = 1.2
LEAST_RATE = 0.6


@dataclass(frozen=True, slots=True)
class Found:
    """One measurement: `rate` of the run per second, 0 without a run; `replies` of the neighbor in seconds."""

    case: str
    kind: str
    rate: float
    replies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """The medians of all rounds. Times in seconds, None without a neighbor."""

    rate: float
    p50: float | None
    p95: float | None


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def within(samples: Iterable[Sequence[float]], begin: float, end: float) -> tuple[float, ...]:
    """How long those took that began in this time; a sample is [at, seconds]."""
    return tuple(seconds for at, seconds in samples if begin <= at < end)


def lines(found: Sequence[Found], case: str) -> dict[str, Line]:
    """What was found of a case, by the kind of measurement."""
    made = {}
    for kind in (ALONE, IDLE, BESIDE, POLITE):
        of_kind = [one for one in found if (one.case, one.kind) == (case, kind)]
        heard = [one.replies for one in of_kind if one.replies]
        if of_kind:
            made[kind] = Line(
                rate=median(one.rate for one in of_kind),
                p50=median(percentile(replies, 0.5) for replies in heard) if heard else None,
                p95=median(percentile(replies, 0.95) for replies in heard) if heard else None,
            )
    return made


def table(found: Sequence[Found], titles: Mapping[str, tuple[str, Unit]], factor: float) -> str:
    """A row for each case and kind; `titles` has title and unit of each case."""
    rows = [
        "| case | | rate | of the run alone | neighbor p50 | p95 | p95 to alone |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for case, (title, unit) in titles.items():
        made, shown = lines(found, case), title
        for kind, line in made.items():
            name = f"{kind} at {factor:g}" if kind == POLITE else kind
            rows.append(f"| {shown} | {name} | {' | '.join(_cells(line, made, unit))} |")
            shown = ""
    return "\n".join(rows)


def _cells(line: Line, made: Mapping[str, Line], unit: Unit) -> list[str]:
    alone, idle = made.get(ALONE), made.get(IDLE)
    part = line.rate / idle.rate if idle is not None and idle.rate and line.rate else None
    slower = line.p95 / alone.p95 if alone is not None and alone.p95 and line.p95 else None
    return [
        rate(line.rate, unit) if line.rate else "",
        "" if part is None else f"{part * 100:.0f} %",
        _milliseconds(line.p50),
        _milliseconds(line.p95),
        "" if slower is None else f"{slower:.2f} x",
    ]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"


def verdict(found: Sequence[Found], titles: Mapping[str, tuple[str, Unit]]) -> str:
    """Whether each case reaches both goals: the neighbor's p95, and the run's rate."""
    said = []
    for case, (title, _) in titles.items():
        made = lines(found, case)
        if not {ALONE, IDLE, POLITE} <= made.keys():
            continue
        alone, idle, polite = made[ALONE].p95, made[IDLE].rate, made[POLITE]
        slower, kept = (polite.p95 or 0.0) / (alone or 1.0), polite.rate / idle
        reached = slower <= MOST_SLOWER and kept >= LEAST_RATE
        said.append(
            f"- {title}: p95 {slower:.2f} x (at most {MOST_SLOWER:g} x), {kept * 100:.0f} % of the rate "
            f"(at least {LEAST_RATE * 100:.0f} %): {'reached' if reached else 'not reached'}"
        )
    return "\n".join(said)
