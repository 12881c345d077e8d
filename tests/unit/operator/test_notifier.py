"""Events reach the sink at least once, whatever it does, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import NOW, run_body

from smbferry_api.fields import format_time
from smbferry_api.undelivered import FIELD
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.notify import notifier as module
from smbferry_operator.notify.cloud_event import CloudEvent
from smbferry_operator.notify.notifier import Notifier, Surroundings
from smbferry_operator.notify.outbox import LONGEST_PAUSE, Outbox
from smbferry_operator.notify.sink import SinkError
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.tags import TAG_UNDELIVERED

if TYPE_CHECKING:
    from collections.abc import Callable

ENDED = {"type": "RunEnded", "time": format_time(NOW)}


class Taken:
    """A sink that refuses what it is told to."""

    def __init__(self, *answers: SinkError | None) -> None:
        self.answers = list(answers)
        self.ids: list[str] = []
        self.closed = False

    async def deliver(self, event: CloudEvent) -> None:
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.ids.append(event.id)

    async def close(self) -> None:
        self.closed = True


class Office:
    """A notifier with a cache."""

    def __init__(self, sink: Taken) -> None:
        self.cache = Cache()
        self.leads = True
        self.now = 100.0
        self.enqueued: list[Key] = []
        self.counts = {"accepted": 0, "failed": 0}
        around = Surroundings(
            lambda: self.leads, self.enqueued.append, self.counter("accepted"), self.counter("failed"), lambda: self.now
        )
        self.notifier = Notifier(self.cache, TAG_UNDELIVERED, sink, "/smbferry", around)

    def counter(self, name: str) -> Callable[[], None]:
        def count() -> None:
            self.counts[name] += 1

        return count

    def ends(self, name: str, *, heard: bool = True, version: int = 1) -> Manifest:
        """A run ends."""
        body = run_body(name, {"state": "Succeeded", FIELD: [ENDED]}, version=version)
        self.cache.put(Kind.RUN, body)
        if heard:
            self.notifier.seen(Kind.RUN, body)
        return body

    def crossed_out(self, name: str) -> None:
        self.cache.put(Kind.RUN, run_body(name, {"state": "Succeeded"}, version=9))

    def rounds(self, count: int = 1, *, after: float = 0.0) -> None:
        async def work() -> None:
            for _ in range(count):
                self.now += after
                await self.notifier.round()

        asyncio.run(work())


def id_of(name: str) -> str:
    return f"uid-{name}_run-ended"


DOWN = SinkError("events.example.com: Connection refused")


def test_an_event_is_sent_once_and_its_object_decided_again() -> None:
    sink = Taken()
    office = Office(sink)
    office.ends("a")
    office.rounds(3, after=10)

    assert sink.ids == [id_of("a")]
    assert office.enqueued == [Key(Kind.RUN, "team", "a")]
    assert office.notifier.is_delivered(id_of("a"))
    assert office.counts == {"accepted": 1, "failed": 0}


def test_what_was_crossed_out_is_forgotten() -> None:
    office = Office(Taken())
    office.ends("a")
    office.rounds()
    office.crossed_out("a")
    office.rounds()

    assert not office.notifier.is_delivered(id_of("a"))


@pytest.mark.fault(225)
def test_while_the_sink_is_away_events_wait_and_then_all_arrive(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink = Taken(DOWN, DOWN, DOWN)
    office = Office(sink)
    for name in ("a", "b", "c"):
        office.ends(name)
    office.rounds(3)
    assert (sink.ids, office.notifier.pending) == ([], 3)

    office.rounds()
    assert sink.ids == [id_of(name) for name in ("a", "b", "c")]
    assert [record.getMessage() for record in caplog.records] == [
        "3 events wait, because the sink accepts none: events.example.com: Connection refused",
        "the sink accepts events again",
    ]


@pytest.mark.fault(226)
def test_the_next_leader_finds_in_the_statuses_what_was_not_delivered() -> None:
    sink = Taken()
    office = Office(sink)
    office.leads = False
    office.ends("a")
    assert office.notifier.pending == 0
    office.leads = True
    office.rounds()

    assert sink.ids == [id_of("a")]


@pytest.mark.fault(226)
def test_an_operator_that_was_killed_before_the_note_was_crossed_out_sends_the_same_id_again() -> None:
    sink = Taken()
    first = Office(sink)
    first.ends("a")
    first.rounds()
    second = Office(sink)
    second.ends("a", heard=False)
    second.rounds()

    assert sink.ids == [id_of("a"), id_of("a")]


def test_a_run_that_is_deleted_at_once_is_told_all_the_same() -> None:
    sink = Taken()
    office = Office(sink)
    body = office.ends("a")
    office.cache.remove(Kind.RUN, body)
    office.rounds(2)

    assert sink.ids == [id_of("a")]
    assert not office.notifier.is_delivered(id_of("a"))


def test_an_event_that_the_sink_refuses_does_not_hold_up_others() -> None:
    sink = Taken(SinkError("expected 2xx, got 413", only_this=True))
    office = Office(sink)
    office.ends("bad")
    office.ends("good")
    office.rounds()
    assert sink.ids == [id_of("good")]
    office.rounds(after=0.5)
    assert sink.ids == [id_of("good")]
    office.rounds(after=0.5)
    assert sink.ids == [id_of("good"), id_of("bad")]


def test_refused_events_are_tried_at_growing_intervals() -> None:
    outbox = Outbox()
    event = CloudEvent("a", Key(Kind.RUN, "team", "a"), b"")
    outbox.offer(event)
    pauses = []
    for _ in range(12):
        outbox.refused(event, 0.0)
        pauses.append(outbox.next_due())

    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_PAUSE


def test_more_events_than_fit_into_memory_are_taken_from_the_statuses_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Outbox", lambda: Outbox(most=2))
    sink = Taken()
    office = Office(sink)
    for name in "abcde":
        office.ends(name)
    assert office.notifier.pending == 2
    for _ in range(3):
        office.rounds(after=module.POLL)
        for id_ in list(sink.ids):
            office.crossed_out(id_[4])

    assert sorted(sink.ids) == [id_of(name) for name in "abcde"]


def test_it_sends_until_it_is_stopped_and_pauses_while_the_sink_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    sink = Taken(DOWN, DOWN, DOWN)
    office = Office(sink)

    async def work() -> None:
        sending = asyncio.create_task(office.notifier.send_forever())
        office.ends("a")
        while not sink.ids:
            await real(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(asyncio.wait_for(work(), 10))
    assert [seconds for seconds in pauses if seconds] == [1.0, 2.0, 4.0]
    assert sink.closed


def test_an_event_is_json_of_one_line() -> None:
    office = Office(Taken())
    office.ends("a")
    due: Any = office.notifier._outbox.due(office.now)
    assert json.loads(due.content)["specversion"] == "1.0"
    assert b"\n" not in due.content
