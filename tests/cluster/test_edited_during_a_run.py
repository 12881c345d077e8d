"""A task that is edited during its run: the run keeps its snapshot, only the limit travels, and is kept to at once."""

from __future__ import annotations

import time

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

from smbferry_api.fields import parse_quantity

pytestmark = pytest.mark.takes(60)

SIZE = 96 << 20
SLOW, FAST = "2Mi", "64Mi"


@pytest.mark.fault(49)
def test_a_run_keeps_the_task_as_it_was_and_the_next_one_has_the_new(scene: Scene) -> None:
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.ready()
    scene.kube.apply(objects.task("edited", SOURCE, DESTINATION, trigger="one", options={"bytesPerSecond": SLOW}))
    first = scene.run_of("edited")
    before = scene.kube.wait("transferrun", first, "under way", under_way, timeout=60)
    slow = before["status"]["counters"].get("bytesPerSecond", 0)
    assert slow < 3 * parse_quantity(SLOW), "the limit of the snapshot holds"

    edited = time.monotonic()
    edit = {"options": {"bytesPerSecond": FAST}, "filters": {"exclude": ["*.bin"]}}
    scene.kube.patch("transfertask", "edited", {"spec": edit})
    scene.kube.wait(
        "transferrun",
        first,
        "told the limit",
        lambda r: r["status"].get("limit") == {"bytesPerSecond": FAST},
        timeout=30,
    )
    task = scene.kube.wait("transfertask", "edited", "observed", is_("Ready", "True"), timeout=30)
    assert task["status"]["observedGeneration"] == task["metadata"]["generation"] == 2

    ended = scene.end_of(first)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert time.monotonic() - edited < 45, "the new limit was not in effect: at the old one it takes 48 s"
    assert ended["spec"] == before["spec"]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []

    second = scene.end_of(scene.next_run("edited", trigger="two"))
    assert second["status"]["task"]["filters"]["exclude"] == ["*.bin"]
    assert second["status"].get("limit") is None
    assert second["status"]["counters"]["files"]["listed"] == 1
