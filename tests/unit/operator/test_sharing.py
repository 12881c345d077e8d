"""Tasks that use SmbLocations of another namespace: by consent of both sides, and told no more than is allowed."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import LOCATION_GOOD, ends, run_body, task_body
from tests.unit.operator.world import World, agents, good, settled

from smbferry_api.sharing import AllowedNamespaces
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.sharing import as_asked, as_served, serving_name, serving_run
from smbferry_operator.model import Key, Kind, Manifest, Meta
from smbferry_operator.parse import parse_run, parse_task

OWNER, USER, OTHER = "team", "app", "lab"
TASK, RUN = Key(Kind.TASK, USER, "nightly"), Key(Kind.RUN, USER, "run")
PATH = "/secret plans/a.docx"
SECRETS = ("files.corp", "svc@", PATH, "secret plans")
SUCCEEDED = {"type": "Succeeded", "status": "False", "reason": "AccessDenied", "observedGeneration": 1}
SUCCEEDED |= {
    "message": f"svc@CORP may not open {PATH} on files.corp.example.com.",
    "lastTransitionTime": "2026-11-21T12:00:00Z",
}
FIGURES = {"files": {"listed": 4, "failed": 1}, "bytes": {"transferred": 99}}


def shared(*names: str, **allowed: Any) -> list[tuple[Kind, Manifest]]:
    """The owner's identity and locations, which allow these namespaces."""
    given = {"names": list(names), "access": "ReadWrite", **allowed}
    bodies = settled()
    for kind, body in bodies:
        if kind is Kind.LOCATION:
            body["spec"]["allowedNamespaces"] = given
    return bodies


def using(namespace: str = USER, **spec: Any) -> tuple[Kind, Manifest]:
    """A task that uses them."""
    source, destination = ({"locationRef": {"name": name, "namespace": OWNER}} for name in ("src", "dst"))
    body = task_body(
        namespace=namespace, status={"observedTrigger": ""}, **{"source": source, "destination": destination, **spec}
    )
    return Kind.TASK, body


def asks(**meta: Any) -> tuple[Kind, Manifest]:
    return Kind.RUN, run_body("run", **{"namespace": USER, **meta})


def serving(world: World) -> Manifest:
    """The run in the owner's namespace."""
    return next(each for each in world.memory.of("TransferRun") if each["spec"].get("onBehalfOf"))


def own(world: World) -> Manifest:
    return world.memory.objects["TransferRun", "run"]


def changes(world: World, kind: str, name: str, **spec: Any) -> None:
    """A person edits the spec."""
    body = deepcopy(world.memory.objects[kind, name])
    body["spec"] |= spec
    body["metadata"]["generation"] = body["metadata"].get("generation", 1) + 1
    world.tell(body, {})


def key_of(body: Manifest) -> Key:
    meta = body["metadata"]
    return Key(Kind(body["kind"]), meta["namespace"], meta["name"])


def jobs_go(world: World) -> None:
    """Jobs that the operator has deleted are gone, and it hears of it."""
    for key in [
        key for key in world.cache if key.kind is Kind.JOB and (key.kind.value, key.name) not in world.memory.objects
    ]:
        body = world.cache.get(key)
        assert body is not None
        world.router.seen(Kind.JOB, world.memory.stamped(body), deleted=True)
    world.settle()


def reason(body: Manifest, type_: str = "Succeeded") -> tuple[str, str]:
    (found,) = (c for c in body["status"]["conditions"] if c["type"] == type_)
    return found["reason"], found["message"]


