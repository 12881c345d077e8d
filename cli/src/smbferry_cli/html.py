"""A run as one HTML page that needs nothing else: no script, no font, no picture from anywhere. Pure.

It reads on a telephone, on paper, in the dark and by a screen reader. Every name in it may come from a server, so every
text is escaped, and shown without characters that turn lines around.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from smbferry_agent.report import words
from smbferry_cli.svg import bars, line
from smbferry_cli.text import safe

MAX_ROWS: Final = 1_000
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b2733;--soft:#5b6b7b;--line:#d8dfe6;--paper:#fff;--card:#f5f7f9;--good:#1b7f4d;
--warn:#a15c00;--bad:#b3261e;--mark:#2563a8}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#9fb0c0;--line:#34424f;--paper:#12181e;
--card:#1b242d;--good:#5bd397;--warn:#f0b35a;--bad:#ff8a80;--mark:#7fb4ee}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:64rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.25rem 0}.soft{color:var(--soft)}
.state{font-weight:600}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1rem 0}
dl div{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}dt{color:var(--soft);font-size:.85rem}
dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{overflow-wrap:normal}ul{list-style:none;margin:0;padding:0}
li{padding:.35rem .6rem;border-bottom:1px solid var(--line);font-size:.92rem;break-inside:avoid}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
@media(max-width:40rem){svg text{font-size:20px}}
svg .mark{stroke:var(--mark);fill:none;stroke-width:2}svg .bar{fill:var(--mark)}svg .axis{stroke:var(--line)}
@media print{body{max-width:none;padding:0}
dl div{border:1px solid var(--line)}h2{break-after:avoid}tr{break-inside:avoid}}
"""
_TONES: Final = {"Succeeded": "good", "PartiallySucceeded": "warn", "Cancelled": "warn", "Failed": "bad"}
_POWERS: Final = ("0", "1 B", "1 KiB", "64 KiB", "1 MiB", "16 MiB", "256 MiB", "4 GiB")
_EDGES: Final = (0, 1, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 32)


@dataclass(slots=True)
class Facts:
    """What a page is made from: the summary of a run, and what its records add where they are at hand."""

    summary: dict[str, Any]
    sizes: list[int] = field(default_factory=lambda: [0] * len(_EDGES))
    actions: dict[tuple[str, str], int] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    has_records: bool = False

    def take(self, record: dict[str, Any]) -> None:
        """One line of the records."""
        self.has_records = True
        match record.get("kind"):
            case "Failure":
                self.failures.append(record)
            case "File" | "Directory" as kind:
                key = (kind, str(record.get("action")))
                self.actions[key] = self.actions.get(key, 0) + 1
                if kind == "File" and record.get("action") not in ("Deleted", "LeftOut"):
                    self.sizes[_bucket(int(record.get("size") or 0))] += 1


def _bucket(size: int) -> int:
    return max(index for index, edge in enumerate(_EDGES) if size >= edge)


