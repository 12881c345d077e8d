"""Renders verdicts and summaries as tables. Pure: takes values, returns rich renderables.

All data from a manifest, a server or a KDC is passed through `safe` into `Text`, never into markup.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from smbferry_agent.report import words
from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS
from smbferry_api.fields import format_time
from smbferry_api.run_status import (
    ROUNDED_TIMES,
    ByteCounters,
    Counters,
    FileFailure,
    ItemCounters,
    RunState,
    SideEvidence,
    SourceSnapshotStatus,
    TransferRunStatus,
)
from smbferry_cli.survey_view import survey_view
from smbferry_cli.text import safe
from smbferry_cli.verdicts import Verdict, Word
from smbferry_words.run import COUNTED_SEPARATELY

WIDE: Final = 120
"""Minimum width for separate columns of reason and message."""

_CHECK_WIDTH: Final = max(len(t) for t in (*IDENTITY_CHECKS, *LOCATION_CHECKS))
_WORD_WIDTH: Final = max(len(w) for w in Word)
_STYLE: Final = {Word.OK: "green", Word.WARNING: "yellow", Word.FAILED: "bold red", Word.NOT_CHECKED: "dim"}
_CANCELLED: Final = "Cancelled. Complete files stay; partial files were removed. Run the task again to copy the rest."
_STATE_STYLE: Final = {
    RunState.SUCCEEDED: "bold green",
    RunState.PARTIALLY_SUCCEEDED: "bold yellow",
    RunState.FAILED: "bold red",
    RunState.CANCELLED: "bold yellow",
}


def verdicts_view(verdicts: Iterable[Verdict], width: int) -> RenderableType:
    """Renders object, check, verdict, reason and message. In a narrow terminal, renders one table per object."""
    if width >= WIDE:
        return _wide(verdicts)
    return Group(*(part for verdict in verdicts for part in _narrow(verdict)))


def _wide(verdicts: Iterable[Verdict]) -> Table:
    table = _table("OBJECT", "CHECK", "VERDICT", "REASON", "MESSAGE")
    for verdict in verdicts:
        name = Text(_object(verdict))
        for row in verdict.rows():
            table.add_row(name, row.check, _word(row.word), Text(safe(row.reason)), Text(safe(row.message)))
            name = Text()
        table.add_section()
    return table


def _narrow(verdict: Verdict) -> Iterator[RenderableType]:
    table = _table("CHECK", "VERDICT", "REASON AND MESSAGE")
    for row in verdict.rows():
        table.add_row(row.check, _word(row.word), Text(f"{safe(row.reason)}\n{safe(row.message)}"))
    yield Text(_object(verdict), "bold")
    yield table
    yield Text()


def _object(verdict: Verdict) -> str:
    return f"{verdict.kind}/{safe(verdict.name)}"


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title in {"CHECK", "VERDICT", "REASON"}, overflow="fold")
    table.columns[0].min_width = _CHECK_WIDTH
    return table


def _word(word: Word) -> Text:
    return Text(f"{word:{_WORD_WIDTH}}", _STYLE[word])


def style_of(word: Word) -> str:
    """Returns the style of a verdict."""
    return _STYLE[word]


def summary(name: str, status: TransferRunStatus, *, dry_run: bool, to_delete: int = 0) -> RenderableType:
    """Renders the result of a run: state, counts, failures and encryption."""
    return Group(*_summary(name, status, dry_run=dry_run, to_delete=to_delete))


def _summary(name: str, status: TransferRunStatus, *, dry_run: bool, to_delete: int) -> Iterator[RenderableType]:
    state = status.state or RunState.FAILED
    took = f" in {status.duration}" if status.duration else ""
    dry = " (dry run: nothing was written)" if dry_run else ""
    yield Text.assemble(f"{safe(name)}: ", (state.value, _STATE_STYLE.get(state, "")), f"{took}{dry}")
    if status.source_snapshot:
        yield Text(_version(status.source_snapshot))
    if status.survey:
        yield Text()
        yield from survey_view(status.survey)
    elif status.counters:
        yield Text()
        yield _counts(status.counters, dry_run=dry_run)
        yield Text(_moved(status, status.counters.bytes, dry_run=dry_run, to_delete=to_delete))
        yield from _left_out(status.counters)
        yield from _not_carried(status)
        listed, failed = len(status.failures), status.counters.files.failed + status.counters.directories.failed
        if failed > listed:
            yield Text(f"{failed - listed:,} more failures are not listed.")
    if status.security:
        yield Text()
        yield _evidence(status.security.source, status.security.destination)
    if state is RunState.CANCELLED:
        yield Text()
        yield Text(_CANCELLED if status.counters else "Cancelled before any data moved.")
    elif status.failure:
        yield Text()
        yield Text.assemble((safe(status.failure.reason), "bold red"), f": {safe(status.failure.message)}")
        if status.failure.remedy:
            yield Text(safe(status.failure.remedy))


def _version(source: SourceSnapshotStatus) -> str:
    """Returns which version of the source was read."""
    age = f", {source.age} old" if source.age else ""
    read = f"Source as of {format_time(source.time)}{age}. " if source.time else ""
    return f"{read}{safe(source.message)}"


def _counts(counters: Counters, *, dry_run: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    titles = ("listed", "to copy", *(() if dry_run else ("copied",)), "skipped")
    titles += () if dry_run else ("verified", "deleted")
    rows = (("files", counters.files), ("folders", counters.directories))
    lacking = any(items.incomplete for _, items in rows)
    for title in (*titles, "failed", *(("incomplete",) if lacking else ())):
        table.add_column(title.upper(), justify="right")
    for what, items in rows:
        numbers = (*_numbers(items, dry_run=dry_run), *((items.incomplete,) if lacking else ()))
        table.add_row(what, *(f"{n:,}" for n in numbers))
    return table


def _left_out(counters: Counters) -> Iterator[Text]:
    """Yields notes about items that the counts do not show: skipped, renamed and rounded ones."""
    links = counters.files.links + counters.directories.links
    renamed = counters.files.renamed + counters.directories.renamed
    if links:
        yield Text(f"{links:,} links were skipped. Links are never followed.")
    if counters.directories.system:
        yield Text(f"{counters.directories.system:,} system folders were skipped (options.systemFolders).")
    if counters.files.rounded_times:
        yield Text(f"{counters.files.rounded_times:,} files differ only by rounded timestamps. {ROUNDED_TIMES}")
    if renamed:
        yield Text(f"{renamed:,} files were renamed because only case differed.")


def _not_carried(status: TransferRunStatus) -> Iterator[Text]:
    """Yields what the destination did not get, except for what the counters of skipped items say already."""
    for sum_ in status.not_carried:
        if sum_.what not in COUNTED_SEPARATELY:
            first = f" The first: {safe(sum_.paths[0])}." if sum_.paths else ""
            yield Text(f"Not carried: {sum_.what} ({sum_.count:,}): {safe(sum_.reason)}.{first}")


def _moved(status: TransferRunStatus, octets: ByteCounters, *, dry_run: bool, to_delete: int) -> str:
    if dry_run:
        said = f"{words.size(octets.to_transfer)} to transfer"
        return f"{said}; files and folders to delete: {to_delete:,}" if to_delete else said
    said = f"{words.size(octets.transferred)} of {words.size(octets.to_transfer)} transferred"
    if not octets.transferred or not status.start_time or not status.completion_time:
        return said
    seconds = max((status.completion_time - status.start_time).total_seconds(), 0.001)
    return f"{said}, {words.rate(octets.transferred / seconds)} on average"


def _numbers(items: ItemCounters, *, dry_run: bool) -> tuple[int, ...]:
    if dry_run:
        return (items.listed, items.to_transfer, items.skipped, items.failed)
    return (
        items.listed, items.to_transfer, items.transferred, items.skipped, items.verified, items.deleted, items.failed,
    )  # fmt: skip


def _evidence(source: SideEvidence | None, destination: SideEvidence | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("")
    sides = [(title, side) for title, side in (("SOURCE", source), ("DESTINATION", destination)) if side]
    for title, _ in sides:
        table.add_column(title, overflow="fold")
    for label, field in (
        ("principal", "principal"),
        ("key version", "kvno"),
        ("ticket", "ticket_enctype"),
        ("dialect", "dialect"),
        ("cipher", "cipher"),
        ("signing", "signing"),
    ):
        values = [getattr(side, field) for _, side in sides]
        table.add_row(label, *(Text("-" if v is None else safe(str(v))) for v in values))
    return table


def failure_line(failure: FileFailure) -> Text:
    """Renders one failed file."""
    said = f"{safe(failure.path)}: {failure.reason}"
    return Text.assemble(("failed ", "red"), f"{said}: {safe(failure.message)}" if failure.message else said)
