"""What a neighbor of a run finds: percentiles, ratios, and the table of it."""

from __future__ import annotations

import pytest
from lab.bench import beside
from lab.bench.beside_figures import ALONE, BESIDE, IDLE, POLITE, Found, lines, percentile, table, verdict, within
from lab.bench.cases import Unit

TITLES = {"large": ("4 x 512 MiB", Unit.BYTES)}
HUNDRED = tuple(number / 1000 for number in range(1, 101))


def measured(*, polite: float, rate: float) -> list[Found]:
    """Two rounds in which the neighbor's replies to a polite run take so many times as long as alone."""
    slower = tuple(seconds * polite for seconds in HUNDRED)
    return 2 * [
        Found("large", ALONE, 0.0, HUNDRED),
        Found("large", IDLE, 200e6),
        Found("large", BESIDE, 180e6, tuple(seconds * 5 for seconds in HUNDRED)),
        Found("large", POLITE, rate, slower),
    ]


@pytest.mark.parametrize(("part", "expected"), [(0.5, 0.051), (0.95, 0.096), (1.0, 0.1)])
def test_a_percentile_is_one_of_the_values(part: float, expected: float) -> None:
    assert percentile(HUNDRED, part) == expected
    assert percentile(tuple(reversed(HUNDRED)), part) == expected


def test_only_what_began_during_the_copy_counts() -> None:
    assert within([[1.0, 0.1], [2.0, 0.2], [2.9, 5.0], [3.0, 0.4]], 2.0, 3.0) == (0.2, 5.0)


def test_the_table_compares_each_with_the_neighbor_and_the_run_alone() -> None:
    found = table(measured(polite=1.1, rate=140e6), TITLES, 1.2).splitlines()
    assert found[2:] == [
        "| 4 x 512 MiB | neighbor alone |  |  | 51.0 ms | 96.0 ms | 1.00 x |",
        "|  | run alone | 200 MB/s | 100 % |  |  |  |",
        "|  | both | 180 MB/s | 90 % | 255.0 ms | 480.0 ms | 5.00 x |",
        "|  | both, the run gives way at 1.2 | 140 MB/s | 70 % | 56.1 ms | 105.6 ms | 1.10 x |",
    ]


@pytest.mark.parametrize(
    ("polite", "rate", "said"),
    [(1.1, 140e6, ": reached"), (1.3, 140e6, ": not reached"), (1.1, 100e6, ": not reached")],
)
def test_both_goals_must_be_reached(polite: float, rate: float, said: str) -> None:
    assert verdict(measured(polite=polite, rate=rate), TITLES).endswith(said)


def test_what_was_not_measured_is_left_out() -> None:
    some = [one for one in measured(polite=1.1, rate=1.0) if one.kind != POLITE]
    assert list(lines(some, "large")) == [ALONE, IDLE, BESIDE]
    assert verdict(some, TITLES) == ""
    assert lines(some, "small") == {}


def test_the_real_cases_are_few_large_files_and_many_small_ones() -> None:
    large, small = beside.cases(1.0)
    assert (large.tree.files, large.tree.bytes) == (6, 3 << 30)
    assert (small.tree.files, set(small.tree.sizes)) == (20_000, {4096})
    assert [case.tree.files for case in beside.cases(0.00005)] == [6, 1]
