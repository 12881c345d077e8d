from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.operator.builders import (
    NOW,
    SETTINGS,
    ago,
    checked_location,
    condition,
    ends,
    found,
    location,
    pod,
    recorded_in,
    run,
    snapshot,
    task,
    transfer_job,
)

from smbferry_api.location import ServerStatus
from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim, Ends, RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.model import Job, Pod, Refusal, Run

GUID = "2f3f6f5c-6f0e-4c5f-9a0d-4f6c2b8d0a11"
BAD = location("src", {"conditions": [condition("Ready", "False", "ShareNotFound")]})
HERE = Destination("files.corp.example.com", 445, "dst", ())
ELSEWHERE = Destination("files.corp.example.com", 445, "other", ())
RUNNING = {"phases": {"preflight": {"state": "Succeeded"}, "prepare": {"state": "Running"}}}


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


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(seen(), ("Launching", "AgentStarting"), id="nothing in the way"),
        pytest.param(seen(ends=ends(source=BAD)), ("Queued", "LocationNotReady"), id="a location known to be bad"),
        pytest.param(seen(ends=ends(source=None)), ("Queued", "LocationNotFound"), id="a location missing"),
        pytest.param(seen(ends=ends(source=location("src"))), ("Queued", "LocationNotReady"), id="not checked yet"),
        pytest.param(seen(claims=(claim(),)), ("Queued", "RunQueued"), id="another writes there"),
        pytest.param(seen(claims=(claim(ELSEWHERE),)), ("Launching", "AgentStarting"), id="another writes elsewhere"),
        pytest.param(
            seen(claims=(claim(writing=False, since=ago(days=1)),)),
            ("Queued", "RunQueued"),
            id="another has waited longer",
        ),
        pytest.param(
            seen(claims=(claim(writing=False, since=NOW),)),
            ("Launching", "AgentStarting"),
            id="another has waited less",
        ),
        pytest.param(
            seen(run(dry_run=True), claims=(claim(),)), ("Launching", "AgentStarting"), id="a dry run waits for nobody"
        ),
        pytest.param(
            seen(run(status={"jobRef": "gone", "attempts": 1}), pods=(pod(phase="Running"),)),
            ("Queued", "RunQueued"),
            id="an earlier agent of it still lives",
        ),
        pytest.param(
            seen(run(task_name="gone", created=ago(seconds=5)), task=None, ends=Ends()),
            ("Queued", "TaskNotFound"),
            id="its task may be on its way",
        ),
        pytest.param(
            seen(run(task_name="gone"), task=None, ends=Ends()),
            ("Failed", "TaskNotFound"),
            id="its task is not there",
        ),
        pytest.param(
            seen(run(status={"jobRef": "gone", "attempts": 7})), ("Failed", "AgentLost"), id="deleted once too often"
        ),
        pytest.param(seen(run(cancel=True)), ("Cancelled", "RunCancelled"), id="cancelled before it began"),
        pytest.param(
            seen(refusal=Refusal("Job", "bad toleration", permanent=True)),
            ("Failed", "SpecInvalid"),
            id="its Job is invalid",
        ),
        pytest.param(
            seen(refusal=Refusal("Job", "quota", permanent=False)),
            ("Queued", "AgentNotScheduled"),
            id="no room for its Job",
        ),
    ],
)
def test_before_there_is_a_job(observed: RunObservation, expected: tuple[str, str]) -> None:
    decision = decide_run(observed, NOW, SETTINGS)

    assert state_of(decision) == expected
    assert bool(decision.create) is (expected[0] == "Launching")


def test_a_queued_run_says_behind_whom() -> None:
    waiting = claim(writing=False, since=ago(days=2), holder="patient")
    decision = decide_run(seen(claims=(waiting, claim(holder="busy"))), NOW, SETTINGS)

    assert decision.status is not None
    message = decision.status.conditions[0].message
    assert message == "Queued behind TransferRun team/busy, which writes to //files.corp.example.com:445/dst."


