"""One run that is disturbed in every way that Kubernetes and people know, and what others do beside it meanwhile."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, condition, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted, differences
from tests.cluster.test_several_agents import evict

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube, Object

pytestmark = pytest.mark.takes(130)

SIZE, LIMIT = 72 << 20, "6Mi"
ALIASES = {
    "nested": {"share": "dst", "path": "{folder}/below/it"},
    "spelled": {"share": "DST", "path": "{upper}"},
    "behind-dfs": {"share": "dfs", "path": "/dst{folder}"},
}
"""Locations that lie where the first task writes, each named otherwise."""
OTHERS = ("Foreign", "AlsoForeign")
ROUNDS = 12


@dataclass
class Story:
    """What was seen of the run."""

    run: Object = field(default_factory=dict)
    jobs: list[Object] = field(default_factory=list)
    waiting: dict[str, Object] = field(default_factory=dict)
    most_at_once: int = 0
    looks: int = 0


def working(kube: Kube, run: str) -> list[Object]:
    """The run's agents whose container runs."""
    return [
        pod
        for pod in kube.list("pods", f"smbferry.io/run={run}")
        if any("running" in status["state"] for status in pod.get("status", {}).get("containerStatuses", []))
    ]


def another(kube: Kube, run: str, gone: str) -> Object:
    """The run's agent that is at work instead of the one that has gone."""
    until = time.monotonic() + 60
    while True:
        found = [pod for pod in working(kube, run) if pod["metadata"]["name"] != gone]
        if found:
            return found[0]
        assert time.monotonic() < until, "no other agent has begun"
        time.sleep(0.3)


class Counter:
    """Looks how many agents of the run are at work at once, until it is told to stop."""

    def __init__(self, kube: Kube, run: str, story: Story) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(kube, run, story), daemon=True)
        self._thread.start()

    def _look(self, kube: Kube, run: str, story: Story) -> None:
        while not self._over.wait(0.4):
            story.most_at_once = max(story.most_at_once, len(working(kube, run)))
            story.looks += 1

    def stop(self) -> None:
        self._over.set()
        self._thread.join(30)


@pytest.fixture(scope="module")
def story(scene: Scene) -> Story:
    """A run whose agent is evicted, and whose Job is then deleted, while three tasks want to write where it does."""
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    scene.destination.write("below/it/first.txt", b"-")
    folder = scene.destination.path
    scene.kube.apply(
        *(
            scene.location(name, where["share"], WRITER, path=where["path"].format(folder=folder, upper=folder.upper()))
            for name, where in ALIASES.items()
        )
    )
    scene.ready()
    scene.kube.apply(objects.task("first", SOURCE, DESTINATION, options={"bytesPerSecond": LIMIT}))
    told, name = Story(), scene.run_of("first")
    scene.kube.wait("transferrun", name, "under way", under_way, timeout=60)
    scene.kube.apply(*(objects.task(alias, SOURCE, alias) for alias in ALIASES))
    counter = Counter(scene.kube, name, told)
    try:
        (pod,) = working(scene.kube, name)
        evict(scene.kube, pod["metadata"]["name"])
        pod = another(scene.kube, name, pod["metadata"]["name"])
        told.jobs = scene.kube.list("jobs", f"smbferry.io/run={name}")
        told.waiting = {alias: queued(scene, alias) for alias in ALIASES}
        scene.kube.delete("job", pod["metadata"]["labels"]["batch.kubernetes.io/job-name"], wait=False)
        told.run = scene.end_of(name, timeout=120)
    finally:
        counter.stop()
    return told


def queued(scene: Scene, task: str) -> Object:
    """The task's run, once it says behind whom it waits."""
    name = scene.run_of(task)
    return scene.kube.wait(
        "transferrun", name, "queued", lambda run: condition(run, "Succeeded").get("reason") == "RunQueued"
    )


@pytest.mark.fault(45)
def test_an_evicted_agent_is_replaced_when_it_has_ended_and_is_not_charged(story: Story) -> None:
    (job,) = story.jobs
    assert job["status"].get("failed", 0) == 0
    assert story.looks > 10
    assert story.most_at_once == 1


