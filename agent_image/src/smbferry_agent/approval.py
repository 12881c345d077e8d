"""Lets a run go on only if nobody needs to approve what it would do, or if a person has approved just that (ADR 53).

Before it copies, each agent that may delete plans the run by listing both sides. If the plan is within the one that was
approved, it goes on; else it records its plan and ends, and another agent starts when a person has approved the plan.
"""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from smbferry_agent.logs import fields
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.run_environment import RunEnvironment
from smbferry_api.plan_status import MAX_PLAN_PATH, PlannedItems, PlanStatus, plan_changes, plan_digest
from smbferry_api.run import ResolvedApproval, ResolvedEnd, ResolvedTask
from smbferry_engine import (
    Approved,
    Counters,
    Endpoint,
    Evidence,
    FileFailure,
    FileRecord,
    NotCarried,
    Options,
    Outline,
    PlannedAmount,
    RetryFact,
    ServerSideFact,
    SideName,
    SidFacts,
    SidMap,
    outline,
)

_NONCE_BYTES: Final = 16
_log = logging.getLogger(__name__)
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
"""Twice what Kerberos tolerates between two clocks."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a run may go on.

    Attributes:
        waits: a person must approve its plan first.
        approved: nothing else may be deleted; None if the task asks for no approval.
    """

    waits: bool = False
    approved: Approved | None = None


def permission(
    task: ResolvedTask,
    environment: RunEnvironment,
    report: RunReport,
    ends: tuple[Endpoint, Endpoint],
    options: Options,
) -> Permission:
    """Plans the run if its task asks for approval, and records the plan.

    Args:
        ends: source and destination.

    Raises:
        EngineError: the plan could not be made, or a guard forbids its deletions.
        AgentError: the plan could not be recorded.
    """
    wanted = task.approval
    if wanted is None or options.dry_run:
        return Permission()
    before, is_approved = _in_force(environment.plans.read(), wanted)
    # The effect of the SID map was counted by the first plan.
    chosen = options if before is None else replace(options, sid_map=SidMap())
    since = before.planned_at - _CLOCKS_DIFFER if before is not None and before.planned_at is not None else None
    moment = datetime.now(UTC).replace(microsecond=0)
    found = outline(*ends, chosen, PlanObserver(report), since=since, control=environment.control)
    changes: tuple[str, ...] = ()
    plan = plan_status(task, wanted, found, moment)
    if before is not None:
        changes = plan_changes(before, plan)
        if not changes and (is_approved or not plan.to_delete.count):
            report.planned(before)
            return Permission(approved=found.approved)
        _log.warning("the plan has changed", extra=fields(detail="; ".join(changes)))
    elif wanted.plan:
        plan = plan.model_copy(update={"needs_approval": True})
    plan = plan.model_copy(update={"changes": changes})
    plan = plan.model_copy(update={"digest": plan_digest(plan)})
    environment.plans.write(plan)
    report.planned(plan, waits=plan.needs_approval)
    return Permission(waits=True) if plan.needs_approval else Permission(approved=found.approved)


def _in_force(recorded: PlanStatus | None, wanted: ResolvedApproval) -> tuple[PlanStatus | None, bool]:
    """The recorded plan if the run may do what is within it, and whether a person has approved it.

    The digest decides, not who has written the record. A plan that needed no approval is in force, too, so that the run
    may continue what it has begun at an empty destination; since the record may be forged, it permits no deletions.
    """
    if recorded is not None and wanted.plan == plan_digest(recorded):
        return recorded, True
    return (None, False) if recorded is None or recorded.needs_approval else (recorded, False)


def plan_status(task: ResolvedTask, wanted: ResolvedApproval, found: Outline, moment: datetime) -> PlanStatus:
    """A plan in the form of the API, without its digest."""
    deletes = bool(found.deleted.files or found.deleted.directories)
    return PlanStatus(
        planned_at=moment,
        needs_approval=deletes or (wanted.first_run and found.existing > 0),
        first_run=wanted.first_run,
        source=_place(task.source),
        destination=_place(task.destination),
        source_id=_identifier(found.source_id),
        destination_id=_identifier(found.destination_id),
        existing=found.existing,
        to_create=_items(found.created),
        to_replace=_items(found.replaced),
        newer=_items(found.newer),
        to_delete=_items(found.deleted),
        to_correct=found.corrected,
        to_compare=found.compared,
        failed=found.failed,
        nonce=secrets.token_hex(_NONCE_BYTES),
        deletions=found.deletions,
    )


def _items(amount: PlannedAmount) -> PlannedItems:
    return PlannedItems(
        files=amount.files, directories=amount.directories, bytes=amount.bytes, paths=_shortened(amount.paths)
    )


def _shortened(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path[:MAX_PLAN_PATH] for path in paths)


def _place(end: ResolvedEnd) -> str:
    place = end.place
    return f"//{place.server}:{place.port}/{place.share}{place.path.rstrip('/')}"[:4096]


def _identifier(number: int) -> str:
    return f"{number:x}" if number else ""


class PlanObserver:
    """The engine's Observer while it plans: what is only about the copy that follows is not reported twice."""

    def __init__(self, report: RunReport) -> None:
        self._report = report

    def phase(self, name: str, state: str) -> None:
        """The phase Prepare, which begins again with the copy."""
        self._report.phase(name, state)

    def progress(self, counters: Counters) -> None:
        """What has been planned so far."""
        self._report.progress(counters)

    def security(self, side: SideName, evidence: Evidence) -> None:
        """The protection of a side's session."""
        self._report.security(side, evidence)

    def server_side(self, fact: ServerSideFact) -> None:
        """Whether the server would copy files on its side."""
        self._report.server_side(fact)

    def sids(self, facts: SidFacts) -> None:
        """The SIDs in the descriptors of what would be copied, if the task has a map."""
        self._report.sids(facts)

    def failure(self, failure: FileFailure) -> None:
        """A file that could not be planned. The plan counts it; the copy reports it."""

    def record(self, record: FileRecord) -> None:
        """Not reported."""

    def not_carried(self, item: NotCarried) -> None:
        """Not reported."""

    def retrying(self, fact: RetryFact | None) -> None:
        """Nothing is tried again."""
