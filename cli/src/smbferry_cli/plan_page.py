"""The section of a report page that shows the plan of a run. Pure."""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from smbferry_api.plan_status import PlanStatus, plan_digest
from smbferry_cli.markup import figures, text
from smbferry_cli.plan_view import plan_figures, planned_items


def plan_section(summary: dict[str, Any]) -> str:
    """Returns the section; empty if the summary of the run has no plan that can be read."""
    found = summary.get("plan")
    if not isinstance(found, dict):
        return ""
    try:
        return "".join(_section(PlanStatus.model_validate(found)))
    except ValidationError:
        return ""


def _section(plan: PlanStatus) -> Iterator[str]:
    needs = "Its approval was required." if plan.needs_approval else "It needed no approval."
    yield f'<h2>Plan</h2><p class="soft">Plan <code>{text(plan_digest(plan))}</code>. {needs}</p>'
    yield figures(plan_figures(plan))
    if plan.first_run:
        yield f"<p>The first run to this destination, which had {plan.existing:,} files and folders.</p>"
    yield from (f'<p class="warn">Changed since the plan before: {text(change)}</p>' for change in plan.changes)
    for title, items in planned_items(plan):
        if items.paths:
            lines = "".join(f"<li>{text(path)}</li>" for path in items.paths)
            yield f"<h3>{text(title)} ({items.count:,})</h3><ul>{lines}</ul>"
