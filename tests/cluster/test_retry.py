"""spec.retry on real pods: a failure that a further run mends, and one that stays until the limit is reached."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import condition, ended, is_, under_way
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(90)

SIZE, SLOW = 24 << 20, "512Ki"
BACKOFF = timedelta(seconds=10)
QUIET_SECONDS = 25
"""Longer than the next backoff: a run that was to follow would have come."""


@pytest.fixture(scope="module")
def seeded(scene: Scene) -> Scene:
    """A file that takes long at the slow rate; both locations are ready."""
    scene.source.seed([Wanted("slow.bin", size=SIZE)])
    scene.destination.seed([Wanted(name, "directory") for name in ("mended", "hopeless")])
    scene.ready()
    return scene


def task(name: str, limit: int) -> Object:
    made = objects.task(
        name,
        SOURCE,
        DESTINATION,
        trigger="one",
        retry={"limit": limit, "backoff": f"{BACKOFF.seconds}s"},
        options={"bytesPerSecond": SLOW},
    )
    made["spec"]["destination"]["path"] = f"/{name}"
    return made


def lose_agent(scene: Scene, run: str) -> Object:
    """The run, after its agent was deleted by a person while Kubernetes may start no other."""
    begun = scene.kube.wait("transferrun", run, "under way", under_way, timeout=90)
    scene.kube.patch("job", begun["status"]["jobRef"], {"spec": {"backoffLimit": 0}})
    (pod,) = scene.kube.list("pods", f"smbferry.io/run={run}")
    scene.kube.delete("pod", pod["metadata"]["name"], wait=False)
    lost = scene.kube.wait("transferrun", run, "over", ended, timeout=90)
    assert lost["status"]["state"] == "Failed", lost["status"]
    assert lost["status"]["failure"]["reason"] == "AgentLost", lost["status"]["failure"]
    assert lost["status"]["failure"]["class"] == "Network", "which may be temporary"
    assert "nobody cancelled the run" in lost["status"]["failure"]["message"]
    return lost


def follower(scene: Scene, run: str, number: int) -> Object:
    """The further run, once it exists."""
    return scene.kube.wait("transferrun", f"{run}-r{number}", "there", bool, timeout=90)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.fault(215)
def test_a_run_that_lost_its_agent_is_followed_by_one_that_copies_everything(seeded: Scene) -> None:
    kube = seeded.kube
    kube.apply(task("mended", limit=2))
    first = seeded.run_of("mended")
    lost = lose_agent(seeded, first)
    planned = kube.wait("transfertask", "mended", "planned", lambda t: t.get("status", {}).get("retry"))
    assert {**planned["status"]["retry"], "nextTime": ""} == {"run": first, "attempt": 1, "limit": 2, "nextTime": ""}
    kube.patch("transfertask", "mended", {"spec": {"options": {"bytesPerSecond": None}}})

    further = follower(seeded, first, 1)
    notes = further["metadata"]["annotations"]
    assert (notes["smbferry.io/retry-of"], notes["smbferry.io/retry"]) == (first, "1")
    waited = moment(further["metadata"]["creationTimestamp"]) - moment(lost["status"]["completionTime"])
    assert waited >= BACKOFF - timedelta(seconds=1), "times are whole seconds"
    over = seeded.end_of(f"{first}-r1")
    assert over["status"]["state"] == "Succeeded", over["status"]
    copied = {path.removeprefix("mended/"): entry for path, entry in seeded.destination.tree().items()}
    assert differences(seeded.source.tree(), {"slow.bin": copied["slow.bin"]}, times=True) == []
    done = kube.wait("transfertask", "mended", "in sync", is_("InSync", "True"))
    assert done["status"]["retry"] == {"run": first, "attempt": 1, "limit": 2}
    told = [event["note"] if "note" in event else event["message"] for event in kube.list("events")]
    assert any(f"{first}-r1 is further run 1 of 2" in text for text in told), told


def test_at_the_limit_no_further_run_follows_and_the_task_says_why(seeded: Scene) -> None:
    kube = seeded.kube
    kube.apply(task("hopeless", limit=1))
    first = seeded.run_of("hopeless")
    lose_agent(seeded, first)
    follower(seeded, first, 1)
    lose_agent(seeded, f"{first}-r1")

    said = kube.wait("transfertask", "hopeless", "not in sync", is_("InSync", "False", "RunFailed"))
    message = condition(said, "InSync")["message"]
    assert message.startswith(f"TransferRun {first}-r1 failed: AgentLost: "), message
    assert said["status"]["retry"] == {"run": first, "attempt": 1, "limit": 1}
    time.sleep(QUIET_SECONDS)
    runs = [run for run in kube.list("transferruns") if run["spec"]["taskRef"]["name"] == "hopeless"]
    assert sorted(run["metadata"]["name"] for run in runs) == [first, f"{first}-r1"]
    assert condition(said, "Stalled") == {}, "another run may succeed"
