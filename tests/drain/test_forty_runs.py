"""Forty runs begin at once on one small node: each says at once how it stands, no Event is lost, and the operator keeps
its lease. Domain, cluster and agents share the machine, so nothing else may use it meanwhile: `make drain-check`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import Kube, condition, ended
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

RUNS = 40
SOON = 10.0
"""Seconds within which each run has its state and its condition; its creation is known to the second."""


def tasks() -> list[Object]:
    """Each to a folder of its own, so that none waits for another."""
    made = [objects.task(f"at-once-{i:02}", SOURCE, DESTINATION) for i in range(RUNS)]
    for i, task in enumerate(made):
        task["spec"]["destination"]["path"] = f"/{i:02}"
    return made


def lease(kube: Kube) -> tuple[str, int]:
    found = Kube(kube.environment, SYSTEM).get("lease", "smbferry-operator")
    assert found is not None
    return found["spec"]["holderIdentity"], found["spec"]["leaseTransitions"]


def followed(kube: Kube, *, timeout: float) -> tuple[list[Object], dict[str, float]]:
    """All runs once they are over, and after how many seconds each had a state and a condition."""
    first: dict[str, float] = {}
    until = time.monotonic() + timeout
    while True:
        runs = kube.list("transferruns")
        now = datetime.now(UTC)
        for run in runs:
            if run.get("status", {}).get("state") and condition(run, "Succeeded"):
                made = datetime.fromisoformat(run["metadata"]["creationTimestamp"])
                first.setdefault(run["metadata"]["name"], (now - made).total_seconds())
        if len(runs) == RUNS and all(map(ended, runs)):
            return runs, first
        assert time.monotonic() < until, f"{sum(map(ended, runs))} of {len(runs)} runs are over"
        time.sleep(0.5)


@pytest.mark.fault(123)
def test_each_says_at_once_how_it_stands_no_event_is_lost_and_the_lease_is_kept(scene: Scene) -> None:
    scene.source.seed([Wanted(f"{i}.bin", size=100_000) for i in range(20)])
    scene.domain.run("mkdir", "--mode=0777", *(f"{scene.destination.inside}/{i:02}" for i in range(RUNS)))
    scene.ready()
    before = lease(scene.kube)

    scene.kube.apply(*tasks())
    runs, first = followed(scene.kube, timeout=300)

    assert [run["status"]["state"] for run in runs] == ["Succeeded"] * RUNS
    assert max(first.values()) < SOON, sorted(first.values())[-5:]
    assert lease(scene.kube) == before
    names = [run["metadata"]["name"] for run in runs]
    assert {name: missing for name in names if (missing := missing_events(scene.kube, name))} == {}


def missing_events(kube: Kube, run: str) -> set[str]:
    """What every run tells of and no Event of this one does."""
    told = kube.kubectl(
        *("get", "events", "--field-selector", f"involvedObject.name={run}", "-o", "jsonpath={.items[*].reason}")
    )
    return {"RunStarted", "RunSucceeded"} - set(told.split())
