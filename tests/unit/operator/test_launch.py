"""Which Job checks an identity and its locations: pods grow with identities, and nobody waits for one that hangs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    ago,
    check_job,
    checked_identity,
    checked_location,
    checks,
    checks_of,
    condition,
    found,
    identity,
    job_of,
    location,
    pod,
    ready,
)

from smbferry_api.agent_contract import LOCATION_SECONDS, LOCATIONS_AT_ONCE, MOST_LOCATIONS
from smbferry_api.fields import format_time
from smbferry_operator.decide.check import as_carried
from smbferry_operator.decide.fairness import ChecksUnderWay
from smbferry_operator.decide.identity import GATHER, MOST_JOBS, SETTLE
from smbferry_operator.decide.location import decide_location
from smbferry_operator.decide.observation import LocationObservation
from smbferry_operator.model import Job, Load, Location, Manifest, Refusal
from smbferry_operator.parse import parse_job

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision

PROVES = check_job(last_check="before", complete=True)
SITE = {"nodeSelector": {"site": "north"}}


def names(decision: Decision) -> list[str]:
    """The locations that the created Job carries."""
    return [carried.name for carried in load_of(decision).locations] if decision.create else []


def load_of(decision: Decision) -> Load:
    return parse_job(made(job_of(decision))).load or Load("", (), ())


def made(body: Manifest, at: datetime = NOW) -> Manifest:
    """The Job as the API server has it."""
    return body | {"metadata": {**body["metadata"], "uid": "uid-job", "creationTimestamp": format_time(at)}}


def job(decision: Decision, at: datetime = NOW, **more: Any) -> Job:
    return replace(parse_job(made(job_of(decision), at)), **more)


def due(name: str, minutes: float, **spec: Any) -> Location:
    """A location whose check is due in so many minutes; its interval is an hour."""
    status = {
        "conditions": [*checks(LOCATION_GOOD), ready()],
        "identityGeneration": 1,
        "lastCheckTime": format_time(NOW + timedelta(minutes=minutes - 60)),
        "nextCheckTime": format_time(NOW + timedelta(minutes=minutes)),
    }
    return location(name, status, **spec)


def arguments(decision: Decision) -> list[str]:
    (container,) = job_of(decision)["spec"]["template"]["spec"]["containers"]
    return [argument.partition("=")[0] for argument in container["args"] if argument.startswith("--")]


ONLY = "--only-locations"


@pytest.mark.parametrize(
    ("places", "more", "carried", "only"),
    [
        pytest.param([due("a", 20), due("b", 40)], {}, [], None, id="nothing is due"),
        pytest.param([due("a", 0), due("b", 29), due("c", 31)], {}, ["a", "b"], False, id="half an interval joins"),
        pytest.param([due("a", 20), due("b", 40)], {"outdated": True}, ["a"], False, id="the identity is due"),
        pytest.param([due("a", 0)], {"jobs": (PROVES,)}, ["a"], True, id="the key has just been tried"),
        pytest.param([], {"awaited": False}, [], None, id="no locations"),
    ],
)
def test_a_job_carries_what_is_due_and_what_will_be_soon(
    places: list[Location], more: dict[str, Any], carried: list[str], only: bool | None
) -> None:
    decision = checks_of(checked_identity(), *places, **more)

    assert names(decision) == carried
    assert bool(decision.create) is (only is not None)
    if decision.create:
        assert (ONLY in arguments(decision)) is only
        assert decision.only_carries is only
        assert list(decision.carries) == carried


def test_two_locations_that_are_due_apart_fall_into_step() -> None:
    """At whatever distance: after the first hour one Job carries both."""
    for apart in range(1, 60):
        dues = {"a": timedelta(0), "b": timedelta(minutes=apart)}
        now, jobs = timedelta(0), []
        while now < timedelta(hours=3):
            now = min(dues.values())
            places = [due(name, (when - now).total_seconds() / 60) for name, when in dues.items()]
            carried = names(checks_of(checked_identity(), *places))
            jobs.append((now, carried))
            dues |= {name: now + timedelta(hours=1) for name in carried}
        assert all(carried == ["a", "b"] for when, carried in jobs if when >= timedelta(hours=1)), apart


@pytest.mark.parametrize("status", [None, {"conditions": [condition("Ready", "False", "KdcUnreachable")]}])
def test_while_the_identity_is_not_ready_no_location_is_checked(status: dict[str, Any] | None) -> None:
    decision = checks_of(identity(status=status), location())

    assert decision.create
    assert names(decision) == []


def test_a_changed_identity_ends_all_its_jobs_and_is_checked_first() -> None:
    under_way = job(checks_of(checked_identity(), due("a", 0)))
    only = job(checks_of(checked_identity(), due("a", 0), jobs=(PROVES,)))
    changed = checked_identity(generation=2, status={})

    decision = checks_of(changed, due("a", 0), jobs=(under_way, only, PROVES))

    assert {key.name for key in decision.delete} == {under_way.meta.name, only.meta.name}
    assert decision.create == ()


# --- Who waits for whom


def test_new_locations_are_gathered_for_a_moment_and_then_carried_together() -> None:
    new = [location(f"new-{number}") for number in range(20)]

    first = checks_of(checked_identity(), *new, since=NOW)
    later = checks_of(checked_identity(), *new, since=NOW, now=NOW + SETTLE)

    assert (first.create, first.requeue_after) == ((), SETTLE)
    assert len(names(later)) == 20


@pytest.mark.fault(210)
def test_a_flood_of_new_locations_makes_a_few_jobs() -> None:
    """A hundred in one second, decided about as they come, and a Job's agent takes its time."""
    places = [location(f"new-{number:03}") for number in range(100)]
    jobs: list[Job] = []
    for tenths in range(120):
        now = NOW + timedelta(seconds=tenths / 10)
        known = [] if tenths < 10 else places[: 10 * (tenths - 9)]
        decision = checks_of(
            checked_identity(), *known, now=now, since=NOW + timedelta(seconds=1), jobs=(PROVES, *jobs)
        )
        if decision.create:
            jobs.append(job(decision, now))

    carried = [each.name for some in jobs if some.load for each in some.load.locations]
    assert sorted(carried) == [place.meta.name for place in places], "each of them once"
    assert len(jobs) <= 3


