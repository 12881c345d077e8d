"""Locations that one namespace shares with another: used there, by no third, and without access to their Secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lab.support.cluster import objects
from lab.support.cluster.account import agent_of
from lab.support.cluster.kube import KubectlError, condition, is_, new_namespace, under_way
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER
from lab.support.domain.trees import Wanted, differences

from smbferry_operator.decide.naming import label_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube, Object
    from lab.support.cluster.scene import Scene

pytestmark = pytest.mark.takes(90)


@pytest.fixture(scope="module")
def app(scene: Scene) -> Iterator[Kube]:
    """The namespace with which the locations are shared. It has no Secret."""
    yield from namespace(scene)


@pytest.fixture(scope="module")
def third(scene: Scene) -> Iterator[Kube]:
    yield from namespace(scene)


def namespace(scene: Scene) -> Iterator[Kube]:
    kube = new_namespace(scene.kube.environment)
    yield kube
    kube.kubectl("delete", "namespace", kube.namespace, "--wait=false")


def share(scene: Scene, *names: str, **allowed: Any) -> None:
    """Both locations allow these namespaces."""
    given = {"names": list(names), "access": "ReadWrite", "details": None, "selector": None, **allowed}
    for name in (SOURCE, DESTINATION):
        scene.kube.patch("smblocation", name, {"spec": {"allowedNamespaces": given}})


def task(scene: Scene, name: str, **spec: Any) -> Object:
    """A task that uses the locations of the scene."""
    made = objects.task(name, SOURCE, DESTINATION, **spec)
    for side in ("source", "destination"):
        made["spec"][side]["locationRef"]["namespace"] = scene.kube.namespace
    return made


def end_of(kube: Kube, run: str) -> Object:
    states = {"Succeeded", "PartiallySucceeded", "Failed", "Cancelled"}
    return kube.wait("transferrun", run, "over", lambda r: r.get("status", {}).get("state") in states, timeout=180)


def run_of(kube: Kube, name: str) -> str:
    def current(found: Object) -> str | None:
        status = found.get("status", {})
        name = status.get("activeRun") or status.get("lastRun", {}).get("name")
        return str(name) if name else None

    return str(current(kube.wait("transfertask", name, "running", current, timeout=60)))


def secrets_of(scene: Scene) -> tuple[str, ...]:
    return (f"{READER}-keytab", f"{WRITER}-keytab")


@pytest.mark.fault(216)
def test_a_shared_location_is_used_by_the_namespace_that_it_allows_and_by_no_third(
    scene: Scene, app: Kube, third: Kube
) -> None:
    scene.source.seed([Wanted("shared/a.bin", size=3 << 20), Wanted("shared/b.txt", size=10)])
    scene.ready()
    share(scene, app.namespace)
    for kube in (app, third):
        kube.apply(task(scene, "copy", trigger="one"))
    run = run_of(app, "copy")
    ended = end_of(app, run)

    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert ended["status"]["counters"]["files"]["transferred"] == 2
    assert ended["status"]["security"]["source"].keys() == {"dialect", "cipher"}
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
    app.wait("transfertask", "copy", "in sync", is_("InSync", "True", "InSync"), timeout=30)
    assert app.list("jobs") == app.list("pods") == app.list("secrets") == []
    served_by = ended["status"]["servedBy"]
    assert served_by["namespace"] == scene.kube.namespace
    assert len(scene.kube.list("jobs", "smbferry.io/task=copy")) == 1

    refused = third.wait("transfertask", "copy", "refused", is_("Ready", "False", "LocationNotShared"), timeout=30)
    assert "it does not exist or does not allow it" in condition(refused, "Ready")["message"]
    assert third.list("transferruns") == []
    third.apply(objects.task("none", "nonesuch", "nonesuch2", trigger="one"))
    text = json.dumps([ended["status"], refused["status"], *(e for e in third.list("events"))])
    assert not any(word in text for word in (scene.domain.server, scene.source.path, scene.reader.principal))

    app.delete("transferrun", run)
    scene.kube.wait_gone("transferrun", served_by["name"])


@pytest.mark.fault(217)
def test_the_user_and_the_agent_read_no_secret_of_the_owner(scene: Scene, app: Kube) -> None:
    share(scene, app.namespace)
    app.kubectl("create", "serviceaccount", "user")
    app.kubectl("create", "rolebinding", "user", "--clusterrole=edit", f"--serviceaccount={app.namespace}:user")
    user = ("--as", f"system:serviceaccount:{app.namespace}:user")
    app.kubectl("apply", *user, "-f", "-", stdin=json.dumps(task(scene, "by-user", trigger="one")))
    run = run_of(app, "by-user")
    app.wait("transferrun", run, "begun", lambda r: r.get("status", {}).get("servedBy"), timeout=30)
    there = ("--namespace", scene.kube.namespace)
    for what in (*(f"secret/{name}" for name in secrets_of(scene)), "transferruns", "smblocations", "pods", "jobs"):
        with pytest.raises(KubectlError, match="orbidden"):
            app.kubectl(*there, "get", *user, what)

    served_by = app.get("transferrun", run)
    assert served_by is not None
    name = served_by["status"]["servedBy"]["name"]
    scene.kube.wait("transferrun", name, "launched", lambda r: r.get("status", {}).get("jobRef"), timeout=60)
    owned = scene.kube.get("transferrun", name)
    assert owned is not None
    agent = agent_of(scene.kube, label(owned))
    for path in secrets_of(scene):
        assert agent.ask("GET", f"/api/v1/namespaces/{scene.kube.namespace}/secrets/{path}")[0] == 403
    assert agent.rules(app.namespace) == set()
    end_of(app, run)


def label(run: Object) -> str:
    """The label of the run's Jobs; of a long name, its beginning and a hash."""
    return label_value(run["metadata"]["name"])


