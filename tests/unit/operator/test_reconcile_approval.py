"""Whole rounds of a run whose plan must be approved: it waits, another waits behind it, and a commit lets it go on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.builders import ago, recorded_in, run_body, task_body
from tests.unit.operator.world import World, settled

from smbferry_api.fields import format_time
from smbferry_api.plan_status import PlannedItems, PlanStatus, plan_digest
from smbferry_operator.model import Key, Kind, Manifest

RUN = Key(Kind.RUN, "team", "run")
LATER = Key(Kind.RUN, "team", "later")
PLAN = PlanStatus(planned_at=ago(), to_delete=PlannedItems(files=4), deletions="abc", destination="//fs:445/dst")


def mirror(**spec: str) -> Manifest:
    return task_body(status={"observedTrigger": ""}, approval="Required", **spec)


def reason_of(world: World, key: Key) -> str:
    return str(world.memory.objects["TransferRun", key.name]["status"]["conditions"][0]["reason"])


def jobs_of(world: World, key: Key) -> list[Manifest]:
    owner = "smbferry.io/owner-name"
    return [job for job in world.memory.of("Job") if job["metadata"]["annotations"].get(owner) == key.name]


def plans(world: World, plan: PlanStatus) -> None:
    """The agent of the newest Job has recorded this plan and ended."""
    world.now += timedelta(seconds=10)
    world.tell(
        world.memory.objects["TransferRun", "run"],
        {"plan": plan.model_dump(mode="json", by_alias=True), "phases": {"prepare": {"state": "Succeeded"}}},
    )
    failed = {
        "type": "Failed",
        "status": "True",
        "reason": "PodFailurePolicy",
        "message": "Container agent for pod team/x failed with exit code 42 matching FailJob rule at index 1",
        "lastTransitionTime": format_time(world.now),
    }
    world.tell(jobs_of(world, RUN)[-1], {"failed": 1, "conditions": [failed]})
    world.settle(RUN)


def changes(world: World, kind: Kind, body: Manifest) -> None:
    """A person has changed the object, and the operator hears of it."""
    world.memory.objects[kind.value, body["metadata"]["name"]] = changed = world.memory.stamped(body)
    world.router.seen(kind, changed)
    world.settle()


def approves(world: World, plan: PlanStatus) -> None:
    run = world.memory.objects["TransferRun", "run"]
    changes(world, Kind.RUN, {**run, "spec": {**run["spec"], "approvedPlan": plan_digest(plan)}})


def planned(**spec: str) -> World:
    """A world in which the plan of a run waits for approval."""
    world = World(*settled(), (Kind.TASK, mirror(**spec)), (Kind.RUN, run_body(created=ago(seconds=5))))
    world.settle(RUN)
    plans(world, PLAN)
    return world


@pytest.fixture
def waiting() -> World:
    return planned()


@pytest.mark.fault(233)
def test_a_run_that_waits_has_no_agent_and_holds_back_the_next_run_of_its_task(waiting: World) -> None:
    waiting.takes(Kind.RUN, run_body("later", created=waiting.now))
    waiting.settle(LATER)

    assert reason_of(waiting, RUN) == "ApprovalRequired"
    assert reason_of(waiting, LATER) == "RunQueued"
    assert jobs_of(waiting, LATER) == []


def test_a_commit_that_names_the_plan_lets_the_run_go_on_at_once(waiting: World) -> None:
    changes(waiting, Kind.TASK, mirror(approvedPlan=plan_digest(PLAN)))

    assert reason_of(waiting, RUN) == "AgentStarting"
    (job,) = jobs_of(waiting, RUN)
    approval = recorded_in(job).approval
    assert approval is not None
    assert approval.plan == plan_digest(PLAN)


@pytest.mark.fault(230)
def test_a_plan_that_has_changed_waits_for_its_own_approval(waiting: World) -> None:
    approves(waiting, PLAN)
    changed = PLAN.model_copy(update={"deletions": "abd", "changes": ("it would delete 104",)})
    plans(waiting, changed)
    assert reason_of(waiting, RUN) == "PlanChanged"

    approves(waiting, changed)
    (job,) = jobs_of(waiting, RUN)
    approval = recorded_in(job).approval
    assert approval is not None
    assert approval.plan == plan_digest(changed)
    assert job["metadata"]["annotations"]["smbferry.io/pauses-before"] == "2"


@pytest.mark.fault(233)
def test_when_nobody_approves_it_ends_and_the_next_run_begins() -> None:
    waiting = planned(approvalExpiry="1m")
    waiting.takes(Kind.RUN, run_body("later", created=waiting.now))
    waiting.settle(LATER)
    waiting.now += timedelta(minutes=1)
    waiting.settle(RUN)

    run = waiting.memory.objects["TransferRun", "run"]["status"]
    assert (run["state"], run["failure"]["reason"]) == ("Failed", "ApprovalExpired")
    assert len(jobs_of(waiting, LATER)) == 1, "it was woken"
