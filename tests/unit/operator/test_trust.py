"""Whoever may write objects in one namespace changes nothing in another, and nothing in his own beyond what he may."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.builders import (
    IDENTITY_GOOD,
    LOCATION_GOOD,
    NOW,
    SETTINGS,
    ago,
    condition,
    identity_body,
    location_body,
    run_body,
    task_body,
)
from tests.unit.operator.world import World, agents, good

from smbferry_api.fields import format_time
from smbferry_operator.decide.identity import decide_identity
from smbferry_operator.decide.run import decide_run
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME, EVIL = "team", "evil"
RUN = Key(Kind.RUN, HOME, "run")
IDENTITY = Key(Kind.IDENTITY, HOME, "svc")
OPERATORS = {"app.kubernetes.io/managed-by": "smbferry-operator"}


def forged(kind: str, name: str, owner: tuple[str, str, str], namespace: str = EVIL, **changes: Any) -> Manifest:
    """What a tenant makes to look like an agent: labels, annotations, and an owner reference to a real uid."""
    owner_kind, owner_name, uid = owner
    annotations = {
        "smbferry.io/owner-name": owner_name,
        "smbferry.io/destination": "//files.corp.example.com:445/dst",
        **changes.pop("annotations", {}),
    }
    controller = {"apiVersion": "smbferry.io/v1alpha1", "kind": owner_kind, "name": owner_name, "uid": uid}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "resourceVersion": "50",
            "creationTimestamp": format_time(ago(minutes=1)),
            "labels": {**OPERATORS, "smbferry.io/owner-kind": owner_kind, "smbferry.io/owner-uid": uid},
            "annotations": annotations,
            "ownerReferences": [{**controller, "controller": True, **changes.pop("controller", {})}],
        },
        "spec": {"suspend": True} if kind == "Job" else {},
        "status": changes.pop("status", {} if kind == "Job" else {"phase": "Running"}),
    }


def place(namespace: str, *, ready: bool = True, destination: str = "dst") -> Iterator[tuple[Kind, Manifest]]:
    """An identity, two locations and a task; the uids are the namespace's own."""
    well = good(IDENTITY_GOOD, lastCheckTime=format_time(ago(minutes=1)))
    opened = good(LOCATION_GOOD, identityGeneration=1) if ready else {}
    bodies = (
        (Kind.IDENTITY, identity_body(status=well)),
        (Kind.LOCATION, location_body("src", deepcopy(opened), path=f"/{namespace}")),
        (Kind.LOCATION, location_body("dst", deepcopy(opened), share=destination)),
        (Kind.TASK, task_body(status={"observedTrigger": ""})),
    )
    for kind, body in bodies:
        yield kind, of(namespace, body)


def of(namespace: str, body: Manifest) -> Manifest:
    meta = {"namespace": namespace, "uid": f"{namespace}-{body['metadata']['name']}"}
    return {**body, "metadata": {**body["metadata"], **meta}}


def home(**more: Any) -> World:
    """A namespace where all is well and a run is about to start."""
    world = World(*place(HOME), (Kind.RUN, of(HOME, run_body(created=ago(seconds=5), **more))))
    for kind, body in place(EVIL, ready=False):
        world.cache.put(kind, body)
    return world


def queued_run(reason: str = "RunQueued") -> Manifest:
    told = {"state": "Queued", "conditions": [condition("Succeeded", "Unknown", reason)]}
    return of(EVIL, run_body(status=told, created=ago(days=1)))


def with_environment(job: Manifest, other: Manifest) -> Manifest:
    """A forged Job with the containers of another: the snapshot that it was made with goes along."""
    return {**job, "spec": {**job["spec"], "template": other["spec"]["template"]}}


def launched(namespace: str) -> list[Manifest]:
    """The Jobs that a run of that namespace gets, by an operator that sees nothing else."""
    world = World(*place(namespace), (Kind.RUN, of(namespace, run_body(created=ago(seconds=5)))))
    world.settle(Key(Kind.RUN, namespace, "run"))
    return world.memory.of("Job")


FORGERIES = [
    pytest.param(
        [forged("Pod", "odd", ("TransferRun", "run", "no-uid"), annotations={"smbferry.io/destination": "anything"})],
        id="a pod with an odd annotation",
    ),
    pytest.param([forged("Pod", "pod", ("TransferRun", "run", "no-uid"))], id="a pod that says it writes there"),
    pytest.param([forged("Job", "job", ("TransferRun", "run", "no-uid"))], id="a Job that says it writes there"),
    pytest.param([forged("Pod", "pod", ("TransferRun", "run", "team-run"))], id="a pod by another namespace's uid"),
    pytest.param(
        [
            forged("Job", "job", ("TransferRun", "run", "evil-run")),
            forged("Pod", "pod", ("TransferRun", "run", "evil-run")),
        ],
        id="a real uid of its own namespace",
    ),
]