@pytest.mark.fault(218)
def test_a_withdrawal_ends_a_run_under_way_and_new_ones_with_a_reason(scene: Scene, app: Kube) -> None:
    scene.source.seed([Wanted("slow.bin", size=40 << 20)])
    scene.ready()
    share(scene, app.namespace)
    app.apply(task(scene, "slow", trigger="one", options={"bytesPerSecond": "1Mi"}))
    run = run_of(app, "slow")
    app.wait("transferrun", run, "under way", under_way, timeout=90)
    share(scene, "another")

    ended = end_of(app, run)
    assert ended["status"]["state"] == "Failed"
    assert ended["status"]["failure"]["reason"] == "LocationNotShared"
    scene.kube.wait(
        "transferrun",
        ended["status"]["servedBy"]["name"],
        "cancelled",
        lambda r: r["status"].get("state") == "Cancelled",
        timeout=60,
    )
    assert "slow.bin" not in scene.destination.tree()
    app.wait("transfertask", "slow", "refused", is_("Ready", "False", "LocationNotShared"), timeout=30)
    app.create(objects.run("later", "slow"))
    later = end_of(app, "later")
    assert later["status"]["failure"]["reason"] == "LocationNotShared"

    share(scene, selector={"matchLabels": {"kubernetes.io/metadata.name": app.namespace}})
    app.wait("transfertask", "slow", "allowed", is_("Ready", "True"), timeout=60)


def test_a_failure_is_told_by_its_reason_and_with_details_in_full(scene: Scene, app: Kube) -> None:
    scene.ready()
    share(scene, app.namespace)
    failing = {"source": {"locationRef": {"name": SOURCE, "namespace": scene.kube.namespace}, "path": "/missing"}}
    app.apply(task(scene, "bad", trigger="one", **failing))
    ended = end_of(app, run_of(app, "bad"))
    assert ended["status"]["state"] == "Failed"
    assert ended["status"]["failure"]["reason"] == "PathNotFound"
    assert "/missing" not in json.dumps(ended["status"])

    share(scene, app.namespace, details=True)
    app.create(objects.run("again", "bad"))
    assert "missing" in end_of(app, "again")["status"]["failure"]["message"]


def test_a_cancelled_run_ends_the_one_that_serves_it(scene: Scene, app: Kube) -> None:
    scene.source.seed([Wanted("stopped.bin", size=40 << 20)])
    scene.ready()
    share(scene, app.namespace)
    app.apply(task(scene, "stopped", trigger="one", options={"bytesPerSecond": "1Mi"}))
    run = run_of(app, "stopped")
    app.wait("transferrun", run, "under way", under_way, timeout=90)
    app.patch("transferrun", run, {"spec": {"cancel": True}})

    ended = end_of(app, run)
    assert ended["status"]["state"] == "Cancelled"
    serving = scene.kube.get("transferrun", ended["status"]["servedBy"]["name"])
    assert serving is not None
    assert serving["status"]["state"] == "Cancelled"
    assert "stopped.bin" not in scene.destination.tree()