def test_a_run_is_served_by_one_where_the_keytabs_are_and_its_agent_runs_there_only() -> None:
    world = World(*shared(USER), using(), asks())
    world.settle(RUN)

    (job,) = (job for job in world.memory.of("Job") if job["metadata"]["name"] != "check")
    assert job["metadata"]["namespace"] == OWNER
    assert job["metadata"]["ownerReferences"][0]["uid"] == serving(world)["metadata"]["uid"]
    assert serving(world)["spec"]["onBehalfOf"] == {"namespace": USER, "name": "run", "uid": "uid-run"}
    assert own(world)["status"]["servedBy"] == {"namespace": OWNER, "name": serving(world)["metadata"]["name"]}
    assert own(world)["status"]["state"] == serving(world)["status"]["state"] == "Launching"
    assert "task" not in own(world)["status"], "the snapshot has the server and the principal"
    assert {body["metadata"]["namespace"] for body in world.memory.of("Role")} == {OWNER}


def test_a_task_makes_runs_in_its_own_namespace() -> None:
    kind, body = using(trigger="go")
    world = World(*shared(USER), (kind, body))
    world.settle(TASK)

    namespaces = sorted(run["metadata"]["namespace"] for run in world.memory.of("TransferRun"))
    assert namespaces == [USER, OWNER]
    assert reason(world.memory.objects["TransferTask", "nightly"], "Ready")[0] == "TaskReady"


@pytest.mark.parametrize("exists", [True, False])
def test_nobody_learns_whether_a_location_that_is_not_shared_exists(exists: bool) -> None:
    world = World(*(shared(OTHER) if exists else []), using(), asks())
    world.settle(TASK, RUN)
    word, message = reason(world.memory.objects["TransferTask", "nightly"], "Ready")

    assert word == "LocationNotShared"
    assert message.startswith("SmbLocation team/src (source), team/dst (destination): expected one that allows ")
    assert "it does not exist or does not allow it" in message
    assert len(world.memory.of("TransferRun")) == 1, "nothing runs"
    world.now += timedelta(minutes=2)
    world.settle(RUN)
    assert own(world)["status"]["state"] == "Failed"
    assert own(world)["status"]["failure"]["reason"] == "LocationNotShared"


def test_what_is_shared_to_be_read_is_no_destination() -> None:
    world = World(*shared(USER, access="ReadOnly"), using(), asks())
    world.settle(TASK, RUN)

    message = reason(world.memory.objects["TransferTask", "nightly"], "Ready")[1]
    assert message.startswith("SmbLocation team/dst (destination): expected")
    assert len(world.memory.of("TransferRun")) == 1


def test_consent_of_one_location_is_not_consent_of_the_other() -> None:
    bodies = shared(USER)
    del next(body for kind, body in bodies if body["metadata"]["name"] == "dst")["spec"]["allowedNamespaces"]
    world = World(*bodies, using(), asks())
    world.settle(TASK, RUN)

    assert reason(world.memory.objects["TransferTask", "nightly"], "Ready")[1].startswith(
        "SmbLocation team/dst (destination):"
    )
    assert len(world.memory.of("TransferRun")) == 1


def test_a_withdrawal_ends_the_run_after_its_agent_and_no_new_one_starts() -> None:
    world = World(*shared(USER), using(), asks())
    world.settle(RUN)
    changes(world, "SmbLocation", "src", allowedNamespaces={"names": [OTHER]})
    world.settle(TASK)
    assert own(world)["status"]["state"] == "Cancelling", "its agent may still write"
    jobs_go(world)

    assert own(world)["status"]["state"] == "Failed"
    assert own(world)["status"]["failure"]["reason"] == "LocationNotShared"
    assert serving(world)["status"]["state"] == "Cancelled"
    assert [job["metadata"]["name"] for job in world.memory.of("Job")] == ["check"], "its Job is gone"
    world.takes(*asks(uid="uid-2", created=world.now, version=9000))
    world.settle(RUN)
    assert own(world)["status"]["state"] == "Queued"
    assert reason(own(world))[0] == "LocationNotShared"


def ended(world: World, **status: Any) -> None:
    """The serving run ends like this."""
    told = {"state": "Failed", "conditions": [SUCCEEDED], "counters": FIGURES, **status}
    world.tell(serving(world), told)
    world.settle()


