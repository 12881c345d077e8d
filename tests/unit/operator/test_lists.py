"""Full lists, and a cluster whose store was restored from a backup: everything in it is older than what was heard."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
from tests.support.builders import identity_body, location_body, run_body, task_body

from smbferry_operator.cluster.client import Cluster, Listing
from smbferry_operator.cluster.errors import UnavailableError
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.watch.echo import Echo, Stream
from smbferry_operator.watch.event_router import EventRouter
from smbferry_operator.watch.lists import Lister

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

IDENTITY, TASK = Key(Kind.IDENTITY, "team", "svc"), Key(Kind.TASK, "team", "nightly")


class Store:
    """What an API server lists, as of one moment."""

    def __init__(self, version: int, *bodies: tuple[Kind, Manifest]) -> None:
        self.version = version
        self.bodies = list(bodies)
        self.away = 0
        self.asked: list[Kind] = []
        self.during: Callable[[], object] = lambda: None

    async def pages(self, kind: Kind, _namespace: str | None, _selector: str = "") -> AsyncIterator[Listing]:
        if self.away:
            self.away -= 1
            raise UnavailableError("away")
        self.asked.append(kind)
        version = self.version
        self.during()
        await asyncio.sleep(0)
        yield Listing([body for k, body in self.bodies if k is kind], version)


class Scene:
    """A lister with what it feeds."""

    def __init__(self, store: Store) -> None:
        self.cache, self.echo, self.halts = Cache(), Echo(), 0
        self.queued: list[Key] = []
        self.router = EventRouter(self.cache, self.queued.append)
        self.lister = Lister(
            cast("Cluster", store), self.cache, self.router, self.echo, namespaces=(), class_name="", halted=self.halted
        )

    @asynccontextmanager
    async def halted(self) -> AsyncIterator[None]:
        self.halts += 1
        yield

    def look(self, *kinds: Kind) -> None:
        asyncio.run(self.lister.all(kinds or Kind))


def restored() -> tuple[Store, Scene]:
    """An operator that has heard of version 900, and a store that was restored to 500."""
    store = Store(900, (Kind.IDENTITY, identity_body(version=400)), (Kind.TASK, task_body(version=880, trigger="new")))
    scene = Scene(store)
    scene.look()
    store.version = 500
    store.bodies = [
        (Kind.IDENTITY, identity_body(version=400)),
        (Kind.TASK, task_body(version=450, trigger="old")),
        (Kind.LOCATION, location_body(version=460)),
    ]
    return store, scene


def trigger(scene: Scene) -> str:
    body = scene.cache.get(TASK)
    assert body is not None
    return str(body["spec"]["trigger"])


@pytest.mark.fault(131)
def test_a_list_older_than_what_was_heard_drops_everything_and_all_is_read_anew() -> None:
    store, scene = restored()
    store.asked.clear()
    scene.look(Kind.RUN, Kind.JOB, Kind.TASK)

    assert trigger(scene) == "old"
    assert store.asked[-len(Kind) :] == list(Kind), "all kinds, not only those that were asked for"
    assert scene.halts == 1, "nothing is decided meanwhile"


@pytest.mark.fault(131)
def test_news_of_the_restored_cluster_are_believed_from_then_on() -> None:
    _, scene = restored()
    scene.look()
    scene.router.seen(Kind.TASK, task_body(version=510, trigger="next"))

    assert trigger(scene) == "next"


def test_what_was_deleted_by_the_restore_is_gone() -> None:
    store, scene = restored()
    store.bodies = []
    scene.look()

    assert len(scene.cache) == 0


@pytest.mark.fault(131)
def test_a_watch_that_hears_nothing_of_the_restored_cluster_is_found_dead() -> None:
    _, scene = restored()
    stream = Stream(Kind.TASK, "")
    scene.echo.heard(stream, 880)
    scene.look()
    scene.echo.confirm(stream, 450)

    assert scene.echo.problem() is not None
    scene.echo.heard(stream, 450)
    assert scene.echo.problem() is None


def test_an_api_server_that_goes_away_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbferry_operator.watch.lists.RETRY", 0)
    store, scene = restored()
    store.during = lambda: setattr(store, "away", 2) if scene.halts == 1 and len(scene.cache) == 1 else None
    scene.look(Kind.TASK)

    assert trigger(scene) == "old"
    assert scene.cache.get(Key(Kind.LOCATION, "team", "src")) is not None


def test_one_that_was_interrupted_meanwhile_reads_all_kinds_the_next_time() -> None:
    store, scene = restored()

    async def cut_short() -> None:
        store.during = lambda: asyncio.current_task().cancel() if scene.halts else None  # type: ignore[union-attr]
        await scene.lister.all([Kind.TASK])

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cut_short())
    store.during = lambda: None
    store.asked.clear()
    scene.look(Kind.RUN)

    assert set(store.asked) == set(Kind)
    assert scene.cache.get(IDENTITY) is not None


def test_what_is_heard_while_a_list_is_under_way_is_no_sign_of_a_restore() -> None:
    store = Store(900, (Kind.RUN, run_body(version=880)))
    scene = Scene(store)
    store.during = lambda: scene.router.seen(Kind.RUN, run_body("later", version=950))
    scene.look(Kind.RUN)

    assert scene.halts == 0
    assert scene.cache.get(Key(Kind.RUN, "team", "later")) is not None
