"""The operator is killed while a run is under way: the run neither ends nor begins anew, and its end is told."""

from __future__ import annotations

import pytest
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

pytestmark = pytest.mark.alone


@pytest.mark.fault(41)
def test_a_killed_operator_finds_its_job_again(scene: Scene) -> None:
    scene.source.seed([Wanted("slow.bin", size=64 << 20)])
    scene.ready()
    scene.kube.apply(objects.task("survivor", SOURCE, DESTINATION, options={"bytesPerSecond": "4Mi"}))
    name = scene.run_of("survivor")
    before = scene.kube.wait("transferrun", name, "under way", under_way, timeout=60)
    jobs = {j["metadata"]["uid"] for j in scene.kube.list("jobs", "app.kubernetes.io/component=transfer")}

    operator = ("--selector", "app.kubernetes.io/component=operator")
    scene.kube.kubectl("delete", "pod", "--namespace", SYSTEM, *operator, "--grace-period=0", "--force", "--wait=false")

    ended = scene.end_of(name, timeout=120)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert ended["status"]["jobRef"] == before["status"]["jobRef"]
    assert ended["status"]["attempts"] == 1
    assert {j["metadata"]["uid"] for j in scene.kube.list("jobs", "app.kubernetes.io/component=transfer")} == jobs
    assert [r["metadata"]["name"] for r in scene.kube.list("transferruns")] == [name]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