@pytest.mark.fault(110)
@pytest.mark.parametrize("bodies", FORGERIES)
@pytest.mark.parametrize(
    "theirs", [None, run_body(created=ago(days=1)), queued_run()], ids=["no run", "a run", "queued"]
)
def test_forged_agents_of_one_namespace_do_not_stop_a_run_of_another(
    bodies: list[Manifest], theirs: Manifest | None
) -> None:
    world = home()
    if theirs is not None:
        world.cache.put(Kind.RUN, of(EVIL, theirs))
    for body in bodies:
        world.cache.put(Kind(body["kind"]), deepcopy(body))
    world.settle(RUN)

    assert agents(world) == ["transfer"]


NOTES = st.dictionaries(
    st.sampled_from(["owner-name", "destination", "attempts-before", "stage", "check-inputs", "last-check"]),
    st.text(max_size=40),
)
OWNERS = st.sampled_from(["run", "svc", "src", "", "nobody"])
KINDS = st.sampled_from(["TransferRun", "KerberosIdentity", "SmbLocation", "TransferTask", "Job", "Pod", "", "No"])


@settings(max_examples=60, deadline=None)
@given(NOTES, OWNERS, KINDS, st.sampled_from(["evil-run", "evil-svc", "team-run", "no-uid"]), st.booleans())
def test_whatever_is_forged_stays_in_its_namespace(
    notes: dict[str, str], owner: str, kind: str, uid: str, has_run: bool
) -> None:
    """Nothing that stands in a label, an annotation or an owner reference is more than that object's own matter."""
    world = home()
    if has_run:
        world.cache.put(Kind.RUN, of(EVIL, run_body(created=ago(days=1))))
    annotations = {f"smbferry.io/{name}": text for name, text in notes.items()}
    for made in ("Job", "Pod"):
        world.cache.put(Kind(made), forged(made, "xrun-run-forged", (kind, owner, uid), annotations=annotations))
    world.settle(RUN)

    assert agents(world) == ["transfer"]
    seen = Observer(world.cache)
    for kind_, read in ((Kind.IDENTITY, seen.identity), (Kind.LOCATION, seen.location), (Kind.RUN, seen.run)):
        assert read(Key(kind_, EVIL, "nobody")) is None
    if (theirs := seen.run(Key(Kind.RUN, EVIL, "run"))) is not None:
        assert decide_run(theirs, NOW, SETTINGS).create == ()
    svc = seen.identity(Key(Kind.IDENTITY, EVIL, "svc"))
    assert svc is not None
    decide_identity(svc, NOW, SETTINGS)


@pytest.mark.fault(111)
def test_a_forged_job_with_the_snapshot_of_a_real_one_claims_nothing_elsewhere() -> None:
    """Its location names the destination of others, and no check has opened it."""
    (job,) = launched(HOME)
    mine = {**with_environment(forged("Job", "job", ("TransferRun", "run", "evil-run")), job)}
    world = home()
    world.cache.put(Kind.RUN, of(EVIL, run_body(created=ago(days=1))))
    world.cache.put(Kind.JOB, mine)
    world.settle(RUN)

    assert agents(world) == ["transfer"]


def with_a_writer_elsewhere() -> World:
    """A run that has been looked at while an honest one of another namespace writes to the same destination."""
    (job,) = launched(EVIL)
    world = World(*place(HOME), (Kind.RUN, of(HOME, run_body(created=ago(seconds=5)))))
    for kind, body in place(EVIL):
        world.cache.put(kind, body)
    world.cache.put(Kind.RUN, of(EVIL, run_body(status={"state": "Launching"})))
    world.cache.put(Kind.JOB, job)
    world.settle(RUN)
    return world


@pytest.mark.fault(113)
def test_two_honest_runs_of_two_namespaces_do_exclude_each_other() -> None:
    world = with_a_writer_elsewhere()

    said = world.memory.objects["TransferRun", "run"]["status"]["conditions"][0]
    assert (agents(world), said["reason"]) == ([], "RunQueued")
    assert "evil/run, which writes to //files.corp.example.com:445/dst" in said["message"]


@pytest.mark.fault(113)
def test_a_writer_keeps_its_claim_when_its_location_is_not_ready_any_more() -> None:
    world = with_a_writer_elsewhere()
    lost = {"conditions": [condition("Ready", "False", "KeytabStale")]}
    world.cache.put(Kind.LOCATION, of(EVIL, location_body("dst", lost, version=99)))
    world.settle(RUN)

    assert agents(world) == []


@pytest.mark.fault(112)
def test_a_run_in_line_whose_location_was_never_opened_holds_no_place_elsewhere() -> None:
    world = home()
    world.cache.put(Kind.RUN, queued_run())
    world.settle(RUN)

    assert agents(world) == ["transfer"]


@pytest.mark.fault(233)
@pytest.mark.parametrize(
    ("reason", "started"), [("RunQueued", []), ("ApprovalRequired", ["transfer"]), ("PlanChanged", ["transfer"])]
)
def test_a_plan_that_nobody_approves_holds_up_no_run_of_another_namespace(reason: str, started: list[str]) -> None:
    bodies = ((Kind.RUN, of(HOME, run_body(created=ago(seconds=5)))), (Kind.RUN, queued_run(reason)))
    world = World(*place(HOME), *place(EVIL), *bodies)
    world.settle(RUN)

    assert agents(world) == started


