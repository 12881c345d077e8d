"""Rows, medians, ratios, and whether the goals are reached. Pure.

`build/bench/engine.json` is what :func:`document` gives:

    version     1
    machine     what the figures were measured on (see lab.bench.machine)
    scale       1.0 for the real sizes
    cases       name → {title, unit, work, round_trip_seconds, files, bytes}
    peers       name → title
    rows        one per measurement: {case, peer, round, seconds, files, bytes, cpu_seconds, server_cpu_seconds,
                peak_bytes, error, forecast_seconds}; server_cpu_seconds is what the server's whole container used
                meanwhile; forecast_seconds is how long a survey said that it would take, 0 without a survey;
                files and bytes are what this peer was given, which may be a part of the case's tree;
                error is null, or why the row does not count (then all figures are 0)
    summaries   one per case and peer: {case, peer, rounds, rate, seconds, cpu_seconds, server_cpu_seconds,
                peak_bytes, error, forecast_ratio}: medians; rate in the case's unit (bytes or files) per second;
                peak_bytes is the greatest; forecast_ratio is the forecast to the time it took, null without one
    goals       one per goal: {title, case, peer, baseline, wanted, found, reached}; found is null without both rows
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Self

from lab.bench import peers
from lab.bench.cases import MIB, Case, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_PEAK = 200 * MIB
NEAR = 0.25  # how far a forecast may be from the time that it takes, as a part of it


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `forecast_seconds` is how long a survey before it said it would take, 0 without a survey."""

    case: str
    peer: str
    round: int
    seconds: float
    files: int
    bytes: int
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    error: str | None = None
    forecast_seconds: float = 0.0

    @classmethod
    def failed(cls, case: str, peer: str, number: int, error: str) -> Self:
        """A measurement that does not count, and why."""
        return cls(case, peer, number, 0.0, 0, 0, 0.0, 0.0, 0, error)


