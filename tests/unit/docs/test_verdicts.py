"""docs/verdicts.md, the reasons, the runbook and the tests belong together."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS, ConditionType
from smbferry_api.reasons import by_name

TESTS = Path(__file__).resolve().parents[2]
DOCS = TESTS.parent / "docs"
CELLS = re.compile(r"^\| (.+?) \| (\w+) \| (\w+) \| (.+) \|$", re.MULTILINE)
SHOWN = re.compile(r"`([\w/]+\.py)::(\w+)`")
# A connection that was made and is lost later is a matter of runs: docs/faults.md has them.
OF_RUNS = {"ConnectionLost", "SessionEnded"}


class Row(NamedTuple):
    """One line of the page."""

    what: str
    condition: str
    reason: str
    tests: list[tuple[str, str]]


PAGE = (DOCS / "verdicts.md").read_text()
LINES = CELLS.findall(PAGE)
ROWS = [
    Row(what, condition, reason, SHOWN.findall(tests))
    for what, condition, reason, tests in LINES
    if tests != "Shown by"
]


@cache
def source(file: str) -> str:
    return (TESTS / file).read_text()


@cache
def functions(file: str) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(source(file)).body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_each_verdict_has_a_reason_with_a_remedy_and_tests_that_exist_and_name_it(row: Row) -> None:
    reason = by_name(row.reason)
    assert reason is not None
    assert reason.remedy
    assert row.condition in {ConditionType.READY, *IDENTITY_CHECKS, *LOCATION_CHECKS}
    assert row.tests, "no test shows it"
    for file, _ in row.tests:
        assert row.reason in source(file), f"{file} does not speak of {row.reason}"


@pytest.mark.parametrize(("file", "name"), sorted(set(SHOWN.findall(PAGE))))
def test_each_test_that_the_page_names_is_there(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions(file)


def test_every_reason_that_a_check_gives_is_a_verdict() -> None:
    index = (DOCS / "runbook" / "README.md").read_text()
    parts = re.split(r"^## ", index, flags=re.MULTILINE)
    of_checks = [part for part in parts if part.startswith(("KerberosIdentity:", "SmbLocation:"))]
    given = {name for part in of_checks for name in re.findall(r"^\| \[(\w+)\]", part, flags=re.MULTILINE)}
    assert given - {row.reason for row in ROWS} == OF_RUNS


def test_no_verdict_stands_twice() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS)
