"""Objects to which a newer CustomResourceDefinition, or a newer writer, has given what is not known here."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    agent_body,
    ends,
    found,
    identity_body,
    location_body,
    run,
    run_body,
    snapshot,
    task,
    task_body,
)
from tests.unit.operator.world import TASK, World, settled

from smbferry_api.conditions import ConditionType
from smbferry_operator.decide.manifests.jobs import transfer_job_name
from smbferry_operator.decide.observation import RunObservation, TaskObservation
from smbferry_operator.decide.owned import OWNED
from smbferry_operator.decide.record import reported
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.parse import parse_identity, parse_location, parse_meta, parse_run, parse_task

RUN = Key(Kind.RUN, "team", "run")
OWNER = (Kind.RUN, "run", "uid-run")
JOB = transfer_job_name(parse_meta(run_body()), 0)
GOING_ON = {
    "state": "Transferring",
    "startTime": "2026-11-21T11:50:00Z",
    "jobRef": JOB,
    "attempts": 1,
    "observedGeneration": 1,
}


def defaulted(value: Any) -> Any:
    """The same with one more field in every object, as defaults of a later schema add them."""
    if isinstance(value, dict):
        return {"addedLater": {"mode": "Off"}, **{name: defaulted(inner) for name, inner in value.items()}}
    return [defaulted(inner) for inner in value] if isinstance(value, list) else value


def with_defaults(body: Manifest) -> Manifest:
    return {**body, "spec": defaulted(body["spec"])}


@pytest.mark.fault(130)
@pytest.mark.parametrize(
    ("body", "parse"),
    [
        (identity_body(), parse_identity),
        (location_body(), parse_location),
        (task_body(options={"deletedFiles": "Remove"}, schedule={"cron": "0 2 * * *"}), parse_task),
        (run_body(), parse_run),
    ],
    ids=["identity", "location", "task", "run"],
)
def test_a_field_that_is_not_known_changes_nothing(body: Manifest, parse: Any) -> None:
    assert parse(with_defaults(body)) == parse(body)


def test_the_snapshot_in_a_status_is_read_leniently_too() -> None:
    said = run(status={**GOING_ON, "task": defaulted(snapshot())}).status

    assert reported(said) == reported(run(status={**GOING_ON, "task": snapshot()}).status)


def test_a_word_that_is_not_known_in_a_status_costs_that_field_and_no_other() -> None:
    status = {**GOING_ON, "phases": {"transfer": {"state": "Resting"}}, "task": snapshot()}

    assert run(status=status).status.model_dump(by_alias=True)["phases"] is None
    assert run(status=status).status.job_ref == JOB
    assert run(status=status).status.task == snapshot()


def unreadable(status: dict[str, Any]) -> Manifest:
    return run_body(status=deepcopy(status), dry_run="Perhaps")


def agent(kind: Kind, **status: Any) -> tuple[Kind, Manifest]:
    return kind, agent_body(kind, JOB, OWNER, status=status, job=JOB, task=snapshot())


COMPLETE = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T12:00:00Z"}]}


@pytest.mark.fault(130)
@pytest.mark.parametrize(
    "agents",
    [[agent(Kind.JOB, active=1)], [agent(Kind.JOB, **COMPLETE), agent(Kind.POD, phase="Running")]],
    ids=["a Job under way", "a pod that lives longer than its Job"],
)
def test_a_run_that_can_not_be_read_goes_on_as_long_as_its_agent_lives(agents: list[tuple[Kind, Manifest]]) -> None:
    world = World(*settled(), (Kind.RUN, unreadable(GOING_ON)), *agents)
    world.settle(RUN)

    status = world.memory.applied[RUN]
    assert {name: status[name] for name in GOING_ON} == GOING_ON
    assert {(c["type"], c["status"], c["reason"]) for c in status["conditions"]} == {
        ("Succeeded", "Unknown", "ObjectUnreadable"),
        ("Reconciling", "True", "ObjectUnreadable"),
    }
    assert "spec.dryRun" in status["conditions"][0]["message"]
    assert world.memory.of("Job"), "its Job is left alone"


def test_without_an_agent_it_has_failed_and_says_which_field() -> None:
    world = World(*settled(), (Kind.RUN, unreadable(GOING_ON)), agent(Kind.JOB, **COMPLETE))
    world.settle(RUN)

    status = world.memory.applied[RUN]
    assert (status["state"], status["conditions"][0]["reason"]) == ("Failed", "SpecInvalid")
    assert (status["startTime"], status["jobRef"]) == (GOING_ON["startTime"], JOB)


def test_a_run_that_has_ended_stays_as_it_ended() -> None:
    ended = {**GOING_ON, "state": "Succeeded", "completionTime": "2026-11-21T11:55:00Z"}
    world = World(*settled(), (Kind.RUN, unreadable(ended)))
    world.settle(RUN)

    assert RUN not in world.memory.applied


@pytest.mark.fault(130)
def test_a_task_that_can_not_be_read_keeps_what_it_has_started() -> None:
    remembered = {"observedTrigger": "cut-over", "lastRun": {"name": "nightly-1", "state": "Succeeded"}}
    world = World(*settled(), (Kind.TASK, task_body(status=remembered, options={"deletedFiles": "MoveAside"})))
    world.settle(TASK)

    status = world.memory.applied[TASK]
    assert {name: status[name] for name in remembered} == remembered
    assert status["conditions"][0]["reason"] == "SpecInvalid"


def test_what_is_kept_is_all_that_the_operator_owns() -> None:
    of_task = decide_task(TaskObservation(task()), NOW).status
    of_run = decide_run(RunObservation(run(), task(), ends()), NOW, SETTINGS).status
    assert of_task is not None
    assert of_run is not None

    assert set(of_task.fields) <= {"observedGeneration", *OWNED[Kind.TASK]}
    assert set(of_run.fields) <= {"observedGeneration", *OWNED[Kind.RUN]}
    assert found(of_run.conditions, ConditionType.SUCCEEDED) is not None
