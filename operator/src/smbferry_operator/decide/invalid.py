"""An object that the API server accepted but the operator cannot use: its spec is invalid, or of a newer version."""

from datetime import datetime, timedelta
from typing import Any, Final

from smbferry_api.conditions import Condition, ConditionType
from smbferry_api.fields import Status
from smbferry_api.reasons import OBJECT_UNREADABLE, SPEC_INVALID
from smbferry_api.run_status import ENDED, RunState
from smbferry_api.served import read_status
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.owned import OBSERVED, owned_names
from smbferry_operator.decide.status import Summary
from smbferry_operator.decide.text import with_remedy
from smbferry_operator.model import Kind, Manifest, Meta

POLL: Final = timedelta(seconds=30)


class _Conditions(Status):
    conditions: tuple[Condition, ...] = ()


def decide_invalid(kind: Kind, meta: Meta, status: Manifest, why: str, now: datetime, *, at_work: bool) -> Decision:
    """Reports once what is wrong, and keeps all other fields of the status.

    Args:
        at_work: whether an agent is alive that started when the object was valid; its run does not end then.
    """
    if meta.deleting or (kind is Kind.RUN and status.get("state") in ENDED):
        return Decision()
    existing = read_status(_Conditions, status)[0].conditions
    summary = Summary(meta, existing, now)
    kept: dict[str, Any] = {name: status.get(name) for name in owned_names(kind, status)}
    if kind is Kind.RUN and at_work:
        reason, again = OBJECT_UNREADABLE, POLL
        summary.add_verbatim(ConditionType.SUCCEEDED, "Unknown", reason.name, with_remedy(why, reason))
        summary.add(ConditionType.RECONCILING, "True", reason, why)
    else:
        reason, again = SPEC_INVALID, None
        summary.add(ConditionType.SUCCEEDED if kind is Kind.RUN else ConditionType.READY, "False", reason, why)
        summary.add(ConditionType.STALLED, "True", reason, why)
        if kind is Kind.RUN:
            kept |= {"state": RunState.FAILED.value, "queue": None}
    conditions = summary.done()
    if set(conditions) <= set(existing):
        return Decision(requeue_after=again)
    return Decision(
        status=OwnedStatus(conditions, {**kept, OBSERVED: meta.generation}),
        events=(Event("Warning", reason, conditions[0].message),),
        requeue_after=again,
    )
