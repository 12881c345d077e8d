"""One candidate against a lease in memory, with a clock that is set by hand."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from smbferry_operator.clock import uptime
from smbferry_operator.cluster.errors import ConflictError, NotFoundError, UnavailableError
from smbferry_operator.decide.lease import LeaseRecord
from smbferry_operator.leader import Elector, Fence


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Memory:
    record: LeaseRecord | None = None
    failing: Exception | None = None
    writes: list[str] = field(default_factory=list)

    async def read(self) -> LeaseRecord | None:
        if self.failing:
            raise self.failing
        return self.record

    async def write(self, holder: str, before: LeaseRecord | None, now: datetime) -> LeaseRecord:
        if self.failing:
            raise self.failing
        if self.record is None and before is not None:
            raise NotFoundError("gone")
        if self.record != before:
            raise ConflictError("changed")
        self.writes.append(holder)
        self.record = LeaseRecord(holder, 12, 0, str(int(before.version) + 1 if before else 1))
        return self.record


class Candidate:
    def __init__(self, store: Memory, clock: Clock, me: str = "me") -> None:
        self.turns: list[str] = []
        self.clock = clock
        self.fence = Fence(clock)
        self.elector = Elector(
            store,
            me,
            self.fence,
            turned=self._turned,
            utc_now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
            clock=clock,
        )

    def _turned(self, *, leading: bool) -> None:
        self.fence.act(acting=leading)
        self.turns.append("began" if leading else "ceased")

    def round(self, *, after: float = 0) -> None:
        self.clock.now += after
        asyncio.run(self.elector.round())


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_first_one_leads_and_the_second_waits(store: Memory, clock: Clock) -> None:
    first, second = Candidate(store, clock, "a"), Candidate(store, clock, "b")
    first.round()
    second.round()

    assert (first.turns, second.turns) == (["began"], [])
    assert first.fence.remaining() == 8
    assert second.fence.remaining() == 0


def test_a_renewal_is_no_new_turn(store: Memory, clock: Clock) -> None:
    one = Candidate(store, clock)
    one.round()
    one.round(after=2)

    assert one.turns == ["began"]
    assert one.fence.remaining() == 8
    assert store.writes == ["me", "me"]


def test_one_that_can_not_renew_stops_before_another_begins(store: Memory, clock: Clock) -> None:
    first, second = Candidate(store, clock, "a"), Candidate(store, clock, "b")
    first.round()
    second.round()
    clock.now += 7.9
    assert first.fence.remaining() > 0

    clock.now += 0.2
    assert first.fence.remaining() == 0  # at once, by the clock alone
    second.round()
    assert second.turns == []
    second.round(after=4)
    assert second.turns == ["began"]


def test_an_api_server_that_is_away_for_a_moment_changes_nothing(store: Memory, clock: Clock) -> None:
    one = Candidate(store, clock)
    one.round()
    store.failing = UnavailableError("away")
    one.round(after=2)
    one.round(after=2)
    store.failing = None
    one.round(after=2)

    assert one.turns == ["began"]
    assert one.fence.remaining() == 8


def test_one_that_was_cut_off_stops_and_begins_again_when_nobody_took_over(store: Memory, clock: Clock) -> None:
    one = Candidate(store, clock)
    one.round()
    store.failing = UnavailableError("away")
    one.round(after=9)
    assert one.turns == ["began", "ceased"]

    store.failing = None
    one.round(after=60)
    assert one.turns == ["began", "ceased", "began"]


@pytest.mark.parametrize("record", [LeaseRecord("other", 12, 1, "50"), None])
def test_one_whose_lease_was_taken_or_deleted_stops_at_once(
    store: Memory, clock: Clock, record: LeaseRecord | None
) -> None:
    one = Candidate(store, clock)
    one.round()
    store.record = record
    one.round(after=2)

    assert one.turns == ["began", "ceased"]
    assert one.fence.remaining() == 0


def test_what_is_released_is_free_for_the_next_at_once(store: Memory, clock: Clock) -> None:
    first, second = Candidate(store, clock, "a"), Candidate(store, clock, "b")
    first.round()
    second.round()
    asyncio.run(first.elector.release())
    second.round(after=0.1)

    assert first.turns == ["began", "ceased"]
    assert second.turns == ["began"]


def test_one_that_does_not_lead_releases_nothing(store: Memory, clock: Clock) -> None:
    first, second = Candidate(store, clock, "a"), Candidate(store, clock, "b")
    first.round()
    second.round()
    asyncio.run(second.elector.release())

    assert store.writes == ["a"]


@dataclass
class Unanswered(Memory):
    """What it writes from now on is written, and nobody is told."""

    silent: bool = False

    async def write(self, holder: str, before: LeaseRecord | None, now: datetime) -> LeaseRecord:
        record = await super().write(holder, before, now)
        if self.silent:
            self.silent = False
            await asyncio.Event().wait()
        return record


@pytest.mark.parametrize("rounds_before", [0, 1], ids=["first", "renewal"])
def test_a_lease_whose_write_was_cut_off_by_the_end_is_given_away(clock: Clock, rounds_before: int) -> None:
    store = Unanswered()
    one, next_one = Candidate(store, clock, "a"), Candidate(store, clock, "b")
    for _ in range(rounds_before):
        one.round()

    async def stopped_while_it_writes() -> None:
        store.silent = True
        election = asyncio.create_task(one.elector.run())
        while store.silent:
            await asyncio.sleep(0)
        election.cancel()
        await asyncio.gather(election, return_exceptions=True)
        await one.elector.release()

    asyncio.run(stopped_while_it_writes())
    assert store.writes == ["a"] * (rounds_before + 1) + [""]
    next_one.round()
    assert next_one.turns == ["began"]


def test_a_release_that_fails_ends_the_turn_all_the_same(store: Memory, clock: Clock) -> None:
    one = Candidate(store, clock)
    one.round()
    store.failing = UnavailableError("away")
    asyncio.run(one.elector.release())

    assert one.turns == ["began", "ceased"]
    assert one.fence.remaining() == 0


def test_nothing_is_written_before_the_picture_is_fresh(clock: Clock) -> None:
    fence = Fence(clock)
    fence.hold(clock.now + 8)
    assert fence.remaining() == 0

    fence.act(acting=True)
    assert fence.remaining() == 8


def test_the_clock_goes_on() -> None:
    assert uptime() <= uptime()
