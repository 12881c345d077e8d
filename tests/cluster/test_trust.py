"""A namespace whose users mean harm: what they make changes nothing in another, and gets them nothing in their own."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.account import agent_of
from lab.support.cluster.api import MERGE, OWN
from lab.support.cluster.kube import KubectlError, is_, new_namespace, under_way
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted, differences

from smbferry_operator.decide.manifests.jobs import transfer_job_name
from smbferry_operator.parse import parse_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.cluster.kube import Kube

pytestmark = pytest.mark.takes(90)

JOBS = 60
REQUESTED = "smbferry.io/requested-at"
OURS = {f"{READER}-keytab", f"{WRITER}-keytab"}
CONTAINER: dict[str, Any] = {
    "name": "agent",
    "image": "forged.example.com/none:1",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
POD: dict[str, Any] = {
    "schedulerName": "nobody",  # it stays Pending for ever
    "restartPolicy": "Never",
    "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [CONTAINER],
}


def metadata(name: str, owner: objects.Object | None, where: str) -> dict[str, Any]:
    """Labels and annotations as the operator's own, and the owner's real uid."""
    kind, about = ("KerberosIdentity", "nobody") if owner is None else (owner["kind"], owner["metadata"]["name"])
    uid = "7c1a6d9e-0000-4000-8000-000000000000" if owner is None else owner["metadata"]["uid"]
    labels = {"app.kubernetes.io/managed-by": "smbferry-operator", "smbferry.io/owner-kind": kind}
    made: dict[str, Any] = {
        "name": name,
        "labels": {**labels, "smbferry.io/owner-uid": uid},
        "annotations": {"smbferry.io/owner-name": about, "smbferry.io/destination": where},
    }
    if owner is not None:
        reference = {"apiVersion": owner["apiVersion"], "kind": kind, "name": about, "uid": uid, "controller": True}
        made["ownerReferences"] = [reference]
    return made


def job(name: str, owner: objects.Object | None, where: str, template: objects.Object | None = None) -> objects.Object:
    """A Job that never begins and so never ends."""
    spec = {"suspend": True, "template": template or {"spec": POD}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name, owner, where), "spec": spec}


def pod(name: str, owner: objects.Object | None, where: str) -> objects.Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(name, owner, where), "spec": POD}


def seconds_to_start(run: objects.Object) -> float:
    began, made = run["status"]["startTime"], run["metadata"]["creationTimestamp"]
    return (datetime.fromisoformat(began) - datetime.fromisoformat(made)).total_seconds()


def seconds_to_check(scene: Scene) -> float:
    """From a person's request for a check of the identity until the operator has made its Job."""
    found = scene.kube.get("kid", READER)
    assert found is not None
    asked, text = time.monotonic(), str(time.time_ns())
    scene.kube.kubectl("annotate", "--overwrite", "kid", READER, f"{REQUESTED}={text}")
    until = asked + 90
    while not any(
        made["metadata"]["annotations"].get(REQUESTED) == text
        for made in scene.kube.list("jobs", f"smbferry.io/owner-uid={found['metadata']['uid']}")
    ):
        assert time.monotonic() < until, "no check within 90 s"
        time.sleep(0.2)
    seconds = time.monotonic() - asked
    scene.kube.wait("kid", READER, "checked", lambda o: o["status"].get("lastHandledRequest") == text, timeout=90)
    return seconds


def at_least_once(seconds: Callable[[int], float], bound: float) -> bool:
    """Whether one of three measurements is within the bound: what forged objects delay, they delay each time."""
    return any(seconds(number) <= bound for number in range(3))


@pytest.fixture(scope="module")
def evil(scene: Scene) -> Iterator[Kube]:
    """A namespace whose locations name the same folders, and whose identity has no key for them."""
    kube = new_namespace(scene.kube.environment)
    kube.apply(
        objects.krb5("krb5", scene.domain.realm, scene.domain.address),
        scene.identity(READER, scene.reader, principal=f"nobody@{scene.domain.realm}"),
        scene.location(SOURCE, "src", READER, path=scene.source.path),
        scene.location(DESTINATION, "dst", READER, path=scene.destination.path),
        objects.task("copy", SOURCE, DESTINATION, suspend=True),
    )
    kube.create(objects.run("mine", "copy"))
    yield kube
    kube.kubectl("delete", "namespace", kube.namespace, "--wait=false")


