"""Who acts: the decisions as tables, and two candidates whose every message may be slow or lost."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smbferry_operator.cluster.lease import build_lease, record_of
from smbferry_operator.decide.lease import (
    LeaseRecord,
    LeaseTimes,
    LeaseView,
    Step,
    decide_lease,
    lost,
    observed,
    pause_before_next,
    won,
)

TIMES = LeaseTimes()
OTHERS = LeaseRecord("other", 12, 3, "7")
MINE = LeaseRecord("me", 12, 3, "7")
FREE = LeaseRecord("", 1, 3, "7")


@pytest.mark.parametrize(
    ("view", "now", "step"),
    [
        (LeaseView(), 0, Step.CREATE),
        (LeaseView(FREE, 100), 100, Step.TAKE),
        (LeaseView(OTHERS, 100), 100, Step.WAIT),
        (LeaseView(OTHERS, 100), 111.9, Step.WAIT),
        (LeaseView(OTHERS, 100), 112, Step.TAKE),
        (LeaseView(MINE, 100, held_until=108), 102, Step.RENEW),
        (LeaseView(MINE, 100, held_until=108), 200, Step.RENEW),  # the version tells whether nobody took it meanwhile
        (LeaseView(OTHERS, 100, missing=True), 105, Step.WAIT),  # deleted by hand: its holder may not know yet
        (LeaseView(OTHERS, 100, missing=True), 112, Step.CREATE),
        (LeaseView(MINE, 100, missing=True), 101, Step.CREATE),
        (LeaseView(LeaseRecord("other", 0, 0, "1"), 100), 100.5, Step.WAIT),
        (LeaseView(LeaseRecord("other", 30, 0, "1"), 100), 112, Step.WAIT),  # as long as the holder asks for
    ],
)
def test_what_a_candidate_does(view: LeaseView, now: float, step: Step) -> None:
    assert decide_lease(view, "me", now) is step


def test_a_lease_counts_from_when_a_change_was_seen_and_not_from_each_look() -> None:
    first = observed(LeaseView(), OTHERS, 100)
    again = observed(first, OTHERS, 105)
    renewed = observed(again, LeaseRecord("other", 12, 3, "8"), 106)

    assert (first.seen_at, again.seen_at, renewed.seen_at) == (100, 100, 106)


def test_a_holder_counts_from_before_it_asked() -> None:
    view = won(MINE, asked_at=100, now=103, times=TIMES)

    assert view.remaining(103) == 5
    assert lost(view).remaining(103) < 0


def test_a_candidate_wakes_up_when_the_lease_runs_out() -> None:
    assert pause_before_next(LeaseView(OTHERS, 100), "me", 101, TIMES) == 2
    assert pause_before_next(LeaseView(OTHERS, 100), "me", 111.5, TIMES) == 0.5
    assert pause_before_next(LeaseView(MINE, 100, held_until=108), "me", 200, TIMES) == 2


@pytest.mark.parametrize("given_", [{"renew_deadline": 12.0}, {"renew_deadline": 5.0}, {"retry": 6.0}])
def test_times_that_leave_no_margin_are_refused(given_: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="renew deadline"):
        LeaseTimes(**given_)


def lease(holder: str, before: LeaseRecord | None) -> dict[str, Any]:
    now = datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=UTC)
    return build_lease("system", "smbferry", holder, before, now=now, times=TIMES)


NEW = "2026-11-21T12:00:00.000005Z"


@pytest.mark.parametrize(
    ("holder", "before", "acquired", "transitions", "duration"),
    [
        ("me", None, NEW, 0, 12),
        ("me", LeaseRecord("me", 12, 3, "7", "then"), "then", 3, 12),
        ("me", LeaseRecord("other", 12, 3, "7", "then"), NEW, 4, 12),
        ("", LeaseRecord("me", 12, 3, "7", "then"), NEW, 3, 1),
    ],
)
def test_the_lease_as_it_is_written(
    holder: str, before: LeaseRecord | None, acquired: str, transitions: int, duration: int
) -> None:
    body = lease(holder, before)

    assert body["spec"] == {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration,
        "acquireTime": acquired,
        "renewTime": NEW,
        "leaseTransitions": transitions,
    }
    assert body["metadata"].get("resourceVersion") == (before.version if before else None)


def test_a_lease_is_read_as_it_was_written_and_an_empty_one_is_free() -> None:
    body = lease("me", None)
    body["metadata"]["resourceVersion"] = "9"

    assert record_of(body) == LeaseRecord("me", 12, 0, "9", NEW)
    assert record_of({"metadata": {"resourceVersion": "1"}, "spec": {}}).holder == ""


# --- Two candidates ---------------------------------------------------------------------------------------------------


@dataclass
class Server:
    record: LeaseRecord | None = None
    version: int = 0

    def write(self, holder: str, before: LeaseRecord | None) -> LeaseRecord | None:
        if (before.version if before else None) != (self.record.version if self.record else None):
            return None
        self.version += 1
        self.record = LeaseRecord(holder, 12, 0, str(self.version))
        return self.record


@dataclass
class World:
    delays: list[float]
    lost_answers: list[bool]
    server: Server = field(default_factory=Server)
    now: float = 0
    windows: list[tuple[float, float, str]] = field(default_factory=list)

    def delay(self) -> float:
        self.delays.append(first := self.delays.pop(0))
        return first

    def answer_is_lost(self) -> bool:
        self.lost_answers.append(first := self.lost_answers.pop(0))
        return first

    def candidate(self, me: str) -> Iterator[float]:
        """Yields how long to wait; in between anything may happen."""
        view = LeaseView()
        while True:
            if view.remaining(self.now) <= 0:
                yield self.delay()
                record = self.server.record
                yield self.delay()
                view = observed(view, record, self.now)
            step, asked_at = decide_lease(view, me, self.now), self.now
            if step is Step.WAIT:
                view = lost(view)
            else:
                yield self.delay()
                written = self.server.write(me, None if step is Step.CREATE else view.record)
                yield self.delay()
                if written is None:
                    view = lost(view)
                elif not self.answer_is_lost():
                    view = won(written, asked_at, self.now, TIMES)
                    self.windows.append((self.now, view.held_until, me))
            yield pause_before_next(view, me, self.now, TIMES) + self.delay()

    def run(self, seconds: float) -> None:
        heap = [(float(i), i, self.candidate(name)) for i, name in enumerate("abc")]
        while heap[0][0] < seconds:
            self.now, order, candidate = heapq.heappop(heap)
            heapq.heappush(heap, (self.now + next(candidate), order, candidate))


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.9, 8.0, 11.99, 12.0, 30.0]), min_size=5, max_size=40),
    st.lists(st.booleans(), min_size=1, max_size=7),
)
def test_two_never_act_at_once_however_slow_and_lossy_everything_is(delays: list[float], lost_: list[bool]) -> None:
    world = World(delays, lost_)
    world.run(200)

    windows = sorted(w for w in world.windows if w[1] > w[0])
    for (_, end, who), (begin, _, other) in pairwise(windows):
        assert who == other or end + TIMES.margin <= begin + 1e-6, (who, end, other, begin)


def test_with_ordinary_delays_somebody_acts_nearly_always() -> None:
    world = World([0.01], [False])
    world.run(600)

    assert {who for _, _, who in world.windows} == {"a"}
    assert len(world.windows) > 280
