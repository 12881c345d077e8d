"""Whole rounds of runs that wait for limits: never more agents than permitted, in order, and each says its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    SETTINGS,
    ago,
    identity_body,
    location_body,
    recorded_in,
    run_body,
    task_body,
)
from tests.unit.operator import world as worlds
from tests.unit.operator.world import World, good

from smbferry_api.fields import format_time
from smbferry_operator.decide.limits import RunLimits
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.reconcile.reconciler import Reconciler

ONE_AT_A_TIME = RunLimits(per_server=1, per_namespace=None, total=None)


def limited(limits: RunLimits, monkeypatch: pytest.MonkeyPatch, **location: Any) -> World:
    """A namespace where all is well; its destination has these limits of its own."""
    monkeypatch.setattr(worlds, "SETTINGS", replace(SETTINGS, limits=limits))
    world = World(
        (Kind.IDENTITY, identity_body(status=good(IDENTITY_GOOD, lastCheckTime=format_time(ago(minutes=1))))),
        (Kind.LOCATION, location_body("src", good(LOCATION_GOOD, identityGeneration=1))),
    )
    world.rounds = 1000
    destination = location_body("dst", good(LOCATION_GOOD, identityGeneration=1))
    destination["spec"] |= {"limits": location} if location else {}
    world.takes(Kind.LOCATION, destination)
    return world


def comes(world: World, name: str, *, age: float, **more: Any) -> Key:
    """A run of a task of its own, into a folder of its own."""
    into = {"locationRef": {"name": "dst"}, "path": f"/{name}"}
    options = {"options": more.pop("options")} if "options" in more else {}
    agent = {"agent": more.pop("agent")} if "agent" in more else {}
    task = task_body(f"t-{name}", {"observedTrigger": ""}, destination=into, **options, **agent)
    task["spec"] |= {field: more.pop(field) for field in ("priority", "retry", "windows") if field in more}
    world.takes(Kind.TASK, task)
    world.takes(Kind.RUN, run_body(name, task_name=f"t-{name}", created=ago(seconds=age), **more))
    return Key(Kind.RUN, "team", name)


def status_of(world: World, name: str) -> Manifest:
    return dict(world.memory.objects["TransferRun", name]["status"])


def at_work(world: World) -> list[str]:
    jobs = [job for job in world.memory.of("Job") if not job.get("status") and job["metadata"]["name"][:4] == "xrun"]
    return sorted(job["metadata"]["annotations"]["smbferry.io/owner-name"] for job in jobs)


def ends(world: World, name: str) -> None:
    """The run's agent has copied everything, and its Job is complete."""
    world.now += timedelta(seconds=1)
    (job,) = (j for j in world.memory.of("Job") if j["metadata"]["annotations"]["smbferry.io/owner-name"] == name)
    over = {"type": "Complete", "status": "True", "lastTransitionTime": format_time(world.now)}
    world.tell(job, {"conditions": [over], "succeeded": 1})
    world.settle()


def test_one_after_the_other_by_priority_then_age_and_each_says_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    first = comes(world, "first", age=90)
    world.settle(first)
    waiting = [comes(world, "young", age=10), comes(world, "old", age=50), comes(world, "urgent", age=1, priority=7)]
    world.settle(*waiting)

    assert at_work(world) == ["first"]
    said = status_of(world, "old")
    assert said["queue"] == {"position": 2, "length": 3, "waitingFor": "FileServer files.corp.example.com"}
    assert said["conditions"][0]["reason"] == "LimitReached"
    assert said["conditions"][0]["message"] == (
        "Queued: 1 of 1 agents are active at file server files.corp.example.com. Place 2 of 3."
    )
    order = []
    for name in ("first", "urgent", "old", "young"):
        order += at_work(world)
        ends(world, name)
    assert order == ["first", "urgent", "old", "young"]
    assert "queue" not in world.memory.applied[waiting[1]]


def test_an_end_rewrites_only_the_run_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    keys = [comes(world, f"r{n}", age=100 - n) for n in range(12)]
    world.settle(*keys)
    before = dict(world.memory.applied)
    ends(world, "r0")

    written = {key for key, status in world.memory.applied.items() if status is not before.get(key)}
    assert {key for key in written if key.kind is Kind.RUN} == {keys[0], keys[1]}


