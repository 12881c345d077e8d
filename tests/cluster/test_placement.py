"""Checks and agents run where they are told to, as whom the namespace says, and say so if there is no such place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, Object, condition
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene, new_scene
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.cluster.kube import Kube
    from lab.support.domain.domain import Domain

pytestmark = pytest.mark.takes(70)

ROLE = "node-role.kubernetes.io/control-plane"
UID = 1000680000
"""As OpenShift's restricted-v2 assigns: of the namespace's range, and without an entry in /etc/passwd."""
PLACED = {
    # The one tainted node that the lab has anyway: no other test is kept from it.
    "nodeSelector": {ROLE: ""},
    "tolerations": [objects.EVERYWHERE],
    "securityContext": {"runAsUser": UID, "fsGroup": UID},
    "labels": {"team": "storage"},
    "annotations": {"sidecar.istio.io/inject": "false", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
}
ARCHIVE = {"labels": {"team": "archive"}}
NOWHERE = {"nodeSelector": {"node-pool": "nosuch"}, "labels": {"kueue.x-k8s.io/queue-name": "nights"}}


@pytest.fixture(scope="module")
def placed(kube: Kube, domain: Domain) -> Iterator[Scene]:
    """Identities that say where to check them and their locations; tasks with and without such a place."""
    with new_scene(kube, domain) as scene:
        kube.apply(
            objects.krb5("krb5", domain.realm, domain.address),
            scene.keytab(READER, scene.reader),
            scene.keytab(WRITER, scene.writer),
            scene.identity(READER, scene.reader, agent=PLACED),
            scene.identity(WRITER, scene.writer, agent=PLACED),
            scene.location(SOURCE, "src", READER, path=scene.source.path),
            scene.location(DESTINATION, "dst", WRITER, path=scene.destination.path, agent=ARCHIVE),
        )
        scene.source.seed([Wanted("one.txt", size=10)])
        scene.destination.write("placed/before.txt", b"-")
        scene.ready()
        kube.apply(
            _elsewhere("placed", PLACED),
            _elsewhere("no-class", {"priorityClassName": "nosuch"}),
            _elsewhere("no-pool", NOWHERE),
        )
        yield scene


def _elsewhere(name: str, agent: Object) -> Object:
    """A task with a destination of its own: it waits for no other."""
    task = objects.task(name, SOURCE, DESTINATION, agent=agent)
    task["spec"]["destination"]["path"] = f"/{name}"
    return task


def _says(*words: str, reason: str = "AgentNotScheduled") -> Callable[[Object], bool]:
    def holds(run: Object) -> bool:
        said = condition(run, "Succeeded")
        queued = (run.get("status", {}).get("state"), said.get("reason")) == ("Queued", reason)
        return queued and all(word in said["message"] for word in words)

    return holds


@pytest.mark.fault(194)
def test_checks_and_agents_run_on_the_tainted_node_with_the_ids_of_the_namespace(placed: Scene) -> None:
    run = placed.end_of(placed.run_of("placed"))

    assert run["status"]["state"] == "Succeeded", run["status"]
    nodes = {node["metadata"]["name"] for node in placed.kube.list("nodes") if ROLE in node["metadata"]["labels"]}
    agents = placed.kube.list("pods", "app.kubernetes.io/component=transfer,team=storage")
    checks = placed.kube.list("pods", "app.kubernetes.io/component=check-identity")
    assert agents
    assert {pod["metadata"]["labels"]["team"] for pod in checks} == {"storage", "archive"}
    for pod in (*agents, *checks):
        assert pod["spec"]["nodeName"] in nodes
        assert pod["spec"]["nodeSelector"]["kubernetes.io/os"] == "linux"
        assert pod["spec"]["securityContext"]["runAsUser"] == UID
        assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"


@pytest.mark.fault(192, 193)
def test_a_node_pool_that_does_not_exist_is_named_by_the_scheduler_and_a_queue_by_its_name(placed: Scene) -> None:
    name = placed.run_of("no-pool")
    run = placed.kube.wait("transferrun", name, "without a node", _says("node affinity/selector"))
    job = run["status"]["jobRef"]

    placed.kube.patch("job", job, {"spec": {"suspend": True}})  # as Kueue does

    placed.kube.wait("transferrun", name, "suspended", _says('"nights"', reason="AgentSuspended"))
    held = placed.kube.get("job", job)
    assert held is not None
    assert held["spec"]["suspend"] is True, "nobody but the queue decides that"
    assert "kueue.x-k8s.io/queue-name" not in held["spec"]["template"]["metadata"]["labels"]
    placed.kube.patch("job", job, {"spec": {"suspend": False}})
    placed.kube.wait("transferrun", name, "without a node again", _says("node affinity/selector"))
    placed.kube.patch("transferrun", name, {"spec": {"cancel": True}})
    assert placed.end_of(name)["status"]["state"] == "Cancelled"


@pytest.mark.fault(192)
def test_a_priority_class_that_does_not_exist_is_named_with_where_to_look(placed: Scene) -> None:
    name = placed.run_of("no-class")

    run = placed.kube.wait("transferrun", name, "without a pod", _says('PriorityClass "nosuch"'), timeout=90)

    assert f"kubectl describe job {run['status']['jobRef']}" in condition(run, "Succeeded")["message"]
    assert "nosuch" in placed.kube.kubectl("describe", "job", run["status"]["jobRef"])
    placed.kube.patch("transferrun", name, {"spec": {"cancel": True}})


@pytest.mark.fault(190, 191)
@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ({"labels": {"smbferry.io/owner-uid": "x"}}, "reserved: smbferry.io/"),
        ({"labels": {"app.kubernetes.io/name": "x"}}, "reserved: smbferry.io/"),
        ({"annotations": {"sidecar.istio.io/proxyImage": "x"}}, "only on the chart"),
        ({"env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}, "the loader reads this variable"),
        ({"env": [{"name": "KRB5_CONFIG", "value": "/x"}]}, "the loader reads this variable"),
        ({"securityContext": {"runAsUser": 0}}, "spec.agent.securityContext.runAsUser"),
        ({"priorityClassName": "system-node-critical"}, "other than those of the system"),
    ],
)
def test_what_an_object_may_not_set_is_refused_by_the_api_server(placed: Scene, agent: Object, said: str) -> None:
    with pytest.raises(KubectlError) as raised:
        placed.kube.apply(objects.task("refused", SOURCE, DESTINATION, agent=agent))
    assert said in str(raised.value)
