"""How a run ends, and what is said about it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    ago,
    found,
    pod,
    run,
    transfer_job,
)
from tests.unit.operator.decision_cases import Case, as_written, cases
from tests.unit.operator.run_observations import ENDED, FAILURE, RUNNING, claim, seen, state_of

from smbferry_operator.decide.run import decide_run
from smbferry_operator.model import Pod


@pytest.mark.parametrize("case", cases("run-end"), ids=lambda case: case.name)
def test_ends(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)
    assert decision.status is not None
    assert found(decision.status.conditions, "Reconciling") is None
    assert decision.status.fields["duration"] == "9m30s"
    assert decision.status.fields["completionTime"] == "2026-11-21T11:59:30Z"
    assert [event.reason.name for event in decision.events] == [state_of(decision)[1]]


def test_what_was_given_up_says_after_how_many_attempts() -> None:
    job = transfer_job(failure_reason="BackoffLimitExceeded", failed=7, **ENDED)
    status = {
        "failure": FAILURE | {"class": "Network", "reason": "ConnectionLost", "message": "Lost", "remedy": "Look."}
    }

    decision = decide_run(seen(run(status=status), jobs=(job,)), NOW, SETTINGS)

    assert decision.status is not None
    assert decision.status.conditions[0].message == "Lost. Look. Given up after 7 attempts."


@pytest.mark.parametrize(
    ("dry", "words"),
    [
        (True, "Dry run: nothing was written; 3 of 5 files (7 bytes) would be transferred."),
        (False, "3 files transferred, 2 verified, 1 unchanged."),
    ],
)
def test_success_says_how_much(dry: bool, words: str) -> None:
    files = {"listed": 5, "toTransfer": 3, "transferred": 3, "verified": 2, "skipped": 1}
    over = run(status={"counters": {"files": files, "bytes": {"toTransfer": 7}}}, dry_run=dry)

    decision = decide_run(seen(over, jobs=(transfer_job(complete=True, **ENDED),)), NOW, SETTINGS)

    assert decision.status is not None
    assert decision.status.conditions[0].message == words


@pytest.mark.parametrize(
    ("survey", "words"),
    [
        (None, "Survey: nothing was copied."),
        ({}, "Survey: 3 files in 2 folders (7 bytes). No file could be read, so there is no forecast."),
        (
            {"basis": "Read"},
            "Survey: 3 files in 2 folders (7 bytes). The reading for the first copy takes about 1h05m.",
        ),
        ({"basis": "Copy"}, "Survey: 3 files in 2 folders (7 bytes). The first copy takes about 1h05m."),
    ],
)
def test_a_survey_says_what_it_found(survey: dict[str, Any] | None, words: str) -> None:
    times = dict.fromkeys(("firstCopy", "daily", "unchanged"), "1h05m")
    seconds = {f"{key}Seconds": 3900 for key in times}
    found: dict[str, Any] = {"files": 3, "directories": 2, "bytes": 7}
    if survey:
        found["forecast"] = {**survey, **times, **seconds}
    over = run(status={} if survey is None else {"survey": found}, survey=True)

    decision = decide_run(seen(over, jobs=(transfer_job(complete=True, **ENDED),)), NOW, SETTINGS)

    assert decision.status is not None
    assert decision.status.conditions[0].message == words


@pytest.mark.fault(123)
@pytest.mark.parametrize(
    ("status", "job", "expected"),
    [
        pytest.param({}, {"active": 1}, ["RunStarted"], id="its launch was cut off before its status was written"),
        pytest.param({"jobRef": "xrun-0"}, {"active": 1}, ["RunStarted"], id="so was the next one's"),
        pytest.param({"jobRef": "xrun-1"}, {"active": 1}, [], id="told already"),
        pytest.param({}, {"complete": True, **ENDED}, ["RunStarted", "RunSucceeded"], id="over before it was told"),
    ],
)
def test_the_start_is_told_with_the_status_that_first_names_the_job(
    status: dict[str, Any], job: dict[str, Any], expected: list[str]
) -> None:
    pods = (pod(phase="Running"),) if "active" in job else ()

    decision = decide_run(seen(run(status=status), jobs=(transfer_job(**job),), pods=pods), NOW, SETTINGS)

    assert [event.reason.name for event in decision.events] == expected


def test_an_ended_run_is_never_touched_again() -> None:
    over = run(status={"state": "Succeeded"}, cancel=True)

    decision = decide_run(seen(over, claims=(claim(),)), NOW, SETTINGS)

    assert decision.status is None
    assert not decision.create
    assert not decision.delete
    assert not decision.events


def test_a_retry_says_which_and_why() -> None:
    left = pod(phase="Failed", exit_code=20, termination_message='{"reason": "ConnectionLost", "message": "reset"}')

    decision = decide_run(seen(run(status=RUNNING), jobs=(transfer_job(failed=1),), pods=(left,)), NOW, SETTINGS)

    assert state_of(decision) == ("Launching", "Retrying")
    assert decision.status is not None
    assert "Attempt 1 of 7 failed (ConnectionLost: reset)" in decision.status.conditions[0].message


STOPPED = {"reason": "RunCancelled", "message": "The run was cancelled."}


@pytest.mark.fault(215)
@pytest.mark.parametrize(
    ("status", "left"),
    [
        pytest.param({}, [pod(phase="Failed", exit_code=40)], id="nothing told"),
        pytest.param({}, [pod(phase="Failed", exit_code=40, termination_message=json.dumps(STOPPED))], id="by the pod"),
        pytest.param({"failure": {"class": "Cancelled", "remedy": "", **STOPPED}}, [], id="in the status, pod removed"),
    ],
)
def test_a_run_whose_agent_was_stopped_for_good_was_not_cancelled(status: dict[str, Any], left: list[Pod]) -> None:
    """Its pod was deleted, and Kubernetes starts no other one."""
    given_up = transfer_job(failed=2, failure_reason="BackoffLimitExceeded", finished_at=ago(seconds=9))

    decision = decide_run(seen(run(status={**RUNNING, **status}), jobs=(given_up,), pods=tuple(left)), NOW, SETTINGS)

    assert state_of(decision) == ("Failed", "AgentLost")
    assert decision.status is not None
    failure = decision.status.fields["failure"]
    assert (failure["reason"], failure["class"]) == ("AgentLost", "Network")
    assert "nobody cancelled the run" in failure["message"]
    assert "Given up after 2 attempts." in failure["message"]


@pytest.mark.parametrize("code", [0, 3, 11, 70])
def test_an_end_that_is_not_retried_is_not_called_a_retry(code: int) -> None:
    left = pod(phase="Failed", exit_code=code)

    decision = decide_run(seen(run(status=RUNNING), jobs=(transfer_job(active=1),), pods=(left,)), NOW, SETTINGS)

    assert decision.status is None
    assert decision.requeue_after == timedelta(seconds=2)


def test_a_pod_that_can_not_start_is_said_and_given_up_in_the_end() -> None:
    def stuck(minutes: float) -> Any:
        waiting = pod(waiting_reason="ImagePullBackOff", created=ago(minutes=minutes))
        return decide_run(seen(jobs=(transfer_job(active=1),), pods=(waiting,)), NOW, SETTINGS)

    early, late = stuck(1), stuck(16)

    assert state_of(early) == ("Launching", "AgentNotScheduled")
    assert early.delete == ()
    assert state_of(late) == ("Launching", "AgentNotScheduled")
    assert late.status.fields["ending"]["state"] == "Failed"


def test_no_end_is_said_while_a_pod_may_still_write() -> None:
    decision = decide_run(
        seen(jobs=(transfer_job(complete=True, **ENDED),), pods=(pod(phase="Running"),)), NOW, SETTINGS
    )

    assert decision.status is None
    assert decision.requeue_after == timedelta(seconds=2)
