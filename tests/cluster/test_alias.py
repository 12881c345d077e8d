"""Two names of one server, an alias with a service principal of its own and its own name: one of two runs waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition, is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.takes(60)


@pytest.fixture(scope="module")
def alias(scene: Scene) -> Iterator[str]:
    with scene.domain.alias() as name:
        yield name


@pytest.mark.fault(125)
def test_of_two_runs_to_one_folder_by_two_names_of_its_server_one_waits(scene: Scene, alias: str) -> None:
    scene.source.seed([Wanted("slow.bin", size=48 << 20), Wanted("small.txt", size=10)])
    by_alias = scene.location("by-alias", "dst", WRITER, path=scene.destination.path)
    by_alias["spec"]["server"] = alias
    scene.kube.apply(by_alias)
    scene.ready()
    ready = scene.kube.wait("smblocation", "by-alias", "ready", is_("Ready", "True"), timeout=120)
    named = scene.kube.get("smblocation", DESTINATION)
    assert named is not None
    assert ready["status"]["server"]["guid"] == named["status"]["server"]["guid"]
    scene.kube.apply(objects.task("by-name", SOURCE, DESTINATION, options={"bytesPerSecond": "4Mi"}))
    first = scene.run_of("by-name")
    scene.kube.wait("transferrun", first, "under way", under_way, timeout=90)

    scene.kube.apply(objects.task("by-alias", SOURCE, "by-alias"))
    second = scene.run_of("by-alias")
    waiting = scene.kube.wait(
        "transferrun", second, "queued", lambda run: condition(run, "Succeeded").get("reason") == "RunQueued"
    )

    message = condition(waiting, "Succeeded")["message"]
    assert f"behind TransferRun {scene.kube.namespace}/{first}" in message
    assert f"the same server by its ServerGuid, {named['status']['server']['guid']}" in message
    one, two = (scene.end_of(run)["status"] for run in (first, second))
    assert (one["state"], two["state"]) == ("Succeeded", "Succeeded")
    assert two["startTime"] >= one["completionTime"]
    assert two["counters"]["files"]["transferred"] == 0
    assert differences(scene.source.tree(), scene.destination.tree(), times=True) == []
