"""Events are posted beside the work that they tell of."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.support.builders import NOW

from smbferry_api.reasons import RUN_STARTED, TASK_READY
from smbferry_operator.cluster.errors import (
    ConflictError,
    RefusedError,
    TerminatingError,
    UnavailableError,
)
from smbferry_operator.cluster.events import MOST_TRIES, EventRecorder
from smbferry_operator.decide.decision import Event
from smbferry_operator.model import Key, Kind, Manifest, Meta

if TYPE_CHECKING:
    from smbferry_operator.cluster.client import Cluster

RUN = Key(Kind.RUN, "team", "nightly-1")
ABOUT = Meta("nightly-1", "team", "uid-1", NOW)
STARTED = Event("Normal", RUN_STARTED, "Agent Job xrun-1 was launched.")
READY = Event("Normal", TASK_READY, "It is ready.")


class Posted:
    """As much of an API server as takes Events: it fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.bodies: list[Manifest] = []

    async def create(self, body: Manifest) -> Manifest:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.bodies.append(body)
        return body


def with_recorder(posted: Any, work: Callable[[EventRecorder], Awaitable[None]], most: int = 10) -> list[float]:
    """Lets the recorder work; returns how long it paused, each time."""
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)

    async def run() -> None:
        recorder = EventRecorder(cast("Cluster", posted), lambda: NOW, "operator-1", most, pause)
        posting = asyncio.create_task(recorder.post_forever())
        await work(recorder)
        posting.cancel()

    asyncio.run(run())
    return pauses


def test_they_are_posted_in_order_and_say_what_they_are_about() -> None:
    posted = Posted()

    async def work(recorder: EventRecorder) -> None:
        recorder.record(RUN, ABOUT, STARTED)
        recorder.record(RUN, ABOUT, READY)
        assert posted.bodies == [], "nobody has waited for them"
        await recorder.flush(5)

    with_recorder(posted, work)

    assert [body["reason"] for body in posted.bodies] == ["RunStarted", "TaskReady"]
    first = posted.bodies[0]
    assert first["regarding"]["uid"] == "uid-1"
    assert (first["type"], first["note"], first["reportingInstance"]) == ("Normal", STARTED.message, "operator-1")
    assert len({body["metadata"]["name"] for body in posted.bodies}) == 2


REFUSED = RefusedError("Event", "a quota", permanent=False)


@pytest.mark.parametrize("failure", [REFUSED, TerminatingError("the namespace goes"), ConflictError("it is there")])
def test_one_that_can_not_be_posted_does_not_keep_the_next_from_it(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    posted = Posted(failure)

    async def work(recorder: EventRecorder) -> None:
        recorder.record(RUN, ABOUT, STARTED)
        recorder.record(RUN, ABOUT, READY)
        await recorder.flush(5)

    with_recorder(posted, work)

    assert [body["reason"] for body in posted.bodies] == ["TaskReady"]
    told = "TransferRun team/nightly-1: could not post an Event: Event: a quota"
    assert (told in caplog.messages) is isinstance(failure, RefusedError)


@pytest.mark.fault(123)
def test_none_is_lost_while_the_api_server_is_busy_and_the_next_is_tried_meanwhile() -> None:
    posted = Posted(*(UnavailableError("429: too many requests"),) * 7)

    async def work(recorder: EventRecorder) -> None:
        recorder.record(RUN, ABOUT, STARTED)
        recorder.record(RUN, ABOUT, READY)
        await recorder.flush(5)

    pauses = with_recorder(posted, work)

    assert sorted(body["reason"] for body in posted.bodies) == ["RunStarted", "TaskReady"]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30]


def test_one_is_given_up_in_the_end_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    posted = Posted(*(UnavailableError("away"),) * MOST_TRIES)

    async def work(recorder: EventRecorder) -> None:
        recorder.record(RUN, ABOUT, STARTED)
        await recorder.flush(5)

    with caplog.at_level(logging.WARNING):
        with_recorder(posted, work)

    assert posted.bodies == []
    assert f"TransferRun team/nightly-1: could not post an Event in {MOST_TRIES} attempts" in caplog.text


def test_what_is_too_much_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    posted = Posted()

    async def work(recorder: EventRecorder) -> None:
        for event in (STARTED, READY, STARTED):
            recorder.record(RUN, ABOUT, event)
        await recorder.flush(5)

    with_recorder(posted, work, most=2)

    assert len(posted.bodies) == 2
    assert [m for m in caplog.messages if "posts no Event" in m]


def test_an_api_server_that_hangs_does_not_keep_the_operator_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    class Hanging(Posted):
        async def create(self, body: Manifest) -> Manifest:
            await asyncio.Event().wait()
            return body

    async def work(recorder: EventRecorder) -> None:
        recorder.record(RUN, ABOUT, STARTED)
        recorder.record(RUN, ABOUT, READY)
        await asyncio.sleep(0)
        await recorder.flush(0)

    with_recorder(Hanging(), work)

    assert [m for m in caplog.messages if "Events were not posted" in m]
