"""An agent that does not start: what only waits for room is Queued in Kubernetes' own words, and the deadline for the
start is for agents that never reported. A run whose agent was drained goes on, however old its Job is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    ago,
    ends,
    found,
    pod,
    run,
    task,
    transfer_job,
)

from smbferry_api.conditions import ConditionType, find
from smbferry_api.exit_codes import ExitCode
from smbferry_api.fields import format_time
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run

if TYPE_CHECKING:
    from smbferry_operator.model import Pod

DAY = timedelta(days=1)
NO_POOL = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
NO_ROOM = "0/2 nodes are available: 2 Insufficient memory."


def reported(since_job: timedelta = timedelta(seconds=4), job_age: timedelta = DAY) -> dict[str, Any]:
    """The status of a run whose agent reported, so long after its Job was made."""
    began = format_time(NOW - job_age + since_job)
    done, running = ({"state": state, "startTime": began} for state in ("Succeeded", "Running"))
    return {"state": "Transferring", "phases": {"preflight": done, "prepare": done, "transfer": running}}


def drained(**given: Any) -> Pod:
    """A pod that is being deleted: its node is drained."""
    made = pod(**{"name": "xrun-1-old", "created": ago(days=1), "disrupted": "EvictionByEvictionAPI", **given})
    return replace(made, meta=replace(made.meta, deleting=True))


@dataclass(frozen=True)
class Case:
    """What is seen of a run whose Job is so old, and what is said of it: state, reason, words."""

    expected: tuple[str, str]
    words: str = ""
    pods: tuple[Pod, ...] = ()
    status: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    age: timedelta = DAY


CASES = {
    # A drain, step by step.
    "its node is being drained": Case(
        ("Transferring", "RunInProgress"), pods=(drained(phase="Running"),), status=reported()
    ),
    "drained, and not yet replaced": Case(
        ("Launching", "Retrying"),
        f"Attempt 1 of 7 failed (exit code {int(ExitCode.NETWORK)})",
        pods=(drained(phase="Failed", exit_code=int(ExitCode.NETWORK), ended_at=ago(seconds=1)),),
        status=reported(),
        job={"active": 1},
    ),
    "drained, and its pod is gone": Case(
        ("Launching", "Retrying"), "The agent's pod no longer exists", status=reported()
    ),
    "drained before it reported": Case(
        ("Launching", "AgentStarting"), pods=(drained(phase="Pending"),), job={"active": 1}
    ),
    "drained, and there is no room for another": Case(
        ("Queued", "AgentNotScheduled"),
        NO_ROOM,
        pods=(drained(phase="Failed"), pod(unschedulable=NO_ROOM, created=ago(hours=2))),
        status=reported(),
    ),
    "drained to a node that has not the image": Case(
        ("Launching", "AgentNotScheduled"),
        "ImagePullBackOff",
        pods=(pod(waiting_reason="ImagePullBackOff", created=ago(hours=2)),),
        status=reported(),
    ),
    # What only waits for room.
    "no node has room": Case(
        ("Queued", "AgentNotScheduled"), NO_ROOM, pods=(pod(unschedulable=NO_ROOM, created=ago(days=1)),)
    ),
    "the Job may not make a pod": Case(("Queued", "AgentNotScheduled"), "kubectl describe job xrun-1"),
    "the Job has just been made": Case(("Launching", "AgentStarting"), age=timedelta(seconds=20)),
    "its PriorityClass may not exist": Case(
        ("Queued", "AgentNotScheduled"), 'whether the PriorityClass "night" exists', job={"priority_class": "night"}
    ),
    "no such node pool": Case(
        ("Queued", "AgentNotScheduled"), NO_POOL, pods=(pod(unschedulable=NO_POOL, created=ago(days=1)),)
    ),
    "somebody suspended the Job": Case(
        ("Queued", "AgentSuspended"), "Job suspended", job={"suspended": "Job suspended"}
    ),
    "a queue holds the Job back": Case(
        ("Queued", "AgentSuspended"),
        'Kueue has not admitted it to the queue "nights"',
        job={"suspended": "Job suspended", "labels": {"kueue.x-k8s.io/queue-name": "nights"}},
    ),
    "a queue takes the room away again": Case(
        ("Queued", "AgentSuspended"),
        "Job suspended",
        status=reported(),
        job={"suspended": "Job suspended", "failed": 1},
    ),
    # What does not start for another reason, and never did.
    "no image, for a minute": Case(
        ("Launching", "AgentNotScheduled"),
        "ImagePullBackOff",
        pods=(pod(waiting_reason="ImagePullBackOff", created=ago(minutes=1)),),
    ),
    "no image, for a quarter of an hour": Case(
        ("Launching", "AgentNotScheduled"),
        "The run ends when its agent has ended",
        pods=(pod(waiting_reason="ImagePullBackOff", created=ago(minutes=16)),),
        status={"state": "Launching"},
    ),
    "no image for the agent of a later Job": Case(
        ("Launching", "AgentNotScheduled"),
        "The run ends when its agent has ended",
        pods=(pod(waiting_reason="ImagePullBackOff", created=ago(minutes=16)),),
        status=reported(-timedelta(hours=3)) | {"state": "Launching"},
    ),
    "no image for what an agent of the Job began": Case(
        ("Launching", "AgentNotScheduled"),
        "ImagePullBackOff",
        pods=(pod(waiting_reason="ImagePullBackOff", created=ago(minutes=16)),),
        job={"failed": 1},
    ),
}


def observation(case: Case) -> RunObservation:
    job = transfer_job(created=NOW - case.age, **{"active": 0, **case.job})
    return RunObservation(run(status=case.status), task(), ends(), (job,), case.pods)


@pytest.mark.fault(120, 121, 192, 193)
@pytest.mark.parametrize("name", CASES)
def test_what_is_said_of_an_agent_that_does_not_start(name: str) -> None:
    case = CASES[name]

    decision = decide_run(observation(case), NOW, SETTINGS)

    assert decision.status is not None
    said = find(decision.status.conditions, ConditionType.SUCCEEDED)
    assert said is not None
    assert (decision.status.fields["state"], said.reason) == case.expected
    assert case.words in said.message
    assert found(decision.status.conditions, "Stalled") is None
    assert decision.requeue_after is not None or case.expected[1] == "RunInProgress"
