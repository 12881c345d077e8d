"""What other runs see of a run, kept up to date by changes: the same as by looking at all of them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import (
    LOCATION_GOOD,
    NOW,
    agent_body,
    ago,
    condition,
    identity_body,
    location_body,
    run_body,
    snapshot,
    task_body,
)
from tests.unit.operator import claims_by_search
from tests.unit.operator.world import good

from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.limits import UNLIMITED, RunLimits, Scope
from smbferry_operator.decide.manifests.jobs import transfer_job_name
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.fleet import Fleet
from smbferry_operator.observe.observer import Observer
from smbferry_operator.observe.reader import Reader
from smbferry_operator.parse import parse_meta, parse_run

HOMES = ("team", "other")
GUIDS = (None, "11111111-0000-0000-0000-000000000000")


def _status(chance: random.Random) -> dict[str, Any]:
    reason = chance.choice(("RunQueued", "IdentityCheckAwaited", "LocationNotReady"))
    queued = {"state": "Queued", "conditions": [condition("Succeeded", "Unknown", reason)]}
    security = {"destination": {"dialect": "3.1.1"}} if chance.random() < 0.3 else {}
    return chance.choice(({}, queued, queued, {"state": "Transferring", "security": security}, {"state": "Succeeded"}))


def _object(chance: random.Random, version: int) -> tuple[Kind, Manifest]:
    """Any object of two namespaces whose locations are on few folders of few servers."""
    home, n = chance.choice(HOMES), chance.randrange(4)
    match chance.choice((Kind.LOCATION, Kind.TASK, Kind.RUN, Kind.RUN, Kind.JOB, Kind.POD, Kind.IDENTITY)):
        case Kind.IDENTITY:
            kind, body = Kind.IDENTITY, identity_body()
        case Kind.LOCATION:
            status = good(LOCATION_GOOD, identityGeneration=1) if chance.random() < 0.7 else {}
            status |= {"server": {"guid": chance.choice(GUIDS)}}
            place = {"server": chance.choice(("fs", "FS", "alias")), "share": "dst"}
            path = chance.choice(("/", "/a", "/A/b", "/a/b/c"))
            kind, body = Kind.LOCATION, location_body(f"l{n}", status, path=path, **place)
        case Kind.TASK:
            ends: dict[str, Any] = {
                side: {"locationRef": {"name": f"l{chance.randrange(4)}"}} for side in ("source", "destination")
            }
            ends["source"]["path"] = "/elsewhere"
            kind, body = Kind.TASK, task_body(f"t{n}", {"observedTrigger": ""}, **ends)
        case Kind.RUN:
            more = {"dry_run": True} if chance.random() < 0.2 else {}
            task = f"t{chance.randrange(4)}"
            kind, body = Kind.RUN, run_body(f"r{n}", _status(chance), task_name=task, created=ago(minutes=n), **more)
        case agent:
            status = chance.choice(({}, {"phase": "Running"}, {"phase": "Failed"}, _over()))
            kind, body = agent, _agent(agent, home, n, status, snapshot(dst_path=chance.choice(("/", "/a", "/b"))))
    meta = {"namespace": home, "resourceVersion": str(version)}
    uid = f"{home}-{body['metadata']['name']}"
    return kind, {**body, "metadata": {**body["metadata"], **meta, "uid": uid}}


def _over() -> dict[str, Any]:
    return {"conditions": [{"type": "Complete", "status": "True"}]}


def _agent(kind: Kind, home: str, n: int, status: dict[str, Any], task: dict[str, Any]) -> Manifest:
    """A Job of a run as the operator makes it, or the pod of that Job."""
    run = run_body(f"r{n}")
    run["metadata"] |= {"namespace": home, "uid": f"{home}-r{n}"}
    job = transfer_job_name(parse_meta(run), 0)
    owner = (Kind.RUN, f"r{n}", f"{home}-r{n}")
    name = job if kind is Kind.JOB else f"{job}-pod"
    body = agent_body(kind, name, owner, job=job, status=status, task=task, created=NOW)
    if kind is Kind.POD:
        body["metadata"]["ownerReferences"][0]["uid"] = f"{home}-{job}"
    return body


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32))
def test_the_claims_that_are_found_are_those_of_a_search_through_all_runs(seed: int) -> None:
    chance = random.Random(seed)
    cache = Cache()
    fleet, search = Fleet(Reader(cache), UNLIMITED), claims_by_search.Claims(Reader(cache))
    places = [Destination("fs", 445, "dst", tuple(p), guid or "") for p in ("", "a", "ab", "x") for guid in GUIDS]
    for version in range(1, 60):
        kind, body = _object(chance, version)
        if chance.random() < 0.15:
            cache.remove(kind, body)
        else:
            cache.put(kind, body)
        fleet.refresh()
        asking = parse_run(run_body("asks", namespace=chance.choice(HOMES)))
        others = search.of_others(asking, {})
        for here in places:
            expected = {claim for claim in others if claim.destination.collides(here)}
            assert set(fleet.claims_on(here, asking, {})) == expected


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_what_follows_changes_equals_what_a_new_operator_reads(seed: int) -> None:
    chance = random.Random(seed)
    cache, limits = Cache(), RunLimits(1, 2, 3)
    fleet = Fleet(Reader(cache), limits)
    for version in range(1, 60):
        kind, body = _object(chance, version)
        (cache.remove if chance.random() < 0.15 else cache.put)(kind, body)
        if chance.random() < 0.5:
            fleet.to_wake()
    fleet.refresh()
    anew = Fleet(Reader(cache), limits)
    anew.refresh()

    assert {scope: fleet.active_at(scope) for scope in Scope} == {scope: anew.active_at(scope) for scope in Scope}


def _crowd(count: int) -> Cache:
    """Runs of one namespace that wait for limits and for destinations of their own on one share."""
    cache = Cache()
    cache.put(Kind.IDENTITY, identity_body())
    for name in ("src", "dst"):
        cache.put(Kind.LOCATION, location_body(name, good(LOCATION_GOOD, identityGeneration=1), share=name))
    for n in range(count):
        into = {"locationRef": {"name": "dst"}, "path": f"/{n}"}
        cache.put(Kind.TASK, task_body(f"t{n}", {"observedTrigger": ""}, destination=into))
        reason = ("LimitReached", "RunQueued")[n % 2]
        told = {"state": "Queued", "conditions": [condition("Succeeded", "Unknown", reason)]}
        cache.put(Kind.RUN, run_body(f"r{n}", told, task_name=f"t{n}", created=ago(seconds=n)))
    cache.put(Kind.TASK, task_body("mine", {"observedTrigger": ""}, destination={**into, "path": "/mine"}))
    cache.put(Kind.RUN, run_body("mine", task_name="mine", created=NOW))
    return cache


def _looked_at(count: int) -> int:
    observer = Observer(_crowd(count), RunLimits(4, None, 100))
    observer.run(Key(Kind.RUN, "team", "mine"))
    before = observer.fleet.looked_at
    seen = observer.run(Key(Kind.RUN, "team", "mine"))
    assert seen is not None
    assert seen.claims == ()
    return observer.fleet.looked_at - before


def test_a_decision_looks_at_no_more_claims_with_hundreds_of_runs_than_with_ten() -> None:
    assert _looked_at(400) == _looked_at(10)


@pytest.mark.fault(188)
def test_a_run_that_can_not_be_read_keeps_no_other_from_its_decision() -> None:
    """Its agent works, so it counts; what it counts for is what its Job records."""
    cache = _crowd(1)
    broken = run_body("broken", {"state": "Transferring"})
    broken["spec"]["dryRun"] = "perhaps"
    cache.put(Kind.RUN, broken)
    job = transfer_job_name(parse_meta(broken), 0)
    owner = (Kind.RUN, "broken", "uid-broken")
    cache.put(Kind.JOB, agent_body(Kind.JOB, job, owner, task=snapshot(dst_path="/mine"), created=NOW))
    seen = Observer(cache, RunLimits(1, None, None)).run(Key(Kind.RUN, "team", "mine"))

    assert seen is not None
    assert seen.standing is not None
    assert seen.standing.full is not None
    assert [claim.holder for claim in seen.claims] == ["team/broken"]