@pytest.mark.fault(114)
@pytest.mark.parametrize("real", [False, True], ids=["forged owners", "real owners"])
def test_jobs_that_never_end_in_one_namespace_stop_no_check_of_another(real: bool) -> None:
    world = World((Kind.IDENTITY, of(HOME, identity_body())))
    for n in range(2 * SETTINGS.max_concurrent_checks):
        if real:
            world.cache.put(Kind.IDENTITY, of(EVIL, identity_body(f"svc-{n}")))
        owner = ("KerberosIdentity", f"svc-{n}", f"{EVIL}-svc-{n}")
        job = forged("Job", f"check-{n}", owner)
        del job["metadata"]["annotations"]["smbferry.io/destination"]
        world.cache.put(Kind.JOB, job)
    world.settle(IDENTITY)

    assert agents(world) == ["check-identity"]


@pytest.mark.fault(115)
@pytest.mark.parametrize("forgery", [{}, {"controller": {"uid": "uid-other"}}], ids=["a real uid", "another uid"])
def test_a_check_of_the_same_account_elsewhere_is_not_waited_for_for_ever(forgery: dict[str, Any]) -> None:
    """Whoever names the account of others and keeps his own check from ending holds them up for a minute at most."""
    world = World((Kind.IDENTITY, of(HOME, identity_body())))
    world.cache.put(Kind.IDENTITY, of(EVIL, identity_body()))
    world.cache.put(Kind.JOB, forged("Job", "check", ("KerberosIdentity", "svc", "evil-svc"), **forgery))
    world.settle(IDENTITY)
    before = agents(world)
    world.now += timedelta(seconds=61)
    world.settle(IDENTITY)

    assert (before, agents(world)) == ([] if not forgery else ["check-identity"], ["check-identity"])


@pytest.mark.fault(115)
def test_a_run_by_the_same_account_elsewhere_is_not_waited_for_for_ever() -> None:
    """An agent may write when its run began, and say that it is now, again and again."""
    world = home()
    for seconds in (0, 30, 61):
        world.now = NOW + timedelta(seconds=seconds)
        begun = {"state": "Launching", "startTime": format_time(world.now)}
        world.cache.put(Kind.RUN, of(EVIL, run_body(status=begun, version=1000 + seconds)))
        world.settle(RUN)

    assert agents(world) == ["transfer"]


def secrets_of(job: Manifest) -> set[str]:
    volumes = job["spec"]["template"]["spec"]["volumes"]
    return {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}


def handed_in() -> dict[str, Any]:
    """A snapshot that names a Secret which no identity of the namespace names."""
    identity = identity_body()["spec"] | {"keytabSecretRef": {"name": "admin-keytab"}}
    ends = {
        side: {
            "location": name,
            "spec": location_body(name, server="attacker.example.com")["spec"],
            "identity": {"name": "svc", "spec": identity},
        }
        for side, name in (("source", "src"), ("destination", "dst"))
    }
    return {"name": "nightly", "uid": "team-nightly", **ends}


@pytest.mark.fault(116)
@pytest.mark.parametrize("where", ["spec", "status"])
def test_a_snapshot_that_is_handed_in_mounts_nothing(where: str) -> None:
    world = home()
    body = world.memory.objects["TransferRun", "run"]
    handed = {**body, where: {**body[where], "task": handed_in()}}
    world.takes(Kind.RUN, {**handed, "metadata": {**body["metadata"], "resourceVersion": "2"}})
    world.settle(RUN)

    (job,) = world.memory.of("Job")
    assert secrets_of(job) == {"svc-keytab"}


@pytest.mark.fault(117)
def test_a_status_written_by_an_agents_token_changes_no_later_job() -> None:
    """The survey's agent says that its run is of another task, has just begun and was split in 64."""
    world = home()
    world.takes(Kind.TASK, of(HOME, task_body(status={"observedTrigger": ""}, agent={"parallelism": 2}, version=2)))
    world.settle(RUN)
    (survey,) = world.memory.of("Job")
    said = {
        "state": "Launching",
        "task": handed_in(),
        "attempts": 1,
        "startTime": format_time(NOW + timedelta(days=9)),
        "split": {"cuts": [{"path": f"/{n}"} for n in range(63)]},
    }
    world.tell(world.memory.objects["TransferRun", "run"], said)
    over = {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": format_time(ago(minutes=1))}]}
    world.tell(survey, over)
    world.settle(RUN)
    world.ends_well(NOW + timedelta(seconds=1))
    world.settle(RUN)

    shards = [job for job in world.memory.of("Job") if job["spec"].get("completionMode") == "Indexed"]
    assert [secrets_of(job) for job in shards] == [{"svc-keytab"}]
    assert shards[0]["spec"]["completions"] == 2
