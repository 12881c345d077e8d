"""Whole rounds against a cluster in memory: what one decision writes, the next one sees."""

import asyncio

import pytest
from tests.support.builders import (
    LOCATION_GOOD,
    identity_body,
    location_body,
    run_body,
    task_body,
)
from tests.unit.operator.world import KNOWN, TASK, World, agents, good, settled

from smbferry_operator.cluster.errors import (
    UnavailableError,
)
from smbferry_operator.model import Key, Kind


def test_a_task_leads_to_a_run_and_the_run_to_a_job_and_both_stand_in_the_status() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.settle(TASK)

    (run,), (_, job) = world.memory.of("TransferRun"), world.memory.of("Job")
    assert job["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]
    assert run["status"]["state"] == "Launching"
    assert run["status"]["jobRef"] == job["metadata"]["name"]
    assert world.memory.objects["TransferTask", "nightly"]["status"]["activeRun"] == run["metadata"]["name"]
    assert [event.reason.name for event in world.events].count("RunStarted") == 1


def test_an_identity_leads_to_a_check_with_an_account_of_its_own() -> None:
    world = World((Kind.IDENTITY, identity_body()))
    world.settle(Key(Kind.IDENTITY, "team", "svc"))

    assert {kind for kind, _ in world.memory.objects} == {
        "KerberosIdentity",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "Job",
    }


def test_what_an_agent_needs_is_applied_at_once_but_the_binding_after_what_it_names() -> None:
    world = World((Kind.IDENTITY, identity_body()))
    world.settle(Key(Kind.IDENTITY, "team", "svc"))

    assert world.memory.begun == world.memory.done == ["ServiceAccount", "Role", "RoleBinding"]


def test_of_two_runs_to_one_destination_that_are_decided_at_once_one_waits() -> None:
    world = World(*settled(), KNOWN, (Kind.RUN, run_body("one")), (Kind.RUN, run_body("two")))
    world.at_once(Key(Kind.RUN, "team", "one"), Key(Kind.RUN, "team", "two"))

    states = sorted(body["status"]["state"] for body in world.memory.of("TransferRun"))
    assert states == ["Launching", "Queued"]
    assert agents(world) == ["transfer"]


def test_a_launch_whose_outcome_is_unknown_keeps_its_claim() -> None:
    world = World(*settled(), KNOWN, (Kind.RUN, run_body("one")), (Kind.RUN, run_body("two")))
    world.memory.refuse["Job"] = UnavailableError("timed out")
    one, two = Key(Kind.RUN, "team", "one"), Key(Kind.RUN, "team", "two")

    async def scenario() -> None:
        try:
            await world.reconciler.reconcile(one)
        except UnavailableError:
            world.memory.refuse.clear()
        await world.reconciler.reconcile(two)
        await world.reconciler.reconcile(one)

    asyncio.run(scenario())

    states = {b["metadata"]["name"]: b["status"]["state"] for b in world.memory.of("TransferRun")}
    assert states == {"one": "Launching", "two": "Queued"}


def test_an_invalid_spec_is_said_once() -> None:
    body = task_body(schedule={"cron": "every night at two"})
    world = World(*settled(), (Kind.TASK, body))
    world.settle(TASK)
    first = world.memory.objects["TransferTask", "nightly"]
    world.settle(TASK)

    assert first["status"]["conditions"][0]["reason"] == "SpecInvalid"
    assert "expected five fields" in first["status"]["conditions"][0]["message"]
    assert world.memory.objects["TransferTask", "nightly"] is first


@pytest.mark.fault(52)
def test_thousands_of_objects_that_are_as_they_should_be_cost_no_request() -> None:
    known = settled()
    for n in range(350):
        known += [
            (Kind.LOCATION, location_body(f"src-{n}", good(LOCATION_GOOD, identityGeneration=1))),
            (Kind.LOCATION, location_body(f"dst-{n}", good(LOCATION_GOOD, identityGeneration=1))),
        ]
        ends = {"source": {"locationRef": {"name": f"src-{n}"}}, "destination": {"locationRef": {"name": f"dst-{n}"}}}
        known.append((Kind.TASK, task_body(f"task-{n}", suspend=True, **ends)))
    world = World(*known)
    world.look_at_all()
    written = world.memory.version
    world.look_at_all()

    assert world.memory.version == written
    assert {kind for kind, _ in world.memory.objects} == {"KerberosIdentity", "Job", "SmbLocation", "TransferTask"}


def test_what_is_gone_is_let_be() -> None:
    world = World()
    world.settle(TASK)

    assert world.memory.objects == {}
