"""A task over two agents on two nodes copies a tree byte for byte, one of them being evicted midway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences, odd, small

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube, Object

pytestmark = pytest.mark.takes(190)

INDEX = "batch.kubernetes.io/job-completion-index"
BIG = 160 << 20


def agents(kube: Kube, run: str) -> list[Object]:
    """The pods of a run's shards, the oldest first."""
    pods = [pod for pod in kube.list("pods", f"smbferry.io/run={run}") if INDEX in pod["metadata"].get("labels", {})]
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def index_of(pod: Object) -> int:
    """Which shard a pod has."""
    return int(pod["metadata"]["labels"][INDEX])


def moved(run: Object) -> dict[int, int]:
    """Bytes that each shard has read, by index."""
    shards = run.get("status", {}).get("shards", [])
    return {shard["index"]: shard["counters"].get("bytes", {}).get("transferred", 0) for shard in shards}


def evict(kube: Kube, pod: str) -> None:
    """Evicts a pod as a drain does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": kube.namespace}}
    kube.kubectl(
        "create",
        "--raw",
        f"/api/v1/namespaces/{kube.namespace}/pods/{pod}/eviction",
        "-f",
        "-",
        stdin=json.dumps(eviction),
    )


@pytest.mark.fault(45)
def test_two_agents_on_two_nodes_copy_a_tree_byte_for_byte_though_one_is_evicted(scene: Scene) -> None:
    scene.source.seed([*odd(), *small(600, per_folder=50), Wanted("images/disk.vhdx", size=BIG)])
    scene.ready()
    scene.kube.apply(
        objects.task(
            "shared",
            SOURCE,
            DESTINATION,
            trigger="one",
            agent={"parallelism": 2, "tolerations": [objects.EVERYWHERE]},
            options={"bytesPerSecond": "12Mi"},
        )
    )
    name = scene.run_of("shared")
    under_way = scene.kube.wait(
        "transferrun", name, "copied by both", lambda r: len([b for b in moved(r).values() if b]) == 2, timeout=120
    )
    assert under_way["status"]["state"] == "Transferring"
    assert under_way["status"]["progress"]["bytes"]
    both = agents(scene.kube, name)
    assert len({pod["spec"]["nodeName"] for pod in both}) == 2, both
    victim = next(pod for pod in both if index_of(pod) == 1)
    evict(scene.kube, victim["metadata"]["name"])

    run = scene.end_of(name, timeout=300)
    status = run["status"]
    assert status["state"] == "Succeeded", status
    source = scene.source.tree()
    assert differences(source, scene.destination.tree(), times=True) == []
    assert [shard["state"] for shard in status["shards"]] == ["Succeeded", "Succeeded"]
    assert any(cut.get("offset") for cut in status["split"]["cuts"]), status["split"]
    files = [entry for entry in source.values() if entry.kind == "file"]
    assert status["counters"]["files"]["listed"] == len(files)
    assert "failure" not in status
    (shards,) = [job for job in scene.kube.list("jobs") if job["spec"].get("completionMode") == "Indexed"]
    assert shards["status"].get("failed", 0) == 0, "an eviction is not charged"
    assert shards["status"]["completedIndexes"] == "0,1"


def test_the_next_run_with_another_number_of_agents_finds_everything_in_place(scene: Scene) -> None:
    change = {"agent": {"parallelism": 3}, "options": {"bytesPerSecond": None}}
    run = scene.end_of(scene.next_run("shared", trigger="two", **change))
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert run["status"]["counters"]["files"]["transferred"] == 0
    assert "shards" not in run["status"], "there was nothing to share"


def test_a_tree_that_shrank_loses_its_surplus_once_and_last(scene: Scene) -> None:
    scene.source.remove("many")
    scene.source.seed([Wanted(f"new/{n}.bin", size=20 << 20) for n in range(4)])
    options = {"deletedFiles": "Remove", "maxDeletes": "100%"}
    run = scene.end_of(scene.next_run("shared", trigger="three", options=options))
    assert run["status"]["state"] == "Succeeded", run["status"]
    assert len(run["status"]["shards"]) == 3
    assert run["status"]["counters"]["files"]["deleted"] == 600
    assert run["status"]["counters"]["files"]["transferred"] == 4
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []


def test_a_cancelled_run_leaves_no_temporary_of_a_file_that_its_agents_shared(scene: Scene) -> None:
    scene.source.seed([Wanted("again/disk.vhdx", size=BIG)])
    change = {"agent": {"parallelism": 2}, "options": {"bytesPerSecond": "12Mi"}}
    name = scene.next_run("shared", trigger="four", **change)
    scene.kube.wait(
        "transferrun", name, "copied by both", lambda r: len([b for b in moved(r).values() if b]) == 2, timeout=120
    )
    assert [path for path in scene.destination.tree() if ".smbferry" in path], "both write into one temporary"
    scene.kube.patch("transferrun", name, {"spec": {"cancel": True}})
    run = scene.end_of(name, timeout=60)
    assert run["status"]["state"] == "Cancelled", run["status"]
    tree = scene.destination.tree()
    assert [path for path in tree if ".smbferry" in path] == []
    assert "again/disk.vhdx" not in tree
