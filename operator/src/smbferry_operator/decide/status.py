"""The operator's conditions, and whether a status must be written."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

from smbferry_api.conditions import Condition, ConditionStatus, ConditionType, condition, find, merge
from smbferry_api.exit_codes import EXIT_CODE_OF, PERMANENT
from smbferry_api.fields import Status
from smbferry_api.reasons import Reason, by_name
from smbferry_operator.decide.decision import Event, OwnedStatus
from smbferry_operator.model import Meta
from smbferry_words.failure_class import FailureClass

MAX_MESSAGE: Final = 32768
SUMMARY_TYPES: Final = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)


def is_permanent(failure: FailureClass | str | None) -> bool:
    """Whether a retry would fail for the same reason."""
    try:
        return failure is not None and failure != "" and EXIT_CODE_OF[FailureClass(failure)] in PERMANENT
    except ValueError:  # a class of a newer agent: it may be temporary
        return False


def failure_of(reason: str) -> FailureClass | None:
    """The failure class of a reason, None if it has none."""
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
        """Adds a condition. A condition that is not added is absent."""
        self._made.append(condition(type_, status, reason, message, generation=self.generation, now=self._now))

    def add_verbatim(self, type_: ConditionType, status: ConditionStatus, reason: str, message: str) -> None:
        """Adds a condition whose message already ends with its remedy."""
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

    def add_copy(self, type_: ConditionType, status: ConditionStatus, source: Condition) -> None:
        """Adds a condition with the reason and message of another."""
        self.add_verbatim(type_, status, source.reason, source.message)

    def keep(self, existing: Condition) -> None:
        """Adds an existing condition unchanged."""
        self._made.append(existing)

    def done(self) -> tuple[Condition, ...]:
        """The conditions; those with an unchanged status keep their transition time."""
        return tuple(merge(self._existing, self._made))


def changed(observed: Status, conditions: Iterable[Condition], desired: OwnedStatus, types: Iterable[str]) -> bool:
    """Whether the desired status differs from the observed one.

    Args:
        conditions: the conditions of the observed status.
        types: the condition types that the operator owns on this kind.
    """
    owned = set(types)
    before = {c.type: _essence(c) for c in conditions if c.type in owned}
    after = {c.type: _essence(c) for c in desired.conditions}
    if before != after:
        return True
    wire = observed.model_dump(mode="json", by_alias=True, exclude_none=True)
    return any(_bare(wire.get(field)) != _bare(value) for field, value in desired.fields.items())


def _bare(value: Any) -> Any:
    """The value of a field; an empty list is as good as none."""
    return None if value == [] else value


def _essence(c: Condition) -> tuple[Any, ...]:
    return (c.status, c.reason, c.message, c.observed_generation)


def transition_event(
    existing: Iterable[Condition], conditions: Iterable[Condition], type_: ConditionType
) -> list[Event]:
    """An Event if a condition's status or reason has changed and its status is not Unknown."""
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
