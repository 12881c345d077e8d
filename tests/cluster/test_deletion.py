"""Whatever is deleted while it is in use: the agent stops or goes on as it should, and nothing is left behind."""

from __future__ import annotations

import time

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import under_way
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

pytestmark = pytest.mark.takes(100)

SIZE = 48 << 20
SLOW = {"bytesPerSecond": "4Mi"}


@pytest.fixture(scope="module", autouse=True)
def large(scene: Scene) -> None:
    """A file that takes ten seconds at the rate of these tests."""
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.ready()


def start(scene: Scene, name: str) -> str:
    """A task under way, and its run."""
    scene.domain.run("sh", "-c", f"rm -rf {scene.destination.inside}/*")
    scene.kube.apply(objects.task(name, SOURCE, DESTINATION, options=SLOW))
    run = scene.run_of(name)
    scene.kube.wait("transferrun", run, "under way", under_way, timeout=60)
    return run


def nothing_half_done(scene: Scene) -> None:
    """Waits until no pod of a run is left; then no final name may hold a part, and no temporary may be there."""
    until = time.monotonic() + 60
    while scene.kube.list("pods", "app.kubernetes.io/component=transfer"):
        assert time.monotonic() < until, "the agent's pod is still there"
        time.sleep(0.5)
    tree = scene.destination.tree()
    assert [p for p in tree if ".smbferry" in p] == []
    assert "slow.bin" not in tree


@pytest.mark.fault(43)
def test_deleting_a_run_stops_its_agent(scene: Scene) -> None:
    run = start(scene, "run-deleted")
    scene.kube.delete("transferrun", run)
    nothing_half_done(scene)
    assert [j for j in scene.kube.list("jobs") if run in j["metadata"]["name"]] == []
    scene.kube.delete("transfertask", "run-deleted")


@pytest.mark.fault(43)
def test_deleting_a_task_stops_its_run(scene: Scene) -> None:
    run = start(scene, "task-deleted")
    scene.kube.delete("transfertask", "task-deleted")
    scene.kube.wait_gone("transferrun", run)
    nothing_half_done(scene)


def test_cancelling_a_run_stops_its_agent_and_says_so(scene: Scene) -> None:
    run = start(scene, "cancelled")
    scene.kube.patch("transferrun", run, {"spec": {"cancel": True}})
    ended = scene.end_of(run, timeout=60)
    assert ended["status"]["state"] == "Cancelled", ended["status"]
    nothing_half_done(scene)
    scene.kube.delete("transfertask", "cancelled")


@pytest.mark.fault(43)
def test_a_run_goes_on_when_its_location_and_identity_are_deleted(scene: Scene) -> None:
    run = start(scene, "orphaned")
    scene.kube.delete("smblocation", SOURCE)
    scene.kube.delete("kerberosidentity", READER)
    ended = scene.end_of(run, timeout=120)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
    for kind, name in (("smblocation", SOURCE), ("kerberosidentity", READER)):
        assert scene.kube.get(kind, name) is None
    left = [o["metadata"]["name"] for kind in ("jobs", "serviceaccounts", "roles") for o in scene.kube.list(kind)]
    assert not [name for name in left if SOURCE in name], left
