"""Operators come and go: by a kill under a stream of runs, by being away."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import condition, is_
from lab.support.cluster.process import WHOLE, operator
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted
from tests.cluster.test_hot_standby import TAKEOVER_SECONDS

from smbferry_api.names import ANNOTATION_SCHEDULED_AT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.alone

STREAM = 4
HOURS_AWAY = 3


def later(minutes: int = 0) -> str:
    """The program of an operator whose clock is that far and HOURS_AWAY ahead, as if the others had been away."""
    clock = (
        "import datetime as d, smbferry_operator.clock as clock;"
        f" clock.utc_now = lambda: d.datetime.now(d.UTC) + d.timedelta(hours={HOURS_AWAY}, minutes={minutes}); "
    )
    return clock + WHOLE


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


@pytest.mark.fault(41)
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


@pytest.mark.fault(47)
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
    with operator(scene.kube, "after", 1, tmp_path, later()) as after:
        after.wait(leading=True, seconds=30)
        scene.run_of("hourly")
        scene.kube.wait("transfertask", "too-late", "looked at again", in_three_hours)
    (made,) = (run for run in scene.kube.list("transferruns") if run["metadata"]["name"] not in known)
    assert made["spec"]["taskRef"]["name"] == "hourly", "one for all that were missed; none that is too late"
    scheduled = datetime.fromisoformat(made["metadata"]["annotations"][ANNOTATION_SCHEDULED_AT])
    late_by = datetime.now(UTC) + timedelta(hours=HOURS_AWAY) - scheduled
    assert timedelta(minutes=9) < late_by < timedelta(minutes=12), "the latest of them"


@pytest.mark.usefixtures("vacancy")
def test_a_scheduled_run_that_waited_in_vain_is_told_of_when_its_deadline_ends(scene: Scene, tmp_path: Path) -> None:
    """An operator looks at it ten minutes after its time, the next one when it is too late."""
    task = objects.task("waits", SOURCE, "missing")
    task["spec"]["schedule"] = {"cron": f"{minute(-10)} * * * *", "startingDeadline": "30m"}
    scene.kube.apply(task)
    with operator(scene.kube, "in-time", 0, tmp_path, later()) as first:
        first.wait(leading=True, seconds=30)
        seen = scene.kube.wait("transfertask", "waits", "looked at", is_("OnSchedule", "True"))
        first.process.terminate()
        first.process.wait(20)
    with operator(scene.kube, "too-late", 1, tmp_path, later(minutes=25)) as second:
        second.wait(leading=True, seconds=30)
        told = scene.kube.wait("transfertask", "waits", "told of", is_("OnSchedule", "False", "ScheduleMissed"))
    message = condition(told, "OnSchedule")["message"]
    assert seen["status"]["nextScheduleTime"] in message
    assert "did not start within 30m" in message
    assert "missing" in message, "the location that it waited for"
    assert told["status"]["nextScheduleTime"] > seen["status"]["nextScheduleTime"]


def minute(away: int) -> int:
    """The minute of the hour that it is so many minutes later."""
    return (datetime.now(UTC) + timedelta(minutes=away)).minute


def in_three_hours(task: Object) -> bool:
    """Whether the next time is as an operator sees it whose clock is ahead."""
    upcoming = datetime.fromisoformat(task["status"]["nextScheduleTime"])
    return upcoming > datetime.now(UTC) + timedelta(hours=HOURS_AWAY)
