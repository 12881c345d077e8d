"""Renders a run as one self-contained HTML page without scripts, fonts or external images. Pure.

The page supports phones, printing, dark mode and screen readers. Names may come from a server, so all text is escaped
and bidirectional control characters are replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from smbferry_agent.report import words
from smbferry_api.run_status import RunState
from smbferry_cli.markup import figures, table, text
from smbferry_cli.plan_page import plan_section
from smbferry_cli.survey_page import survey_of, survey_sections
from smbferry_cli.svg import bars, line

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
summary{cursor:pointer;color:var(--soft)}
svg{width:100%;height:auto;display:block}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
@media(max-width:40rem){svg text{font-size:20px}}
svg .mark{stroke:var(--mark);fill:none;stroke-width:2}svg .bar{fill:var(--mark)}svg .axis{stroke:var(--line)}
@media print{body{max-width:none;padding:0}
dl div{border:1px solid var(--line)}h2{break-after:avoid}tr{break-inside:avoid}}
"""
_TONES: Final = {
    RunState.SUCCEEDED.value: "good",
    RunState.PARTIALLY_SUCCEEDED.value: "warn",
    RunState.CANCELLED.value: "warn",
    RunState.FAILED.value: "bad",
}
_POWERS: Final = ("0", "1 B", "1 KiB", "64 KiB", "1 MiB", "16 MiB", "256 MiB", "4 GiB")
_EDGES: Final = (0, 1, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 32)


@dataclass(slots=True)
class Facts:
    """Input of a page: the summary of a run and, if available, its records."""

    summary: dict[str, Any]
    sizes: list[int] = field(default_factory=lambda: [0] * len(_EDGES))
    actions: dict[tuple[str, str], int] = field(default_factory=dict)
    failures: list[dict[str, Any]] = field(default_factory=list)
    not_carried: list[dict[str, Any]] = field(default_factory=list)
    has_records: bool = False

    def take(self, record: dict[str, Any]) -> None:
        """Adds one record."""
        self.has_records = True
        match record.get("kind"):
            case "Failure":
                self.failures.append(record)
            case "NotCarried":
                if len(self.not_carried) < MAX_ROWS:
                    self.not_carried.append(record)
            case "File" | "Directory" as kind:
                key = (kind, str(record.get("action")))
                self.actions[key] = self.actions.get(key, 0) + 1
                if kind == "File" and record.get("action") not in ("Deleted", "LeftOut"):
                    self.sizes[_bucket(int(record.get("size") or 0))] += 1


def _bucket(size: int) -> int:
    return max(index for index, edge in enumerate(_EDGES) if size >= edge)


def page(facts: Facts) -> str:
    """Returns the page."""
    summary = facts.summary
    name = text(summary.get("run") or "run")
    state = str(summary.get("state") or "unknown")
    survey = survey_of(summary)
    body = [
        f"<h1>{name}</h1>",
        f'<p class="state {_TONES.get(state, "")}">{text(state)}</p>',
        _course(summary),
        _figures(summary) if survey is None else "",
        _failure(summary.get("failure")),
        *(survey_sections(survey) if survey is not None else ()),
        plan_section(summary),
        _throughput(summary.get("throughput") or ()) if survey is None else "",
        _work(facts),
        _sizes(facts),
        _security(summary.get("security") or {}),
        _phases(summary.get("phases") or {}),
        _failures(facts),
        _not_carried(facts),
        _sids(summary.get("sids") or {}),
        _vouched(summary),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}: {text(state)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>\n{''.join(part for part in body if part)}</main></body></html>\n"
    )


def _course(summary: dict[str, Any]) -> str:
    ends = [_place(summary.get(side)) for side in ("source", "destination")]
    way = f"<p>{' → '.join(ends)}</p>" if all(ends) else ""
    times = [str(summary[key]) for key in ("startTime", "completionTime") if summary.get(key)]
    task = f"task {text(summary['task'])}, " if summary.get("task") else ""
    version = _version(summary.get("sourceSnapshot") or {})
    return f'{way}{version}<p class="soft">{task}{" to ".join(text(time) for time in times)}</p>'


def _version(source: dict[str, Any]) -> str:
    """Renders which version of the source was read, if the task asks for a snapshot."""
    if not source:
        return ""
    age = f", {source['age']} old" if source.get("age") else ""
    read = f"Source as of {source['time']}{age}. " if source.get("time") else ""
    return f"<p>{text(read + str(source.get('message') or ''))}</p>"


def _place(end: dict[str, Any] | None) -> str:
    return f"//{text(end.get('server'))}/{text(end.get('share'))}{text(end.get('path', ''))}" if end else ""


def _figures(summary: dict[str, Any]) -> str:
    counters = summary.get("counters") or {}
    files, octets = counters.get("files") or {}, counters.get("bytes") or {}
    shown = {
        "Files copied": f"{files.get('transferred', 0):,}",
        "Files verified": f"{files.get('verified', 0):,}",
        "Files skipped": f"{files.get('skipped', 0):,}",
        "Files deleted": f"{files.get('deleted', 0):,}",
        "Files failed": f"{files.get('failed', 0):,}",
        "Data": words.size(octets.get("transferred", 0)),
    }
    if counters.get("bytesPerSecond"):
        shown["Rate"] = words.rate(counters["bytesPerSecond"])
    if polite := summary.get("politeness"):
        shown["Gave way"] = str(polite.get("slowed", ""))
    return figures(shown)


