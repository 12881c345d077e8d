"""A run that gets older than the time which an agent has to start, and whose node is then drained."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lab.support.cluster import objects
from lab.support.cluster.kube import condition, ended, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.cluster.kube import Object

SIZE, SLOW, FAST = 512 << 20, "256Ki", "64Mi"
WITHOUT_NODE = 40.0
"""Seconds for which the only node that may take the agent takes none."""


def begin(scene: Scene) -> str:
    """Starts a run that would take half an hour; returns its name."""
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.ready()
    scene.kube.apply(objects.task("drained", SOURCE, DESTINATION, options={"bytesPerSecond": SLOW}))
    name = scene.run_of("drained")
    scene.kube.wait("transferrun", name, "under way", under_way, timeout=90)
    return name


def wait_until_old(scene: Scene, run: str, deadline: timedelta) -> timedelta:
    """Until the run's Job is older than the deadline; returns how old it is."""
    while (age := datetime.now(UTC) - created(job_of(scene, run))) < deadline + timedelta(seconds=15):
        assert not ended(shown(scene, run)), shown(scene, run)["status"]
        time.sleep(5)
    return age


def drain_and_follow(scene: Scene, run: str) -> list[tuple[str, str]]:
    """Drains the node of the run's agent, gives it back, and lets the run end; returns each (state, reason) seen."""
    seen: list[tuple[str, str]] = []
    (pod,) = scene.kube.list("pods", f"smbferry.io/run={run}")
    node = pod["spec"]["nodeName"]
    options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
    try:
        scene.kube.kubectl("drain", node, f"--pod-selector=smbferry.io/run={run}", *options)
        look(scene, run, seen, until=lambda r: ended(r) or standing(r)[0] == "Queued", seconds=60)
        look(scene, run, seen, until=ended, seconds=WITHOUT_NODE)
    finally:
        scene.kube.kubectl("uncordon", node)
    scene.kube.patch("transfertask", "drained", {"spec": {"options": {"bytesPerSecond": FAST}}})
    look(scene, run, seen, until=ended, seconds=180)
    return seen


def look(
    scene: Scene, run: str, seen: list[tuple[str, str]], *, until: Callable[[Object], bool], seconds: float
) -> None:
    """Notes what is said of the run, each time that it changes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = shown(scene, run)
        if not seen or seen[-1] != standing(now):
            seen.append(standing(now))
        if until(now):
            return
        time.sleep(0.3)


def shown(scene: Scene, run: str) -> Object:
    found = scene.kube.get("transferrun", run)
    assert found is not None
    return found


def standing(run: Object) -> tuple[str, str]:
    return run.get("status", {}).get("state", ""), condition(run, "Succeeded").get("reason", "")


def job_of(scene: Scene, run: str) -> Object:
    (job,) = scene.kube.list("jobs", f"smbferry.io/run={run}")
    return job


def created(obj: Object) -> datetime:
    return datetime.fromisoformat(obj["metadata"]["creationTimestamp"])


def drained_when_older_than(scene: Scene, deadline: timedelta) -> None:
    """Lets a run become older than the deadline, drains its node, and sees to it that it goes on."""
    run = begin(scene)
    assert wait_until_old(scene, run, deadline) > deadline

    seen = drain_and_follow(scene, run)

    status = shown(scene, run)["status"]
    assert status["state"] == "Succeeded", (seen, status)
    assert "Failed" not in {state for state, _ in seen}
    assert ("Queued", "AgentNotScheduled") in seen, "there was no node for it, which it has to say"
    assert job_of(scene, run)["status"].get("failed", 0) == 0, "a drain is not charged"
    assert status["counters"]["bytes"]["written"] < SIZE, "what was there was not written again"
    source, destination = scene.source.tree(), scene.destination.tree()
    assert differences(source, {path: destination[path] for path in source}, times=True) == []
