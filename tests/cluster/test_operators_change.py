"""Operators come and go: by a kill under a stream of runs, by being away."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.cluster import objects
from tests.cluster.conftest import SYSTEM
from tests.cluster.process import WHOLE, operator
from tests.cluster.scene import DESTINATION, SOURCE, Scene
from tests.cluster.test_hot_standby import TAKEOVER_SECONDS
from tests.support.trees import Wanted

from smbferry_api.names import ANNOTATION_SCHEDULED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kube import Object

pytestmark = pytest.mark.alone

STREAM = 4
HOURS_AWAY = 3
LATER = (
    "import datetime as d, smbferry_operator.reconcile as r;"
    f" r.utc_now = lambda: d.datetime.now(d.UTC) + d.timedelta(hours={HOURS_AWAY});"
    " r.Reconciler.__init__.__defaults__ = (r.utc_now,); "
)
"""Before an operator's own program: its clock is so many hours ahead, as if the others had been away for that long."""


@pytest.fixture(scope="module")
def vacancy(scene: Scene) -> Iterator[None]:
    """The installed operator is away; processes of this machine take its place."""
    scene.ready()
    deployment = ("deployment", "smbferry-operator", "--namespace", SYSTEM)
    scene.kube.kubectl("scale", *deployment, "--replicas=0")
    scene.kube.kubectl(
        *("wait", "pod", "--namespace", SYSTEM, "--selector", "app.kubernetes.io/component=operator"),
        *("--for=delete", "--timeout=60s"),
    )
    yield
    scene.kube.kubectl("scale", *deployment, "--replicas=1")
    scene.kube.kubectl("rollout", "status", *deployment, "--timeout=60s")


@pytest.mark.usefixtures("vacancy")
def test_a_takeover_in_a_stream_of_runs_loses_none_and_doubles_none(scene: Scene, tmp_path: Path) -> None:
    scene.source.seed([Wanted("small.txt", size=100)])
    with operator(scene.kube, "leads", 0, tmp_path) as leader:
        leader.wait(leading=True, seconds=30)
        with operator(scene.kube, "follows", 1, tmp_path) as standby:
            standby.wait(leading=False, seconds=30)
            tasks = [f"stream-{number}" for number in range(STREAM)]
            for number, name in enumerate(tasks):
                if number == STREAM // 2:
                    leader.process.kill()
                    killed = time.monotonic()
                scene.destination.write(f"{name}/before.txt", b"-")
                task = objects.task(name, SOURCE, DESTINATION)
                task["spec"]["destination"]["path"] = f"/{name}"
                scene.kube.apply(task)
            standby.wait(leading=True, seconds=TAKEOVER_SECONDS - (time.monotonic() - killed))
            ends = [scene.end_of(scene.run_of(name), timeout=60)["status"] for name in tasks]
    assert [(end["state"], end["attempts"]) for end in ends] == [("Succeeded", 1)] * STREAM
    runs = [run["spec"]["taskRef"]["name"] for run in scene.kube.list("transferruns")]
    assert sorted(runs) == tasks
    jobs = scene.kube.list("jobs", "app.kubernetes.io/component=transfer")
    assert len(jobs) == len(runs)


@pytest.mark.usefixtures("vacancy")
def test_schedules_that_were_missed_are_made_up_for_once(scene: Scene, tmp_path: Path) -> None:
    """Three times of each were missed, the last of them ten minutes ago and half an hour ago."""
    hourly, late = (objects.task(name, SOURCE, DESTINATION) for name in ("hourly", "too-late"))
    hourly["spec"]["schedule"] = {"cron": f"{minute(-10)} * * * *", "startingDeadline": "1h"}
    late["spec"]["schedule"] = {"cron": f"{minute(-30)} * * * *", "startingDeadline": "15m"}
    known = {run["metadata"]["name"] for run in scene.kube.list("transferruns")}
    with operator(scene.kube, "before", 0, tmp_path) as before:
        before.wait(leading=True, seconds=30)
        scene.kube.apply(hourly, late)
        for name in ("hourly", "too-late"):
            scene.kube.wait("transfertask", name, "scheduled", lambda t: t.get("status", {}).get("nextScheduleTime"))
        before.process.terminate()
        before.process.wait(20)
    assert {run["metadata"]["name"] for run in scene.kube.list("transferruns")} == known
    with operator(scene.kube, "after", 1, tmp_path, LATER + WHOLE) as after:
        after.wait(leading=True, seconds=30)
        scene.run_of("hourly")
        scene.kube.wait("transfertask", "too-late", "looked at again", in_three_hours)
    (made,) = (run for run in scene.kube.list("transferruns") if run["metadata"]["name"] not in known)
    assert made["spec"]["taskRef"]["name"] == "hourly", "one for all that were missed; none that is too late"
    scheduled = datetime.fromisoformat(made["metadata"]["annotations"][ANNOTATION_SCHEDULED_AT])
    late_by = datetime.now(UTC) + timedelta(hours=HOURS_AWAY) - scheduled
    assert timedelta(minutes=9) < late_by < timedelta(minutes=12), "the latest of them"


def minute(later: int) -> int:
    """The minute of the hour that it is so many minutes later."""
    return (datetime.now(UTC) + timedelta(minutes=later)).minute


def in_three_hours(task: Object) -> bool:
    """Whether the next time is as an operator sees it whose clock is ahead."""
    upcoming = datetime.fromisoformat(task["status"]["nextScheduleTime"])
    return upcoming > datetime.now(UTC) + timedelta(hours=HOURS_AWAY)
