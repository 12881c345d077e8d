"""What only waits for room is Queued in Kubernetes' own words, and begins as soon as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(60)

QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}


def waits_for_room(run: Object) -> bool:
    said = condition(run, "Succeeded")
    return (run.get("status", {}).get("state"), said.get("reason")) == ("Queued", "AgentNotScheduled")


@pytest.mark.fault(121)
def test_an_agent_for_which_no_node_has_room_waits_in_the_schedulers_words(scene: Scene) -> None:
    scene.source.seed([Wanted("one.txt", size=10)])
    scene.ready()
    huge = {"requests": {"cpu": "10m", "memory": "900Gi"}, "limits": {"memory": "900Gi"}}
    scene.kube.apply(objects.task("huge", SOURCE, DESTINATION, agent={"resources": huge}))
    name = scene.run_of("huge")

    run = scene.kube.wait("transferrun", name, "waiting for room", waits_for_room)

    assert "Insufficient memory" in condition(run, "Succeeded")["message"]
    assert condition(run, "Stalled") == {}
    scene.kube.patch("transferrun", name, {"spec": {"cancel": True}})
    assert scene.end_of(name)["status"]["state"] == "Cancelled"


@pytest.mark.fault(121)
def test_a_job_that_may_make_no_pod_waits_and_begins_when_it_may(scene: Scene) -> None:
    scene.ready()
    scene.kube.apply(QUOTA)
    scene.kube.apply(objects.task("late", SOURCE, DESTINATION))
    name = scene.run_of("late")

    run = scene.kube.wait("transferrun", name, "waiting for the quota", waits_for_room, timeout=90)

    assert f"kubectl describe job {run['status']['jobRef']}" in condition(run, "Succeeded")["message"]
    scene.kube.delete("resourcequota", "full")
    assert scene.end_of(name, timeout=180)["status"]["state"] == "Succeeded"
