"""Sixty tasks that are due at one minute, on two servers that permit four agents each: real pods and real files.

It takes minutes, and nothing else may use the cluster meanwhile: `make drain-check`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from lab.bench_operator.judges import Change, Waiter, overtaken
from lab.support.cluster import objects
from lab.support.cluster.chart import install_chart
from lab.support.cluster.kube import ended
from lab.support.cluster.pods import most_at_once, server_of
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from lab.support.domain.member import BACKUP_OPERATORS, READERS, WRITERS, Member
from lab.support.domain.trees import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(300)

HERD, LIMIT = 60, 4
URGENT = range(20, 26)
"""Tasks with a higher priority, by number."""
AHEAD = timedelta(seconds=25)
OTHER_SOURCE, OTHER_DESTINATION = "other-source", "other-destination"
FILES = [Wanted("few/one.txt", text="one"), Wanted("few/two.bin", size=300_000)]


class Place(NamedTuple):
    """Two locations on one server, by name."""

    source: str
    destination: str


PLACES = (Place(SOURCE, DESTINATION), Place(OTHER_SOURCE, OTHER_DESTINATION))


@pytest.fixture(scope="module", autouse=True)
def limited(chart: None, environment: dict[str, str]) -> Iterator[None]:
    """The release with the limit; as it was afterwards."""
    install_chart(environment, f"limits.runsPerServer={LIMIT}")
    yield
    install_chart(environment)


def name_of(number: int) -> str:
    return f"herd-{number:02}"


@pytest.fixture(scope="module")
def places(scene: Scene, environment: dict[str, str]) -> Iterator[Scene]:
    """A folder for each task, half of them on the domain controller, half on the member server; all is ready."""
    member = Member.from_environment(scene.domain, environment)
    with (
        member.directory("acl-src") as source,
        member.directory("acl-dst") as destination,
        scene.domain.user(READERS, BACKUP_OPERATORS, prefix="herd") as reader,
        scene.domain.user(WRITERS, BACKUP_OPERATORS, prefix="herd") as writer,
    ):
        for number, directory in enumerate((scene.destination, destination)):
            folders = range(number, HERD, len(PLACES))
            directory.seed([Wanted(name_of(folder), "directory") for folder in folders])
        for directory in (scene.source, source):
            directory.seed(FILES)
        names, rest = (f"other-{READER}", f"other-{WRITER}"), {"nameservers": scene.nameservers}
        scene.kube.apply(
            *(scene.keytab(name, user) for name, user in zip(names, (reader, writer), strict=True)),
            *(scene.identity(name, user) for name, user in zip(names, (reader, writer), strict=True)),
            objects.location(OTHER_SOURCE, member.server, source.share, names[0], path=source.path, **rest),
            objects.location(
                OTHER_DESTINATION, member.server, destination.share, names[1], path=destination.path, **rest
            ),
        )
        scene.ready(*PLACES[0], *PLACES[1])
        yield scene


def task(number: int, due: datetime) -> Object:
    """Due at that minute, into a folder of its own."""
    place, cron = PLACES[number % len(PLACES)], f"{due.minute} {due.hour} * * *"
    made = objects.task(
        name_of(number),
        *place,
        schedule={"cron": cron},
        priority=10 if number in URGENT else 0,
        agent={"tolerations": [objects.EVERYWHERE]},
    )
    made["spec"]["destination"]["path"] = f"/{name_of(number)}"
    return made


def watched(scene: Scene, seconds: float) -> tuple[list[Object], dict[str, float]]:
    """The runs once all have ended, and since when each was seen to stand in line."""
    until, since = time.time() + seconds, dict[str, float]()
    while True:
        runs = scene.kube.list("transferruns")
        for run in runs:
            if run.get("status", {}).get("queue"):
                since.setdefault(run["metadata"]["name"], time.time())
        if len(runs) >= HERD and all(map(ended, runs)):
            return runs, since
        assert time.time() < until, f"{sum(map(ended, runs))} of {len(runs)} runs have ended"
        time.sleep(1)


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_sixty_runs_at_one_minute_never_exceed_four_at_a_server_and_go_in_order(places: Scene) -> None:
    soon = datetime.now(UTC) + AHEAD
    due = soon.replace(second=0, microsecond=0) + timedelta(minutes=1)
    places.kube.apply(*(task(number, due) for number in range(HERD)))
    assert datetime.now(UTC) < due, "the tasks exist before they are due"

    runs, since = watched(places, 900)

    by_name = {run["metadata"]["name"]: run for run in runs}
    assert len({run["spec"]["taskRef"]["name"] for run in runs}) == len(runs) == HERD
    failures = {name: run["status"].get("failure") for name, run in by_name.items()}
    assert {run["status"]["state"] for run in runs} == {"Succeeded"}, failures
    pods: dict[str, list[Object]] = defaultdict(list)
    for pod in places.kube.list("pods", "app.kubernetes.io/component=transfer"):
        pods[server_of(pod)].append(pod)
    assert len(pods) == len(PLACES)
    assert {server: most_at_once(here) for server, here in pods.items() if most_at_once(here) > LIMIT} == {}
    assert sum(map(len, pods.values())) == HERD, "one agent for each run"
    assert max(map(most_at_once, pods.values())) > 1, "they worked side by side"

    jobs = {job["metadata"]["annotations"]["smbferry.io/owner-name"]: job for job in transfers(places)}
    assert jobs.keys() == by_name.keys()
    waiters = [
        Waiter(name, server_of(jobs[name]), turn(by_name[name]), moment) for name, moment in since.items()
    ]  # fmt: skip
    assert len(waiters) > HERD // 2, "most of them stood in line"
    starts = [
        Change(epoch(job["metadata"]["creationTimestamp"]), server_of(job), name, begins=True)
        for name, job in jobs.items()
    ]
    assert overtaken(waiters, starts) == []


def transfers(scene: Scene) -> list[Object]:
    return scene.kube.list("jobs", "app.kubernetes.io/component=transfer")


def turn(run: Object) -> tuple[int, str, str]:
    """The order in which runs are to start: urgent ones, then whoever came first."""
    number = int(run["spec"]["taskRef"]["name"].removeprefix("herd-"))
    meta = run["metadata"]
    return (-10 if number in URGENT else 0, str(meta["creationTimestamp"]), str(meta["uid"]))
