"""A run as the operator sees it, and the state that was decided."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.support.builders import (
    NOW,
    ago,
    checked_location,
    condition,
    ends,
    found,
    location,
    run,
    task,
)

from smbferry_api.location import ServerStatus
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim, RunObservation
from smbferry_operator.model import Job, Pod, Run

GUID = "2f3f6f5c-6f0e-4c5f-9a0d-4f6c2b8d0a11"
BAD = location("src", {"conditions": [condition("Ready", "False", "ShareNotFound")]})
HERE = Destination("files.corp.example.com", 445, "dst", ())
RUNNING = {"phases": {"preflight": {"state": "Succeeded"}, "prepare": {"state": "Running"}}}


ENDED = {"finished_at": ago(seconds=30)}
POLICY = {"failure_reason": "PodFailurePolicy", **ENDED}
FAILURE = {"class": "Identity", "reason": "AccountDisabled", "message": "It is disabled", "remedy": "Enable it."}


def seen(
    observed: Run | None = None, *, jobs: tuple[Job, ...] = (), pods: tuple[Pod, ...] = (), **more: Any
) -> RunObservation:
    return RunObservation(observed or run(), more.pop("task", task()), more.pop("ends", ends()), jobs, pods, **more)


def location_with_guid(guid: str) -> Any:
    """A location whose check has seen the server's own identifier."""
    good = checked_location("dst")
    return replace(good, status=good.status.model_copy(update={"server": ServerStatus(guid=guid)}))


def claim(
    destination: Destination = HERE, *, writing: bool = True, since: datetime = NOW, holder: str = "other"
) -> Claim:
    return Claim(f"team/{holder}", f"uid-{holder}", destination, writing, since)


def state_of(decision: Any) -> tuple[str, str]:
    """(state, reason) of the status that was decided."""
    assert decision.status is not None
    verdict = found(decision.status.conditions, "Succeeded")
    assert verdict is not None
    return decision.status.fields["state"], verdict[1]
