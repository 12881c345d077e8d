"""spec.className: an operator handles the objects of its class, and those of other classes do not exist for it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    agent_body,
    ago,
    ends,
    identity_body,
    job_of,
    location_body,
    run,
    run_body,
    task,
    task_body,
)
from tests.unit.operator.test_objects import CLASSED
from tests.unit.operator.test_retry import THRICE, failed
from tests.unit.operator.test_task import seen
from tests.unit.operator.world import World, settled

from smbferry_operator.cluster.client import Cluster, Listing, selector_of
from smbferry_operator.cluster.kopf_events import kopf_settings
from smbferry_operator.decide.observation import RunObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import OWN_KINDS, Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.watch.echo import OVERDUE_AFTER, Echo, Stream
from smbferry_operator.watch.event_router import EventRouter, Intake
from smbferry_operator.watch.lists import Lister

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from smbferry_operator.decide.decision import Decision
    from smbferry_operator.model import Manifest

LOCATION, TASK = Key(Kind.LOCATION, "team", "src"), Key(Kind.TASK, "team", "nightly")
BODIES = {
    Kind.IDENTITY: identity_body,
    Kind.LOCATION: location_body,
    Kind.TASK: lambda **spec: task_body(**_with_class(spec)),
    Kind.RUN: run_body,
}
OWNER = (Kind.RUN, "run", "uid-run")


def _with_class(spec: dict[str, Any]) -> dict[str, Any]:
    """A task's spec is given as it is written."""
    return {"className" if name == "class_name" else name: value for name, value in spec.items()}


def body_of(kind: Kind, class_name: str, version: int = 1) -> Manifest:
    named: dict[str, Any] = {"class_name": class_name} if class_name else {}
    return BODIES[kind](version=version, **named)


class Heard:
    """The operator of a class, as far as it takes objects in."""

    def __init__(self, class_name: str = "") -> None:
        self.cache, self.echo = Cache(), Echo()
        self.queued: list[Key] = []
        self.router = EventRouter(self.cache, self.queued.append, class_name=class_name)
        self.intake = Intake(self.router, self.echo, by_namespace=False)

    def taken(self) -> list[Key]:
        """What was queued since this was last asked."""
        queued, self.queued[:] = sorted(self.queued), []
        return queued


@pytest.mark.fault(235)
@pytest.mark.parametrize("kind", OWN_KINDS)
@pytest.mark.parametrize("of_object", ["", "branch", "branch-2"])
@pytest.mark.parametrize("of_operator", ["", "branch"])
def test_an_operator_takes_in_the_objects_of_its_class_and_no_other(
    kind: Kind, of_object: str, of_operator: str
) -> None:
    heard = Heard(of_operator)
    heard.router.seen(kind, body_of(kind, of_object))

    same = of_object == of_operator
    assert (len(heard.cache) == 1, bool(heard.queued)) == (same, same)


@pytest.mark.fault(235)
def test_changes_of_an_object_of_another_class_concern_nobody_here() -> None:
    heard = Heard()
    heard.router.seen(Kind.TASK, task_body())
    assert heard.taken() == [TASK]
    for version in (2, 3):
        heard.router.seen(Kind.LOCATION, body_of(Kind.LOCATION, "branch", version))
    heard.router.seen(Kind.LOCATION, body_of(Kind.LOCATION, "branch", 4), deleted=True)

    assert heard.taken() == [], "the task names this location, but not that of its class"
    heard.router.seen(Kind.LOCATION, body_of(Kind.LOCATION, "", 5))
    assert heard.taken() == [LOCATION, TASK]


@pytest.mark.fault(236)
def test_an_object_that_was_made_anew_with_another_class_is_deleted_for_this_operator() -> None:
    """The watch was down between: there is no event of the deletion."""
    heard = Heard()
    for kind, body in ((Kind.TASK, task_body()), (Kind.LOCATION, location_body(version=5))):
        heard.router.seen(kind, body)
    heard.taken()
    heard.router.seen(Kind.LOCATION, body_of(Kind.LOCATION, "branch", 7))

    assert LOCATION not in heard.cache
    assert heard.taken() == [LOCATION, TASK], "as after a deletion"
    heard.router.seen(Kind.LOCATION, body_of(Kind.LOCATION, "", 9))
    assert LOCATION in heard.cache


@pytest.mark.fault(236)
@pytest.mark.parametrize(
    ("versions", "there"),
    [
        pytest.param([("", 5), ("branch", 7), ("", 5)], False, id="late news of the deleted one"),
        pytest.param([("branch", 7), ("", 5)], False, id="late news of one that was never heard of"),
        pytest.param([("branch", 7), ("branch", 6), ("", 6)], False, id="late news twice"),
        pytest.param([("", 9), ("branch", 7)], True, id="late news of the other"),
        pytest.param([("branch", 7), ("", 9)], True, id="made anew in this class"),
    ],
)
def test_the_newest_version_says_of_which_class_an_object_is(versions: list[tuple[str, int]], there: bool) -> None:
    heard = Heard()
    for class_name, version in versions:
        heard.router.seen(Kind.TASK, body_of(Kind.TASK, class_name, version))

    assert (TASK in heard.cache) is there


@pytest.mark.fault(236)
def test_a_run_that_was_made_anew_with_another_class_has_not_ended_here() -> None:
    cache = Cache()
    ended: list[Manifest] = []
    router = EventRouter(cache, lambda _: None, ended.append)
    router.seen(Kind.RUN, run_body(status={"state": "Transferring"}, version=5))
    other = run_body(status={"state": "Succeeded"}, version=7, class_name="branch")
    router.seen(Kind.RUN, other)

    assert (len(cache), ended) == (0, [])