def test_a_writer_by_another_name_of_the_server_is_waited_for_and_named() -> None:
    alias = replace(HERE, server="cname.corp.example.com", guid=GUID)
    known = ends(destination=location_with_guid(GUID))

    decision = decide_run(seen(ends=known, claims=(claim(alias),)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "RunQueued")
    assert decision.status is not None
    assert decision.status.conditions[0].message == (
        "Queued behind TransferRun team/other, which writes to //cname.corp.example.com:445/dst"
        f" (the same server, by its ServerGuid {GUID})."
    )


def test_the_identifier_that_a_check_found_is_taken_down_with_the_task() -> None:
    checked = location_with_guid(GUID)

    taken = decide_run(seen(ends=ends(destination=checked)), NOW, SETTINGS)

    assert taken.status is not None
    assert taken.status.fields["task"]["destination"]["serverGuid"] == GUID


@pytest.mark.parametrize(("path", "refused"), [("/below", True), ("/", False)])
def test_a_transfer_into_itself_by_another_name_is_refused(path: str, refused: bool) -> None:
    """Onto itself nothing would change; two clones of one server would hold the same folder, too."""
    destination = location_with_guid(GUID)
    elsewhere = destination.spec.model_copy(update={"server": "cname.corp.example.com"})
    source = replace(destination, meta=replace(destination.meta, name="src"), spec=elsewhere)
    nested = task(destination={"locationRef": {"name": "dst"}, "path": path})

    decision = decide_run(seen(task=nested, ends=ends(source=source, destination=destination)), NOW, SETTINGS)

    assert state_of(decision) == (("Failed", "SameDestination") if refused else ("Launching", "AgentStarting"))


def test_a_launch_claims_its_destination_and_a_dry_run_does_not() -> None:
    assert decide_run(seen(), NOW, SETTINGS).claim == HERE
    assert decide_run(seen(run(dry_run=True)), NOW, SETTINGS).claim is None


def test_into_its_own_source_is_never_started() -> None:
    below = {"locationRef": {"name": "src"}, "path": "/below"}

    decision = decide_run(
        seen(task=task(destination=below), ends=ends(destination=checked_location("src"))), NOW, SETTINGS
    )

    assert state_of(decision) == ("Failed", "SameDestination")
    assert decision.status is not None
    assert found(decision.status.conditions, "Stalled") is not None


def test_a_runs_first_job_records_the_task_as_it_stands_and_the_status_shows_it() -> None:
    launched = decide_run(seen(), NOW, SETTINGS)
    (job,) = launched.create
    taken = recorded_in(job)

    assert taken.source.spec.share == "src"
    assert launched.status is not None
    shown = launched.status.fields["task"]
    assert ResolvedTask.model_validate(shown) == taken
    goes_on = decide_run(seen(run(status={"task": shown}), jobs=(transfer_job(active=1, task=shown),)), NOW, SETTINGS)
    assert goes_on.status is not None
    assert goes_on.status.fields["task"] == shown, "what is owned is applied whole, or it would be lost"


@pytest.mark.parametrize(
    ("phases", "state"),
    [
        ({}, "Launching"),
        ({"preflight": "Running"}, "Preparing"),
        ({"preflight": "Succeeded", "prepare": "Running"}, "Preparing"),
        ({"prepare": "Succeeded", "transfer": "Running", "verify": "Pending"}, "Transferring"),
        ({"transfer": "Succeeded", "verify": "Running"}, "Verifying"),
        ({"transfer": "Running", "verify": "Skipped"}, "Transferring"),
        ({"prepare": "Running", "transfer": "Running", "verify": "Running"}, "Transferring"),
        ({"preflight": "Succeeded", "prepare": "Pending"}, "Preparing"),
        ({"transfer": "Succeeded", "verify": "Pending"}, "Transferring"),
        ({"verify": "Succeeded", "delete": "Running"}, "Verifying"),
    ],
)
def test_the_state_follows_the_agents_phases(phases: dict[str, str], state: str) -> None:
    status = {"phases": {name: {"state": value} for name, value in phases.items()}}

    decision = decide_run(
        seen(run(status=status), jobs=(transfer_job(active=1),), pods=(pod(phase="Running"),)), NOW, SETTINGS
    )

    assert state_of(decision)[0] == state
    assert not decision.create
    assert not decision.delete


@pytest.mark.parametrize("last", ["Succeeded", "Failed"])
def test_no_state_is_told_of_an_agent_that_has_only_to_exit(last: str) -> None:
    status = {"state": "Launching", "phases": {"transfer": {"state": "Succeeded"}, "verify": {"state": last}}}

    decision = decide_run(
        seen(run(status=status), jobs=(transfer_job(active=1),), pods=(pod(phase="Running"),)), NOW, SETTINGS
    )

    assert (decision.status, decision.create, decision.delete) == (None, (), ())
    assert decision.requeue_after is not None


def test_the_agents_word_is_believed_before_its_pod_is_said_to_run() -> None:
    status = {"phases": {"transfer": {"state": "Running"}}}

    decision = decide_run(
        seen(run(status=status), jobs=(transfer_job(active=1),), pods=(pod(phase="Pending"),)), NOW, SETTINGS
    )

    assert state_of(decision)[0] == "Transferring"


ENDED = {"finished_at": ago(seconds=30)}
POLICY = {"failure_reason": "PodFailurePolicy", **ENDED}
FAILURE = {"class": "Identity", "reason": "AccountDisabled", "message": "It is disabled", "remedy": "Enable it."}


@pytest.mark.parametrize(
    ("job", "left", "status", "expected", "stalled"),
    [
        pytest.param(
            {"complete": True, **ENDED}, {"exit_code": 0}, {}, ("Succeeded", "RunSucceeded"), False, id="done"
        ),
        pytest.param(
            POLICY,
            {"exit_code": 3},
            {},
            ("PartiallySucceeded", "RunPartiallySucceeded"),
            False,
            id="single files failed",
        ),
        pytest.param(
            POLICY
            | {"failure_message": "Container agent for pod team/x failed with exit code 3 matching FailJob rule"},
            None,
            {},
            ("PartiallySucceeded", "RunPartiallySucceeded"),
            False,
            id="the Job remembers what the pod can't say any more",
        ),
        pytest.param(
            POLICY, {"exit_code": 11}, {"failure": FAILURE}, ("Failed", "AccountDisabled"), True, id="as the agent said"
        ),
        pytest.param(
            POLICY,
            {"exit_code": 12, "termination_message": '{"reason": "EncryptionNotSupported", "failureClass": "Policy"}'},
            {},
            ("Failed", "EncryptionNotSupported"),
            True,
            id="as its last words said",
        ),
        pytest.param(POLICY, {"exit_code": 13}, {}, ("Failed", "RunFailed"), True, id="only an exit code"),
        pytest.param(POLICY, {"exit_code": 70}, {}, ("Failed", "InternalError"), True, id="a bug"),
        pytest.param(
            {"failure_reason": "BackoffLimitExceeded", "failed": 7, **ENDED},
            {"exit_code": 20},
            {"failure": FAILURE | {"class": "Network", "reason": "ConnectionLost"}},
            ("Failed", "ConnectionLost"),
            True,
            id="given up",
        ),
        pytest.param(
            {"failure_reason": "BackoffLimitExceeded", **ENDED},
            {"exit_code": 137, "exit_reason": "OOMKilled"},
            {},
            ("Failed", "AgentLost"),
            True,
            id="killed",
        ),
        pytest.param(
            {"failure_reason": "DeadlineExceeded", **ENDED}, None, {}, ("Failed", "RunTimedOut"), True, id="too long"
        ),
    ],
)
def test_ends(
    job: dict[str, Any], left: dict[str, Any] | None, status: dict[str, Any], expected: tuple[str, str], stalled: bool
) -> None:
    pods = (pod(phase="Failed", ended_at=ago(seconds=31), **left),) if left else ()
    before = {"startTime": "2026-11-21T11:50:00Z", "jobRef": "xrun-1", **status}

    decision = decide_run(seen(run(status=before), jobs=(transfer_job(**job),), pods=pods), NOW, SETTINGS)

    assert state_of(decision) == expected
    assert decision.status is not None
    assert (found(decision.status.conditions, "Stalled") is not None) is stalled
    assert found(decision.status.conditions, "Reconciling") is None
    assert decision.status.fields["duration"] == "9m30s"
    assert decision.status.fields["completionTime"] == "2026-11-21T11:59:30Z"
    assert [event.reason.name for event in decision.events] == [expected[1]]
    assert ("failure" in decision.status.fields) is (expected[0] == "Failed" and "failure" not in status)


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
        (True, "A dry run: nothing was written; 3 of 5 files (7 bytes) would be transferred."),
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


def test_a_job_that_was_deleted_is_made_anew_under_another_name() -> None:
    first = decide_run(seen(), NOW, SETTINGS).create[0]
    status = {"jobRef": first["metadata"]["name"], "attempts": 1}

    again = decide_run(seen(run(status=status)), NOW, SETTINGS).create[0]

    assert again["metadata"]["name"] != first["metadata"]["name"]
    assert again["spec"]["backoffLimit"] == first["spec"]["backoffLimit"] - 1


def test_an_operator_that_starts_anew_adopts_the_job() -> None:
    decision = decide_run(
        seen(run(status=RUNNING), jobs=(transfer_job(active=1),), pods=(pod(phase="Running"),)), NOW, SETTINGS
    )

    assert decision.create == ()
    assert decision.status is not None
    assert decision.status.fields["jobRef"] == "xrun-1"
    assert decision.status.fields["attempts"] == 1


def test_cancelling_waits_for_the_agent_to_end() -> None:
    wanted = run(status={**RUNNING, "startTime": "2026-11-21T11:50:00Z"}, cancel=True)
    alive = (pod(phase="Running"),)

    asked = decide_run(seen(wanted, jobs=(transfer_job(active=1),), pods=alive), NOW, SETTINGS)
    dying = decide_run(seen(wanted, jobs=(transfer_job(active=1, deleting=True),), pods=alive), NOW, SETTINGS)
    over = decide_run(seen(wanted), NOW, SETTINGS)

    assert [key.name for key in asked.delete] == ["xrun-1"]
    assert dying.delete == ()
    assert state_of(asked)[0] == state_of(dying)[0] == "Cancelling"
    assert state_of(over) == ("Cancelled", "RunCancelled")


def test_a_run_that_ended_before_it_could_be_cancelled_says_how_it_ended() -> None:
    wanted = run(cancel=True)

    done = decide_run(seen(wanted, jobs=(transfer_job(complete=True, **ENDED),)), NOW, SETTINGS)
    polled = decide_run(
        seen(wanted, jobs=(transfer_job(**POLICY),), pods=(pod(phase="Failed", exit_code=40),)), NOW, SETTINGS
    )

    assert state_of(done)[0] == "Succeeded"
    assert state_of(polled)[0] == "Cancelled"


def test_a_retry_says_which_and_why() -> None:
    left = pod(phase="Failed", exit_code=20, termination_message='{"reason": "ConnectionLost", "message": "reset"}')

    decision = decide_run(seen(run(status=RUNNING), jobs=(transfer_job(failed=1),), pods=(left,)), NOW, SETTINGS)

    assert state_of(decision) == ("Launching", "Retrying")
    assert decision.status is not None
    assert "Attempt 1 of 7 failed (ConnectionLost: reset)" in decision.status.conditions[0].message


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


def test_events_tell_of_transitions_only() -> None:
    waiting = seen(ends=ends(source=BAD))
    first = decide_run(waiting, NOW, SETTINGS)
    assert first.status is not None
    again = decide_run(seen(run(status=first.status.as_json()), ends=ends(source=BAD)), NOW, SETTINGS)

    assert [event.reason.name for event in first.events] == ["LocationNotReady"]
    assert again.events == ()
    assert again.status is None


def limited(task_limit: str | None, snapshot_limit: str | None, standing: dict[str, str] | None = None) -> Any:
    """status.limit after a look at a run under way."""
    status: dict[str, Any] = {"state": "Transferring", "phases": {"transfer": {"state": "Running"}}}
    if standing is not None:
        status["limit"] = standing
    taken = {**snapshot(), "options": {"bytesPerSecond": snapshot_limit} if snapshot_limit else {}}
    options = {"bytesPerSecond": task_limit} if task_limit else {}
    world = seen(run(status=status), task=task(options=options), jobs=(transfer_job(active=1, task=taken),))
    decision = decide_run(world, NOW, SETTINGS)
    assert decision.status is not None
    return decision.status.as_json().get("limit")


@pytest.mark.parametrize(
    ("task_limit", "snapshot_limit", "standing", "expected"),
    [
        pytest.param("4Mi", "4Mi", None, None, id="not changed"),
        pytest.param(None, None, None, None, id="never limited"),
        pytest.param("8Mi", "4Mi", None, {"bytesPerSecond": "8Mi"}, id="changed"),
        pytest.param("8Mi", None, None, {"bytesPerSecond": "8Mi"}, id="limited later"),
        pytest.param(None, "4Mi", None, {}, id="freed: an empty limit is no limit"),
        pytest.param("4Mi", "4Mi", {"bytesPerSecond": "8Mi"}, {"bytesPerSecond": "4Mi"}, id="changed back"),
    ],
)
def test_a_changed_limit_reaches_a_run_under_way(
    task_limit: str | None, snapshot_limit: str | None, standing: dict[str, str] | None, expected: Any
) -> None:
    assert limited(task_limit, snapshot_limit, standing) == expected


def test_a_limit_stays_when_the_task_is_gone_or_is_another_of_the_same_name() -> None:
    status = {"state": "Launching", "limit": {"bytesPerSecond": "8Mi"}}
    for other in (None, task(uid="uid-another")):
        decision = decide_run(seen(run(status=status), task=other, jobs=(transfer_job(active=1),)), NOW, SETTINGS)

        assert decision.status is not None
        assert decision.status.as_json()["limit"] == {"bytesPerSecond": "8Mi"}
