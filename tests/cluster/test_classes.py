"""Two releases with different classes in one cluster: each handles its own objects beside each other in a namespace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from lab.smblab.product import ONLY, Release
from lab.support.cluster import objects
from lab.support.cluster.chart import install_chart, leading_pod, uninstall_chart
from lab.support.cluster.kube import Kube, KubectlError, condition, ended, is_, under_way
from lab.support.cluster.scene import DESTINATION, READER, SOURCE, WRITER, Scene
from lab.support.domain.trees import Wanted

from smbferry_api.names import FIELD_MANAGER_AGENT, FIELD_MANAGER_OPERATOR, LABEL_CLASS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.cluster.kube import Object

pytestmark = [pytest.mark.alone, pytest.mark.takes(200)]

BRANCH = Release("branch", "branch-system")
SETTINGS = {ONLY: ("limits.runsPerServer=60",), BRANCH: ("className=branch", "crds.install=false", "crds.keep=false")}
CLASS = {ONLY: None, BRANCH: "branch"}
OUR_KINDS = ("kerberosidentities", "smblocations", "transfertasks", "transferruns")
SIZE, SLOW = 40 << 20, {"bytesPerSecond": "1Mi"}
"""A run that lasts longer than the upgrade of a release."""
MEMORY = {BRANCH: "136Mi", ONLY: "144Mi"}
"""What the agents of a release request after its upgrade."""


@dataclass(frozen=True)
class Names:
    """What the objects of one class are called."""

    reader: str
    writer: str
    source: str
    destination: str
    task: str


NAMES = {
    ONLY: Names(READER, WRITER, SOURCE, DESTINATION, "everyday"),
    BRANCH: Names("branch-reader", "branch-writer", "branch-source", "branch-destination", "branch-task"),
}


def of_class(release: Release, obj: Object) -> Object:
    """The object with the class of the release."""
    class_name = CLASS[release]
    return obj if class_name is None else {**obj, "spec": {**obj["spec"], "className": class_name}}


def task_of(release: Release, name: str, folder: str, **spec: Any) -> Object:
    """A task of the class whose destination is a folder of its own."""
    names = NAMES[release]
    made = objects.task(name, names.source, names.destination, **spec)
    made["spec"]["destination"]["path"] = f"/{folder}"
    return of_class(release, made)


@pytest.fixture(scope="module")
def second(environment: dict[str, str], chart: None) -> Iterator[None]:
    """A second release, with a class; both as they were afterwards."""
    del chart
    install_chart(environment, *SETTINGS[BRANCH], release=BRANCH)
    yield
    uninstall_chart(environment, BRANCH)
    Kube(environment, BRANCH.namespace).kubectl("delete", "namespace", BRANCH.namespace, "--wait=true")
    install_chart(environment)


@pytest.fixture(scope="module")
def both(scene: Scene, second: None) -> Scene:
    """Identities and locations of both classes in one namespace, all of them Ready, and one that nobody handles."""
    del second
    names = NAMES[BRANCH]
    nobody = objects.location("nobodys", scene.domain.server, "src", READER)
    nobody["spec"]["className"] = "nobody"
    scene.kube.apply(
        nobody,
        *(
            of_class(BRANCH, obj)
            for obj in (
                scene.identity(names.reader, scene.reader, keytab=f"{READER}-keytab"),
                scene.identity(names.writer, scene.writer, keytab=f"{WRITER}-keytab"),
                scene.location(names.source, "src", names.reader, path=scene.source.path),
                scene.location(names.destination, "dst", names.writer, path=scene.destination.path),
            )
        ),
    )
    scene.source.seed([Wanted("slow.bin", size=SIZE), Wanted("small.txt", size=10)])
    for folder in ("everyday", "branch-task", "upgraded-smbferry", "upgraded-branch"):
        scene.destination.write(f"{folder}/before.txt", b"-")
    for release in (ONLY, BRANCH):
        scene.ready(NAMES[release].source, NAMES[release].destination)
    return scene


def by_name(scene: Scene) -> dict[tuple[str, str], Object]:
    """All objects of our kinds in the namespace, by kind and name."""
    return {(obj["kind"], obj["metadata"]["name"]): obj for kind in OUR_KINDS for obj in items(scene.kube, kind)}


def items(kube: Kube, kind: str) -> list[Object]:
    """The objects of a kind with their managers, which a list leaves out only on request."""
    found: list[Object] = json.loads(kube.kubectl("get", kind, "-o", "json", "--show-managed-fields"))["items"]
    return found


def managers(obj: Object) -> set[str]:
    return {entry["manager"] for entry in obj["metadata"].get("managedFields", ())}


@pytest.mark.fault(235)
def test_each_operator_handles_the_objects_of_its_class_and_no_other(both: Scene) -> None:
    for release in (ONLY, BRANCH):
        both.kube.apply(task_of(release, NAMES[release].task, NAMES[release].task))
    for release in (ONLY, BRANCH):
        run = both.end_of(both.run_of(NAMES[release].task))
        assert run["status"]["state"] == "Succeeded", run["status"]
        assert run["spec"].get("className") == CLASS[release]

    known = by_name(both)
    class_of = {key: obj["spec"].get("className") for key, obj in known.items()}
    jobs = both.kube.list("jobs")
    for job in jobs:
        (owner,) = job["metadata"]["ownerReferences"]
        assert job["metadata"]["labels"].get(LABEL_CLASS) == class_of[owner["kind"], owner["name"]], job["metadata"]
    labels = {job["metadata"]["name"]: job["metadata"]["labels"].get(LABEL_CLASS) for job in jobs}
    assert set(labels.values()) == {None, "branch"}
    for pod in both.kube.list("pods"):
        of_pod = pod["metadata"]["labels"]
        assert of_pod.get(LABEL_CLASS) == labels[of_pod["batch.kubernetes.io/job-name"]]


@pytest.mark.fault(235)
def test_events_about_an_object_come_from_the_operator_of_its_class(both: Scene) -> None:
    known, told = by_name(both), set[str | None]()
    operators = {CLASS[release]: release.operator for release in (ONLY, BRANCH)}
    for event in items(both.kube, "events.events.k8s.io"):
        about = known.get((event["regarding"]["kind"], event["regarding"]["name"]))
        if about is not None:
            class_name = about["spec"].get("className")
            assert event["reportingInstance"].startswith(f"{operators[class_name]}-"), event
            told.add(class_name)
    assert told == {None, "branch"}


@pytest.mark.fault(235)
def test_an_object_of_a_class_without_an_operator_stays_as_it_was_applied(both: Scene) -> None:
    """By now both operators have listed it, watched it, and handled all that lies beside it."""
    nobodys, handled = (by_name(both)["SmbLocation", name] for name in ("nobodys", NAMES[BRANCH].source))

    assert nobodys["status"] == {"observedGeneration": -1}
    assert managers(nobodys).isdisjoint({FIELD_MANAGER_OPERATOR, FIELD_MANAGER_AGENT})
    assert managers(handled) >= {FIELD_MANAGER_OPERATOR, FIELD_MANAGER_AGENT}
    assert both.kube.checks_of(nobodys) == []


def test_a_run_needs_the_class_of_its_task_and_says_so(both: Scene) -> None:
    both.kube.apply(objects.run("classless", NAMES[BRANCH].task))
    run = both.kube.wait("transferrun", "classless", "told", lambda o: condition(o, "Succeeded").get("reason"))
    said = condition(run, "Succeeded")
    assert said["reason"] == "TaskNotFound"
    assert "A run needs the className of its task." in said["message"]
    both.kube.delete("transferrun", "classless")

    both.kube.apply(of_class(BRANCH, objects.run("with-class", NAMES[BRANCH].task)))
    assert both.end_of("with-class")["status"]["state"] == "Succeeded"


def test_a_task_does_not_find_the_location_of_another_class(both: Scene) -> None:
    task = task_of(ONLY, "reaches-over", "everyday")
    task["spec"]["source"]["locationRef"]["name"] = NAMES[BRANCH].source
    both.kube.apply(task)
    found = both.kube.wait("transfertask", "reaches-over", "told", is_("Ready", "False", "LocationNotFound"))
    assert "Both objects need the same className." in condition(found, "Ready")["message"]
    both.kube.delete("transfertask", "reaches-over")


@pytest.mark.parametrize(
    ("kind", "name", "changed"),
    [
        ("kerberosidentity", NAMES[BRANCH].reader, "other"),
        ("kerberosidentity", NAMES[BRANCH].reader, None),
        ("smblocation", NAMES[BRANCH].source, "other"),
        ("smblocation", NAMES[BRANCH].source, None),
        ("smblocation", NAMES[ONLY].source, "other"),
        ("transfertask", NAMES[BRANCH].task, "other"),
        ("transfertask", NAMES[BRANCH].task, None),
        ("transferrun", "with-class", "other"),
        ("transferrun", "with-class", None),
    ],
)
def test_a_class_cannot_be_changed_added_or_removed(both: Scene, kind: str, name: str, changed: str | None) -> None:
    with pytest.raises(KubectlError, match="className cannot be changed; create another object"):
        both.kube.patch(kind, name, {"spec": {"className": changed}})


@pytest.mark.fault(236)
def test_an_object_that_is_made_anew_with_another_class_changes_its_operator(both: Scene) -> None:
    made = {
        release: both.location("moves", "src", NAMES[release].reader, path=both.source.path)
        for release in (ONLY, BRANCH)
    }
    for release in (ONLY, BRANCH):
        both.kube.kubectl("delete", "smblocation", "moves", "--ignore-not-found")
        both.kube.apply(of_class(release, made[release]))
        found = both.kube.wait("smblocation", "moves", "ready", is_("Ready", "True"), timeout=120)
        labels = {job["metadata"]["labels"].get(LABEL_CLASS) for job in both.kube.checks_of(found)}
        assert labels == {CLASS[release]}


@pytest.mark.fault(235)
@pytest.mark.parametrize(("upgraded", "other"), [(BRANCH, ONLY), (ONLY, BRANCH)], ids=["with a class", "without"])
def test_an_upgrade_of_one_release_leaves_a_run_of_the_other_alone(
    both: Scene, environment: dict[str, str], upgraded: Release, other: Release
) -> None:
    folder = f"upgraded-{upgraded.name}"
    both.kube.apply(task_of(other, folder, folder, options=SLOW))
    name = both.run_of(folder)
    both.kube.wait("transferrun", name, "under way", under_way)
    agents, leader = agents_of(both.kube, name), leading_pod(environment, release=other)
    before = leading_pod(environment, release=upgraded)

    value = f"agent.resources.requests.memory={MEMORY[upgraded]}"
    install_chart(environment, *SETTINGS[upgraded], value, release=upgraded)

    assert leading_pod(environment, other_than=before, release=upgraded)
    run = both.kube.get("transferrun", name)
    assert run is not None
    assert not ended(run), "it was over before the upgrade was, which shows nothing"
    assert agents_of(both.kube, name) == agents
    status = both.end_of(name)["status"]
    assert (status["state"], status["attempts"]) == ("Succeeded", 1), status
    assert agents_of(both.kube, name) == agents
    assert leading_pod(environment, release=other) == leader
    assert requested(both.kube, name) != MEMORY[upgraded]


def agents_of(kube: Kube, run: str) -> list[str]:
    """The uids of the run's Jobs and pods."""
    found = (*kube.list("jobs", f"smbferry.io/run={run}"), *kube.list("pods", f"smbferry.io/run={run}"))
    return [obj["metadata"]["uid"] for obj in found]


def requested(kube: Kube, run: str) -> str:
    """The memory that the run's agent asked for."""
    (job,) = kube.list("jobs", f"smbferry.io/run={run}")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return str(container["resources"]["requests"]["memory"])