@pytest.mark.fault(110, 111, 114)
def test_forged_pods_and_jobs_leave_the_runs_and_checks_of_other_namespaces_untouched(scene: Scene, evil: Kube) -> None:
    scene.source.seed([Wanted("a.bin", size=1 << 20)])
    scene.ready()
    scene.kube.apply(objects.task("copy", SOURCE, DESTINATION, trigger="before"))
    first = scene.run_of("copy")
    before = seconds_to_start(scene.end_of(first))
    checked = seconds_to_check(scene)
    (real,) = scene.kube.list("jobs", f"smbferry.io/run={first}")

    where = real["metadata"]["annotations"]["smbferry.io/destination"]
    mine = evil.get("transferrun", "mine")
    assert mine is not None
    template = {"spec": {**deepcopy(real["spec"]["template"]["spec"]), "schedulerName": "nobody"}}
    evil.apply(
        pod("odd", None, "anything"),
        pod("odd-of-a-run", mine, "//"),
        pod("writer", mine, where),
        job("writer", mine, where),
        job(transfer_job_name(parse_meta(mine), 0), mine, where, template),
        *(job(f"check-{n}", None, "") for n in range(JOBS)),
    )
    time.sleep(2)  # the operator has heard of them

    def seconds_to_the_next_start(number: int) -> float:
        after = scene.end_of(scene.next_run("copy", trigger=f"after-{number}"))
        assert after["status"]["state"] == "Succeeded", after["status"]
        return seconds_to_start(after)

    assert at_least_once(seconds_to_the_next_start, before + 2)
    assert at_least_once(lambda _: seconds_to_check(scene), checked + 2)


def secrets_mounted(kube: Kube) -> set[str]:
    """By all Jobs in the namespace."""
    pods = [job["spec"]["template"]["spec"] for job in kube.list("jobs")]
    return {volume["secret"]["secretName"] for pod in pods for volume in pod["volumes"] if "secret" in volume}


def as_only_a_maker_of_runs(kube: Kube) -> tuple[str, ...]:
    """kubectl's options to act as somebody who may create runs here, and nothing else."""
    kube.kubectl("create", "serviceaccount", "maker")
    kube.kubectl("create", "role", "maker", "--verb=create,get", "--resource=transferruns.smbferry.io")
    kube.kubectl("create", "rolebinding", "maker", "--role=maker", f"--serviceaccount={kube.namespace}:maker")
    return ("--as", f"system:serviceaccount:{kube.namespace}:maker")


def handed_in(shown: dict[str, Any]) -> dict[str, Any]:
    """A snapshot by which any Secret would be mounted, and the destination's files deleted."""
    other = deepcopy(shown)
    for side in ("source", "destination"):
        other[side]["identity"]["spec"]["keytabSecretRef"] = {"name": "admin-keytab"}
    other["options"] = {"deletedFiles": "Remove"}
    return other


@pytest.mark.fault(116)
def test_who_may_only_create_runs_gets_the_tasks_of_the_namespace_and_no_secret(scene: Scene) -> None:
    scene.source.seed([Wanted("maker/b.txt", size=10)])
    scene.destination.seed([Wanted("kept.txt", size=10)])
    scene.kube.apply(
        objects.secret("admin-keytab", {"keytab": scene.writer.keytab()}),
        objects.task("made", SOURCE, DESTINATION, suspend=True),
    )
    scene.ready()
    maker = as_only_a_maker_of_runs(scene.kube)
    ends = {
        side: {
            "location": name,
            "spec": scene.location(name, share, READER, path=folder.path)["spec"],
            "identity": {"name": READER, "spec": scene.identity(READER, scene.reader)["spec"]},
        }
        for side, name, share, folder in (
            ("source", SOURCE, "src", scene.source),
            ("destination", DESTINATION, "dst", scene.destination),
        )
    }
    run = objects.run("handed-in", "made", task=handed_in({"name": "made", **ends}))
    with pytest.raises(KubectlError, match=r"spec\.task"):
        scene.kube.kubectl("create", *maker, "-f", "-", stdin=json.dumps(run))
    scene.kube.kubectl("create", *maker, "--validate=ignore", "-f", "-", stdin=json.dumps(run))

    ended = scene.end_of("handed-in")
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert ended["status"]["task"]["options"]["deletedFiles"] == "Preserve"
    assert secrets_mounted(scene.kube) <= OURS
    assert "kept.txt" in scene.destination.tree()


