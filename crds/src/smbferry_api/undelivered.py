"""What the operator still has to tell the sink of the chart's `events` about an object."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from smbferry_api.fields import Status, Time

MAX_UNDELIVERED: Final = 10
FIELD: Final = "undeliveredEvents"
"""The field of a status, by its name in the API."""


class EventKind(StrEnum):
    """What an event is about."""

    RUN_ENDED = "RunEnded"
    READINESS_CHANGED = "ReadinessChanged"


class UndeliveredEvent(Status):
    """An event that the sink has not accepted yet."""

    type: Annotated[EventKind, Field(description="RunEnded or ReadinessChanged.")]
    time: Annotated[Time, Field(description="Time of the change.")]
    ready: Annotated[str | None, Field(description="New status of the condition Ready: True or False.")] = None
    previous: Annotated[str | None, Field(description="Earlier status of the condition Ready.")] = None
    reason: Annotated[str | None, Field(description="New reason of the condition Ready.")] = None


UndeliveredEvents = Annotated[
    tuple[UndeliveredEvent, ...],
    Field(
        max_length=MAX_UNDELIVERED,
        description="Events that the sink has not accepted yet, the newest ones, if the operator has one.",
    ),
]
