"""Limits together with what else stops and starts runs: windows, queues of the cluster, retries, several agents."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    NOW,
    PROVEN,
    SETTINGS,
    agent_body,
    ago,
    job_of,
    recorded_in,
    run,
    snapshot,
    task,
    transfer_job,
)
from tests.unit.operator.fleets import demand
from tests.unit.operator.run_observations import seen
from tests.unit.operator.test_reconcile_limits import ONE_AT_A_TIME, at_work, comes, ends, limited, status_of
from tests.unit.operator.test_retry import NETWORK, THRICE
from tests.unit.operator.test_windows import DAY, NIGHT, TRANSFERRING, after_pause, paused_job

from smbferry_api.agent_contract import Stage
from smbferry_api.fields import format_time
from smbferry_operator.decide.limits import Standing
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.parse import parse_job

if TYPE_CHECKING:
    from datetime import datetime

    from tests.unit.operator.world import World

CLOSES, OPENS = NOW + timedelta(minutes=10), NOW + timedelta(minutes=40)
PAUSE = [{"from": "12:10", "to": "12:40", "pause": True}]


def at(world: World, moment: datetime, *keys: Key) -> None:
    """The time has come at which these runs are to be looked at again."""
    world.now = moment
    world.settle(*keys)


def stops(world: World, name: str) -> None:
    """The run's agent has stopped because its window has ended."""
    (job,) = (j for j in world.memory.of("Job") if j["metadata"]["annotations"]["smbferry.io/owner-name"] == name)
    over = {
        "type": "Failed",
        "status": "True",
        "reason": "PodFailurePolicy",
        "message": "Container agent failed with exit code 41 matching FailJob rule at index 1",
        "lastTransitionTime": format_time(world.now),
    }
    world.tell(job, {"conditions": [over], "failed": 1})
    world.settle()


def edits(world: World, kind: Kind, name: str, **spec: Any) -> None:
    """A person has changed these fields."""
    body = world.memory.stamped(world.memory.objects[kind.value, name])
    body["spec"] = {**body["spec"], **spec}
    world.memory.objects[kind.value, name] = body
    world.router.seen(kind, body)
    world.settle()


def reason_of(world: World, name: str) -> str:
    return str(next(c["reason"] for c in status_of(world, name)["conditions"] if c["type"] == "Succeeded"))


@pytest.mark.fault(206)
def test_a_paused_run_gives_its_room_up_and_stands_in_line_again_when_its_windows_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    pauses = comes(world, "pauses", age=90, windows=PAUSE)
    world.settle(pauses, comes(world, "other", age=10))
    assert at_work(world) == ["pauses"]

    world.now = CLOSES
    stops(world, "pauses")
    assert at_work(world) == ["other"]
    assert reason_of(world, "pauses") == "WindowClosed"
    assert "queue" not in status_of(world, "pauses")

    at(world, OPENS, pauses)
    assert reason_of(world, "pauses") == "LimitReached"
    assert status_of(world, "pauses")["queue"]["position"] == 1
    ends(world, "other")
    assert at_work(world) == ["pauses"]


@pytest.mark.fault(206)
def test_a_run_whose_windows_close_while_it_stands_in_line_keeps_nobody_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    pauses = comes(world, "pauses", age=50, priority=7, windows=PAUSE)
    world.settle(comes(world, "first", age=90), pauses, comes(world, "next", age=10))
    assert status_of(world, "next")["queue"]["position"] == 2
    world.now = CLOSES - timedelta(seconds=12)
    assert asyncio.run(world.reconciler.reconcile(pauses)) == timedelta(seconds=12), "when they close"

    at(world, CLOSES, pauses)
    assert reason_of(world, "pauses") == "WindowClosed"
    at(world, CLOSES, Key(Kind.RUN, "team", "next"))
    assert status_of(world, "next")["queue"] == {
        "position": 1,
        "length": 1,
        "waitingFor": "FileServer files.corp.example.com",
    }
    ends(world, "first")
    assert at_work(world) == ["next"]

    at(world, OPENS, pauses)
    ends(world, "next")
    assert at_work(world) == ["pauses"]


