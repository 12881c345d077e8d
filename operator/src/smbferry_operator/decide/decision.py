"""The output of every decision: what the applier writes, and when to decide again."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from smbferry_api.conditions import Condition
from smbferry_api.reasons import Reason
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.wanted import WantedCheck
from smbferry_operator.model import Key, Manifest


@dataclass(frozen=True, slots=True)
class OwnedStatus:
    """The part of a status that the operator's field manager owns. Fields that are not listed are removed."""

    conditions: tuple[Condition, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    """The other fields (see `owned`), by their names in the API, as JSON; None removes a field."""

    def as_json(self) -> Manifest:
        """The status to apply."""
        fields = {name: value for name, value in self.fields.items() if value is not None}
        return {**fields, "conditions": [c.model_dump(mode="json", by_alias=True) for c in self.conditions]}


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the reconciled object; emitted on transitions only."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one object, carried out in the order of the fields."""

    apply: tuple[Manifest, ...] = ()
    """By server-side apply: what the agent of a check needs beside its Job."""
    create: tuple[Manifest, ...] = ()
    """Created if they do not exist, and never changed, which costs a third of applying them. Names are deterministic,
    so an existing object is the one that was meant."""
    delete: tuple[Key, ...] = ()
    """Deleted in the background, so that pods get their grace period."""
    status: OwnedStatus | None = None
    """None if the status needs no write."""
    events: tuple[Event, ...] = ()
    requeue_after: timedelta | None = None
    """Decide again after this time, or earlier on an event."""
    claim: Destination | None = None
    """The destination that a run is about to write to. Reserved before this decision's first write, so that the next
    decision sees it."""
    awaits: tuple[str, ...] = ()
    """KerberosIdentities of the namespace to check now, before their keys are used."""
    check: WantedCheck | None = None
    """Of a location: its next check, which a Job of its identity carries."""
    carries: tuple[str, ...] = ()
    """Of an identity: the locations that the created Job carries."""
    only_carries: bool = False
    """Of an identity: the created Job checks these locations only, so its refusal concerns them alone."""


def soonest(*delays: timedelta | None) -> timedelta | None:
    """The shortest delay that is not None."""
    return min((d for d in delays if d is not None), default=None)
