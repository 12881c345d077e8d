"""Samples, what is estimated from them, and forecasts from what was timed."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_engine.plan.census import DAYS, SIZE_EDGES, interval_of
from smbferry_engine.plan.forecast import Measured, Timing, Whole, forecast
from smbferry_engine.plan.sample import Reservoir, estimate
from smbferry_engine.plan.survey import Amount
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.sync import Gate
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_words.survey import Basis

NOTHING = Amount(0, 0)
MIB = 1 << 20


@given(st.lists(st.floats(0, 1), unique=True), st.integers(1, 20))
def test_a_reservoir_keeps_the_smallest_keys_whatever_their_order(keys: list[float], size: int) -> None:
    reservoir: Reservoir[float] = Reservoir(size)
    for key in keys:
        reservoir.add(key, key)
    assert reservoir.items() == sorted(keys)[:size]


def test_every_item_is_as_likely_in_a_sample() -> None:
    draw, seen = random.Random(1), Counter[int]()
    for _ in range(400):
        reservoir: Reservoir[int] = Reservoir(10)
        for item in range(40):
            reservoir.add(draw.random(), item)
        seen.update(reservoir.items())
    assert len(seen) == 40
    assert all(60 < count < 140 for count in seen.values())


@pytest.mark.parametrize(
    ("hits", "sampled", "population", "expected"),
    [
        pytest.param(0, 0, 0, (0, 0), id="an empty source"),
        pytest.param(3, 10, 10, (3, 3), id="everything was opened"),
        pytest.param(0, 0, 50, (0, 50), id="nothing could be opened"),
        pytest.param(0, 2_000, 1_000_000, (0, 1_918), id="none in the sample"),
        pytest.param(20, 2_000, 1_000_000, (10_000, 15_397), id="one in a hundred"),
        pytest.param(2_000, 2_000, 1_000_000, (1_000_000, 1_000_000), id="all of the sample"),
    ],
)
def test_an_estimate_has_an_upper_bound(hits: int, sampled: int, population: int, expected: tuple[int, int]) -> None:
    assert estimate(hits, sampled, population) == expected


@given(st.integers(0, 2**64 - 1))
def test_a_size_is_in_the_interval_that_begins_at_or_below_it(size: int) -> None:
    index = interval_of(size)
    assert SIZE_EDGES[index] <= size
    assert index + 1 == len(SIZE_EDGES) or size < SIZE_EDGES[index + 1]


def amounts(**by_interval: tuple[int, int]) -> list[Amount]:
    return [Amount(*by_interval.get(f"i{index}", NOTHING)) for index in range(len(SIZE_EDGES))]


def whole(files: list[Amount], *, written: list[Amount] | None = None, directories: int = 0) -> Whole:
    return Whole(directories, files, written or amounts(), listed_seconds=2.0)


def test_time_within_an_interval_is_in_proportion_to_work() -> None:
    measured = Measured(Basis.COPY, [Timing(5, Amount(4, 100 * MIB), 10.0)])
    found = forecast(measured, whole(amounts(i5=(40, 1_000 * MIB))), bytes_per_second=None)
    assert found is not None
    assert found.first == pytest.approx(102.0)
    assert found.measured == (4, 100 * MIB)


def test_folders_are_counted_and_listing_is_added() -> None:
    measured = Measured(Basis.COPY, [Timing(1, Amount(10, 100), 1.0)], folders=10, folder_seconds=0.5)
    found = forecast(measured, whole(amounts(i1=(10, 100)), directories=100), bytes_per_second=None)
    assert found is not None
    assert found.first == pytest.approx(2.0 + 5.0 + 1.0)
    assert found.unchanged == 4.0


def test_an_interval_that_was_not_timed_costs_as_the_nearest_one() -> None:
    measured = Measured(Basis.READ, [Timing(0, Amount(1, 0), 1.0), Timing(4, Amount(1, MIB - 65_536), 1.0)])
    found = forecast(measured, whole(amounts(i5=(1, 16 * MIB - 65_536))), bytes_per_second=None)
    assert found is not None
    assert found.first == pytest.approx(2.0 + 16.0)


def test_a_limit_of_the_rate_bounds_the_forecast() -> None:
    measured = Measured(Basis.COPY, [Timing(5, Amount(1, 100 * MIB), 1.0)])
    found = forecast(measured, whole(amounts(i5=(10, 1_000 * MIB))), bytes_per_second=10 * MIB)
    assert found is not None
    assert found.first == pytest.approx(102.0)


def test_a_day_is_a_seventh_of_the_last_week() -> None:
    measured = Measured(Basis.COPY, [Timing(1, Amount(10, 0), 10.0)])
    found = forecast(measured, whole(amounts(i1=(100, 0)), written=amounts(i1=(14, 0))), bytes_per_second=None)
    assert found is not None
    assert DAYS == 7
    assert found.daily == pytest.approx(4.0 + 2.0)


def test_there_is_no_forecast_without_a_sample_unless_there_is_nothing_to_copy() -> None:
    assert forecast(Measured(Basis.READ), whole(amounts(i1=(1, 1))), bytes_per_second=None) is None
    empty = forecast(Measured(Basis.READ), whole(amounts()), bytes_per_second=None)
    assert empty is not None
    assert empty.first == 2.0


class StopError(Exception):
    pass


def test_who_is_stopped_while_waiting_at_a_gate_takes_nobodys_turn() -> None:
    scheduler, gate = Scheduler(), Gate(1)
    passed: list[str] = []

    async def hold() -> None:
        await gate.enter()
        await scheduler.sleep(1)
        gate.leave()

    async def wait(name: str) -> None:
        await gate.enter()
        passed.append(name)
        gate.leave()

    async def stop() -> None:
        await scheduler.sleep(0.5)
        raise StopError

    scheduler.spawn(hold())
    scheduler.run_ready()
    stopped = scheduler.spawn(run_all(scheduler, [wait("stopped"), stop()]))
    scheduler.run_ready()
    scheduler.spawn(wait("next"))
    for now in (0.5, 1.0):
        scheduler.advance(now)
        scheduler.run_ready()
    assert isinstance(stopped.error, StopError)
    assert passed == ["next"]
