"""What is decided about a run before and while its agent works."""

from dataclasses import replace

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    ago,
    checked_location,
    ends,
    found,
    job_of,
    pod,
    recorded_in,
    run,
    task,
    transfer_job,
)
from tests.unit.operator.decision_cases import Case, as_written, cases
from tests.unit.operator.run_observations import (
    BAD,
    ENDED,
    GUID,
    HERE,
    POLICY,
    RUNNING,
    claim,
    location_with_guid,
    seen,
    state_of,
)

from smbferry_api.run import ResolvedTask
from smbferry_operator.decide.run import decide_run


@pytest.mark.parametrize("case", cases("run-queue"), ids=lambda case: case.name)
def test_before_there_is_a_job(case: Case) -> None:
    decision = case.decide()
    expected = case.expected(decision)

    assert as_written(decision) == expected
    assert bool(decision.create) is (expected["status"]["state"] == "Launching")


def test_a_queued_run_says_behind_whom() -> None:
    waiting = claim(writing=False, since=ago(days=2), holder="patient")
    decision = decide_run(seen(claims=(waiting, claim(holder="busy"))), NOW, SETTINGS)

    assert decision.status is not None
    message = decision.status.conditions[0].message
    assert message == "Queued behind TransferRun team/busy, which writes to //files.corp.example.com:445/dst."


@pytest.mark.fault(125)
def test_a_writer_by_another_name_of_the_server_is_waited_for_and_named() -> None:
    alias = replace(HERE, server="cname.corp.example.com", guid=GUID)
    known = ends(destination=location_with_guid(GUID))

    decision = decide_run(seen(ends=known, claims=(claim(alias),)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "RunQueued")
    assert decision.status is not None
    assert decision.status.conditions[0].message == (
        "Queued behind TransferRun team/other, which writes to //cname.corp.example.com:445/dst"
        f" (the same server by its ServerGuid, {GUID})."
    )


@pytest.mark.fault(125)
def test_the_identifier_that_a_check_found_is_taken_down_with_the_task() -> None:
    checked = location_with_guid(GUID)

    taken = decide_run(seen(ends=ends(destination=checked)), NOW, SETTINGS)

    assert taken.status is not None
    assert taken.status.fields["task"]["destination"]["serverGuid"] == GUID


@pytest.mark.fault(125)
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


def test_a_survey_claims_its_destination_only_if_it_measures_it() -> None:
    assert decide_run(seen(run(survey=True)), NOW, SETTINGS).claim is None
    assert decide_run(seen(run(survey=True, measures=True)), NOW, SETTINGS).claim == HERE


def test_into_its_own_source_is_never_started() -> None:
    below = {"locationRef": {"name": "src"}, "path": "/below"}

    decision = decide_run(
        seen(task=task(destination=below), ends=ends(destination=checked_location("src"))), NOW, SETTINGS
    )

    assert state_of(decision) == ("Failed", "SameDestination")
    assert decision.status is not None
    assert found(decision.status.conditions, "Stalled") is not None


def test_a_run_that_waits_for_files_in_use_says_so_in_its_condition() -> None:
    message = "3 files are in use or were written to. Attempt 1 of 3 starts at 12:01:00Z."
    retry = {"files": 3, "attempt": 1, "attempts": 3, "nextTime": "2026-11-21T12:01:00Z", "message": message}
    status = {"phases": {"preflight": {"state": "Succeeded"}, "transfer": {"state": "Running"}}, "retry": retry}
    working = seen(run(status=status), jobs=(transfer_job(active=1),), pods=(pod(phase="Running"),))

    decision = decide_run(working, NOW, SETTINGS)

    assert decision.status is not None
    assert decision.status.conditions[0].message == f"Transferring. {message}"


def test_a_runs_first_job_records_the_task_as_it_stands_and_the_status_shows_it() -> None:
    launched = decide_run(seen(), NOW, SETTINGS)
    job = job_of(launched)
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


def test_a_job_that_was_deleted_is_made_anew_under_another_name() -> None:
    first = job_of(decide_run(seen(), NOW, SETTINGS))
    status = {"jobRef": first["metadata"]["name"], "attempts": 1}

    again = job_of(decide_run(seen(run(status=status)), NOW, SETTINGS))

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


def test_events_tell_of_transitions_only() -> None:
    waiting = seen(ends=ends(source=BAD))
    first = decide_run(waiting, NOW, SETTINGS)
    assert first.status is not None
    again = decide_run(seen(run(status=first.status.as_json()), ends=ends(source=BAD)), NOW, SETTINGS)

    assert [event.reason.name for event in first.events] == ["LocationNotReady"]
    assert again.events == ()
    assert again.status is None