EVIDENCE = {"source": {"principal": "svc@CORP", "dialect": "3.1.1", "cipher": "AES-256-GCM", "server": "files.corp"}}
FULL = {
    "failure": {"class": "Access", "reason": "AccessDenied", "message": SUCCEEDED["message"], "remedy": "Ask."},
    "failures": [{"path": PATH, "phase": "Transfer", "reason": "AccessDenied", "message": "svc@CORP may not."}],
    "notCarried": [{"what": "Streams", "count": 2, "reason": f"{PATH}: no.", "paths": [PATH]}],
    "security": EVIDENCE,
    "sourceSnapshot": {"time": "2026-11-21T11:00:00Z", "message": "of files.corp"},
    "plan": {"digest": "abc", "destination": "//files.corp:445/dst/", "toDelete": {"files": 3, "paths": [PATH]}},
}


def test_of_the_end_only_the_reason_the_counts_and_the_cipher_are_told() -> None:
    world = World(*shared(USER), using(), asks())
    world.settle(RUN)
    ended(world, **FULL)
    status = own(world)["status"]

    assert status["state"] == "Failed"
    assert status["counters"]["files"]["failed"] == 1
    assert status["notCarried"] == [{"what": "Streams", "count": 2}]
    assert status["security"] == {"source": {"dialect": "3.1.1", "cipher": "AES-256-GCM"}}
    assert status["failure"]["reason"] == "AccessDenied"
    assert (status["plan"]["digest"], status["plan"]["toDelete"]["files"]) == ("abc", 3)
    assert not any(secret in str(own(world)) for secret in SECRETS)
    assert not any(secret in event.message for event in world.events for secret in SECRETS)


def test_with_details_all_is_told() -> None:
    world = World(*shared(USER, details=True), using(), asks())
    world.settle(RUN)
    ended(world, **FULL)
    status = own(world)["status"]

    assert status["failures"][0]["path"] == PATH
    assert status["security"]["source"]["principal"] == "svc@CORP"
    assert reason(own(world))[1].startswith("svc@CORP may not open")


def test_the_cause_of_a_location_that_is_not_ready_is_its_owners() -> None:
    bodies = shared(USER)
    status = good(LOCATION_GOOD, identityGeneration=1)
    told = {"type": "Ready", "status": "False", "reason": "ShareNotFound", "observedGeneration": 1}
    told |= {"message": "files.corp has no share.", "lastTransitionTime": "2026-11-21T12:00:00Z"}
    status["conditions"] = [c for c in status["conditions"] if c["type"] != "Ready"] + [told]
    next(body for kind, body in bodies if body["metadata"]["name"] == "src")["status"] = status
    world = World(*bodies, using())
    world.settle(TASK)
    word, message = reason(world.memory.objects["TransferTask", "nightly"], "Ready")

    assert word == "LocationNotReady"
    assert "ShareNotFound" in message
    assert not any(secret in message for secret in SECRETS)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"agent": {"labels": {"team": "x"}}}, "spec.agent.labels"),
        ({"agent": {"imagePullSecrets": [{"name": "x"}]}}, "spec.agent.imagePullSecrets"),
        ({"agent": {"env": [{"name": "A", "value": "b"}], "parallelism": 2}}, "spec.agent.env"),
        ({"options": {"sidMap": {"configMapRef": {"name": "others"}}}}, "spec.options.sidMap"),
    ],
)
def test_a_task_says_nothing_about_pods_and_config_maps_of_the_other_namespace(
    spec: dict[str, Any], field: str
) -> None:
    world = World(*shared(USER), using(**spec), asks())
    world.settle(TASK, RUN)

    assert reason(world.memory.objects["TransferTask", "nightly"], "Ready")[1].startswith(f"{field}: expected ")
    assert own(world)["status"]["failure"]["reason"] == "SpecInvalid"
    assert len(world.memory.of("TransferRun")) == 1


