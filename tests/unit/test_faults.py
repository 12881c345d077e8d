"""docs/faults.md has a row for every fault, and tests that have its number as a marker show each."""

from __future__ import annotations

import pytest
from lab.test_columns import PAGES, keys, marked

KUBERNETES = {41, 42, 43, 45, 46, 47, 49, 50, 51, 52}
REQUIRED = {*range(1, 5), *range(6, 10), *range(11, 15), *range(16, 27), *range(28, 33), *range(34, 41), *range(55, 61)}
NUMBERS = [int(key) for key in keys(PAGES["fault"].read_text())]
TESTS = {int(number): tests for number, tests in marked("fault").items()}


def test_every_fault_has_a_row() -> None:
    assert set(NUMBERS) >= REQUIRED | KUBERNETES


def test_a_number_is_one_fault() -> None:
    assert sorted(NUMBERS) == sorted(set(NUMBERS))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_fault_is_shown_by_tests(number: int) -> None:
    assert TESTS.get(number), f"no test has @pytest.mark.fault({number})"
    for test in TESTS[number]:
        assert test.split("::")[1].startswith("test_")


@pytest.mark.parametrize(("number", "tests"), TESTS.items())
def test_every_marker_names_a_row(number: int, tests: list[str]) -> None:
    assert number in NUMBERS, f"docs/faults.md has no fault {number}: {tests}"
