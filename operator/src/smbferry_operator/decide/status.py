"""Conditions as the operator writes them, and whether a status needs to be written at all."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

from smbferry_api.conditions import Condition, ConditionStatus, ConditionType, condition, find, merge
from smbferry_api.exit_codes import EXIT_CODE_OF, PERMANENT, FailureClass
from smbferry_api.fields import Status, format_time
from smbferry_api.reasons import Reason, by_name
from smbferry_operator.decide.decision import Event, OwnedStatus
from smbferry_operator.model import Meta

MAX_MESSAGE: Final = 32768
SUMMARY_TYPES: Final = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)


def is_permanent(failure: FailureClass | str | None) -> bool:
    """Whether the same try would only fail again."""
    try:
        return failure is not None and failure != "" and EXIT_CODE_OF[FailureClass(failure)] in PERMANENT
    except ValueError:  # a newer agent's word: not known to be hopeless
        return False


def failure_of(reason: str) -> FailureClass | None:
    """The failure class of a reason word."""
    known = by_name(reason)
    return known.failure if known else None


class Summary:
    """Collects the conditions that the operator owns on one object."""

    def __init__(self, meta: Meta, existing: Iterable[Condition], now: datetime, *, generation: int | None = None):
        self.generation = meta.generation if generation is None else generation
        self._existing = tuple(existing)
        self._now = now
        self._made: list[Condition] = []

    def add(self, type_: ConditionType, status: ConditionStatus, reason: Reason, message: str = "") -> None:
        """States a condition; what is not stated is absent."""
        self._made.append(condition(type_, status, reason, message, generation=self.generation, now=self._now))

    def add_as_said(self, type_: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        """States a condition by a message that has its remedy already."""
        self._made.append(
            Condition(
                type=type_.value,
                status=status,
                reason=reason,
                message=message[:MAX_MESSAGE],
                last_transition_time=self._now,
                observed_generation=self.generation,
            )
        )

    def add_like(self, type_: ConditionType, status: ConditionStatus, source: Condition) -> None:
        """States a condition by another's reason and message."""
        self.add_as_said(type_, status, source.reason, source.message)

    def keep(self, existing: Condition) -> None:
        """States a condition exactly as it stands."""
        self._made.append(existing)

    def done(self) -> tuple[Condition, ...]:
        """The conditions, each with the transition time that it had where its status did not change."""
        return tuple(merge(self._existing, self._made))


def changed(observed: Status, conditions: Iterable[Condition], desired: OwnedStatus, types: Iterable[str]) -> bool:
    """Whether the desired status says something that the observed one does not.

    Args:
        conditions: the observed status' conditions.
        types: the condition types that the operator owns on this kind.
    """
    owned = set(types)
    before = {c.type: _essence(c) for c in conditions if c.type in owned}
    after = {c.type: _essence(c) for c in desired.conditions}
    if before != after:
        return True
    wire = observed.model_dump(mode="json", by_alias=True, exclude_none=True)
    return any(wire.get(field) != value for field, value in desired.fields.items())


def _essence(c: Condition) -> tuple[Any, ...]:
    return (c.status, c.reason, c.message, c.observed_generation)


def transition_event(
    existing: Iterable[Condition], conditions: Iterable[Condition], type_: ConditionType
) -> list[Event]:
    """An Event where a condition's status or reason changed to something that is settled."""
    before, after = find(existing, type_), find(conditions, type_)
    if after is None or after.status == "Unknown":
        return []
    if before is not None and (before.status, before.reason) == (after.status, after.reason):
        return []
    reason = by_name(after.reason)
    if reason is None:
        return []
    kind: Literal["Normal", "Warning"] = "Normal" if after.healthy else "Warning"
    return [Event(kind, reason, after.message)]


def as_wire(value: Any) -> Any:
    """A field's value as JSON has it: moments become RFC 3339."""
    return format_time(value) if isinstance(value, datetime) else value
