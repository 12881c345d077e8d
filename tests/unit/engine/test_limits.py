"""Limits: deletions, bytes per second, and what is told of a rate."""

import pytest
from lab.fake_server import drive

from smbferry_engine.model import (
    Counters,
)
from smbferry_engine.plan.limits import DeleteLimit
from smbferry_engine.run.limiter import Limiter
from smbferry_engine.run.tally import Meter
from smbferry_engine.runtime.tasks import Scheduler


@pytest.mark.parametrize(
    ("value", "deletes", "listed", "allowed"),
    [(5, 5, 100, True), (5, 6, 100, False), ("5", 6, 100, False), ("10%", 10, 100, True), ("10%", 11, 100, False),
     ("0.5%", 1, 200, True), (0, 0, 0, True), (0, 1, 10, False), ("100%", 10, 10, True), ("0%", 1, 10, False)],
)  # fmt: skip
def test_max_deletes_is_a_count_or_a_share(value: str | int, deletes: int, listed: int, *, allowed: bool) -> None:
    assert DeleteLimit.parse(value).allows(deletes, listed) is allowed


@pytest.mark.parametrize("value", ["", "ten", "-1", -1, "101%", "%", "1.5", "1e3", "5 %x", "nan%"])
def test_a_max_deletes_that_means_nothing_is_refused(value: str | int) -> None:
    with pytest.raises(ValueError, match="maxDeletes"):
        DeleteLimit.parse(value)


def test_rate_and_remaining_time_come_from_the_last_seconds() -> None:
    counters = Counters()
    counters.bytes.to_transfer = 1000
    meter = Meter(counters)
    assert meter.due(100.0)
    counters.bytes.transferred = 200
    assert not meter.due(100.5)
    assert meter.due(102.0)
    assert (counters.bytes_per_second, counters.eta_seconds) == (100, 8.0)


def test_a_limit_is_kept_on_average_and_may_change() -> None:
    scheduler, limit = Scheduler(), [1000]
    limiter = Limiter(scheduler, lambda: limit[0])

    async def main() -> list[float]:
        at = []
        for _ in range(4):
            await limiter.take(1000)
            at.append(scheduler.now)
        limit[0] = 10_000
        await limiter.take(1000)
        await limiter.take(1000)
        at.append(scheduler.now)
        return at

    scheduler.advance(50.0)
    at = drive(scheduler, main())
    assert at[3] - at[0] == pytest.approx(2.75)
    assert at[4] - at[3] == pytest.approx(0.2)


def test_whoever_waits_for_a_slow_limit_notices_within_seconds_that_it_was_raised() -> None:
    scheduler, limit = Scheduler(), [10]
    limiter = Limiter(scheduler, lambda: limit[0])

    async def raise_it() -> None:
        await scheduler.sleep(7.0)
        limit[0] = 1 << 30

    async def main() -> float:
        change = scheduler.spawn(raise_it())
        await limiter.take(1 << 20)
        await limiter.take(1 << 20)
        await change
        return scheduler.now

    assert drive(scheduler, main()) == pytest.approx(10.0, abs=0.1)


def test_without_a_limit_nobody_waits() -> None:
    scheduler = Scheduler()
    drive(scheduler, Limiter(scheduler, lambda: None).take(1 << 40))
    assert scheduler.now == 0