@pytest.mark.fault(207)
def test_a_new_location_does_not_wait_for_a_job_whose_location_hangs() -> None:
    hanging = job(checks_of(checked_identity(), due("hangs", 0), jobs=(PROVES,)), at=ago(seconds=6), active=1)
    decision = checks_of(checked_identity(), due("hangs", 0), location("new"), jobs=(PROVES, hanging))

    assert names(decision) == ["new"]
    role = next(body for body in decision.apply if body["kind"] == "Role")
    named = {name for rule in role["rules"] if "smblocations" in rule["resources"] for name in rule["resourceNames"]}
    assert named == {"hangs", "new"}, "the other agent still writes its status"


def test_the_next_job_of_a_group_is_gathered_unless_it_is_full() -> None:
    before = job(checks_of(checked_identity(), due("a", 0), jobs=(PROVES,)), at=ago(seconds=1), active=1)
    few = [due(f"place-{number}", 0) for number in range(3)]
    many = [due(f"place-{number}", 0) for number in range(MOST_LOCATIONS + 1)]

    waits = checks_of(checked_identity(), *few, jobs=(PROVES, before))
    full = checks_of(checked_identity(), *many, jobs=(PROVES, before))

    assert (waits.create, waits.requeue_after) == ((), GATHER - timedelta(seconds=1))
    assert len(names(full)) == MOST_LOCATIONS


def test_locations_wait_until_their_identity_has_been_judged() -> None:
    under_way = check_job(last_check=format_time(ago(minutes=10)), active=1)

    decision = checks_of(checked_identity(), due("a", 0), jobs=(under_way,))

    assert decision.create == ()


def test_those_that_failed_are_checked_last() -> None:
    failing = due("a", 0)
    unwell = [*checks(LOCATION_GOOD, ServerReachable=("False", "ServerUnreachable")), condition("Ready", "False")]
    status = failing.status.model_dump(mode="json", by_alias=True) | {"conditions": unwell}

    decision = checks_of(checked_identity(), location("a", status), due("b", 0), due("c", 10))

    assert names(decision) == ["b", "c", "a"]


