"""The tags by which the cache finds objects without reading them."""

from collections.abc import Iterator
from typing import Final

from smbferry_api.conditions import ConditionType
from smbferry_api.reasons import KEY_REFUSED
from smbferry_api.run_status import ENDED, RunState
from smbferry_api.undelivered import FIELD
from smbferry_operator.decide.account import account_of
from smbferry_operator.model import OWN_KINDS, Kind, Manifest
from smbferry_words.failure_class import FailureClass
from smbferry_words.run import PhaseState

TAG_QUEUED: Final = "queued"
"""Runs without a Job."""
TAG_STARTING: Final = "starting"
"""Runs whose agent has not yet reported that the KDC accepted its keys."""
TAG_DOUBTFUL: Final = "doubtful"
"""Runs that failed in a way that a check would detect."""
TAG_CHANGED: Final = "changed"
"""Tasks whose spec has changed since the last decision about them."""
TAG_SERVING: Final = "serving"
"""Runs that do the work of a run of another namespace."""
TAG_KEY_REFUSED: Final = "key refused"
"""Locations whose last check failed because the KDC refused the identity's key."""

TAG_UNDELIVERED: Final = "undelivered"
"""Objects with events that the sink has not accepted."""

BEFORE_TRANSFER: Final = frozenset({RunState.LAUNCHING.value, RunState.PREPARING.value})
DOUBTFUL: Final = frozenset(
    {
        FailureClass.IDENTITY,
        FailureClass.POLICY,
        FailureClass.ACCESS,
        FailureClass.NETWORK,
        FailureClass.CLOCK,
        FailureClass.DNS,
    }
)
"""Failure classes of a run after which its locations and identities are checked again."""


def tags(kind: Kind, body: Manifest) -> Iterator[str]:
    """The tags of an object."""
    status = body.get("status") or {}
    if kind in OWN_KINDS and status.get(FIELD):
        yield TAG_UNDELIVERED
    match kind:
        case Kind.RUN:
            yield from _of_run(status)
            if (body.get("spec") or {}).get("onBehalfOf"):
                yield TAG_SERVING
        case Kind.TASK:
            if status.get("observedGeneration") != body["metadata"].get("generation"):
                yield TAG_CHANGED
            yield from _of_task(body["metadata"]["namespace"], body.get("spec") or {})
        case Kind.LOCATION if _is_key_refused(status):
            yield TAG_KEY_REFUSED
        case Kind.IDENTITY:
            yield account_tag(str((body.get("spec") or {}).get("principal", "")))
        case _:
            return


def _of_task(namespace: str, spec: Manifest) -> Iterator[str]:
    source = (spec.get("source") or {}).get("locationRef") or {}
    if source.get("namespace") not in {None, namespace}:
        yield user_tag(namespace)


def user_tag(namespace: str) -> str:
    """The tag of all tasks of this namespace that use locations of another."""
    return f"uses locations of others {namespace}"


def _of_run(status: Manifest) -> Iterator[str]:
    state = status.get("state")
    if state in {None, RunState.QUEUED.value}:
        yield TAG_QUEUED
    elif state in BEFORE_TRANSFER and not _has_tickets(status):
        yield TAG_STARTING
    elif state in ENDED:
        yield ended_tag(state)
    if state == RunState.FAILED and (status.get("failure") or {}).get("class") in DOUBTFUL:
        yield TAG_DOUBTFUL


def _has_tickets(status: Manifest) -> bool:
    preflight = (status.get("phases") or {}).get("preflight") or {}
    return bool(preflight.get("state") == PhaseState.SUCCEEDED)


def _is_key_refused(status: Manifest) -> bool:
    tickets = (c for c in status.get("conditions") or () if c.get("type") == ConditionType.TICKET_ACQUIRED)
    return any(c.get("reason") in KEY_REFUSED for c in tickets)


def account_tag(principal: str) -> str:
    """The tag of all identities of the principal's account."""
    return f"account {account_of(principal)}"


def ended_tag(state: str) -> str:
    """The tag of all runs that ended in this state."""
    return f"ended {state}"


STATE_OF_TAG: Final = {ended_tag(state): state for state in ENDED}
ENDED_TAGS: Final = frozenset(STATE_OF_TAG)
