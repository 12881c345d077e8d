"""Whole rounds in which the API server refuses an object or a status."""

import asyncio
from datetime import timedelta

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    run_body,
    task_body,
)
from tests.unit.operator.world import KNOWN, TASK, World, settled

from smbferry_operator.cluster.errors import (
    ConflictError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)
from smbferry_operator.model import Key, Kind


def test_a_job_that_kubernetes_refuses_ends_the_run_with_its_words() -> None:
    world = World(*settled(), KNOWN, (Kind.RUN, run_body("one")))
    world.memory.refuse["Job"] = RefusedError("Job", "tolerations[0]: invalid", permanent=True)
    world.settle(Key(Kind.RUN, "team", "one"))

    status = world.memory.objects["TransferRun", "one"]["status"]
    assert (status["state"], status["failure"]["reason"]) == ("Failed", "SpecInvalid")
    assert "tolerations[0]: invalid" in status["failure"]["message"]


def ready_of_task(world: World) -> tuple[str, str]:
    conditions = world.memory.objects["TransferTask", "nightly"]["status"]["conditions"]
    return next((c["status"], c["reason"]) for c in conditions if c["type"] == "Ready")


@pytest.mark.fault(132)
def test_a_quotas_conflict_is_no_run_that_exists_and_the_run_is_made_when_it_has_passed() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.memory.refuse["TransferRun"] = ConflictError("resourcequotas q: the object has been modified")
    with pytest.raises(ConflictError):
        world.settle(TASK)
    assert TASK not in world.memory.applied, "nothing is said to have been started"

    world.memory.refuse.clear()
    world.settle(TASK)
    assert len(world.memory.of("TransferRun")) == 1


@pytest.mark.fault(132)
def test_a_run_that_is_refused_stays_due_and_the_task_says_the_servers_words() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.memory.refuse["TransferRun"] = RefusedError("TransferRun", "exceeded quota: q", room=True)
    world.settle(TASK)

    assert ready_of_task(world) == ("False", "RunNotCreated")
    conditions = world.memory.applied[TASK]["conditions"]
    assert "exceeded quota: q" in conditions[0]["message"]
    assert world.memory.applied[TASK].get("observedTrigger") is None

    world.memory.refuse.clear()
    world.settle(TASK)
    assert len(world.memory.of("TransferRun")) == 1
    assert ready_of_task(world) == ("True", "TaskReady")


def test_it_is_tried_again_after_as_long_as_it_has_been_refused() -> None:
    world = World(*settled(), (Kind.TASK, task_body()), (Kind.RUN, run_body("one")))
    world.memory.refuse["Job"] = RefusedError("Job", "denied by a policy")
    key = Key(Kind.RUN, "team", "one")
    waits = []
    for minutes in (0, 1, 4, 14):
        world.now = NOW + timedelta(minutes=minutes)
        waits.append(asyncio.run(world.reconciler.reconcile(key)))

    assert waits == [timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=4), timedelta(minutes=5)]


@pytest.mark.fault(132)
@pytest.mark.parametrize(("room", "state"), [(False, "Failed"), (True, "Queued")])
def test_a_rule_ends_a_run_at_the_deadline_and_a_quota_does_not(room: bool, state: str) -> None:
    world = World(*settled(), (Kind.TASK, task_body()), (Kind.RUN, run_body("one")))
    world.memory.refuse["Job"] = RefusedError("Job", "no", room=room)
    key = Key(Kind.RUN, "team", "one")
    asyncio.run(world.reconciler.reconcile(key))
    assert world.memory.applied[key]["state"] == "Queued"

    world.now = NOW + SETTINGS.start_deadline
    asyncio.run(world.reconciler.reconcile(key))
    assert world.memory.applied[key]["state"] == state


def test_a_refusal_that_has_passed_does_not_count_for_the_next_one() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.memory.refuse["TransferRun"] = RefusedError("TransferRun", "no")
    asyncio.run(world.reconciler.reconcile(TASK))
    world.memory.refuse.clear()
    asyncio.run(world.reconciler.reconcile(TASK))

    world.now = NOW + timedelta(minutes=4)
    world.memory.refuse["TransferRun"] = RefusedError("TransferRun", "no")
    known = world.memory.stamped(world.memory.objects["TransferTask", "nightly"])
    world.router.seen(Kind.TASK, {**known, "spec": {**known["spec"], "trigger": "another"}})
    assert asyncio.run(world.reconciler.reconcile(TASK)) == timedelta(seconds=5)


@pytest.mark.fault(132)
def test_somebody_elses_object_of_the_name_is_not_taken_for_ours() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.settle(TASK)
    (run,) = world.memory.of("TransferRun")
    other = World(*settled(), (Kind.TASK, task_body()))
    squatter = {**run, "metadata": {**run["metadata"], "ownerReferences": []}, "status": {"state": "Succeeded"}}
    other.memory.objects["TransferRun", run["metadata"]["name"]] = squatter
    other.settle(TASK)

    assert ready_of_task(other) == ("False", "RunNotCreated")
    assert "has another owner" in other.memory.applied[TASK]["conditions"][0]["message"]


def test_one_of_ours_that_exists_already_is_taken_in() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.settle(TASK)
    (run,) = world.memory.of("TransferRun")
    again = World(*settled(), (Kind.TASK, task_body()))
    again.memory.objects["TransferRun", run["metadata"]["name"]] = {**run, "status": {}}
    again.settle(TASK)

    assert again.cache.get(Key(Kind.RUN, "team", run["metadata"]["name"])) is not None
    assert ready_of_task(again) == ("True", "TaskReady")


@pytest.mark.fault(132)
def test_a_status_that_is_refused_is_written_again_and_ends_no_run() -> None:
    world = World(*settled(), (Kind.TASK, task_body()), (Kind.RUN, run_body("one")))
    world.memory.refuse["status"] = RefusedError("TransferRun status", "field not declared", permanent=True)

    with pytest.raises(UnavailableError):
        world.settle(Key(Kind.RUN, "team", "one"))
    assert world.memory.applied == {}


def test_in_a_namespace_that_is_being_deleted_nothing_is_repeated() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.memory.refuse["TransferRun"] = TerminatingError("terminating")
    world.settle(TASK)

    assert world.memory.of("TransferRun") == []