@dataclass(frozen=True, slots=True)
class Summary:
    """All rounds of one peer in one case. `rate` is per second, in the case's unit; `error` where none counts.

    `forecast_ratio` is a survey's forecast to the time that it took, None without a survey.
    """

    case: str
    peer: str
    rounds: int
    rate: float
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    error: str | None = None
    forecast_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """`peer` is to be at least `wanted` times as fast as the fastest of `baselines`."""

    title: str
    case: str
    peer: str
    baselines: tuple[str, ...]
    wanted: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a goal. `found` is None where a row is missing or an error."""

    title: str
    case: str
    wanted: float
    found: float | None
    reached: bool


_BOTH = (peers.RCLONE, peers.RCLONE_16)
GOALS = (
    Goal("one file copied, to rclone", "copy", peers.ENGINE, (peers.RCLONE,), 4.0),
    Goal("one file copied, to the limit", "copy", peers.ENGINE, (peers.LIMIT,), 0.85),
    Goal("one file copied and verified, to rclone (unverified)", "copy", peers.VERIFIED, (peers.RCLONE,), 2.5),
    Goal("one file read, to smbclient get", "read", peers.ENGINE, (peers.SMBCLIENT,), 1.0),
    Goal("one file written, to smbclient put", "write", peers.ENGINE, (peers.SMBCLIENT,), 1.5),
    Goal("small files, to rclone with 16 transfers", "small", peers.ENGINE, (peers.RCLONE_16,), 6.0),
    Goal("small files, to smbprotocol's client", "small", peers.ENGINE, (peers.SMBPROTOCOL,), 15.0),
    Goal("small files with streams looked for, to ignored", "small-streams", peers.ENGINE, (peers.IGNORING,), 0.95),
    Goal("rescan, to rclone (the faster of 4 and 16 transfers)", "rescan", peers.ENGINE, _BOTH, 5.0),
    Goal("one file copied at 10 ms, to rclone", "copy-10ms", peers.ENGINE, (peers.RCLONE,), 5.0),
    Goal("small files at 10 ms, to rclone (the faster)", "small-10ms", peers.ENGINE, _BOTH, 5.0),
)


def summarise(cases: Iterable[Case], rows: Sequence[Row]) -> list[Summary]:
    """Medians of the rounds that count, in the order of the cases and of the rows."""
    found = []
    for case in cases:
        by_peer: dict[str, list[Row]] = {}
        for row in rows:
            if row.case == case.name:
                by_peer.setdefault(row.peer, []).append(row)
        found += [_summary(case, peer, mine) for peer, mine in by_peer.items()]
    return found


def _summary(case: Case, peer: str, rows: Sequence[Row]) -> Summary:
    good = [row for row in rows if row.error is None]
    # A peer that failed once is not to be trusted with the rest: its row says why.
    errors = [row.error for row in rows if row.error is not None]
    if errors:
        return Summary(case.name, peer, len(rows), 0.0, 0.0, 0.0, 0.0, 0, errors[0])
    foretold = [row.forecast_seconds / row.seconds for row in good if row.forecast_seconds]
    return Summary(
        case=case.name,
        peer=peer,
        rounds=len(good),
        rate=median((row.bytes if case.unit is Unit.BYTES else row.files) / row.seconds for row in good),
        seconds=median(row.seconds for row in good),
        cpu_seconds=median(row.cpu_seconds for row in good),
        server_cpu_seconds=median(row.server_cpu_seconds for row in good),
        peak_bytes=max(row.peak_bytes for row in good),
        forecast_ratio=median(foretold) if foretold else None,
    )


def ratio(summaries: Iterable[Summary], case: str, peer: str, baselines: Iterable[str]) -> float | None:
    """How many times as fast `peer` is as the fastest of `baselines`; None where there is nothing to compare."""
    rates = {found.peer: found.rate for found in summaries if found.case == case and found.error is None}
    others = [rates[name] for name in baselines if name in rates]
    return rates[peer] / max(others) if peer in rates and others else None


def judge(summaries: Sequence[Summary]) -> list[Judgement]:
    """Every goal that the measured cases concern; memory last, over all of the engine's rows."""
    measured = {summary.case for summary in summaries}
    found = []
    for goal in GOALS:
        if goal.case in measured:
            value = ratio(summaries, goal.case, goal.peer, goal.baselines)
            found.append(
                Judgement(goal.title, goal.case, goal.wanted, value, value is not None and value >= goal.wanted)
            )
    return found


def greediest(summaries: Iterable[Summary]) -> Summary | None:
    """The engine's row with the greatest peak of memory; the limit is two processes and does not count."""
    own = [one for one in summaries if one.peer in (peers.ENGINE, peers.VERIFIED) and one.error is None]
    return max(own, key=lambda one: one.peak_bytes, default=None)


def furthest_forecast(summaries: Iterable[Summary]) -> tuple[Summary, float] | None:
    """The survey whose forecast was furthest from the time it took, with the ratio of the two."""
    found = [(one, one.forecast_ratio) for one in summaries if one.forecast_ratio is not None]
    return max(found, key=lambda pair: abs(pair[1] - 1), default=None)


def document(
    *, machine: Mapping[str, object], scale: float, cases: Sequence[Case], rows: Sequence[Row]
) -> dict[str, object]:
    """Everything, as JSON values; the schema is this module's own."""
    summaries = summarise(cases, rows)
    titles = {peer.name: peer.title for peer in peers.PEERS}
    return {
        "version": 1,
        "machine": dict(machine),
        "scale": scale,
        "cases": {
            case.name: {
                "title": case.title,
                "unit": case.unit.value,
                "work": case.work.value,
                "round_trip_seconds": case.round_trip,
                "files": case.tree.files,
                "bytes": case.tree.bytes,
            }
            for case in cases
        },
        "peers": {name: titles[name] for name in titles if any(row.peer == name for row in rows)},
        "rows": [asdict(row) for row in rows],
        "summaries": [asdict(summary) for summary in summaries],
        "goals": [asdict(judgement) for judgement in judge(summaries)],
    }
