"""An object that the API server let pass but that can't be used: its spec is wrong, or newer than this operator."""

from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType
from smbferry_api.fields import Status
from smbferry_api.reasons import OBJECT_UNREADABLE, SPEC_INVALID
from smbferry_api.run_status import RunState
from smbferry_api.served import read_status
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.status import Summary
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Kind, Manifest, Meta

OWNED: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.IDENTITY: ("lastHandledRequest", "account"),
    Kind.LOCATION: ("lastHandledRequest",),
    Kind.TASK: (
        "activeRun",
        "lastRun",
        "lastSuccessfulRun",
        "mirroredTo",
        "unconfirmed",
        "nextScheduleTime",
        "lastScheduleTime",
        "observedTrigger",
    ),
    Kind.RUN: ("state", "startTime", "completionTime", "duration", "jobRef", "attempts", "task", "limit", "ending"),
}
"""What the operator owns of a status beside conditions and observedGeneration: what a write leaves out is lost."""
POLL: Final = timedelta(seconds=30)
ENDED: Final = frozenset(state.value for state in RunState if state.ended)


class _Conditions(Status):
    conditions: tuple[Condition, ...] = ()


def decide_invalid(kind: Kind, meta: Meta, status: Manifest, why: str, now: datetime, *, at_work: bool) -> Decision:
    """Says what is wrong, once, and keeps all else that is known.

    Args:
        at_work: whether an agent still lives that began when the object could be read; its run is not ended then.
    """
    if meta.deleting or (kind is Kind.RUN and status.get("state") in ENDED):
        return Decision()
    existing = read_status(_Conditions, status)[0].conditions
    summary = Summary(meta, existing, now)
    kept: dict[str, Any] = {name: status.get(name) for name in OWNED[kind]}
    if kind is Kind.RUN and at_work:
        reason, again = OBJECT_UNREADABLE, POLL
        summary.add_as_said(ConditionType.SUCCEEDED, "Unknown", reason.name, with_remedy(why, reason))
        summary.add(ConditionType.RECONCILING, "True", reason, why)
    else:
        reason, again = SPEC_INVALID, None
        summary.add(ConditionType.SUCCEEDED if kind is Kind.RUN else ConditionType.READY, "False", reason, why)
        summary.add(ConditionType.STALLED, "True", reason, why)
        if kind is Kind.RUN:
            kept["state"] = RunState.FAILED.value
    conditions = summary.done()
    if set(conditions) <= set(existing):
        return Decision(requeue_after=again)
    return Decision(
        status=OwnedStatus(conditions, {**kept, "observedGeneration": meta.generation}),
        events=(Event("Warning", reason, conditions[0].message),),
        requeue_after=again,
    )