def test_runs_that_are_decided_at_the_same_time_do_not_exceed_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their Jobs are being created: they count before the cache shows them."""
    world = limited(RunLimits(2, None, None), monkeypatch)
    world.at_once(*[comes(world, f"r{n}", age=n) for n in range(6)])

    assert len(at_work(world)) == 2


@pytest.mark.fault(186)
def test_another_operator_counts_what_the_first_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    world.settle(comes(world, "first", age=90))
    waiting = comes(world, "waits", age=50)
    world.settle(waiting)
    applier = world.reconciler._applier
    settings = replace(SETTINGS, limits=ONE_AT_A_TIME)
    world.reconciler = Reconciler(world.cache, applier, settings, world.enqueue, lambda: world.now)
    world.look_at_all()
    assert at_work(world) == ["first"]

    ends(world, "first")
    assert at_work(world) == ["waits"]


@pytest.mark.parametrize("kind", ["dry run", "survey"])
def test_runs_that_only_read_count_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    more = {"dry_run": True} if kind == "dry run" else {"survey": True}
    world.settle(comes(world, "reads", age=90, **more), comes(world, "waits", age=50))

    assert at_work(world) == ["reads"]


@pytest.mark.fault(184)
def test_a_run_that_waits_for_its_location_keeps_nobody_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    world.settle(comes(world, "first", age=90))
    world.takes(Kind.LOCATION, location_body("bad", good(LOCATION_GOOD, identityGeneration=1), version=2))
    stuck = comes(world, "stuck", age=80)
    into = {"locationRef": {"name": "bad"}, "path": "/stuck"}
    world.takes(Kind.TASK, task_body("t-stuck", {"observedTrigger": ""}, destination=into, version=3))
    world.settle(stuck, comes(world, "next", age=10))
    assert status_of(world, "stuck")["queue"]["position"] == 1
    world.tell(world.memory.objects["SmbLocation", "bad"], {"conditions": []})
    ends(world, "first")

    assert at_work(world) == ["next"]


def test_several_agents_are_as_many_as_the_limits_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(RunLimits(4, None, None), monkeypatch, concurrentRuns=2)
    world.settle(comes(world, "wide", age=90, agent={"parallelism": 8}))

    (job,) = world.memory.of("Job")
    assert recorded_in(job).agent.parallelism == 2
    assert "with 2 instead of 8 agents at a time" in world.events[0].message
    world.settle(comes(world, "other", age=10))
    assert status_of(world, "other")["queue"]["waitingFor"] == "SmbLocation dst"


def test_a_byte_limit_of_a_location_is_divided_and_follows_when_runs_come_and_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = limited(RunLimits(None, None, None), monkeypatch, bytesPerSecond="8Mi")
    one = comes(world, "one", age=90)
    world.settle(one)
    (job,) = world.memory.of("Job")
    assert recorded_in(job).rate == 8 << 20, "before the first byte"
    assert "limit" not in status_of(world, "one")

    world.settle(comes(world, "two", age=50), comes(world, "slow", age=40, options={"bytesPerSecond": "1Mi"}))
    third = str((8 << 20) // 3)
    assert status_of(world, "one")["limit"] == {"bytesPerSecond": third}
    assert status_of(world, "two")["limit"] == {"bytesPerSecond": third}
    assert "limit" not in status_of(world, "slow"), "its own is lower"
    ends(world, "two")
    assert status_of(world, "one")["limit"] == {"bytesPerSecond": str(4 << 20)}


@pytest.mark.fault(187)
def test_no_agent_starts_by_a_limit_in_the_status_that_is_no_longer_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent prefers status.limit to its Job: an old "no limit" must be gone before the Job is there."""
    world = limited(RunLimits(None, None, None), monkeypatch, bytesPerSecond="8Mi")
    key = comes(world, "again", age=90)
    body = world.memory.stamped(world.memory.objects["TransferRun", "again"])
    world.takes(Kind.RUN, {**body, "status": {"state": "Queued", "limit": {}}})
    world.memory.applied[key] = {"limit": {}}
    world.memory.refuse["Job"] = AssertionError("the Job was created first")
    world.queued.append(key)
    with pytest.raises(AssertionError, match="created first"):
        world.settle()

    assert "limit" not in world.memory.applied[key]


@pytest.mark.fault(185)
def test_a_limit_that_is_lowered_ends_nothing_and_starts_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(RunLimits(None, None, None), monkeypatch, concurrentRuns=2)
    world.settle(comes(world, "a", age=90), comes(world, "b", age=80), comes(world, "c", age=70))
    lower = world.memory.stamped(world.memory.objects["SmbLocation", "dst"])
    lower["spec"] = {**lower["spec"], "limits": {"concurrentRuns": 1}}
    world.takes(Kind.LOCATION, lower)
    ends(world, "a")
    world.settle(Key(Kind.RUN, "team", "c"))
    assert at_work(world) == ["b"]

    ends(world, "b")
    assert at_work(world) == ["c"]


def test_the_later_its_turn_the_less_often_a_run_tells_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    world = limited(ONE_AT_A_TIME, monkeypatch)
    keys = [comes(world, f"r{n}", age=100 - n) for n in range(40)]
    world.settle(*keys[:30])
    world.settle(*keys[30:])

    assert asyncio.run(world.reconciler.reconcile(keys[1])) == timedelta(seconds=30)
    assert asyncio.run(world.reconciler.reconcile(keys[39])) == timedelta(seconds=78)
