"""An object whose spec the API server let pass but that can't be used."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smbferry_api.conditions import Condition, ConditionType
from smbferry_api.reasons import SPEC_INVALID
from smbferry_api.run_status import RunState
from smbferry_operator.decide.decision import Decision, Event, OwnedStatus
from smbferry_operator.decide.status import Summary
from smbferry_operator.model import Kind, Manifest, Meta

_CONDITIONS: TypeAdapter[tuple[Condition, ...]] = TypeAdapter(tuple[Condition, ...])


def decide_invalid(kind: Kind, meta: Meta, status: Manifest, why: str, now: datetime) -> Decision:
    """Says what is wrong, once."""
    try:
        existing = _CONDITIONS.validate_python(status.get("conditions") or ())
    except ValidationError:  # what can't be read is written anew
        existing = ()
    summary = Summary(meta, existing, now)
    main = ConditionType.SUCCEEDED if kind is Kind.RUN else ConditionType.READY
    summary.add(main, "False", SPEC_INVALID, why)
    summary.add(ConditionType.STALLED, "True", SPEC_INVALID, why)
    conditions = summary.done()
    if set(conditions) <= set(existing):
        return Decision()
    fields: dict[str, Any] = {"observedGeneration": meta.generation}
    if kind is Kind.RUN:
        fields["state"] = RunState.FAILED.value
    return Decision(
        status=OwnedStatus(conditions, fields), events=(Event("Warning", SPEC_INVALID, conditions[0].message),)
    )
