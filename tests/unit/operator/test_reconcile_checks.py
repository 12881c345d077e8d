"""Whole rounds about identities and their locations: who wakes whom, what is refused, and whose Jobs count."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    agent_body,
    ago,
    checked_identity,
    checks,
    condition,
    identity_body,
    location,
    location_body,
)
from tests.unit.operator.world import World, agents, carried, good, settled

from smbferry_api.fields import format_time
from smbferry_operator.cluster.errors import RefusedError
from smbferry_operator.decide.identity import SETTLE
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import LocationObservation
from smbferry_operator.model import Carried, Key, Kind, Load, Manifest
from smbferry_operator.parse import ANNOTATION_CHECK_LOAD, written_load
from smbferry_operator.reconcile.wanted_checks import WantedChecks

if TYPE_CHECKING:
    from collections.abc import Iterable

SITE = {"nodeSelector": {"site": "north"}}
SVC = Key(Kind.IDENTITY, "team", "svc")


def place(name: str) -> Key:
    return Key(Kind.LOCATION, "team", name)


def ready_of(world: World, kind: str, name: str) -> tuple[str, str] | None:
    conditions = world.memory.objects[kind, name].get("status", {}).get("conditions", [])
    return next(((c["status"], c["reason"]) for c in conditions if c["type"] == "Ready"), None)


def settle(world: World, *keys: Key) -> None:
    """Works until nothing is queued, and once more when what is gathered is launched."""
    world.settle(*keys)
    world.now += SETTLE
    world.settle(SVC)


def new(*names: str, **spec: Any) -> Iterable[tuple[Kind, Manifest]]:
    return ((Kind.LOCATION, location_body(name, created=ago(seconds=3), **spec)) for name in names)


def test_locations_that_are_new_are_carried_by_one_job() -> None:
    world = World(*settled(), *new("a", "b", "c"))
    settle(world, *(place(name) for name in "abc"))

    assert agents(world) == ["check-identity"]
    assert carried(world) == ["a", "b", "c"]


def test_locations_of_an_identity_that_recovered_are_carried_by_one_job() -> None:
    """They become due one after the other, and with each of them the identity is decided about."""
    unwell = {"conditions": [*checks(LOCATION_GOOD), condition("Ready", "False", "IdentityNotReady")]}
    times = {"lastCheckTime": format_time(ago(minutes=9)), "identityGeneration": 1}
    world = World(*settled(), *((Kind.LOCATION, location_body(name, unwell | times)) for name in "abc"))
    for name in "abc":
        world.settle(place(name))
    settle(world)

    assert carried(world) == ["a", "b", "c"]


def test_a_location_that_is_gone_is_not_carried() -> None:
    world = World(*settled(), *new("a", "b"))
    world.memory.refuse["Job"] = RefusedError("Job", "not now")
    settle(world, place("a"), place("b"))
    world.router.seen(Kind.LOCATION, location_body("a", version=500), deleted=True)
    world.memory.refuse.clear()
    world.now = NOW + timedelta(minutes=1)
    settle(world, place("a"), place("b"))

    assert carried(world) == ["b"]


@pytest.mark.fault(212)
def test_a_refused_job_is_told_by_the_locations_that_it_was_to_carry_and_by_nobody_else() -> None:
    world = World(*settled(), *new("far", agent=SITE))
    world.memory.refuse["Job"] = RefusedError("Job", "spec.template: nonsense", permanent=True)
    settle(world, place("far"))

    assert ready_of(world, "SmbLocation", "far") == ("False", "SpecInvalid")
    assert ready_of(world, "KerberosIdentity", "svc") == ("True", "ChecksPassed")
    assert ready_of(world, "SmbLocation", "src") == ("True", "ChecksPassed")

    world.memory.refuse.clear()
    settle(world, place("far"))
    assert carried(world) == [], "it waits for its time"
    world.now = NOW + timedelta(seconds=9)
    settle(world, place("far"))
    assert carried(world) == ["far"]
    settle(world, place("far"))
    assert ready_of(world, "SmbLocation", "far") == ("False", "SpecInvalid"), "until its agent has reported"


def test_a_jobs_events_wake_what_it_carries_and_no_other_location() -> None:
    world = World(*settled(), *new("a"))
    settle(world, place("a"))
    (job,) = (body for body in world.memory.of("Job") if "args" in body["spec"]["template"]["spec"]["containers"][0])
    world.router.seen(Kind.JOB, world.memory.stamped(job) | {"status": {"active": 1}})
    assert {key.name for key in world.queued} == {"svc", "a"}

    world.queued.clear()
    name = job["metadata"]["name"]
    pod = agent_body(Kind.POD, "pod", (Kind.IDENTITY, "svc", "uid-svc"), job=name, status={"phase": "Running"})
    world.router.seen(Kind.POD, pod)
    assert {key.name for key in world.queued} == {"svc", "a"}


def test_a_locations_report_wakes_its_identity_only_if_the_key_was_refused() -> None:
    world = World(*settled())
    known = world.memory.objects["SmbLocation", "src"]
    world.tell(known, {"lastCheckTime": format_time(NOW)})
    assert {key.name for key in world.queued} == {"src"}

    refused = [{"type": "TicketAcquired", "status": "False", "reason": "KeytabStale", "message": "It was refused."}]
    world.tell(known, {"lastCheckTime": format_time(NOW), "conditions": refused})
    assert {key.name for key in world.queued} == {"src", "svc"}


def of_the_old_form(kind: Kind, name: str) -> Manifest:
    """A check's Job as an operator made it before Jobs carried locations."""
    body = agent_body(
        Kind.JOB, f"old-{name}", (kind, name, f"uid-{name}"), created=ago(seconds=5), status={"active": 1}
    )
    body["metadata"]["annotations"] |= {
        "smbferry.io/owner-generation": "1",
        "smbferry.io/check-inputs": "1.1" if kind is Kind.LOCATION else "1",
        "smbferry.io/check-epoch": "",
        "smbferry.io/last-check": "",
    }
    return body


