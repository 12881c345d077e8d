from typing import Any

import pytest
from tests.support.builders import agent_body, identity_body, location_body, task_body

from smbferry_operator.model import Kind
from smbferry_operator.parse import InvalidObjectError, parse_identity, parse_job, parse_location, parse_pod, parse_task

OWNER = (Kind.RUN, "run", "uid-run")


def job(**status: Any) -> Any:
    return parse_job(agent_body(Kind.JOB, "j", OWNER, status=status))


def pod(**status: Any) -> Any:
    return parse_pod(agent_body(Kind.POD, "p", OWNER, status=status))


def agent(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "sidecar", "state": {"running": {}}}, {"name": "agent", "state": state}]


def test_a_job_that_has_just_begun() -> None:
    found = job(active=1)

    assert (found.finished, found.active, found.finished_at) == (False, 1, None)


def test_a_job_that_completed() -> None:
    found = job(succeeded=1, completionTime="2026-11-21T12:00:00Z", conditions=[{"type": "Complete", "status": "True"}])

    assert (found.finished, found.complete, found.succeeded) == (True, True, 1)
    assert found.finished_at.isoformat() == "2026-11-21T12:00:00+00:00"


def test_a_job_that_failed_says_why_and_when() -> None:
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": "PodFailurePolicy",
        "message": "exit code 11",
        "lastTransitionTime": "2026-11-21T12:00:00Z",
    }
    found = job(failed=1, conditions=[{"type": "FailureTarget", "status": "True"}, failed])

    assert (found.finished, found.complete) == (True, False)
    assert (found.failure_reason, found.failure_message) == ("PodFailurePolicy", "exit code 11")
    assert found.finished_at is not None


def test_a_condition_that_is_not_true_says_nothing() -> None:
    assert not job(conditions=[{"type": "Failed", "status": "False", "reason": "X"}]).finished


def test_a_pod_that_finds_no_node() -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}

    assert pod(phase="Pending", conditions=[scheduled]).unschedulable == "0/2 nodes"


def test_a_pod_that_waits_for_its_image() -> None:
    found = pod(phase="Pending", containerStatuses=agent({"waiting": {"reason": "ErrImagePull", "message": "no host"}}))

    assert (found.waiting_reason, found.waiting_message, found.living) == ("ErrImagePull", "no host", True)


def test_a_pod_that_has_ended() -> None:
    ended = {"exitCode": 20, "reason": "Error", "message": "{}", "finishedAt": "2026-11-21T12:00:00Z"}
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    found = pod(phase="Failed", containerStatuses=agent({"terminated": ended}), conditions=[disrupted])

    assert (found.exit_code, found.exit_reason, found.termination_message, found.living) == (20, "Error", "{}", False)
    assert found.disrupted == "EvictionByEvictionAPI"


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_whose_node_is_out_of_reach_counts_as_living(phase: str) -> None:
    assert pod(phase=phase).living


def test_a_spec_that_can_not_be_used_names_the_field() -> None:
    with pytest.raises(InvalidObjectError, match=r"spec\.schedule\.cron: expected five fields") as caught:
        parse_task(task_body(schedule={"cron": "every night"}))

    assert caught.value.meta.name == "nightly"


def test_an_address_is_no_server_name() -> None:
    with pytest.raises(InvalidObjectError, match="Kerberos tickets are for names"):
        parse_location(location_body(server="10.0.0.1"))


def test_a_status_that_can_not_be_read_counts_as_not_written(caplog: pytest.LogCaptureFixture) -> None:
    found = parse_identity(identity_body(status={"conditions": "nonsense"}))

    assert found.status.conditions == ()
    assert "ignored unreadable fields" in caplog.text


def test_fields_of_a_newer_writer_are_let_be() -> None:
    assert parse_identity(identity_body(status={"fromTheFuture": 1})).status.conditions == ()
