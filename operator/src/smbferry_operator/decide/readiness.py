"""The state of an object that others refer to."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from smbferry_api.conditions import Condition, ConditionType, find
from smbferry_api.reasons import IDENTITY_NOT_READY, LOCATION_NOT_READY
from smbferry_operator.model import Identity, Location


class Readiness(Enum):
    """What the object's Ready condition says about its newest spec."""

    MISSING = auto()
    PENDING = auto()
    """Not checked since its spec last changed."""
    NOT_READY = auto()
    READY = auto()


@dataclass(frozen=True, slots=True)
class Referent:
    """What others need to know about the object."""

    state: Readiness
    condition: Condition | None = None
    stalled: bool = False

    @property
    def message(self) -> str:
        """The message of its Ready condition; in a chain of references, only that of the first cause."""
        if self.condition is None:
            return ""
        if self.condition.reason in PASSED_ON:
            return self.condition.message
        return f"{self.condition.reason}: {self.condition.message}"


PASSED_ON: Final = frozenset({IDENTITY_NOT_READY.name, LOCATION_NOT_READY.name})


def referent(resource: Identity | Location | None) -> Referent:
    """Reads the Ready condition of an identity or location, None if it does not exist."""
    if resource is None or resource.meta.deleting:
        return Referent(Readiness.MISSING)
    conditions = resource.status.conditions
    ready = find(conditions, ConditionType.READY)
    stalled = find(conditions, ConditionType.STALLED)
    current = ready is not None and ready.observed_generation >= resource.meta.generation
    if ready is None or ready.status == "Unknown" or not current:
        state = Readiness.PENDING
    else:
        state = Readiness.READY if ready.status == "True" else Readiness.NOT_READY
    return Referent(state, ready, stalled is not None and stalled.status == "True")
