"""Renders the plan of a run for a terminal. Pure."""

from collections.abc import Iterator
from typing import Final

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from smbferry_agent.report import words
from smbferry_api.fields import format_time
from smbferry_api.plan_status import PlannedItems, PlanStatus, plan_digest
from smbferry_api.sid_status import SidStatus
from smbferry_cli.text import safe

_PATHS: Final = 20


def plan_view(plan: PlanStatus, sids: SidStatus | None = None) -> Iterator[RenderableType]:
    """Yields where the run copies to, counts, and the first names of each kind.

    Args:
        sids: the effect of the task's SID map, if it has one.
    """
    made = f", made {format_time(plan.planned_at)}" if plan.planned_at else ""
    yield Text(f"Plan {plan_digest(plan)}{made}", "bold")
    yield Text(f"{safe(plan.source)} to {safe(plan.destination)}")
    if plan.first_run:
        yield Text(f"No run of the task has copied there before. It has {plan.existing:,} files and folders.", "yellow")
    for change in plan.changes:
        yield Text(f"Changed since the plan before: {safe(change)}", "bold yellow")
    yield Text()
    yield _counts(plan)
    for title, items in planned_items(plan):
        if items.paths:
            yield Text()
            yield Text(_title(title, items))
            yield from (Text(f"  {safe(path)}") for path in items.paths[:_PATHS])
    yield from _sids(sids)


def planned_items(plan: PlanStatus) -> tuple[tuple[str, PlannedItems], ...]:
    """What a plan has names of, what can't be undone first."""
    return (
        ("Delete", plan.to_delete),
        ("Newer at the destination", plan.newer),
        ("Replace", plan.to_replace),
        ("Create", plan.to_create),
    )


def plan_figures(plan: PlanStatus) -> dict[str, str]:
    """The counts of a plan by what they are called; only deletions, replacements and new files if they are none."""
    shown = {
        "Delete": f"{plan.to_delete.files:,} files, {plan.to_delete.directories:,} folders",
        "Replace": f"{plan.to_replace.files:,} files, {words.size(plan.to_replace.bytes)}",
        "Create": f"{plan.to_create.files:,} files, {words.size(plan.to_create.bytes)}",
    }
    more = {
        "Newer at the destination": plan.newer.files,
        "Compare by content": plan.to_compare,
        "Correct metadata": plan.to_correct,
        "Could not be planned": plan.failed,
    }
    return shown | {what: f"{count:,} files" for what, count in more.items() if count}


def _counts(plan: PlanStatus) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("WOULD", no_wrap=True)
    table.add_column("COUNT", no_wrap=True)
    for what, count in plan_figures(plan).items():
        table.add_row(what, count)
    return table


def _title(title: str, items: PlannedItems) -> str:
    shown = min(len(items.paths), _PATHS)
    return f"{title}, the first {shown:,} of {items.count:,}:" if items.count > shown else f"{title}:"


def _sids(sids: SidStatus | None) -> Iterator[RenderableType]:
    if sids is None or not (sids.applied or sids.unmapped):
        return
    yield Text()
    yield Text("SIDs in what would be copied:")
    for rule in sids.applied:
        yield Text(f"  {safe(rule.from_)} becomes {safe(rule.to)} in {rule.descriptors:,} descriptors")
    for one in sids.unmapped:
        yield Text(f"  {safe(one.sid)} is not mapped, in {one.descriptors:,} descriptors")