@pytest.mark.fault(213)
def test_jobs_of_the_old_form_go_on_and_count_but_carry_nobody() -> None:
    well = good(IDENTITY_GOOD, lastCheckTime=format_time(ago(minutes=1)))
    world = World(
        (Kind.IDENTITY, identity_body(status=well)),
        *new("a"),
        (Kind.JOB, of_the_old_form(Kind.IDENTITY, "svc")),
        (Kind.JOB, of_the_old_form(Kind.LOCATION, "a")),
    )
    assert world.cache.agents_by_namespace(Kind.IDENTITY, Kind.LOCATION) == {"team": 2}
    settle(world, place("a"), SVC)

    assert carried(world) == ["a"]
    assert world.memory.deleted == []


@pytest.mark.fault(213)
def test_a_verdict_of_an_old_agent_counts_as_any_other() -> None:
    status = good(LOCATION_GOOD, identityGeneration=1, lastCheckTime=format_time(NOW))
    world = World(
        *settled(), (Kind.JOB, of_the_old_form(Kind.LOCATION, "a")), (Kind.LOCATION, location_body("a", status))
    )
    settle(world, place("a"), SVC)

    assert ready_of(world, "SmbLocation", "a") == ("True", "ChecksPassed")
    assert carried(world) == []


def forged(controller: tuple[Kind, str, str], uid: str) -> Manifest:
    """A Job that says it carries the location a, and that its agent has reported."""
    load = Load("", (), (Carried("a", uid, "1.1", format_time(ago(hours=2)), "before", "", "", 445),))
    body = agent_body(Kind.JOB, "forged", controller, created=ago(seconds=5))
    body["metadata"]["annotations"] |= {ANNOTATION_CHECK_LOAD: written_load(load), "smbferry.io/owner-generation": "1"}
    return body


@pytest.mark.fault(214)
@pytest.mark.parametrize(
    ("controller", "uid"),
    [
        pytest.param((Kind.IDENTITY, "svc", "another"), "uid-a", id="an identity's uid that nobody has"),
        pytest.param((Kind.IDENTITY, "other", "uid-other"), "uid-a", id="another identity"),
        pytest.param((Kind.LOCATION, "a", "uid-a"), "uid-a", id="the location itself"),
        pytest.param((Kind.IDENTITY, "svc", "uid-svc"), "another", id="a location of that name that is gone"),
    ],
)
def test_a_job_counts_for_a_location_only_by_its_identity_and_by_the_uid(
    controller: tuple[Kind, str, str], uid: str
) -> None:
    world = World(*settled(), *new("a"), (Kind.JOB, forged(controller, uid)))
    settle(world, place("a"))

    assert carried(world).count("a") == 2, "in the forged one, and in ours"


@pytest.mark.fault(214)
@pytest.mark.parametrize(
    "text", ["{", "7", '["", []]', '["", [], [["a"]]]', '["", [], [["a", "u", "", "", "", "", "", "x"]]]']
)
def test_what_is_no_load_carries_nobody(text: str) -> None:
    body = forged((Kind.IDENTITY, "svc", "uid-svc"), "uid-a")
    body["metadata"]["annotations"][ANNOTATION_CHECK_LOAD] = text
    world = World(*settled(), *new("a"), (Kind.JOB, body))
    settle(world, place("a"))

    assert carried(world) == ["a"]


def test_a_check_that_is_waited_for_is_due_since_it_was_noted_first() -> None:
    wanted = decide_location(LocationObservation(location("a"), checked_identity()), NOW, SETTINGS)
    known = WantedChecks()
    assert wanted.check is not None
    known.note(place("a"), wanted.check)
    known.note(place("a"), replace(wanted.check, since=NOW + timedelta(seconds=5)))
    assert [each.since for each in known.of(SVC)] == [NOW]

    changed = replace(
        wanted.check, carried=wanted.check.carried._replace(inputs="2.1"), since=NOW + timedelta(seconds=5)
    )
    known.note(place("a"), changed)
    assert known.of(SVC) == (changed,)
    known.note(place("a"), None)
    assert known.of(SVC) == ()


def test_an_identity_and_its_location_become_ready_once_their_first_checks_have_reported() -> None:
    world = World((Kind.IDENTITY, identity_body("svc", {})), *new("a"))
    world.settle(SVC, place("a"))
    assert len(agents(world)) == 1
    job = world.memory.of("Job")[0]
    world.tell(
        world.memory.objects["KerberosIdentity", "svc"],
        {"conditions": checks(IDENTITY_GOOD), "lastCheckTime": format_time(NOW + timedelta(seconds=2))}
        | {"nextCheckTime": format_time(NOW + timedelta(hours=1))},
    )
    world.now += timedelta(seconds=3)
    world.settle(SVC)
    assert ready_of(world, "KerberosIdentity", "svc") == ("True", "ChecksPassed")
    world.router.seen(Kind.JOB, world.memory.stamped(job) | {"status": {"conditions": [condition("Complete", "True")]}})
    settle(world, SVC, place("a"))
    assert carried(world) == ["a"]
    assert len(agents(world)) == 2, "the identity is not checked again"
