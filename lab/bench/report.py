"""The tables of docs/performance.md, written between two markers; the prose around them stays as it is. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.bench import peers
from lab.bench.cases import MIB, Case, Unit, Work
from lab.bench.results import (
    MAX_PEAK,
    NEAR,
    Judgement,
    Summary,
    furthest_forecast,
    greediest,
    judge,
    ratio,
    summarise,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.bench.results import Row

PICTURE = "![How many times as fast as other clients smbferry is](images/performance.svg)"
SHOWN_ERROR = 240
BEGIN, END = "<!-- bench: begin (written by `make bench`) -->", "<!-- bench: end -->"


def merge(page: str, generated: str, begin: str = BEGIN, end: str = END) -> str:
    """The page with what lies between the markers replaced.

    Raises:
        ValueError: the page does not have both markers, once and in order.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in after or end in after:
        raise ValueError(f"the markers {begin!r} and {end!r} expected in the page, once each and in this order")
    return f"{before}{begin}\n\n{generated.strip()}\n\n{end}{after}"


def render(*, machine: Mapping[str, object], scale: float, cases: Sequence[Case], rows: Sequence[Row]) -> str:
    """Everything between the markers, as Markdown."""
    summaries = summarise(cases, rows)
    parts = [
        PICTURE,
        "## Goals",
        goals_table(judge(summaries), greediest(summaries), furthest_forecast(summaries)),
        "## Measured on",
        machine_list(machine),
    ]
    if scale != 1.0:
        parts.append(f"**A trial at scale {scale:g}: sizes and counts are smaller, and start-up weighs more.**")
    parts.append("## Figures")
    near = [case for case in cases if not case.round_trip and case.work is not Work.FORECAST]
    parts.append(figures_table(near, summaries))
    foretold = [case for case in cases if case.work is Work.FORECAST]
    if any(summary.case in {case.name for case in foretold} for summary in summaries):
        parts += ["### A survey's forecast and the copy that follows", forecasts_table(foretold, summaries)]
    far = [case for case in cases if case.round_trip]
    if any(summary.case in {case.name for case in far} for summary in summaries):
        parts += [f"### At {far[0].round_trip * 1000:.0f} ms round trip", figures_table(far, summaries)]
    if failed := [summary for summary in summaries if summary.error is not None]:
        parts.append("### Errors")
        parts.append("\n".join(f"- {one.case}, {title(one.peer)}: {_line(one.error)}" for one in failed))
    return "\n\n".join(parts)


def _line(error: str | None) -> str:
    """An error in one line: its beginning says who, its end says what."""
    words = " ".join((error or "").split())
    return words if len(words) <= SHOWN_ERROR else f"{words[:60]} ... {words[-SHOWN_ERROR + 60 :]}"


def title(peer: str) -> str:
    """What a peer is called in tables."""
    return next((one.title for one in peers.PEERS if one.name == peer), peer)


def goals_table(judgements: Sequence[Judgement], greedy: Summary | None, foretold: tuple[Summary, float] | None) -> str:
    """Every goal with what was found."""
    lines = ["| goal | at least | found | |", "|---|---:|---:|---|"]
    for one in judgements:
        found = "-" if one.found is None else f"{one.found:.2f} x"
        lines.append(f"| {one.title} | {one.wanted:g} x | {found} | {verdict(one)} |")
    if foretold is not None:
        worst, times = foretold
        said = "reached" if abs(times - 1) <= NEAR else f"off by {abs(times - 1) * 100:.0f} %"
        lines.append(
            f"| a survey's forecast, to the copy (furthest: {worst.case}) | {1 - NEAR:g} to {1 + NEAR:g} x "
            f"| {times:.2f} x | {said} |"
        )
    if greedy is not None:
        over = greedy.peak_bytes - MAX_PEAK
        said = "reached" if over <= 0 else f"over by {over / MIB:.0f} MiB"
        lines.append(
            f"| peak memory, any case (most: {greedy.case}) | at most {MAX_PEAK // MIB} MiB "
            f"| {greedy.peak_bytes / MIB:.0f} MiB | {said} |"
        )
    return "\n".join(lines)


def verdict(judgement: Judgement) -> str:
    """Reached, or by how much it is short."""
    if judgement.found is None:
        return "not measured"
    if judgement.reached:
        return "reached"
    return f"short by {(1 - judgement.found / judgement.wanted) * 100:.0f} %"


def machine_list(machine: Mapping[str, object]) -> str:
    """What the figures were measured on."""
    return "\n".join(f"- {name}: {value}" for name, value in machine.items())


def figures_table(cases: Sequence[Case], summaries: Sequence[Summary]) -> str:
    """Medians per case and client; the ratio says how many times as fast smbferry is."""
    lines = [
        "| case | client | rate | smbferry is | time | CPU | server CPU | peak memory | rounds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        shown = case.title
        for one in summaries:
            if one.case == case.name:
                lines.append(f"| {shown} | {_cells(case, one, summaries)} |")
                shown = ""
    return "\n".join(lines)


def forecasts_table(cases: Sequence[Case], summaries: Sequence[Summary]) -> str:
    """Medians per tree: how long the copy took, and the forecast to that."""
    lines = ["| tree | forecast to time | time | peak memory | rounds |", "|---|---:|---:|---:|---:|"]
    for case in cases:
        for one in summaries:
            if one.case == case.name and one.forecast_ratio is not None:
                cells = f"{one.forecast_ratio:.2f} x | {one.seconds:.2f} s | {one.peak_bytes / MIB:.0f} MiB"
                lines.append(f"| {case.title} | {cells} | {one.rounds} |")
    return "\n".join(lines)


def _cells(case: Case, one: Summary, summaries: Sequence[Summary]) -> str:
    if one.error is not None:
        return f"{title(one.peer)} | error | - | - | - | - | - | {one.rounds}"
    times = ratio(summaries, case.name, peers.ENGINE, (one.peer,))
    cells = [
        title(one.peer),
        rate(one.rate, case.unit),
        "" if one.peer == peers.ENGINE else "-" if times is None else f"{times:.2f} x",
        f"{one.seconds:.2f} s",
        f"{one.cpu_seconds:.2f} s",
        f"{one.server_cpu_seconds:.2f} s",
        f"{one.peak_bytes / MIB:.0f} MiB",
        str(one.rounds),
    ]
    return " | ".join(cells)


def rate(value: float, unit: Unit) -> str:
    """A rate for people: MB/s (10^6 bytes) or files/s."""
    return f"{value / 1e6:,.0f} MB/s" if unit is Unit.BYTES else f"{value:,.0f} files/s"
