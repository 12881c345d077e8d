"""No more agents than a location permits, in the order that was asked for; a bandwidth is shared; 0 is refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError, condition, is_
from lab.support.cluster.pods import most_at_once
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted

from smbferry_api.fields import parse_quantity

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(45)

MOST, SHARED = 2, "3Mi"
FIRST = ("first-a", "first-b")
LATER = (("later-a", 0), ("later-b", 0), ("later-c", 0), ("urgent", 10))


def into(name: str, **spec: object) -> Object:
    """A task into a folder of its own."""
    task = objects.task(name, SOURCE, DESTINATION, **spec)
    task["spec"]["destination"]["path"] = f"/{name}"
    return task


@pytest.mark.fault(183)
def test_a_limit_of_zero_is_refused_in_words(scene: Scene) -> None:
    for limits, words in (
        ({"concurrentRuns": 0}, "concurrentRuns: expected at least 1; leave it out for no limit, or suspend the tasks"),
        ({"bytesPerSecond": "0"}, "bytesPerSecond: expected a byte quantity of at least 1, such as 50Mi"),
    ):
        with pytest.raises(KubectlError, match=words):
            scene.kube.patch("smblocation", DESTINATION, {"spec": {"limits": limits}})


def test_six_runs_at_a_location_for_two_never_exceed_it_and_start_in_order(scene: Scene) -> None:
    scene.source.seed([Wanted("small.bin", size=5 << 20)])
    scene.destination.seed([Wanted(name, "directory") for name in (*FIRST, *dict(LATER))])
    scene.kube.patch(
        "smblocation", DESTINATION, {"spec": {"limits": {"concurrentRuns": MOST, "bytesPerSecond": SHARED}}}
    )
    scene.kube.wait(
        "smblocation",
        DESTINATION,
        "checked with its limits",
        lambda o: (
            is_("Ready", "True")(o) and condition(o, "Ready")["observedGeneration"] == o["metadata"]["generation"]
        ),
    )
    scene.ready()
    scene.kube.apply(*(into(name, options={"bytesPerSecond": "512Ki"}) for name in FIRST))
    runs = {name: scene.run_of(name) for name in FIRST}
    scene.kube.apply(*(into(name, priority=priority) for name, priority in LATER))
    runs |= {name: scene.run_of(name) for name, _ in LATER}
    last = scene.kube.wait("transferrun", runs["later-c"], "queued", lambda r: r.get("status", {}).get("queue"))
    assert last["status"]["queue"]["waitingFor"] == f"SmbLocation {DESTINATION}"
    said = condition(last, "Succeeded")
    assert said["reason"] == "LimitReached"
    assert f"{MOST} of {MOST} agents are active at SmbLocation {DESTINATION}" in said["message"]

    over = {name: scene.end_of(run) for name, run in runs.items()}
    failures = {name: run["status"].get("failure") for name, run in over.items()}
    assert {run["status"]["state"] for run in over.values()} == {"Succeeded"}, failures
    pods = [pod for run in runs.values() for pod in scene.kube.list("pods", f"smbferry.io/run={run}")]
    assert len(pods) == len(runs)
    assert most_at_once(pods) <= MOST
    waited = sorted((over[name] for name, _ in LATER), key=turn)
    starts = [run["status"]["startTime"] for run in waited]
    assert waited[0]["metadata"]["name"] == runs["urgent"]
    assert all(one <= other for one, other in pairwise(starts)), starts
    assert all("queue" not in run["status"] for run in over.values())
    half = parse_quantity(SHARED) // MOST
    assert half in {rate for run in waited for rate in rates(run)}, "the bandwidth was never shared"


def turn(run: Object) -> tuple[bool, str, str]:
    """The order in which runs are to start: the urgent one, then whoever came first."""
    meta = run["metadata"]
    return not meta["name"].startswith("urgent"), meta["creationTimestamp"], meta["uid"]


def rates(run: Object) -> set[int]:
    """The share with which a run's agent started, and the one that it was told last."""
    told = [run["status"]["task"].get("bytesPerSecond"), run["status"].get("limit", {}).get("bytesPerSecond")]
    return {parse_quantity(rate) for rate in told if rate is not None}