def test_a_job_carries_no_more_than_it_may_and_those_first_that_wait_longest() -> None:
    places = [due(f"place-{number:03}", -number) for number in range(MOST_LOCATIONS + 20)]

    decision = checks_of(checked_identity(), *places)

    assert names(decision) == [place.meta.name for place in places[20:]]
    seconds = job_of(decision)["spec"]["activeDeadlineSeconds"]
    assert seconds >= 30 + LOCATION_SECONDS * MOST_LOCATIONS / LOCATIONS_AT_ONCE, "even if all of them hang"


@pytest.mark.parametrize(
    "more",
    [
        {"account_busy": True},
        {"checks": ChecksUnderWay(SETTINGS.max_concurrent_checks)},
        {"jobs": tuple(check_job(name=f"check-{n}", last_check="before", active=1) for n in range(MOST_JOBS))},
    ],
    ids=["the account is in use", "too many checks", "too many of this identity"],
)
def test_what_holds_back_a_job(more: dict[str, Any]) -> None:
    assert checks_of(checked_identity(), due("a", 0), **more).create == ()


def test_a_queue_that_holds_back_the_jobs_of_one_group_holds_back_no_other() -> None:
    far = [due(f"far-{number}", 0, agent=SITE) for number in range(MOST_JOBS)]
    decisions = [checks_of(checked_identity(), place, jobs=(PROVES,)) for place in far]
    held = tuple(job(each, at=ago(minutes=2), suspended="Job suspended") for each in decisions)

    other = checks_of(checked_identity(), due("near", 0), due("far", 0, agent=SITE), jobs=(PROVES, *held))
    same = checks_of(checked_identity(), due("far", 0, agent=SITE), jobs=(PROVES, *held))

    assert (names(other), names(same)) == (["near"], [])


# --- Groups


@pytest.mark.parametrize(
    ("of_identity", "of_location", "shared"),
    [
        pytest.param({}, {}, True, id="alike"),
        pytest.param({"agent": SITE}, {}, True, id="the location inherits"),
        pytest.param({"agent": SITE}, {"agent": SITE}, True, id="the location repeats"),
        pytest.param({}, {"agent": SITE}, False, id="elsewhere"),
        pytest.param({"nameservers": ["10.0.0.1"]}, {}, True, id="the identity's nameservers"),
        pytest.param({"nameservers": ["10.0.0.1"]}, {"nameservers": ["10.0.0.1"]}, True, id="the same nameservers"),
        pytest.param({}, {"nameservers": ["10.0.0.1"]}, False, id="others than the cluster's"),
        pytest.param({"nameservers": ["10.0.0.1"]}, {"nameservers": ["10.0.0.2"]}, False, id="other nameservers"),
    ],
)
def test_what_may_share_a_pod(of_identity: dict[str, Any], of_location: dict[str, Any], *, shared: bool) -> None:
    svc = checked_identity(**of_identity)

    decision = checks_of(svc, due("like", 0), due("own", 0, **of_location), outdated=True)

    assert names(decision) == (["like", "own"] if shared else ["like"])


def test_locations_that_need_other_settings_have_one_job_for_all_of_them() -> None:
    places = [*(due(f"north-{n}", 0, agent=SITE) for n in range(3)), due("near", 0), due("later", 50, agent=SITE)]
    first = checks_of(checked_identity(), *places, jobs=(PROVES,))
    second = checks_of(checked_identity(), *places, jobs=(PROVES, job(first, active=1)))

    by_pod = {tuple(names(each)): job_of(each)["spec"]["template"]["spec"]["nodeSelector"] for each in (first, second)}
    assert by_pod == {
        ("near",): {"kubernetes.io/os": "linux"},
        ("north-0", "north-1", "north-2"): {"kubernetes.io/os": "linux", "site": "north"},
    }
    third = checks_of(checked_identity(), *places, jobs=(PROVES, job(first), job(second)))
    assert third.create == ()


def test_the_pods_of_other_places_never_judge_the_identity() -> None:
    """What a node elsewhere sees of the KDC says nothing about where the identity is checked."""
    far = checks_of(checked_identity(), due("far", 0, agent=SITE))
    near = checks_of(checked_identity(), due("near", 0))

    assert ONLY in arguments(far)
    assert ONLY not in arguments(near)