@pytest.mark.fault(117)
def test_the_token_of_an_agent_gets_nothing_that_the_namespaces_objects_do_not_give(scene: Scene, evil: Kube) -> None:
    wanted = [Wanted(f"several/{n}.bin", size=3 << 20) for n in range(8)]
    scene.source.seed(wanted)
    scene.ready()
    kube = scene.kube
    kube.apply(
        objects.secret("admin-keytab", {"keytab": scene.writer.keytab()}),
        objects.task("several", SOURCE, DESTINATION, suspend=True, agent={"parallelism": 2}),
    )
    kube.create(objects.run("several", "several"))
    shown = kube.wait("transferrun", "several", "begun", lambda r: r.get("status", {}).get("task"), timeout=60)
    agent, path = agent_of(kube, "several"), f"{OWN}/namespaces/{kube.namespace}/transferruns/several"
    cuts = {"split": {"cuts": [{"path": f"/several/{n}.bin"} for n in range(8)]}}
    owned = {"task": handed_in(shown["status"]["task"]), "startTime": "2036-01-01T00:00:00Z"}
    assert agent.ask("PATCH", f"{path}/status", {"status": owned}, MERGE)[0] == HTTPStatus.UNPROCESSABLE_ENTITY
    forged = json.dumps({"status": owned})  # by an administrator, as an agent could without the admission policy
    for _ in range(10):
        assert agent.ask("PATCH", f"{path}/status", {"status": cuts}, MERGE)[0] == HTTPStatus.OK
        kube.kubectl("patch", "transferrun", "several", "--subresource=status", "--type=merge", "-p", forged)
        time.sleep(0.3)

    ended = scene.end_of("several")
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert secrets_mounted(kube) <= OURS
    jobs = kube.list("jobs", "smbferry.io/run=several")
    assert max(job["spec"]["completions"] for job in jobs) <= 2
    told = differences(scene.source.tree(), scene.destination.tree(), times=True)
    assert [text for text in told if "kept.txt" not in text] == []


@pytest.mark.fault(118)
def test_the_role_of_an_agent_is_its_own_run_and_its_identities_by_name(scene: Scene, evil: Kube) -> None:
    agent, kube = agent_of(scene.kube, "several"), scene.kube
    own = {("get", "transferruns", "several"), ("patch", "transferruns/status", "several")}
    keys = {(verb, resource, name) for name in (READER, WRITER) for verb, resource in (
        ("get", "kerberosidentities"), ("patch", "kerberosidentities/status"))}  # fmt: skip
    assert agent.rules(kube.namespace) == own | keys
    assert agent.rules(evil.namespace) == set()

    here = f"{OWN}/namespaces/{kube.namespace}"
    refused = {
        "another run's status": ("PATCH", f"{here}/transferruns/handed-in/status", {"status": {"state": "Failed"}}),
        "its own run's spec": ("PATCH", f"{here}/transferruns/several", {"spec": {"cancel": True}}),
        "a location's status": ("PATCH", f"{here}/smblocations/{SOURCE}/status", {"status": {}}),
        "a run": ("POST", f"{here}/transferruns", objects.run("more", "several")),
        "a Secret": ("GET", f"/api/v1/namespaces/{kube.namespace}/secrets/admin-keytab", None),
        "its own Job": ("GET", f"/apis/batch/v1/namespaces/{kube.namespace}/jobs", None),
        "a pod": ("POST", f"/api/v1/namespaces/{kube.namespace}/pods", pod("more", None, "")),
    }
    codes = {what: agent.ask(method, path, body, MERGE if method == "PATCH" else "application/json")[0]
             for what, (method, path, body) in refused.items()}  # fmt: skip
    assert codes == dict.fromkeys(refused, 403)


@pytest.mark.fault(113)
def test_one_run_after_the_other_still_writes_to_a_folder_that_two_namespaces_may_write_to(scene: Scene) -> None:
    """Both have the keys: what is proven counts everywhere."""
    there = new_namespace(scene.kube.environment)
    try:
        scene.source.seed([Wanted("slow.bin", size=24 << 20)])
        other = Scene(there, scene.domain, scene.reader, scene.writer, scene.source, scene.destination)
        other.apply()
        other.ready()
        scene.kube.apply(objects.task("slow", SOURCE, DESTINATION, trigger="one", options={"bytesPerSecond": "1Mi"}))
        slow = scene.run_of("slow")
        scene.kube.wait("transferrun", slow, "under way", under_way, timeout=60)
        there.apply(objects.task("after", SOURCE, DESTINATION, trigger="one"))
        after = other.run_of("after")
        waits = there.wait("transferrun", after, "queued", is_("Succeeded", "Unknown", "RunQueued"), timeout=30)
        assert f"{scene.kube.namespace}/{slow}" in waits["status"]["conditions"][0]["message"]
        assert scene.end_of(slow)["status"]["state"] == other.end_of(after)["status"]["state"] == "Succeeded"
    finally:
        there.kubectl("delete", "namespace", there.namespace, "--wait=false")
