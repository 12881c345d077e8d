"""The scheduler: tasks, groups, queues and gates, without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import (
    drive,
)

from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.sync import Gate, Queue, Sequencer
from smbferry_engine.runtime.tasks import Scheduler, Signal


def test_tasks_wait_for_each_other_and_for_time() -> None:
    scheduler, seen = Scheduler(), []

    async def child(name: str, pause: float) -> str:
        await scheduler.sleep(pause)
        seen.append((name, scheduler.now))
        return name

    async def main() -> list[str]:
        tasks = [scheduler.spawn(child("slow", 2)), scheduler.spawn(child("quick", 1))]
        return [await task for task in tasks]

    assert drive(scheduler, main()) == ["slow", "quick"]
    assert seen == [("quick", 1.0), ("slow", 2.0)]


def test_the_first_error_of_a_group_ends_the_others_and_is_raised() -> None:
    scheduler, ended = Scheduler(), []

    async def forever() -> None:
        try:
            await scheduler.sleep(1e9)
        finally:
            ended.append("forever")

    async def fails() -> None:
        await scheduler.sleep(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        drive(scheduler, run_all(scheduler, [forever(), fails()]))
    assert ended == ["forever"]


def test_an_empty_group_ends_at_once() -> None:
    scheduler = Scheduler()
    drive(scheduler, run_all(scheduler, []))


def test_what_happens_twice_counts_once() -> None:
    happened: Signal[int] = Signal()
    happened.fail(ValueError("first"))
    happened.resolve(1)
    happened.fail(ValueError("second"))
    assert str(happened.error) == "first"
    other: Signal[int] = Signal()
    other.resolve(1)
    other.resolve(2)
    assert (other.result(), other.error) == (1, None)


def test_closing_everything_runs_each_finally() -> None:
    scheduler, ended = Scheduler(), []

    async def waits() -> None:
        try:
            await scheduler.sleep(5)
        finally:
            ended.append(1)

    scheduler.spawn(waits())
    scheduler.run_ready()
    scheduler.close_all()
    assert ended == [1]
    assert scheduler.next_timer() is None


def test_a_queue_is_bounded_and_ends_when_closed() -> None:
    scheduler, longest, got = Scheduler(), [0], []
    queue: Queue[int] = Queue(3)

    async def produce() -> None:
        for item in range(20):
            await queue.put(item)
            longest[0] = max(longest[0], len(queue))
        queue.close()

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            got.append(item)
            await scheduler.sleep(1)

    drive(scheduler, run_all(scheduler, [produce(), consume(), consume()]))
    assert sorted(got) == list(range(20))
    assert longest[0] == 3


def test_a_gate_admits_only_so_many() -> None:
    scheduler, gate, inside, most = Scheduler(), Gate(2), [0], [0]

    async def visit() -> None:
        await gate.enter()
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await scheduler.sleep(1)
        inside[0] -= 1
        gate.leave()

    drive(scheduler, run_all(scheduler, [visit() for _ in range(6)]))
    assert (most[0], inside[0]) == (2, 0)


@given(st.permutations(range(8)))
def test_a_sequencer_lets_pieces_through_in_order(arrival: list[int]) -> None:
    scheduler, order, sequencer = Scheduler(), [], Sequencer()

    async def piece(index: int) -> None:
        await sequencer.reach(index * 10)
        order.append(index)
        sequencer.passed(index * 10 + 10)

    drive(scheduler, run_all(scheduler, [piece(index) for index in arrival]))
    assert order == list(range(8))
