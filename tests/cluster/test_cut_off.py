"""An agent whose packets to the API server are dropped: it copies on, and prunes only when it is reached again."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import docker  # type: ignore[import-untyped]  # it publishes no types
import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Kube, Object

pytestmark = pytest.mark.takes(160)

SIZE, LIMIT = 80 << 20, "1Mi"
NEW = [Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)]
EXTRA = [Wanted(f"old-{number}.txt", size=10) for number in range(5)]


@contextmanager
def cut_off(kube: Kube, pod: Object) -> Iterator[None]:
    """No packet of the pod reaches the API server, on this node or another."""
    node = docker.from_env(environment=dict(kube.environment)).containers.get(pod["spec"]["nodeName"])
    rule = f"-s {pod['status']['podIP']} -p tcp --dport 6443 -j DROP"

    def each(change: str) -> None:
        script = " && ".join(f"iptables -w {change} {chain} {rule}" for chain in ("FORWARD", "INPUT"))
        code, output = node.exec_run(["sh", "-c", script])
        assert code == 0, output

    each("-I")
    try:
        yield
    finally:
        each("-D")


def names(scene: Scene) -> set[str]:
    return set(scene.destination.tree())


@pytest.mark.fault(133)
def test_an_agent_that_is_cut_off_from_the_api_server_deletes_nothing_until_it_is_reached_again(scene: Scene) -> None:
    scene.source.seed(NEW)
    scene.destination.seed(EXTRA)
    scene.ready()
    kube = scene.kube
    options = {"deletedFiles": "Remove", "maxDeletes": "100%", "bytesPerSecond": LIMIT}
    kube.apply(objects.task("mirror", SOURCE, DESTINATION, trigger="one", options=options, suspend=True))
    scene.confirm("mirror")
    kube.patch("transfertask", "mirror", {"spec": {"suspend": False}})
    run = scene.run_of("mirror")
    kube.wait("transferrun", run, "under way", under_way, timeout=60)
    (pod,) = kube.list("pods", f"smbferry.io/run={run}")
    extra = {wanted.path for wanted in EXTRA}

    with cut_off(kube, pod):
        began = time.monotonic()
        while time.monotonic() - began < 110:  # the copy takes 80 s
            assert extra <= names(scene), "nothing is deleted by an agent that may not be wanted any more"
            time.sleep(5)
    ended = scene.end_of(run, timeout=120)

    assert ended["status"]["state"] == "Succeeded", ended["status"]
    assert not extra & names(scene)
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
