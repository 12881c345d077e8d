"""Whole rounds against a cluster in memory: what one decision writes, the next one sees."""

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.unit.operator.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    agent_body,
    ago,
    checked_identity,
    checks,
    identity_body,
    key_use,
    location_body,
    ready,
    run_body,
    task_body,
)

from smbferry_api.fields import format_time
from smbferry_operator.cache import Cache
from smbferry_operator.cluster.apply import Applier
from smbferry_operator.cluster.client import Cluster
from smbferry_operator.cluster.errors import (
    AlreadyExistsError,
    ConflictError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)
from smbferry_operator.decide.naming import ANNOTATION_CHECK_INPUTS
from smbferry_operator.model import OWN_KINDS, Key, Kind, Manifest
from smbferry_operator.reconcile import News, Reconciler

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Event

OURS = {"Ready", "Reconciling", "Stalled", "Succeeded", "InSync"}
TASK = Key(Kind.TASK, "team", "nightly")
KNOWN = (Kind.TASK, task_body(status={"observedTrigger": ""}))
"""The task of a run, which makes none by itself now."""


class Memory:
    """As much of an API server as the applier speaks to."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.version = 100
        self.refuse: dict[str, Exception] = {}
        self.begun: list[str] = []
        self.done: list[str] = []
        """Kinds that were applied, in order."""
        self.applied: dict[Key, Manifest] = {}
        """Statuses as they were applied last: what one leaves out is given up."""
        self.deleted: list[tuple[Key, str]] = []

    async def create(self, body: Manifest) -> Manifest:
        await asyncio.sleep(0)
        if body["kind"] in self.refuse:
            raise self.refuse[body["kind"]]
        key = (body["kind"], body["metadata"]["name"])
        if key in self.objects:
            raise AlreadyExistsError("exists")
        self.objects[key] = self.stamped(body)
        return self.objects[key]

    async def apply(self, body: Manifest) -> Manifest:
        self.begun.append(body["kind"])
        await asyncio.sleep(0)
        self.done.append(body["kind"])
        self.objects[body["kind"], body["metadata"]["name"]] = body
        return body

    async def apply_status(self, key: Key, uid: str, status: Manifest) -> Manifest:
        await asyncio.sleep(0)
        known = self.objects[key.kind.value, key.name]
        assert known["metadata"]["uid"] == uid
        if "status" in self.refuse:
            raise self.refuse["status"]
        self.applied[key] = status
        others = [c for c in known.get("status", {}).get("conditions", []) if c["type"] not in OURS]
        merged = {**known.get("status", {}), **status, "conditions": [*others, *status["conditions"]]}
        body = self.stamped(known) | {"status": merged}
        self.objects[key.kind.value, key.name] = body
        return body

    async def get(self, kind: str, _namespace: str, name: str) -> Manifest:
        await asyncio.sleep(0)
        return self.objects[kind, name]

    async def delete(self, key: Key, uid: str = "") -> None:
        await asyncio.sleep(0)
        self.deleted.append((key, uid))
        self.objects.pop((key.kind.value, key.name), None)

    def stamped(self, body: Manifest) -> Manifest:
        self.version += 1
        meta = {"uid": f"uid-{body['metadata']['name']}", "creationTimestamp": format_time(NOW), **body["metadata"]}
        return {**body, "metadata": {**meta, "resourceVersion": str(self.version)}}

    def of(self, kind: str) -> list[Manifest]:
        return [body for (k, _), body in self.objects.items() if k == kind]


class World:
    """A reconciler with all that it needs."""

    def __init__(self, *bodies: tuple[Kind, Manifest]) -> None:
        self.memory = Memory()
        self.now = NOW
        self.cache = Cache()
        self.queued: list[Key] = []
        self.news = News(self.cache, self.enqueue)
        self.events: list[Event] = []
        applier = Applier(cast(Cluster, self.memory), self.news.seen, lambda _key, _about, e: self.events.append(e))
        self.reconciler = Reconciler(self.cache, applier, SETTINGS, self.enqueue, lambda: self.now)
        for kind, body in bodies:
            self.takes(kind, body)

    def takes(self, kind: Kind, body: Manifest) -> None:
        """The object is there."""
        self.memory.objects[kind.value, body["metadata"]["name"]] = body
        self.cache.put(kind, body)

    def tell(self, body: Manifest, status: dict[str, Any]) -> None:
        """The object has this status now, and the operator hears of it."""
        told = self.memory.stamped(body) | {"status": {**body.get("status", {}), **status}}
        self.memory.objects[body["kind"], body["metadata"]["name"]] = told
        self.news.seen(Kind(body["kind"]), told)

    def enqueue(self, key: Key) -> None:
        """Each key once, as the work queue has it."""
        if key not in self.queued:
            self.queued.append(key)

    def settle(self, *keys: Key) -> None:
        """Works until nothing is queued."""

        async def work() -> None:
            self.queued += keys
            for _ in range(50):
                if not self.queued:
                    return
                await self.reconciler.reconcile(self.queued.pop(0))
            raise AssertionError(f"never settles: {self.queued}")

        asyncio.run(work())

    def ends_well(self, moment: datetime, **verdicts: tuple[str, str]) -> None:
        """The identity's check under way ends with a report: of health, but for these verdicts."""
        (job,) = (job for job in self.memory.of("Job") if not job.get("status"))
        known = self.memory.objects["KerberosIdentity", "svc"]
        ours = [c for c in known["status"]["conditions"] if c["type"] in OURS]
        told = {"conditions": [*checks(IDENTITY_GOOD, verdicts), *ours], "lastCheckTime": format_time(moment)}
        over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": format_time(moment)}]}
        for kind, body in (
            (Kind.IDENTITY, self.memory.stamped(known) | {"status": {**known["status"], **told}}),
            (Kind.JOB, self.memory.stamped(job) | {"status": over}),
        ):
            self.memory.objects[kind.value, body["metadata"]["name"]] = body
            self.news.seen(kind, body)

    def look_at_all(self) -> None:
        """Each object once, as after a start."""

        async def work() -> None:
            for key in self.cache:
                if key.kind in OWN_KINDS:
                    await self.reconciler.reconcile(key)

        asyncio.run(work())

    def at_once(self, *keys: Key) -> None:
        """All of them at the same time."""

        async def work() -> None:
            await asyncio.gather(*(self.reconciler.reconcile(key) for key in keys))

        asyncio.run(work())


