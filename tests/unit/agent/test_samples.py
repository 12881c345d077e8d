"""Samples of a run's progress: bounded, evenly spread, and true at both ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smbferry_agent.report.samples import MAX_SAMPLES, Samples


@given(st.integers(1, 5_000), st.floats(0.1, 30))
def test_a_run_of_any_length_leaves_few_points_in_order(count: int, every: float) -> None:
    samples = Samples()
    for number in range(count):
        samples.add(number * every, number * 1000, number)
    times = [seconds for seconds, _, _ in samples.points]
    assert 1 <= len(times) <= MAX_SAMPLES
    assert times == sorted(times)
    assert times[0] == 0
    assert all(octets == files * 1000 for _, octets, files in samples.points)


def test_a_short_run_keeps_every_point() -> None:
    samples = Samples()
    for number in range(100):
        samples.add(number, number, 0)
    assert len(samples.points) == 100
