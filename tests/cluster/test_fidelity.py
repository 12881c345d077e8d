"""What travels beside content, on real pods: hard links over several agents, a SID map, snapshots, a survey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.cluster import objects
from lab.support.cluster.kube import KubectlError
from lab.support.cluster.scene import DESTINATION, SOURCE, Scene
from lab.support.domain.trees import Wanted, differences, small

if TYPE_CHECKING:
    from lab.support.cluster.kube import Object

pytestmark = pytest.mark.takes(120)

OLD, NEW = "S-1-5-21-1004336348-1177238915-682003330", "S-1-5-21-725345543-1202660629-839522115"
NAMES = ("many/group 0/folder 0/linked", "many/group 0/folder 3/linked too", "linked at the root")
LARGE_NAMES = ("large", "many/group 0/folder 4/large too")
LARGE = 70 << 20  # so large that several agents would share it, if it had one name


@pytest.fixture(scope="module")
def seeded(scene: Scene) -> Scene:
    """A tree with hard links in several folders; both locations are ready."""
    scene.source.seed([*small(200, per_folder=40), Wanted(NAMES[0], size=77), Wanted(LARGE_NAMES[0], size=LARGE)])
    for first, *others in (NAMES, LARGE_NAMES):
        for name in others:
            scene.domain.run("ln", f"{scene.source.inside}/{first}", f"{scene.source.inside}/{name}")
    scene.apply()
    scene.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sids"}, "data": {"map": RULES}})
    scene.ready()
    return scene


RULES = f"# old and new\n{OLD} {NEW}\n"


def as_of(snapshot: str, task: Object) -> Object:
    """The task, reading a snapshot of its source."""
    task["spec"]["source"]["snapshot"] = snapshot
    return task


def inodes(scene: Scene, names: tuple[str, ...]) -> set[str]:
    paths = [f"{scene.destination.inside}/{name}" for name in names]
    return set(scene.domain.run("stat", "-c", "%i %h", *paths).text.splitlines())


@pytest.mark.fault(154)
def test_names_of_one_file_stay_together_though_several_agents_copy_the_tree(seeded: Scene) -> None:
    seeded.kube.apply(
        objects.task(
            "linked",
            SOURCE,
            DESTINATION,
            trigger="one",
            agent={"parallelism": 2, "tolerations": [objects.EVERYWHERE]},
            options={"hardLinks": "Preserve", "compareBy": "Metadata"},
        )
    )
    run = seeded.end_of(seeded.run_of("linked"), timeout=240)
    status = run["status"]
    assert status["state"] == "Succeeded", status
    assert len(status["shards"]) == 2
    assert "notCarried" not in status
    assert differences(seeded.source.tree(), seeded.destination.tree(), times=True) == []
    assert [len(inodes(seeded, names)) for names in (NAMES, LARGE_NAMES)] == [1, 1]


def test_a_sid_map_and_a_missing_snapshot_are_told_in_the_status(seeded: Scene) -> None:
    options = {"securityDescriptors": "OwnerDacl", "sidMap": {"configMapRef": {"name": "sids", "key": "map"}}}
    seeded.kube.apply(as_of("Latest", objects.task("mapped", SOURCE, DESTINATION, trigger="one", options=options)))
    name = seeded.run_of("mapped")
    status = seeded.end_of(name)["status"]
    assert status["sids"]["configMap"] == "sids"
    assert len(status["sids"]["digest"]) == 64
    assert "time" not in status["sourceSnapshot"]
    assert status["sourceSnapshot"]["message"]
    shown = seeded.kube.kubectl("get", "transferrun", name)
    assert "NOT CARRIED" in shown.upper()


def test_a_snapshot_that_must_be_there_fails_the_run_in_words(seeded: Scene) -> None:
    seeded.kube.apply(as_of("Required", objects.task("required", SOURCE, DESTINATION, trigger="one")))
    status = seeded.end_of(seeded.run_of("required"))["status"]
    assert status["state"] == "Failed"
    assert status["failure"]["reason"] == "SnapshotNotFound", status


def test_a_survey_copies_nothing_and_tells_what_it_found(seeded: Scene) -> None:
    before = seeded.destination.tree()
    seeded.kube.apply(objects.task("surveyed", SOURCE, DESTINATION))
    seeded.kube.apply(objects.run("look", "surveyed", survey=True))
    status = seeded.end_of("look")["status"]
    assert status["state"] == "Succeeded", status
    contents = status["survey"]["contents"]
    found = {finding["trait"]: finding["count"] for finding in contents["findings"]}
    assert found["HardLink"] == len(NAMES) + len(LARGE_NAMES)
    assert status["survey"]["forecast"]["firstCopySeconds"] >= 0
    assert differences(before, seeded.destination.tree(), times=True) == []


def test_a_map_that_does_not_parse_ends_the_run_with_the_line(seeded: Scene) -> None:
    rules = {"map": f"{OLD} {NEW}\nS-1-5-banana {NEW}\n"}
    seeded.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wrong"}, "data": rules})
    options = {"securityDescriptors": "OwnerDacl", "sidMap": {"configMapRef": {"name": "wrong", "key": "map"}}}
    seeded.kube.apply(objects.task("wrong-map", SOURCE, DESTINATION, trigger="one", options=options))
    status = seeded.end_of(seeded.run_of("wrong-map"))["status"]
    assert (status["state"], status["failure"]["reason"]) == ("Failed", "SidMapInvalid"), status
    assert "banana" in status["failure"]["message"]


@pytest.mark.parametrize("cron", ["@daily", "*/15 8-18/2 1,L jan-MAR mon,5", "0 0 ? * 5#2"])
def test_a_schedule_that_comes_is_taken_by_the_api_server(seeded: Scene, cron: str) -> None:
    seeded.kube.apply(objects.task("scheduled", SOURCE, DESTINATION, schedule={"cron": cron}, suspend=True))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"options": {"hardLinks": "Maybe"}}, "hardLinks"),
        ({"options": {"retryLocked": {"attempts": -1}}}, "attempts"),
        ({"options": {"retryLocked": {"interval": "soon"}}}, "interval"),
        (
            {"options": {"securityDescriptors": "None", "sidMap": {"configMapRef": {"name": "sids"}}}},
            "sidMap requires securityDescriptors",
        ),
        ({"source": {"locationRef": {"name": SOURCE}, "snapshot": "yesterday"}}, "snapshot"),
        ({"filters": {"minSize": "2Gi", "maxSize": "1Gi"}}, "minSize must be at most maxSize"),
        ({"filters": {"minAge": "2d"}}, "minAge"),
        ({"schedule": {"cron": "0 25 * * *"}}, 'expected the hour to be 0 to 23, got "0 25 * * *"'),
        ({"schedule": {"cron": "@reboot"}}, "expected one of @hourly, @daily"),
        ({"schedule": {"cron": "0 2 * *"}}, "expected five fields"),
    ],
    ids=str,
)
def test_what_can_never_be_right_is_refused_by_the_api_server(seeded: Scene, spec: Object, said: str) -> None:
    task = objects.task("refused", SOURCE, DESTINATION)
    wrong = {**task, "spec": {**task["spec"], **spec}}
    with pytest.raises(KubectlError) as raised:
        seeded.kube.apply(wrong)
    assert said in str(raised.value)
