"""Condition types, and functions that create and merge conditions.

Most types are healthy when True (`Ready`, `Encrypted`). `KvnoMismatch` and kstatus' `Reconciling` and `Stalled` are
abnormal when True.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal, Protocol, TypeVar

from pydantic import Field

from smbferry_api.fields import Status, Time
from smbferry_api.reasons import Reason


class ConditionType(StrEnum):
    """Every condition type that smbferry writes."""

    # Identities, locations, tasks: the object can be used.
    READY = "Ready"
    # kstatus: present and True while smbferry is processing the latest spec.
    RECONCILING = "Reconciling"
    # kstatus: present and True if only a person can fix the problem.
    STALLED = "Stalled"
    # Identities, locations: all names needed for Kerberos and SMB resolve.
    DNS_READY = "DnsReady"
    # Identities: a KDC of the realm answered.
    KDC_REACHABLE = "KdcReachable"
    # Identities: the measured clock offset is within clockSkewTolerance.
    TIME_IN_SYNC = "TimeInSync"
    # Identities: the keytab is readable and contains a usable key for the principal.
    KEYTAB_VALID = "KeytabValid"
    # Identities: a ticket-granting ticket was issued; locations: a service ticket for the server was issued.
    TICKET_ACQUIRED = "TicketAcquired"
    # Identities, abnormal-true: the keytab's key version differs from the KDC's.
    KVNO_MISMATCH = "KvnoMismatch"
    # Locations: a TCP connection and an SMB negotiate succeeded.
    SERVER_REACHABLE = "ServerReachable"
    # Locations: the session is encrypted with a permitted cipher and dialect.
    ENCRYPTED = "Encrypted"
    # Locations: share and path exist and grant the required access.
    SHARE_ACCESSIBLE = "ShareAccessible"
    # Tasks: the last run brought the destination in sync with the source.
    IN_SYNC = "InSync"
    # Tasks with a schedule: the last scheduled run started in time.
    ON_SCHEDULE = "OnSchedule"
    # Runs: Unknown until the run finishes, then True or False.
    SUCCEEDED = "Succeeded"


ConditionStatus = Literal["True", "False", "Unknown"]

IDENTITY_CHECKS: Final = (
    ConditionType.DNS_READY,
    ConditionType.KDC_REACHABLE,
    ConditionType.TIME_IN_SYNC,
    ConditionType.KEYTAB_VALID,
    ConditionType.KVNO_MISMATCH,
    ConditionType.TICKET_ACQUIRED,
)
"""The agent's checks of an identity; each check depends on the earlier ones."""

LOCATION_CHECKS: Final = (
    ConditionType.DNS_READY,
    ConditionType.TICKET_ACQUIRED,
    ConditionType.SERVER_REACHABLE,
    ConditionType.ENCRYPTED,
    ConditionType.SHARE_ACCESSIBLE,
)

ABNORMAL_TRUE: Final = frozenset({ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.KVNO_MISMATCH})


class Condition(Status):
    """A `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316, description="The type of the condition.")]
    status: Annotated[ConditionStatus, Field(description="True, False or Unknown.")]
    reason: Annotated[
        str,
        Field(
            max_length=1024,
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            description="The reason in CamelCase. See the runbook page with the same name.",
        ),
    ]
    message: Annotated[str, Field(max_length=32768, description="What was expected, what was found, what to do.")] = ""
    last_transition_time: Annotated[Time, Field(description="When the status last changed.")]
    observed_generation: Annotated[
        int, Field(ge=0, description="metadata.generation of the spec that this condition applies to.")
    ] = 0

    @property
    def healthy(self) -> bool:
        """True if the condition has its healthy status."""
        return self.status == ("False" if self.type in ABNORMAL_TRUE else "True")


def condition(
    type_: ConditionType,
    status: ConditionStatus,
    reason: Reason,
    message: str = "",
    *,
    generation: int,
    now: datetime,
) -> Condition:
    """Creates a condition. If it is unhealthy, the message ends with the reason's remedy.

    Args:
        message: what was expected and what was found, in one or two sentences, without the remedy.
        generation: `metadata.generation` of the checked spec.
        now: the lastTransitionTime; `merge` keeps the older one if the status did not change.
    """
    abnormal = type_ in ABNORMAL_TRUE
    text = message or reason.when
    if status == ("True" if abnormal else "False") and reason.remedy and not text.endswith(reason.remedy):
        text = f"{text.rstrip()} {reason.remedy}"
    return Condition(
        type=type_.value,
        status=status,
        reason=reason.name,
        message=text[:32768],
        last_transition_time=now,
        observed_generation=generation,
    )


def merge(existing: Iterable[Condition], new: Iterable[Condition]) -> list[Condition]:
    """Returns the new conditions. Each keeps the existing lastTransitionTime if its status did not change."""
    before = {c.type: c for c in existing}
    return [
        c.model_copy(update={"last_transition_time": before[c.type].last_transition_time})
        if c.type in before and before[c.type].status == c.status
        else c
        for c in new
    ]


def find(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """Returns the condition with that type, or None."""
    return next((c for c in conditions if c.type == type_), None)


class Judged(Protocol):
    """A condition, or what becomes one."""

    @property
    def type(self) -> str:
        """The condition type."""

    @property
    def healthy(self) -> bool | None:
        """None where the check could not be made."""


J = TypeVar("J", bound=Judged)


def that_can_block(judged: Iterable[J]) -> list[J]:
    """Those that keep an object from being used if they are unhealthy.

    A key version that differs does no harm while tickets are issued: an older key of the keytab still works.
    """
    found = list(judged)
    issued = any(each.type == ConditionType.TICKET_ACQUIRED and each.healthy for each in found)
    return [each for each in found if not (issued and each.type == ConditionType.KVNO_MISMATCH)]
