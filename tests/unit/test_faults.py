"""docs/faults.md names a test for every fault, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
KUBERNETES = {41, 42, 43, 45, 46, 47, 49, 50, 51, 52}
REQUIRED = {*range(1, 5), *range(6, 10), *range(11, 15), *range(16, 27), *range(28, 33), *range(34, 41), *range(55, 61)}
ROW = re.compile(r"\| (\d+) \|.*\| ([^|]*) \|")
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


def rows() -> dict[int, list[tuple[str, str]]]:
    """Number of a fault → (file below tests/, function) of each of its tests."""
    return {int(row[1]): TEST.findall(row[2]) for row in map(ROW.fullmatch, PAGE.read_text().splitlines()) if row}


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_every_fault_has_a_row() -> None:
    assert rows().keys() >= REQUIRED | KUBERNETES


@pytest.mark.parametrize(("number", "tests"), rows().items())
def test_every_fault_is_shown_by_tests_that_exist(number: int, tests: list[tuple[str, str]]) -> None:
    assert tests, f"fault {number} has no test"
    for file, name in tests:
        assert name.startswith("test_")
        assert name in functions(file), f"fault {number}: {file} has no {name}"
