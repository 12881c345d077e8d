"""What is to be done: the output of every decision."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from smbferry_api.conditions import Condition
from smbferry_api.reasons import Reason
from smbferry_operator.decide.destination import Destination
from smbferry_operator.model import Key, Manifest


@dataclass(frozen=True, slots=True)
class OwnedStatus:
    """All of a status that the operator's field manager owns: what is not named here is given up."""

    conditions: tuple[Condition, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    """Other fields by their wire names, as JSON; None where the field is given up."""

    def as_json(self) -> Manifest:
        """The status to apply."""
        fields = {name: value for name, value in self.fields.items() if value is not None}
        return {**fields, "conditions": [c.model_dump(mode="json", by_alias=True) for c in self.conditions]}


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the reconciled object; sent on transitions only."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one object, carried out in the order of the fields."""

    apply: tuple[Manifest, ...] = ()
    """By server-side apply: what an agent needs beside its Job."""
    provide: tuple[Manifest, ...] = ()
    """Objects that are created where they are not there yet, and never changed: a third of what applying them costs."""
    create: tuple[Manifest, ...] = ()
    """Created once; one that exists under this name already is the one that was meant."""
    delete: tuple[Key, ...] = ()
    """In the background, so that pods get their grace period."""
    status: OwnedStatus | None = None
    """None where it already stands as wanted."""
    events: tuple[Event, ...] = ()
    requeue_after: timedelta | None = None
    """Look again then, if no event brings it up before."""
    claim: Destination | None = None
    """Taken before the first await, so that of two runs decided at once one sees the other."""
    awaits: tuple[str, ...] = ()
    """KerberosIdentities of the namespace that are to be checked now, before their keys are used."""


def soonest(*delays: timedelta | None) -> timedelta | None:
    """The shortest of the delays that are given."""
    return min((d for d in delays if d is not None), default=None)


def owned_conditions(conditions: Iterable[Condition], types: Iterable[str]) -> dict[str, Condition]:
    """Those of the conditions that are of these types, by type."""
    wanted = set(types)
    return {c.type: c for c in conditions if c.type in wanted}