# --- What a location sees of a Job


def seen(place: Location, *jobs: Job, pods: tuple[Any, ...] = (), **more: Any) -> Decision:
    """What is decided about a location that these Jobs carry."""
    views = [as_carried(one, c) for one in jobs for c in (one.load.locations if one.load else ()) if c.name == "a"]
    return decide_location(LocationObservation(place, checked_identity(), tuple(views), pods, **more), NOW, SETTINGS)


def reported(place: Location, **verdicts: tuple[str, str]) -> Location:
    """The location after its agent has written its status."""
    kept = [c.model_dump(mode="json", by_alias=True) for c in place.status.conditions if c.type == "Ready"]
    status = {
        "conditions": [*checks(LOCATION_GOOD, verdicts), *kept],
        "identityGeneration": 1,
        "lastCheckTime": format_time(ago(seconds=1)),
        "nextCheckTime": format_time(NOW + timedelta(minutes=59)),
    }
    return location(place.meta.name, status)


@pytest.mark.fault(207)
def test_a_location_is_ready_as_soon_as_it_is_reported_whatever_the_others_do() -> None:
    new = location("a")
    under_way = job(checks_of(checked_identity(), new, due("hangs", 0)), at=ago(seconds=8), active=1)

    waiting, done = seen(new, under_way), seen(reported(new), under_way)

    assert waiting.check is None, "it is carried"
    assert done.status is not None
    assert found(done.status.conditions, "Ready") == ("True", "ChecksPassed")
    assert done.check is not None
    assert done.check.due_at == NOW + timedelta(minutes=59)


def test_a_location_that_changed_is_carried_by_another_job_and_the_first_one_goes_on() -> None:
    first = job(checks_of(checked_identity(), due("a", 0), due("b", 0)), at=ago(seconds=6), active=1)
    changed = replace(due("a", 0), meta=replace(due("a", 0).meta, generation=2))

    assert seen(changed, first).check is not None
    reported_identity = replace(
        first, meta=replace(first.meta, annotations={**first.meta.annotations, "smbferry.io/last-check": "before"})
    )
    decision = checks_of(checked_identity(), changed, due("b", 0), jobs=(reported_identity,))

    assert (decision.delete, names(decision)) == ((), ["a"])


def test_a_location_without_a_verdict_at_the_end_is_lost_and_carried_again_after_a_minute() -> None:
    over = {"complete": True, "finished_at": ago(seconds=20)}
    lost = job(checks_of(checked_identity(), location("a"), due("b", 0)), at=ago(minutes=1), **over)

    decision = seen(location("a"), lost)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("False", "AgentLost")
    assert decision.check is not None
    assert decision.check.due_at == NOW + timedelta(seconds=40)
    assert decision.check.carried.follows == lost.meta.name, "so its next Job has another name"


def test_each_carried_location_says_that_its_agent_does_not_start() -> None:
    under_way = job(checks_of(checked_identity(), location("a")), at=ago(minutes=2), active=1)
    stuck = pod(under_way.meta.name, unschedulable="0/2 nodes are available", created=ago(seconds=70))

    decision = seen(location("a"), under_way, pods=(stuck,))

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("False", "AgentNotScheduled")


def test_a_request_of_a_person_is_handled_by_the_job_that_carries_it() -> None:
    asked = checked_location("a", annotations={"smbferry.io/requested-at": "now"})
    carrying = checks_of(checked_identity(), asked, due("b", 50))
    assert names(carrying) == ["a"]
    over = job(carrying, complete=True, finished_at=ago(seconds=9))

    decision = seen(asked, over)

    assert decision.status is not None
    assert decision.status.fields["lastHandledRequest"] == "now"


@pytest.mark.fault(212)
def test_a_job_that_is_refused_for_locations_alone_is_told_by_them_and_tried_again() -> None:
    refusal = Refusal("Job", "no such runtime class", permanent=False, since=ago(minutes=2), last=ago(minutes=1))

    decision = seen(location("a"), refusal=refusal)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("False", "AgentNotScheduled")
    assert decision.check is not None
    assert decision.check.due_at == decision.check.joins_from == NOW
