"""The plot of docs/performance.md: how many times as fast as each peer, per case, as an SVG written by hand. Pure.

It follows the reader's light or dark scheme by itself. The axis is logarithmic: half as fast is as far from 1 as twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from lab.bench import peers
from lab.bench.report import title
from lab.bench.results import GOALS, Summary, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.bench.cases import Case

WIDTH = 860
LEFT, RIGHT, TOP, BOTTOM = 300, 70, 64, 40
BAR, GAP, GROUP = 14, 4, 16
LABEL = 40
LEAST, MOST = 0.5, 100.0
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
COMPARED = (peers.RCLONE, peers.RCLONE_16, peers.SMBCLIENT, peers.SMBPROTOCOL)
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .small { fill: #57606a; font-size: 11px }
  .grid { stroke: #d0d7de } .one { stroke: #57606a } .goal { stroke: #cf222e; stroke-width: 2 }
  .rclone { fill: #0969da } .rclone-16 { fill: #54aeff } .smbclient { fill: #1a7f37 } .smbprotocol { fill: #9a6700 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .grid { stroke: #30363d } .one { stroke: #9198a1 } .goal { stroke: #ff7b72 }
    .rclone { fill: #2f81f7 } .rclone-16 { fill: #79c0ff } .smbclient { fill: #3fb950 } .smbprotocol { fill: #d29922 }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One peer in one case: smbferry is `value` times as fast; `goal` is what it should be, if anything."""

    peer: str
    value: float
    goal: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of one case."""

    title: str
    bars: tuple[Bar, ...]


def groups(cases: Iterable[Case], summaries: Sequence[Summary]) -> list[Group]:
    """What there is to show: cases with at least one comparison."""
    found = []
    for case in cases:
        bars = []
        for peer in COMPARED:
            value = ratio(summaries, case.name, peers.ENGINE, (peer,))
            if value is not None:
                bars.append(Bar(peer, value, _goal(case.name, peer)))
        if bars:
            found.append(Group(case.title, tuple(bars)))
    return found


def _goal(case: str, peer: str) -> float | None:
    for goal in GOALS:
        if goal.case == case and goal.peer == peers.ENGINE and peer in goal.baselines:
            return goal.wanted
    return None


def position(value: float) -> float:
    """Where a ratio lies on the axis, in pixels from the left; what is beyond the axis lies at its end."""
    inner = WIDTH - LEFT - RIGHT
    clamped = min(max(value, LEAST), MOST)
    return LEFT + inner * math.log(clamped / LEAST) / math.log(MOST / LEAST)


def render(shown: Sequence[Group]) -> str:
    """The picture as SVG text."""
    height = TOP + BOTTOM + sum(GROUP + len(group.bars) * (BAR + GAP) for group in shown)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t">',
        f'<title id="t">How many times as fast as other clients smbferry is, per case</title><style>{STYLE}</style>',
        f'<text class="title" x="16" y="24">smbferry is this many times as fast as</text>{_legend()}',
        *_axis(height),
    ]
    y = TOP + GROUP / 2
    for group in shown:
        parts += _group(group, y)
        y += GROUP + len(group.bars) * (BAR + GAP)
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> str:
    x, parts = 16.0, []
    for peer in COMPARED:
        parts.append(f'<rect class="{peer}" x="{x:.0f}" y="36" width="12" height="12" rx="2"/>')
        parts.append(f'<text x="{x + 17:.0f}" y="46">{escape(title(peer))}</text>')
        x += 40 + 7 * len(title(peer))
    parts.append(f'<line class="goal" x1="{x + 6:.0f}" x2="{x + 6:.0f}" y1="35" y2="49"/>')
    parts.append(f'<text x="{x + 14:.0f}" y="46">goal</text>')
    return "".join(parts)


def _axis(height: int) -> list[str]:
    parts = []
    for tick in TICKS:
        x = position(tick)
        kind = "one" if tick == 1 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - BOTTOM + 6}"/>')
        parts.append(f'<text class="small" x="{x:.1f}" y="{height - 16}" text-anchor="middle">{tick:g} x</text>')
    return parts


def _group(group: Group, y: float) -> list[str]:
    middle = y + len(group.bars) * (BAR + GAP) / 2 + 3
    parts = [f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(group.title)}</text>']
    one = position(1.0)
    for bar in group.bars:
        end = position(bar.value)
        x, width = min(one, end), max(abs(end - one), 1.0)
        parts.append(f'<rect class="{bar.peer}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="2"/>')
        if bar.goal is not None:
            at = position(bar.goal)
            parts.append(f'<line class="goal" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 1:.1f}" y2="{y + BAR + 1:.1f}"/>')
        label = max(end, one)
        if bar.goal is not None and 0 <= position(bar.goal) - label < LABEL:
            label = position(bar.goal)
        parts.append(f'<text class="small" x="{label + 6:.1f}" y="{y + BAR - 3:.1f}">{bar.value:.1f} x</text>')
        y += BAR + GAP
    return parts