def test_a_run_for_another_namespace_does_not_overtake_those_of_the_owner() -> None:
    served = as_served(parse_task(using(priority=1000)[1]), OWNER)
    lowered = as_served(parse_task(using(priority=-7)[1]), OWNER)
    urgent = run_body("run", namespace=USER)
    urgent["spec"]["priority"] = 5
    asked = as_asked(parse_run(run_body("x", namespace=OWNER)), parse_run(urgent), allowed=True)

    assert (served.spec.priority, lowered.spec.priority, asked.spec.priority) == (0, -7, 0)


def test_a_cancelled_or_deleted_run_ends_the_one_that_serves_it_and_a_deleted_one_takes_it_along() -> None:
    world = World(*shared(USER), using(), asks())
    world.settle(RUN)
    changes(world, "TransferRun", "run", cancel=True)
    world.settle()
    jobs_go(world)
    assert (own(world)["status"]["state"], serving(world)["status"]["state"]) == ("Cancelled", "Cancelled")

    gone, name = own(world), key_of(serving(world))
    del world.memory.objects["TransferRun", "run"]
    world.router.seen(Kind.RUN, world.memory.stamped(gone), deleted=True)
    world.settle()
    assert name in [key for key, _ in world.memory.deleted]


def test_if_the_owner_deletes_the_serving_run_the_other_ends_with_its_reason_and_none_is_made_anew() -> None:
    world = World(*shared(USER), using(), asks())
    world.settle(RUN)
    gone = serving(world)
    for kind, name in list(world.memory.objects):
        if kind in {"Job"} or name == gone["metadata"]["name"]:
            body = world.memory.objects.pop((kind, name))
            if kind in {"Job", "TransferRun"}:
                world.router.seen(Kind(kind), world.memory.stamped(body), deleted=True)
    world.settle()

    assert own(world)["status"]["failure"]["reason"] == "ServingRunRemoved"
    assert [run["metadata"]["name"] for run in world.memory.of("TransferRun")] == ["run"]


def test_a_run_of_the_owners_namespace_that_nobody_asked_for_does_nothing() -> None:
    forged = run_body("forged", namespace=OWNER, uid="uid-forged")
    forged["spec"]["onBehalfOf"] = {"namespace": USER, "name": "run", "uid": "uid-run"}
    world = World(*shared(USER), using(), asks(), (Kind.RUN, forged))
    world.settle(Key(Kind.RUN, OWNER, "forged"))

    owners = {job["metadata"]["ownerReferences"][0]["uid"] for job in world.memory.of("Job")}
    assert "uid-forged" not in owners
    assert ("TransferRun", "forged") not in world.memory.objects


def test_a_run_with_agents_of_its_own_cannot_say_that_another_serves_it() -> None:
    local = task_body(status={"observedTrigger": ""})
    world = World(*settled(), (Kind.TASK, local), (Kind.RUN, run_body("one")), (Kind.RUN, run_body("two")))
    one, two = Key(Kind.RUN, OWNER, "one"), Key(Kind.RUN, OWNER, "two")
    world.settle(one)
    world.tell(world.memory.objects["TransferRun", "one"], {"servedBy": {"namespace": USER, "name": "x"}})
    world.settle(two, one)

    states = {body["metadata"]["name"]: body["status"]["state"] for body in world.memory.of("TransferRun")}
    assert states == {"one": "Launching", "two": "Queued"}


def test_a_served_run_and_one_of_the_owner_do_not_write_to_one_folder_together() -> None:
    local = task_body("own", status={"observedTrigger": ""})
    mine = run_body("mine", task_name="own")
    world = World(*shared(USER), using(), asks(), (Kind.TASK, local), (Kind.RUN, mine))
    world.settle(RUN, Key(Kind.RUN, OWNER, "mine"))

    assert agents(world) == ["transfer"]
    states = [serving(world)["status"]["state"], world.memory.objects["TransferRun", "mine"]["status"]["state"]]
    assert sorted(states) == ["Launching", "Queued"]
    assert own(world)["status"]["state"] == states[0]


