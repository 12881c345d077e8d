"""docs/verdicts.md, the reasons, the runbook and the tests belong together."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from lab.test_columns import PAGES, marked

from smbferry_api.conditions import IDENTITY_CHECKS, LOCATION_CHECKS, ConditionType
from smbferry_api.reasons import by_name

ROOT = Path(__file__).resolve().parents[3]
TESTS, DOCS = ROOT / "tests", ROOT / "docs"
CELLS = re.compile(r"^\| (.+?) \| (\w+) \| (\w+) \| (.*) \|$", re.MULTILINE)
# A connection that was made and is lost later is a matter of runs: docs/faults.md has them.
OF_RUNS = {"ConnectionLost", "SessionEnded"}


class Row(NamedTuple):
    """One line of the page."""

    what: str
    condition: str
    reason: str


SHOWN = marked("verdict")
ROWS = [
    Row(what, condition, reason)
    for what, condition, reason, tests in CELLS.findall(PAGES["verdict"].read_text())
    if tests != "Shown by"
]


@cache
def source(file: str) -> str:
    return (TESTS / file).read_text()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_each_verdict_has_a_reason_with_a_remedy_and_tests_that_name_it(row: Row) -> None:
    reason = by_name(row.reason)
    assert reason is not None
    assert reason.remedy
    assert row.condition in {ConditionType.READY, *IDENTITY_CHECKS, *LOCATION_CHECKS}
    assert SHOWN.get(row.what), f'no test has @pytest.mark.verdict("{row.what}")'
    for test in SHOWN[row.what]:
        file, name = test.split("::")
        assert name.startswith("test_")
        assert row.reason in source(file), f"{file} does not speak of {row.reason}"


@pytest.mark.parametrize(("what", "tests"), SHOWN.items())
def test_each_marker_names_a_row(what: str, tests: list[str]) -> None:
    assert what in {row.what for row in ROWS}, f'docs/verdicts.md has no row "{what}": {tests}'


def test_every_reason_that_a_check_gives_is_a_verdict() -> None:
    index = (DOCS / "runbook" / "README.md").read_text()
    parts = re.split(r"^## ", index, flags=re.MULTILINE)
    of_checks = [part for part in parts if part.startswith(("KerberosIdentity:", "SmbLocation:"))]
    given = {name for part in of_checks for name in re.findall(r"^\| \[(\w+)\]", part, flags=re.MULTILINE)}
    assert given - {row.reason for row in ROWS} == OF_RUNS


def test_no_verdict_stands_twice() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS)