def agents(world: World) -> list[str]:
    """What the agents of the Jobs that the operator made are to do."""
    pods = [body["spec"]["template"]["spec"] for body in world.memory.of("Job")]
    return sorted(pod["containers"][0]["args"][0] for pod in pods if "args" in pod["containers"][0])


def good(states: dict[str, str], **more: Any) -> dict[str, Any]:
    soon = NOW + timedelta(hours=1)
    return {"conditions": [*checks(states), ready()], "nextCheckTime": format_time(soon), **more}


def settled(proven_at: datetime = NOW) -> list[tuple[Kind, Manifest]]:
    """An identity whose check has ended, and the two locations that use it."""
    over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": format_time(proven_at)}]}
    check = agent_body(Kind.JOB, "check", (Kind.IDENTITY, "svc", "uid-svc"), status=over, created=proven_at)
    check["metadata"]["annotations"][ANNOTATION_CHECK_INPUTS] = "1"
    return [
        (Kind.IDENTITY, identity_body(status=good(IDENTITY_GOOD, lastCheckTime=format_time(proven_at)))),
        (Kind.JOB, check),
        (Kind.LOCATION, location_body("src", good(LOCATION_GOOD, identityGeneration=1))),
        (Kind.LOCATION, location_body("dst", good(LOCATION_GOOD, identityGeneration=1))),
    ]


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


def test_a_quotas_conflict_is_no_run_that_exists_and_the_run_is_made_when_it_has_passed() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.memory.refuse["TransferRun"] = ConflictError("resourcequotas q: the object has been modified")
    with pytest.raises(ConflictError):
        world.settle(TASK)
    assert TASK not in world.memory.applied, "nothing is said to have been started"

    world.memory.refuse.clear()
    world.settle(TASK)
    assert len(world.memory.of("TransferRun")) == 1


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
    world.news.seen(Kind.TASK, {**known, "spec": {**known["spec"], "trigger": "another"}})
    assert asyncio.run(world.reconciler.reconcile(TASK)) == timedelta(seconds=5)


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


def test_an_invalid_spec_is_said_once() -> None:
    body = task_body(schedule={"cron": "every night at two"})
    world = World(*settled(), (Kind.TASK, body))
    world.settle(TASK)
    first = world.memory.objects["TransferTask", "nightly"]
    world.settle(TASK)

    assert first["status"]["conditions"][0]["reason"] == "SpecInvalid"
    assert "expected five fields" in first["status"]["conditions"][0]["message"]
    assert world.memory.objects["TransferTask", "nightly"] is first


def test_a_run_that_fails_by_its_identity_has_it_and_its_locations_checked() -> None:
    failure = {"class": "Identity", "reason": "KeytabStale", "message": "refused"}
    failed = {"state": "Failed", "completionTime": format_time(NOW), "failure": failure}
    world = World(*settled(ago(minutes=1)), KNOWN, (Kind.RUN, run_body("one", failed)))
    users = Key(Kind.LOCATION, "team", "src"), Key(Kind.LOCATION, "team", "dst")
    world.settle(*users)
    assert agents(world) == ["check-identity"], "first the key itself: each agent with a wrong one counts"

    world.ends_well(NOW + timedelta(seconds=3))
    world.settle()
    assert agents(world) == ["check-identity", "check-location", "check-location"]


def told_of_a_refusal(world: World, name: str = "svc") -> None:
    """An agent was refused the identity's key just now."""
    body = world.memory.stamped(world.memory.objects["KerberosIdentity", name])
    body["status"] = {**body["status"], "keyUse": key_use(NOW)}
    world.memory.objects["KerberosIdentity", name] = body
    world.news.seen(Kind.IDENTITY, body)


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