def page(facts: Facts) -> str:
    """The whole page."""
    summary = facts.summary
    name = _text(summary.get("run") or "run")
    state = str(summary.get("state") or "unknown")
    body = [
        f"<h1>{name}</h1>",
        f'<p class="state {_TONES.get(state, "")}">{_text(state)}</p>',
        _course(summary),
        _figures(summary),
        _failure(summary.get("failure")),
        _throughput(summary.get("throughput") or ()),
        _work(facts),
        _sizes(facts),
        _security(summary.get("security") or {}),
        _phases(summary.get("phases") or {}),
        _failures(facts),
        _vouched(summary),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}: {_text(state)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>\n{''.join(part for part in body if part)}</main></body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(safe(str(value)))


def _course(summary: dict[str, Any]) -> str:
    ends = [_place(summary.get(side)) for side in ("source", "destination")]
    way = f"<p>{' → '.join(ends)}</p>" if all(ends) else ""
    times = [str(summary[key]) for key in ("startTime", "completionTime") if summary.get(key)]
    task = f"task {_text(summary['task'])}, " if summary.get("task") else ""
    return f'{way}<p class="soft">{task}{" to ".join(_text(time) for time in times)}</p>'


def _place(end: dict[str, Any] | None) -> str:
    return f"//{_text(end.get('server'))}/{_text(end.get('share'))}{_text(end.get('path', ''))}" if end else ""


def _figures(summary: dict[str, Any]) -> str:
    counters = summary.get("counters") or {}
    files, octets = counters.get("files") or {}, counters.get("bytes") or {}
    shown = {
        "Files copied": f"{files.get('transferred', 0):,}",
        "Files verified": f"{files.get('verified', 0):,}",
        "Files left alone": f"{files.get('skipped', 0):,}",
        "Files deleted": f"{files.get('deleted', 0):,}",
        "Files failed": f"{files.get('failed', 0):,}",
        "Data": words.size(octets.get("transferred", 0)),
    }
    if counters.get("bytesPerSecond"):
        shown["Rate"] = words.rate(counters["bytesPerSecond"])
    pairs = "".join(f"<div><dt>{_text(term)}</dt><dd>{_text(value)}</dd></div>" for term, value in shown.items())
    return f"<dl>{pairs}</dl>"


def _failure(failure: dict[str, Any] | None) -> str:
    if not failure:
        return ""
    said = " ".join(str(failure.get(key) or "") for key in ("message", "remedy"))
    return f'<h2>Why it failed</h2><p><strong class="bad">{_text(failure.get("reason"))}</strong> {_text(said)}</p>'


def _throughput(points: Sequence[Sequence[float]]) -> str:
    """The rate between every two points, over the time in their middle."""
    rates = [
        ((early[0] + late[0]) / 2, (late[1] - early[1]) / (late[0] - early[0]))
        for early, late in pairwise(points)
        if late[0] > early[0]
    ]
    if len(rates) < 2:  # noqa: PLR2004 (one point makes no line)
        return ""
    top = max(rate for _, rate in rates)
    drawn = line(
        rates, f"Throughput over {words.duration(points[-1][0])}, at most {words.rate(top)}", words.rate, words.duration
    )
    return f"<h2>Throughput</h2>{drawn}"


def _work(facts: Facts) -> str:
    if not facts.actions:
        return ""
    rows = [(kind, action, f"{count:,}") for (kind, action), count in sorted(facts.actions.items())]
    return f"<h2>What was done</h2>{_table(('kind', 'what', 'how many'), rows, numbers={2})}"


def _sizes(facts: Facts) -> str:
    if not any(facts.sizes):
        return ""
    named = list(
        zip((f"≥ {power}" if index else "empty" for index, power in enumerate(_POWERS)), facts.sizes, strict=True)
    )
    return f"<h2>Sizes of files</h2>{bars(named, 'How many files have which size')}"


def _security(security: dict[str, Any]) -> str:
    sides = [(side, security[side]) for side in ("source", "destination") if security.get(side)]
    fields = {
        "principal": "principal",
        "kvno": "key version",
        "ticketEnctype": "ticket",
        "dialect": "SMB dialect",
        "cipher": "cipher",
        "signing": "signing",
    }
    rows = [
        (title, *(str(side.get(key, "")) for _, side in sides))
        for key, title in fields.items()
        if any(side.get(key) for _, side in sides)
    ]
    return f"<h2>What protected it</h2>{_table(('', *(name for name, _ in sides)), rows)}" if rows else ""


def _phases(phases: dict[str, Any]) -> str:
    rows = [(name, str(p.get("state", "")), str(p.get("duration") or "")) for name, p in phases.items() if p]
    return f"<h2>Phases</h2>{_table(('phase', 'state', 'took'), rows, numbers={2})}" if rows else ""


def _failures(facts: Facts) -> str:
    found = facts.failures or list(facts.summary.get("failures") or ())
    if not found:
        return ""
    lines = "".join(f"<li>{_failed_file(failure)}</li>" for failure in found[:MAX_ROWS])
    left = f'<p class="soft">the first {MAX_ROWS:,} of {len(found):,}</p>' if len(found) > MAX_ROWS else ""
    return f"<h2>Files that failed</h2>{left}<ul>{lines}</ul>"


def _failed_file(failure: dict[str, Any]) -> str:
    """Not a row of a table: paths are long, and telephones narrow."""
    path, phase, reason, message = (_text(failure.get(key) or "") for key in ("path", "phase", "reason", "message"))
    during = f' <span class="soft">({phase})</span>' if phase else ""
    return f'<p>{path}</p><p><strong class="bad">{reason}</strong>{during} {message}</p>'


def _vouched(summary: dict[str, Any]) -> str:
    records = summary.get("records") or summary.get("report") or {}
    if not records.get("sha256"):
        return ""
    return f'<p class="soft">Records: {_text(records.get("path"))}, SHA-256 <code>{_text(records["sha256"])}</code></p>'


def _table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: frozenset[int] | set[int] = frozenset(),
) -> str:
    def cell(index: int, content: str, *, heads: bool) -> str:
        tag = "th" if heads and content else "td"  # an empty head says nothing to somebody who listens
        scope = ' scope="col"' if tag == "th" else ""
        mark = ' class="n"' if index in numbers else ""
        return f"<{tag}{scope}{mark}>{_text(content)}</{tag}>"

    def cells(row: Sequence[str], *, heads: bool = False) -> str:
        return "".join(cell(index, content, heads=heads) for index, content in enumerate(row))

    lines = "".join(f"<tr>{cells(row)}</tr>" for row in rows)
    table = f"<thead><tr>{cells(head, heads=True)}</tr></thead><tbody>{lines}</tbody>"
    return f'<div class="wide"><table>{table}</table></div>'