def _failure(failure: dict[str, Any] | None) -> str:
    if not failure:
        return ""
    said = " ".join(str(failure.get(key) or "") for key in ("message", "remedy"))
    return f'<h2>Why it failed</h2><p><strong class="bad">{text(failure.get("reason"))}</strong> {text(said)}</p>'


def _throughput(points: Sequence[Sequence[float]]) -> str:
    """Plots the rate between consecutive points at the middle of their times."""
    rates = [
        ((early[0] + late[0]) / 2, (late[1] - early[1]) / (late[0] - early[0]))
        for early, late in pairwise(points)
        if late[0] > early[0]
    ]
    if len(rates) < 2:  # noqa: PLR2004 (a line needs two points)
        return ""
    top = max(rate for _, rate in rates)
    drawn = line(
        rates, f"Throughput over {words.duration(points[-1][0])}, maximum {words.rate(top)}", words.rate, words.duration
    )
    return f"<h2>Throughput</h2>{drawn}"


def _work(facts: Facts) -> str:
    if not facts.actions:
        return ""
    rows = [(kind, action, f"{count:,}") for (kind, action), count in sorted(facts.actions.items())]
    return f"<h2>Actions</h2>{table(('kind', 'action', 'count'), rows, numbers={2})}"


def _sizes(facts: Facts) -> str:
    if not any(facts.sizes):
        return ""
    named = list(
        zip((f"≥ {power}" if index else "empty" for index, power in enumerate(_POWERS)), facts.sizes, strict=True)
    )
    return f"<h2>File sizes</h2>{bars(named, 'Number of files by size')}"


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
    return f"<h2>Encryption and authentication</h2>{table(('', *(name for name, _ in sides)), rows)}" if rows else ""


def _phases(phases: dict[str, Any]) -> str:
    rows = [(name, str(p.get("state", "")), str(p.get("duration") or "")) for name, p in phases.items() if p]
    return f"<h2>Phases</h2>{table(('phase', 'state', 'duration'), rows, numbers={2})}" if rows else ""


def _failures(facts: Facts) -> str:
    found = facts.failures or list(facts.summary.get("failures") or ())
    if not found:
        return ""
    lines = "".join(f"<li>{_failed_file(failure)}</li>" for failure in found[:MAX_ROWS])
    left = f'<p class="soft">First {MAX_ROWS:,} of {len(found):,} failures</p>' if len(found) > MAX_ROWS else ""
    return f"<h2>Files that failed</h2>{left}<ul>{lines}</ul>"


def _not_carried(facts: Facts) -> str:
    """Renders the sums by kind, and the items: all that the records list, otherwise the first of each kind."""
    sums = list(facts.summary.get("notCarried") or ())
    if not sums:
        return ""
    rows = [(str(kind.get("what")), f"{kind.get('count', 0):,}", str(kind.get("reason") or "")) for kind in sums]
    items = facts.not_carried or [
        {"path": path, "what": kind.get("what")} for kind in sums for path in kind.get("paths") or ()
    ]
    total = sum(int(kind.get("count") or 0) for kind in sums)
    left = f'<p class="soft">First {len(items):,} of {total:,} items</p>' if len(items) < total else ""
    lines = "".join(
        f'<li>{text(item.get("path") or "")} <span class="soft">{text(item.get("what") or "")}</span></li>'
        for item in items
    )
    found = table(("kind", "count", "first reason"), rows, numbers={1})
    return f"<h2>Not carried</h2>{found}{left}<ul>{lines}</ul>"


def _sids(sids: dict[str, Any]) -> str:
    """Renders the rules of the SID map that were applied, and the domains and local accounts that it does not name."""
    applied = [
        (str(rule.get("from")), str(rule.get("to")), f"{rule.get('descriptors', 0):,}")
        for rule in sids.get("applied") or ()
    ]
    unmapped = [(str(one.get("sid")), f"{one.get('descriptors', 0):,}") for one in sids.get("unmapped") or ()]
    if not applied and not unmapped:
        return ""
    parts = ["<h2>SIDs in access lists and owners</h2>"]
    if applied:
        parts.append(table(("replaced", "by", "descriptors"), applied, numbers={2}))
    if unmapped:
        parts.append('<p class="soft">Domains and local accounts that no rule of the SID map names:</p>')
        parts.append(table(("SID", "descriptors"), unmapped, numbers={1}))
    return "".join(parts)


def _failed_file(failure: dict[str, Any]) -> str:
    """Renders a list item instead of a table row, because paths are long and phones are narrow."""
    path, phase, reason, message = (text(failure.get(key) or "") for key in ("path", "phase", "reason", "message"))
    during = f' <span class="soft">({phase})</span>' if phase else ""
    return f'<p>{path}</p><p><strong class="bad">{reason}</strong>{during} {message}</p>'


def _vouched(summary: dict[str, Any]) -> str:
    records = summary.get("records") or summary.get("report") or {}
    if not records.get("sha256"):
        return ""
    return f'<p class="soft">Records: {text(records.get("path"))}, SHA-256 <code>{text(records["sha256"])}</code></p>'
