"""The fields of each kind's status that the operator owns, beside the conditions.

Server-side apply removes what a write leaves out. So a field without a default is part of every write, as null where it
is to be removed; a field with a default is part of a write only where it is set.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from smbferry_api.fields import format_time
from smbferry_api.identity import AccountUse
from smbferry_api.limit_status import Limit
from smbferry_api.queue_status import QueueStatus
from smbferry_api.run import ResolvedTask
from smbferry_api.run_status import RunEnding, RunFailure, RunState
from smbferry_api.run_summary import RunSummary
from smbferry_api.sharing import ServingRun
from smbferry_api.task import TaskRetryStatus
from smbferry_operator.model import Kind, Manifest

OBSERVED: Final = "observedGeneration"
_wire_name: Final = cache(to_camel)


@dataclass(frozen=True, slots=True)
class OwnedFields:
    """What all kinds share: from names and values to JSON."""

    def as_wire(self) -> Manifest:
        """The fields by their names in the API, as JSON."""
        return {
            _wire_name(field.name): _json(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None or field.default is MISSING
        }


@dataclass(frozen=True, slots=True)
class CheckFields(OwnedFields):
    """Of a KerberosIdentity or an SmbLocation."""

    last_handled_request: str | None
    observed_generation: int | None = None
    """Set as soon as Ready is True or False."""
    account: AccountUse | None = None
    """Of an identity only."""


@dataclass(frozen=True, slots=True)
class TaskFields(OwnedFields):
    """Of a TransferTask."""

    observed_generation: int
    active_run: str | None
    last_run: RunSummary | None
    last_successful_run: RunSummary | None
    mirrored_to: str | None
    copied_to: str | None
    unconfirmed: str | None
    next_schedule_time: datetime | None
    last_schedule_time: datetime | None
    observed_trigger: str | None
    retry: TaskRetryStatus | None


@dataclass(frozen=True, slots=True)
class RunFields(OwnedFields):
    """Of a TransferRun."""

    observed_generation: int
    state: RunState
    start_time: datetime | None
    job_ref: str | None
    attempts: int
    task: ResolvedTask | Mapping[str, Any] | None
    limit: Limit | None
    queue: QueueStatus | None
    completion_time: datetime | None = None
    duration: str | None = None
    ending: RunEnding | None = None
    failure: RunFailure | None = None
    """The agent's field: set only where the agent could not report it."""
    served_by: ServingRun | None = None
    """Of a run that another run serves, see RequestFields."""


@dataclass(frozen=True, slots=True)
class RequestFields(OwnedFields):
    """Of a TransferRun that another run serves, beside what is copied from that one."""

    observed_generation: int
    state: RunState
    served_by: ServingRun | None
    failure: RunFailure | None = None


COPIED: Final = (
    "startTime",
    "completionTime",
    "duration",
    "phases",
    "counters",
    "progress",
    "security",
    "serverSideCopy",
    "sourceSnapshot",
    "retry",
    "politeness",
    "failures",
    "notCarried",
    "sids",
    "survey",
    "plan",
    "report",
)
"""The fields of a serving run's status that are copied to the run that it serves, by their names in the API."""


def _names(kind: type[OwnedFields], *others: str) -> tuple[str, ...]:
    return tuple(name for field in fields(kind) if (name := _wire_name(field.name)) not in {OBSERVED, *others})


OWNED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.IDENTITY: _names(CheckFields),
    Kind.LOCATION: _names(CheckFields, "account"),
    Kind.TASK: _names(TaskFields),
    Kind.RUN: _names(RunFields, "failure"),
}
"""The fields that a write must repeat to keep them, by their names in the API; all but observedGeneration."""


def owned_names(kind: Kind, status: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a write must repeat to keep them.

    Args:
        status: of the object. That of a run that another run serves has copies of that one's fields.
    """
    return (*OWNED[kind], *COPIED) if kind is Kind.RUN and status.get("servedBy") else OWNED[kind]


def _json(value: Any) -> Any:
    match value:
        case datetime():
            return format_time(value)
        case BaseModel():
            return value.model_dump(mode="json", by_alias=True, exclude_none=True)
        case Enum():
            return value.value
        case _:
            return value