@pytest.mark.fault(42)
def test_a_job_that_was_deleted_by_hand_is_made_anew_and_the_run_goes_on(scene: Scene, story: Story) -> None:
    status = story.run["status"]
    assert status["state"] == "Succeeded", status
    assert status["jobRef"] != story.jobs[0]["metadata"]["name"]
    assert status["counters"]["bytes"]["written"] < SIZE, "what was there was not written again"
    source, destination = scene.source.tree(), scene.destination.tree()
    assert differences(source, {path: destination[path] for path in source}, times=True) == []


@pytest.mark.fault(46)
@pytest.mark.parametrize("alias", ALIASES)
def test_a_second_run_to_the_same_place_waits_and_says_behind_whom(scene: Scene, story: Story, alias: str) -> None:
    run = story.waiting[alias]
    assert run["status"]["state"] == "Queued"
    first = story.run["metadata"]["name"]
    assert f"behind TransferRun {scene.kube.namespace}/{first}" in condition(run, "Succeeded")["message"]


@pytest.mark.fault(46)
def test_they_run_one_after_the_other_when_it_has_ended(scene: Scene, story: Story) -> None:
    runs = [scene.end_of(run["metadata"]["name"], timeout=60)["status"] for run in story.waiting.values()]
    assert [status["state"] for status in runs] == ["Succeeded"] * len(ALIASES)
    turns = sorted((status["startTime"], status["completionTime"]) for status in (*runs, story.run["status"]))
    assert all(one[1] <= other[0] for one, other in pairwise(turns)), turns


@pytest.mark.fault(50)
def test_many_writers_of_one_status_lose_nobodys_condition(scene: Scene, story: Story) -> None:
    """Two others apply conditions of their own, one replaces the whole by what it read; agent and operator go on."""
    before = types(scene)
    assert {"Ready", "Encrypted", "ShareAccessible"} <= before
    writers = [threading.Thread(target=apply_foreign, args=(scene.kube, type_)) for type_ in OTHERS]
    writers.append(threading.Thread(target=replace_whole, args=(scene.kube,)))
    for writer in writers:
        writer.start()
    for _ in range(2):
        scene.kube.kubectl(
            "annotate", "smbloc", DESTINATION, f"smbferry.io/requested-at={secrets.token_hex(4)}", "--overwrite"
        )
        time.sleep(1)
    for writer in writers:
        writer.join(60)
    request = scene.kube.get("smblocation", DESTINATION)
    assert request is not None
    wanted = request["metadata"]["annotations"]["smbferry.io/requested-at"]
    scene.kube.wait(
        "smblocation",
        DESTINATION,
        "checked as asked",
        lambda found: found["status"].get("lastHandledRequest") == wanted,
    )
    assert types(scene) == before | set(OTHERS)
    found = scene.kube.get("smblocation", DESTINATION)
    assert found is not None
    assert [condition(found, type_)["message"] for type_ in OTHERS] == [f"round {ROUNDS - 1}"] * len(OTHERS)
    assert condition(found, "Ready")["status"] == "True"


def types(scene: Scene) -> set[str]:
    """The conditions that the destination has."""
    found = scene.kube.get("smblocation", DESTINATION)
    assert found is not None
    names = [entry["type"] for entry in found["status"]["conditions"]]
    assert len(names) == len(set(names))
    return set(names)


def apply_foreign(kube: Kube, type_: str) -> None:
    """Another program's condition, by server-side apply, again and again."""
    for number in range(ROUNDS):
        told = {
            "type": type_,
            "status": "True" if number % 2 else "False",
            "reason": "Foreign",
            "message": f"round {number}",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
        body = {
            "apiVersion": objects.API,
            "kind": "SmbLocation",
            "metadata": {"name": DESTINATION},
            "status": {"conditions": [told]},
        }
        kube.kubectl(
            *("apply", "--server-side", "--subresource=status", f"--field-manager={type_.lower()}", "-f", "-"),
            stdin=json.dumps(body),
        )


def replace_whole(kube: Kube) -> None:
    """Reads the object and writes it back whole, as old controllers do; when somebody was faster, it is refused."""
    for _ in range(ROUNDS):
        read = kube.kubectl("get", "smblocation", DESTINATION, "-o", "json")
        try:
            kube.kubectl("replace", "--subresource=status", "-f", "-", stdin=read)
        except KubectlError as error:
            if "the object has been modified" not in str(error):
                raise