@pytest.mark.fault(206)
def test_a_run_that_is_called_at_the_moment_when_its_windows_close_leaves_its_room_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing has looked at it since: it is called, says that it waits for its windows, and the next one is called."""
    world = limited(ONE_AT_A_TIME, monkeypatch)
    pauses = comes(world, "pauses", age=50, windows=PAUSE)
    world.settle(comes(world, "first", age=90), pauses, comes(world, "next", age=10))
    world.now = CLOSES
    ends(world, "first")

    assert at_work(world) == ["next"]
    assert reason_of(world, "pauses") == "WindowClosed"


@pytest.mark.parametrize(
    ("kind", "name", "opens", "closes"),
    [
        (Kind.TASK, "t-night", {"windows": DAY}, {"windows": NIGHT}),
        (Kind.RUN, "night", {"ignoreWindows": True}, {"ignoreWindows": False}),
    ],
    ids=["windows", "ignoreWindows"],
)
def test_who_edits_windows_brings_a_run_into_the_line_and_out_of_it(
    kind: Kind, name: str, opens: dict[str, Any], closes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    night = comes(world, "night", age=50, windows=NIGHT)
    world.settle(comes(world, "first", age=90), night, comes(world, "next", age=10))
    assert status_of(world, "next")["queue"]["position"] == 1
    edits(world, kind, name, **opens)
    assert status_of(world, "night")["queue"]["position"] == 1
    edits(world, kind, name, **closes)
    assert reason_of(world, "night") == "WindowClosed"
    ends(world, "first")
    assert at_work(world) == ["next"]

    edits(world, kind, name, **opens)
    ends(world, "next")
    assert at_work(world) == ["night"]


@pytest.mark.parametrize("after_a_restart", [False, True])
def test_a_job_that_a_queue_holds_back_counts_as_it_may_start_at_any_moment(
    after_a_restart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    held = comes(world, "held", age=90)
    world.settle(held)
    (job,) = world.memory.of("Job")
    world.tell(job, {"conditions": [{"type": "Suspended", "status": "True"}]})
    world.settle(held)
    assert reason_of(world, "held") == "AgentSuspended"
    if after_a_restart:
        world.look_at_all()
    other = comes(world, "other", age=50)
    world.settle(other)

    assert reason_of(world, "other") == "LimitReached"
    assert world.memory.of("Job") == [world.memory.objects["Job", job["metadata"]["name"]]]


def test_further_runs_after_a_failed_one_have_the_priority_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    world.settle(comes(world, "first", age=90), comes(world, "plain", age=50))
    status = {"state": "Failed", "failure": NETWORK, "completionTime": format_time(ago(minutes=5))}
    comes(world, "failed", age=600, priority=7, retry=THRICE, status=status, owner_uid="uid-t-failed")
    world.settle(Key(Kind.TASK, "team", "t-failed"))

    assert status_of(world, "failed-r1")["queue"]["position"] == 1
    ends(world, "first")
    assert at_work(world) == ["failed-r1"]


# --- Several agents ---------------------------------------------------------------------------------------------------

TWO = Standing(demand("run", agents=2))
THREE_CUTS = {"cuts": [{"path": "/b"}, {"path": "/c"}, {"path": "/d"}]}


def test_limits_let_fewer_shards_work_at_a_time_and_all_of_them_in_the_end_spread_over_nodes() -> None:
    survey = transfer_job(complete=True, finished_at=ago(minutes=1), task=snapshot(agent={"parallelism": 4}))
    survey = replace(survey, meta=replace(survey.meta, annotations={ANNOTATION_STAGE: Stage.SURVEY.value}))
    observed = run(status={**TRANSFERRING, "split": THREE_CUTS})
    proofs = {"svc": PROVEN}
    job = job_of(decide_run(seen(observed, jobs=(survey,), standing=TWO, proofs=proofs), NOW, SETTINGS))

    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (4, 2)
    assert recorded_in(job).agent.parallelism == 2, "for which it counts"
    (constraint,) = job["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"


def test_a_paused_run_has_its_shards_again_even_if_limits_let_fewer_work_at_a_time() -> None:
    """Its Job records for how many agents it counts, which may be fewer than the tree was cut for."""
    job = paused_job(stage=Stage.SHARDS, before=1, completions=4, task=snapshot(agent={"parallelism": 2}))
    again = job_of(after_pause(job, windows=DAY, observed=run(status={**TRANSFERRING, "split": THREE_CUTS})))

    assert (again["spec"]["completions"], again["spec"]["parallelism"]) == (4, 2)


def test_the_number_of_shards_is_read_from_the_job() -> None:
    cache = Cache()
    job = agent_body(Kind.JOB, "shards", (Kind.RUN, "run", "uid-run"), task=snapshot())
    job["spec"] |= {"completions": 4, "parallelism": 2}
    cache.put(Kind.JOB, job)
    kept = cache.get(Key(Kind.JOB, "team", "shards"))

    assert kept is not None
    assert parse_job(kept).completions == 4


def test_a_run_that_may_have_one_agent_only_needs_no_survey_to_cut_its_tree() -> None:
    observed = seen(task=task(agent={"parallelism": 4}), standing=Standing(demand("run")))
    job = job_of(decide_run(observed, NOW, SETTINGS))

    assert ANNOTATION_STAGE not in job["metadata"]["annotations"]