def test_a_namespace_is_selected_by_its_labels_and_no_longer_when_they_change() -> None:
    def labelled(version: str, **labels: str) -> Manifest:
        metadata = {"name": USER, "uid": "uid-app", "resourceVersion": version, "labels": labels}
        return {"kind": "Namespace", "metadata": metadata}

    selector = {"matchLabels": {"tier": "trusted"}}
    world = World(*shared(selector=selector), using(), asks(), (Kind.NAMESPACE, labelled("1", tier="trusted")))
    world.settle(TASK, RUN)
    assert own(world)["status"]["state"] == "Launching"

    world.router.seen(Kind.NAMESPACE, labelled("9000"))
    world.settle()
    jobs_go(world)
    assert own(world)["status"]["failure"]["reason"] == "LocationNotShared"
    assert reason(world.memory.objects["TransferTask", "nightly"], "Ready")[0] == "LocationNotShared"


SELECTED = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d", "e"]}]}


@pytest.mark.parametrize(
    ("allowed", "labels", "expected"),
    [
        ({}, {}, False),
        ({"names": ["other"]}, {}, False),
        ({"names": ["app"]}, None, True),
        ({"selector": {}}, {}, True),
        ({"selector": {}}, None, False),
        ({"selector": SELECTED}, {"a": "b", "c": "e"}, True),
        ({"selector": SELECTED}, {"a": "b"}, False),
        ({"selector": SELECTED}, {"c": "d"}, False),
        ({"selector": {"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]}}, {}, True),
        ({"selector": {"matchExpressions": [{"key": "c", "operator": "NotIn", "values": ["d"]}]}}, {"c": "d"}, False),
        ({"selector": {"matchExpressions": [{"key": "c", "operator": "Exists"}]}}, {"c": ""}, True),
        ({"selector": {"matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}}, {"c": ""}, False),
    ],
)
def test_which_namespaces_are_allowed(allowed: dict[str, Any], labels: dict[str, str] | None, expected: bool) -> None:
    assert AllowedNamespaces.model_validate(allowed).allows("app", labels, writes=False) is expected


def test_where_a_shared_task_has_copied_to_is_recorded_without_a_name_and_known_again() -> None:
    kind, body = using(approval="Required", trigger="go")
    world = World(*shared(USER), (kind, body))
    world.settle(TASK)
    served = serving(world)
    done = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T12:00:00Z"}
    job = next(job for job in world.memory.of("Job") if job["metadata"]["name"] != "check")
    world.tell(job, {"conditions": [done], "completionTime": "2026-11-21T12:00:00Z", "succeeded": 1})
    world.tell(served, {**served["status"], "state": "Succeeded", "completionTime": "2026-11-21T12:00:00Z"})
    world.settle(TASK)
    status = world.memory.objects["TransferTask", "nightly"]["status"]

    assert status["copiedTo"] == status["mirroredTo"]
    assert status["copiedTo"].startswith("hidden-")
    known = parse_task(using(approval="Required")[1] | {"status": {"copiedTo": status["copiedTo"]}})
    task = resolve(as_served(known, OWNER), ends())
    assert task is not None
    assert task.approval is not None
    assert not task.approval.first_run


def test_a_serving_run_is_of_the_class_of_the_run_that_it_serves() -> None:
    body = run_body("run", namespace=USER)
    body["spec"]["className"] = "blue"
    assert serving_run(parse_run(body), OWNER)["spec"]["className"] == "blue"


def test_the_name_of_a_serving_run_is_valid_and_another_for_each_run() -> None:
    def meta(name: str, uid: str) -> Meta:
        return parse_run(run_body(name, namespace=USER, uid=uid)).meta

    long = serving_name(meta("x" * 253, "1"))
    assert len(long) <= 253
    assert long != serving_name(meta("x" * 253, "2"))
