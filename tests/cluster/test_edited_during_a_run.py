"""A task that is edited during its run: the run keeps its snapshot, only the bandwidth limit travels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster import objects
from tests.cluster.kube import is_
from tests.cluster.scene import DESTINATION, SOURCE, Scene
from tests.support.trees import Wanted, differences

if TYPE_CHECKING:
    from tests.cluster.kube import Object


def under_way(run: Object) -> bool:
    """Whether bytes have begun to move."""
    return bool(run.get("status", {}).get("counters", {}).get("bytes", {}).get("transferred"))


def test_a_run_keeps_the_task_as_it_was_and_the_next_one_has_the_new(scene: Scene) -> None:
    scene.source.seed([Wanted("slow.bin", size=48 << 20), Wanted("small.txt", size=10)])
    scene.ready()
    scene.kube.apply(objects.task("edited", SOURCE, DESTINATION, trigger="one", options={"bytesPerSecond": "4Mi"}))
    first = scene.run_of("edited")
    before = scene.kube.wait("transferrun", first, "under way", under_way, timeout=60)

    edit = {"options": {"bytesPerSecond": "5Mi"}, "filters": {"exclude": ["*.bin"]}}
    scene.kube.patch("transfertask", "edited", {"spec": edit})
    scene.kube.wait(
        "transferrun",
        first,
        "told the limit",
        lambda r: r["status"].get("limit") == {"bytesPerSecond": "5Mi"},
        timeout=10,
    )
    task = scene.kube.wait("transfertask", "edited", "observed", is_("Ready", "True"), timeout=10)
    assert task["status"]["observedGeneration"] == task["metadata"]["generation"] == 2

    ended = scene.end_of(first)
    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert ended["spec"] == before["spec"]
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []

    scene.kube.patch("transfertask", "edited", {"spec": {"trigger": "two"}})
    second = scene.end_of(scene.run_of("edited", not_among=frozenset({first})))
    assert second["spec"]["task"]["filters"]["exclude"] == ["*.bin"]
    assert second["status"].get("limit") is None
    assert second["status"]["counters"]["files"]["listed"] == 1