@pytest.mark.fault(235)
def test_events_of_other_classes_prove_that_a_watch_is_alive() -> None:
    heard = Heard()
    heard.intake.written(Kind.TASK, task_body(version=7))
    heard.intake.seen(Kind.TASK, body_of(Kind.TASK, "branch", 9) | {"metadata": _named("other", 9)}, deleted=False)

    assert heard.echo.overdue(OVERDUE_AFTER * 1e6) == []


def _named(name: str, version: int) -> Manifest:
    meta: Manifest = task_body(name, version=version)["metadata"]
    return meta


class Store:
    """What an API server lists of tasks, and by which selectors it was asked for each kind."""

    def __init__(self, *tasks: Manifest) -> None:
        self.tasks = list(tasks)
        self.selectors: dict[Kind, str] = {}

    async def pages(self, kind: Kind, _namespace: str | None, selector: str = "") -> AsyncIterator[Listing]:
        self.selectors[kind] = selector
        yield Listing(self.tasks if kind is Kind.TASK else [], 20)


@asynccontextmanager
async def halted() -> AsyncIterator[None]:
    """Nothing is restored here."""
    yield


def listed(heard: Heard, store: Store, class_name: str) -> None:
    lister = Lister(
        cast("Cluster", store), heard.cache, heard.router, heard.echo,
        namespaces=(), class_name=class_name, halted=halted,
    )  # fmt: skip
    asyncio.run(lister.all(Kind))


@pytest.mark.fault(236)
def test_a_full_list_leaves_other_classes_out_and_finds_what_has_changed_its_class() -> None:
    heard = Heard()
    for name in ("stays", "moved", "gone"):
        heard.router.seen(Kind.TASK, task_body(name, version=1))
    heard.taken()
    others = [task_body(name, version=3, className="branch") for name in ("moved", "foreign")]
    listed(heard, Store(task_body("stays", version=1), *others), "")

    assert [key.name for key in heard.cache] == ["stays"]
    assert [key.name for key in heard.taken()] == ["gone", "moved"]
    assert heard.echo.overdue(OVERDUE_AFTER * 1e6) == [Stream(Kind.TASK, "")], "the watch must deliver version 3"


@pytest.mark.fault(235)
@pytest.mark.parametrize(
    ("class_name", "selector"),
    [
        ("", "app.kubernetes.io/managed-by=smbferry-operator,!smbferry.io/class"),
        ("branch", "app.kubernetes.io/managed-by=smbferry-operator,smbferry.io/class=branch"),
    ],
)
def test_watches_and_lists_select_the_jobs_and_pods_of_the_class(class_name: str, selector: str) -> None:
    store = Store()
    listed(Heard(class_name), store, class_name)
    expected = {kind: selector if kind in {Kind.JOB, Kind.POD} else "" for kind in Kind}

    assert store.selectors == expected == {kind: selector_of(kind, class_name) for kind in Kind}
    assert list(kopf_settings(class_name).watching.label_selectors.values()) == [selector, selector]


def test_jobs_and_pods_are_not_asked_for_their_class_again() -> None:
    heard = Heard("branch")
    for kind in (Kind.JOB, Kind.POD):
        heard.router.seen(kind, agent_body(kind, "agent", OWNER))

    assert len(heard.cache) == 2


@pytest.mark.parametrize(("settings", "label"), [(SETTINGS, None), (CLASSED, "branch")])
def test_a_job_and_its_pod_carry_the_class_of_the_operator(settings: Any, label: str | None) -> None:
    body = job_of(decide_run(RunObservation(run(), task(), ends()), NOW, settings))
    for metadata in (body["metadata"], body["spec"]["template"]["metadata"]):
        assert metadata["labels"].get("smbferry.io/class") == label


def of_task(class_name: str | None, *runs: Any, **spec: Any) -> Decision:
    named: dict[str, Any] = {"className": class_name} if class_name else {}
    status = {"observedTrigger": ""} if runs else None
    return decide_task(seen(*runs, status=status, **named, **spec), NOW)


@pytest.mark.parametrize("class_name", [None, "branch"])
def test_the_runs_of_a_task_have_its_class(class_name: str | None) -> None:
    (due,) = of_task(class_name).create
    (further,) = of_task(class_name, failed(at=ago(minutes=2)), retry=THRICE).create

    assert further["metadata"]["name"] == "nightly-1-r1"
    assert [made["spec"].get("className") for made in (due, further)] == [class_name, class_name]


@pytest.mark.fault(235)
def test_a_run_of_another_class_that_has_the_name_of_a_due_one_is_not_taken_for_it() -> None:
    world = World(*settled(), (Kind.TASK, task_body()))
    world.settle(TASK)
    (made,) = world.memory.of("TransferRun")
    other = World(*settled(), (Kind.TASK, task_body()))
    squatter = {**made, "spec": {**made["spec"], "className": "branch"}, "status": {"state": "Succeeded"}}
    other.memory.objects["TransferRun", made["metadata"]["name"]] = squatter
    other.settle(TASK)

    message = other.memory.applied[TASK]["conditions"][0]["message"]
    assert "exists and has another owner or className; delete or rename it" in message


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({}, "There is no TransferTask nightly in this namespace."),
        ({"class_name": "branch"}, "There is no TransferTask nightly with className branch in this namespace."),
    ],
)
@pytest.mark.parametrize("age", [0, 5])
def test_a_run_without_its_task_says_that_the_class_must_be_the_same(
    named: dict[str, Any], said: str, age: int
) -> None:
    lonely = RunObservation(run(created=ago(minutes=age), **named), None, ends())
    status = decide_run(lonely, NOW, SETTINGS).status

    assert status is not None
    message = status.as_json()["conditions"][0]["message"]
    assert message == f"{said} Correct spec.taskRef.name of the TransferRun. A run needs the className of its task."
