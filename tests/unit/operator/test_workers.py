import asyncio
from datetime import timedelta

from smbferry_operator.model import Key, Kind
from smbferry_operator.reconcile.control_loop import Workers

A, B, C = (Key(Kind.TASK, "team", name) for name in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_no_more_than_so_many_at_once_and_none_is_lost() -> None:
    async def scenario() -> tuple[int, list[Key]]:
        seen: list[Key] = []
        most, now = 0, 0
        go = asyncio.Event()

        async def reconcile(key: Key) -> timedelta | None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await go.wait()
            now -= 1
            seen.append(key)
            return None

        workers = Workers(reconcile, 2, Clock())
        for key in (A, B, C, A):
            workers.add(key)
        workers.start()
        await _settle()
        go.set()
        await _settle()
        await workers.stop(1)
        return most, seen

    most, seen = asyncio.run(scenario())

    assert most == 2
    assert sorted(seen) == [A, B, C]


def test_a_failure_is_tried_again_after_its_delay_and_ends_nobody_elses_work() -> None:
    async def scenario() -> list[Key]:
        seen: list[Key] = []
        clock = Clock()

        async def reconcile(key: Key) -> timedelta | None:
            seen.append(key)
            if key == A and seen.count(A) == 1:
                raise RuntimeError("once")
            return None

        workers = Workers(reconcile, 1, clock)
        workers.add(A)
        workers.add(B)
        workers.start()
        await _settle()
        assert seen == [A, B]
        clock.now = 1.0
        workers.add(C)  # wakes the dispatcher; the clock has no hands of its own here
        await _settle()
        await workers.stop(1)
        return seen

    assert sorted(asyncio.run(scenario())) == [A, A, B, C]


def test_liveness_tells_of_work_that_never_ends() -> None:
    async def scenario() -> tuple[str | None, str | None, str | None]:
        clock = Clock()
        stuck = asyncio.Event()

        async def reconcile(_key: Key) -> timedelta | None:
            await stuck.wait()
            return None

        workers = Workers(reconcile, 1, clock)
        before = workers.problem()
        workers.start()
        workers.add(A)
        await _settle()
        fine = workers.problem()
        clock.now = 301
        late = workers.problem()
        stuck.set()
        await workers.stop(1)
        return before, fine, late

    before, fine, late = asyncio.run(scenario())

    assert before == "the dispatcher of the work queue has ended"
    assert fine is None
    assert late is not None
    assert "within 300 s" in late
