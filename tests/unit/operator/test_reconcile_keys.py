"""Whole rounds of runs and checks that share an account's keys."""

from datetime import timedelta

from tests.support.builders import (
    LOCATION_GOOD,
    NOW,
    ago,
    checked_identity,
    identity_body,
    key_use,
    location_body,
    run_body,
    task_body,
)
from tests.unit.operator.world import KNOWN, World, agents, carried, good, settled

from smbferry_api.fields import format_time
from smbferry_operator.model import Key, Kind, Manifest


def test_a_run_that_fails_by_its_identity_has_it_and_its_locations_checked() -> None:
    failure = {"class": "Identity", "reason": "KeytabStale", "message": "refused"}
    failed = {"state": "Failed", "completionTime": format_time(NOW), "failure": failure}
    world = World(*settled(ago(minutes=1)), KNOWN, (Kind.RUN, run_body("one", failed)))
    users = Key(Kind.LOCATION, "team", "src"), Key(Kind.LOCATION, "team", "dst")
    world.settle(*users)
    assert agents(world) == ["check-identity"], "first the key itself: each agent with a wrong one counts"
    assert carried(world) == ["dst", "src"]


def told_of_a_refusal(world: World, name: str = "svc") -> None:
    """An agent was refused the identity's key just now."""
    body = world.memory.stamped(world.memory.objects["KerberosIdentity", name])
    body["status"] = {**body["status"], "keyUse": key_use(NOW)}
    world.memory.objects["KerberosIdentity", name] = body
    world.router.seen(Kind.IDENTITY, body)


def queued_at_once(world: World, number: int = 5) -> list[Key]:
    bodies = [run_body(f"r{n}", task_name=f"t{n}", created=NOW) for n in range(number)]
    for n, body in enumerate(bodies):
        into = {"locationRef": {"name": "dst"}, "path": f"/{n}"}
        world.takes(Kind.TASK, task_body(f"t{n}", {"observedTrigger": ""}, destination=into))
        world.memory.objects["TransferRun", body["metadata"]["name"]] = body
        world.cache.put(Kind.RUN, body)
    return [Key(Kind.RUN, "team", body["metadata"]["name"]) for body in bodies]


def test_runs_of_an_identity_that_is_well_start_at_once_without_another_check() -> None:
    world = World(*settled(ago(minutes=1)))
    world.settle(*queued_at_once(world))
    assert agents(world) == ["transfer"] * 5


def test_runs_wait_for_one_check_where_an_agent_was_refused_the_key() -> None:
    world = World(*settled(ago(minutes=1)))
    told_of_a_refusal(world)
    world.settle(*queued_at_once(world))
    reasons = {body["status"]["conditions"][0]["reason"] for body in world.memory.of("TransferRun")}
    assert (agents(world), reasons) == (["check-identity"], {"IdentityCheckAwaited"})

    world.ends_well(NOW + timedelta(seconds=3))
    world.settle()
    assert agents(world) == ["check-identity", *["transfer"] * 5]


def test_runs_stay_queued_when_the_check_finds_the_key_refused() -> None:
    world = World(*settled(ago(minutes=1)))
    told_of_a_refusal(world)
    world.settle(*queued_at_once(world))
    world.ends_well(NOW + timedelta(seconds=3), TicketAcquired=("False", "KeytabStale"))
    world.settle()

    reasons = {body["status"]["conditions"][0]["reason"] for body in world.memory.of("TransferRun")}
    assert (agents(world), reasons) == (["check-identity"], {"LocationNotReady"})


def two_of_one_account() -> list[tuple[Kind, Manifest]]:
    """Identities svc and other, with locations of their own, all well."""
    other = identity_body("other", checked_identity("other").status.model_dump(mode="json", by_alias=True))
    other["spec"]["principal"] = "SVC@CORP.EXAMPLE.COM"
    well = good(LOCATION_GOOD, identityGeneration=1)
    places = (location_body(name, well, identity="other") for name in ("src2", "dst2"))
    return [*settled(ago(minutes=1)), (Kind.IDENTITY, other), *((Kind.LOCATION, place) for place in places)]


def test_runs_by_two_identities_of_one_account_do_not_try_its_keys_at_once() -> None:
    world = World(*two_of_one_account(), KNOWN)
    first = run_body("first", created=NOW)
    second = run_body("second", created=NOW, task_name="second")
    elsewhere = {side: {"locationRef": {"name": name}} for side, name in (("source", "src2"), ("destination", "dst2"))}
    world.takes(Kind.TASK, task_body("second", {"observedTrigger": ""}, **elsewhere))
    for body in (first, second):
        world.memory.objects["TransferRun", body["metadata"]["name"]] = body
        world.cache.put(Kind.RUN, body)
    world.settle(*(Key(Kind.RUN, "team", name) for name in ("first", "second")))
    states = {name: world.memory.objects["TransferRun", name]["status"]["state"] for name in ("first", "second")}
    assert states == {"first": "Launching", "second": "Queued"}


def test_checks_of_two_identities_of_one_account_are_made_one_after_the_other() -> None:
    world = World(*two_of_one_account())
    keys = [Key(Kind.IDENTITY, "team", name) for name in ("svc", "other")]
    for key in keys:
        world.reconciler.outdate(key)
    world.at_once(*keys)
    assert agents(world) == ["check-identity"]


def test_other_identities_of_the_account_learn_of_a_wrong_key_at_once() -> None:
    other = identity_body("other", checked_identity("other").status.model_dump(mode="json", by_alias=True))
    other["spec"]["principal"] = "SVC@CORP.EXAMPLE.COM"
    stranger = identity_body("stranger", other["status"])
    world = World(*settled(ago(minutes=1)), (Kind.IDENTITY, other), (Kind.IDENTITY, stranger))
    told_of_a_refusal(world)
    world.settle()

    told = world.memory.objects["KerberosIdentity", "other"]["status"]["account"]
    assert (told["wrong"], told["staleKeyVersion"]) == ([format_time(NOW)], 3)
    assert world.memory.objects["KerberosIdentity", "stranger"]["status"]["account"] is None


def test_an_outdated_identity_is_checked_once() -> None:
    world = World(*settled())
    world.reconciler.outdate(Key(Kind.IDENTITY, "team", "svc"))
    world.settle()
    assert agents(world) == ["check-identity"]

    world.ends_well(NOW + timedelta(seconds=3))
    world.settle()
    assert agents(world) == ["check-identity"]
