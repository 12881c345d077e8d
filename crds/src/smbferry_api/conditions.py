"""Conditions: their types, and how one is made and merged.

Types are positive (`Ready`, `Encrypted`) but for the kstatus pair `Reconciling` and `Stalled`, and `KvnoMismatch`,
which are abnormal when true.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from smbferry_api.fields import Status, Time
from smbferry_api.reasons import Reason


class ConditionType(StrEnum):
    """Every condition type that smbferry writes."""

    # Identities, locations, tasks: it can be used now.
    READY = "Ready"
    # kstatus: present and True while smbferry still works on the newest spec.
    RECONCILING = "Reconciling"
    # kstatus: present and True when only a person can help.
    STALLED = "Stalled"
    # Identities, locations: the names that Kerberos and SMB need resolve.
    DNS_READY = "DnsReady"
    # Identities: a KDC of the realm answered.
    KDC_REACHABLE = "KdcReachable"
    # Identities: the measured clock offset is within clockSkewTolerance.
    TIME_IN_SYNC = "TimeInSync"
    # Identities: the keytab was read and holds a usable key of the principal.
    KEYTAB_VALID = "KeytabValid"
    # Identities: a ticket-granting ticket; locations: a service ticket for the server.
    TICKET_ACQUIRED = "TicketAcquired"
    # Identities, abnormal-true: the keytab's key version is not the KDC's.
    KVNO_MISMATCH = "KvnoMismatch"
    # Locations: a TCP connection and an SMB negotiate succeeded.
    SERVER_REACHABLE = "ServerReachable"
    # Locations: the session is encrypted with a permitted cipher and dialect.
    ENCRYPTED = "Encrypted"
    # Locations: share and path exist and grant what is needed.
    SHARE_ACCESSIBLE = "ShareAccessible"
    # Tasks: the last run left the destination as the source was.
    IN_SYNC = "InSync"
    # Runs: Unknown while it goes on, then True or False.
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
"""What the agent judges of an identity, in the order in which the checks build on each other."""

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

    type: Annotated[str, Field(max_length=316, description="What the condition is about.")]
    status: Annotated[ConditionStatus, Field(description="Unknown while it is not known yet.")]
    reason: Annotated[
        str,
        Field(
            max_length=1024,
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            description="One word; the runbook has a page for it.",
        ),
    ]
    message: Annotated[str, Field(max_length=32768, description="What was expected, what was found, what to do.")] = ""
    last_transition_time: Annotated[Time, Field(description="When the status last changed.")]
    observed_generation: Annotated[int, Field(ge=0, description="metadata.generation of the spec that was judged.")] = 0

    @property
    def healthy(self) -> bool:
        """Whether this is the state that a person wishes for."""
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
    """A new condition; when it is unhealthy the reason's remedy ends the message.

    Args:
        message: what was expected and what was found, a sentence or two, without the remedy.
        generation: `metadata.generation` of the spec that was judged.
        now: becomes lastTransitionTime; `merge` keeps the older one where the status did not change.
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
    """The new conditions, each with the lastTransitionTime of the existing one whose status it shares."""
    before = {c.type: c for c in existing}
    return [
        c.model_copy(update={"last_transition_time": before[c.type].last_transition_time})
        if c.type in before and before[c.type].status == c.status
        else c
        for c in new
    ]


def find(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """The condition of that type, or None."""
    return next((c for c in conditions if c.type == type_), None)
