"""A run that is said to have ended has no agent any more, whatever ended it; and what is refused, or can't be read,
while an agent is at work ends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import NOW, SETTINGS, ago, checked_location, ends, found, pod, run, task, transfer_job

from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.model import Refusal

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision
    from smbferry_operator.model import Job, Pod

VERDICT = {
    "state": "Failed",
    "reason": "AgentNotScheduled",
    "message": "No image. Look.",
    "failure": {"class": "Configuration", "reason": "AgentNotScheduled", "message": "No image.", "remedy": "Look."},
}
AT_WORK = transfer_job(active=1)
DYING = transfer_job(active=1, deleting=True)
OVER = transfer_job(failure_reason="PodFailurePolicy", finished_at=ago(seconds=30))
ALIVE = pod(phase="Running")
GONE = pod(phase="Failed", exit_code=143, ended_at=ago(seconds=1))


def decided(status: dict[str, Any], jobs: tuple[Job, ...], pods: tuple[Pod, ...], **more: Any) -> Decision:
    return decide_run(RunObservation(run(status=status), task(), ends(), jobs, pods, **more), NOW, SETTINGS)


@pytest.mark.fault(122)
@pytest.mark.parametrize(
    ("jobs", "pods", "final", "deleted"),
    [
        pytest.param((AT_WORK,), (ALIVE,), False, ["xrun-1"], id="its Job is there"),
        pytest.param((AT_WORK,), (), False, ["xrun-1"], id="its Job may make another pod"),
        pytest.param((DYING,), (ALIVE,), False, [], id="its Job is being deleted"),
        pytest.param((), (ALIVE,), False, [], id="its Job is gone, the agent is not"),
        pytest.param((OVER,), (ALIVE,), False, [], id="its Job has failed, an agent is left"),
        pytest.param((), (GONE,), True, [], id="all are gone"),
        pytest.param((OVER,), (GONE,), True, [], id="the Job is kept, as it has ended"),
    ],
)
def test_an_end_is_said_when_the_last_agent_is_gone(
    jobs: tuple[Job, ...], pods: tuple[Pod, ...], final: bool, deleted: list[str]
) -> None:
    decision = decided({"state": "Launching", "ending": VERDICT}, jobs, pods)

    assert [key.name for key in decision.delete] == deleted
    assert not decision.create
    assert decision.status is not None
    status = decision.status
    assert status.fields["state"] == ("Failed" if final else "Launching")
    assert found(status.conditions, "Succeeded") == ("False" if final else "Unknown", "AgentNotScheduled")
    assert (found(status.conditions, "Stalled") is not None) is final
    assert ("completionTime" in status.fields) is final
    assert (decision.requeue_after is None) is final
    assert status.fields.get("failure") == (VERDICT["failure"] if final else None)


@pytest.mark.fault(122)
def test_the_verdict_is_written_before_the_job_is_asked_to_go_and_survives_a_restart() -> None:
    late = pod(waiting_reason="ImagePullBackOff", created=ago(minutes=16))

    first = decided({"state": "Launching"}, (AT_WORK,), (late,))
    assert first.status is not None
    stored = first.status.as_json()
    then = decided(stored, (AT_WORK,), (late,))
    last = decided(stored, (), ())

    assert stored["state"] == "Launching"
    assert (first.delete, [key.name for key in then.delete]) == ((), ["xrun-1"])
    assert last.status is not None
    assert last.status.as_json()["state"] == "Failed"
    assert last.status.as_json()["failure"]["reason"] == "AgentNotScheduled"


def test_a_verdict_does_not_change_and_no_job_is_made_for_it_any_more() -> None:
    decision = decide_run(
        RunObservation(run(status={"state": "Launching", "ending": VERDICT}, cancel=True), task(), ends()),
        NOW,
        SETTINGS,
    )

    assert decision.status is not None
    assert decision.status.fields["state"] == "Failed"
    assert not decision.create


@pytest.mark.fault(122)
@pytest.mark.parametrize("permanent", [True, False])
def test_what_is_refused_while_an_agent_is_at_work_ends_nothing(permanent: bool) -> None:
    refusal = Refusal("TransferRun status", "an admission webhook denied it", permanent)
    working = {"state": "Transferring", "phases": {"transfer": {"state": "Running"}}}

    decision = decided(working, (AT_WORK,), (ALIVE,), refusal=refusal)

    assert decision.delete == ()
    assert decision.status is None or decision.status.fields["state"] == "Transferring"


def test_a_run_that_can_not_go_on_ends_its_agents_first() -> None:
    onto_itself = task(destination={"locationRef": {"name": "src"}, "path": "/below"})
    around = ends(destination=checked_location("src"))

    decision = decide_run(
        RunObservation(run(status={"state": "Queued"}), onto_itself, around, (), (ALIVE,)), NOW, SETTINGS
    )

    assert decision.status is not None
    assert decision.status.fields["state"] == "Queued"
    assert decision.status.fields["ending"]["reason"] == "SameDestination"
