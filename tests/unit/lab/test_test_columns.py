"""The columns of documentation pages that name tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.test_columns import filled, keys, marked

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """# Faults

| # | Fault | Tests |
|---|---|---|
| 7 | The server a stops | `gone.py::test_gone` |
| 8 | It starts | |

| # | Other |
|---|---|
| 7 | stays |
"""


def test_a_test_may_show_several_rows_and_a_row_be_shown_by_several(tmp_path: Path) -> None:
    (tmp_path / "unit").mkdir()
    (tmp_path / "unit" / "test_a.py").write_text(
        "import pytest\n\n@pytest.mark.fault(7, 8)\n@pytest.mark.takes(5)\ndef test_x(): ...\n"
        "@pytest.mark.fault(7)\ndef test_a(): ...\n"
    )
    assert marked("fault", tmp_path) == {
        "7": ["unit/test_a.py::test_x", "unit/test_a.py::test_a"],
        "8": ["unit/test_a.py::test_x"],
    }


def test_only_the_last_cell_of_tables_with_tests_changes() -> None:
    after = filled(PAGE, {"7": ["a.py::test_x", "b.py::test_y"], "8": ["a.py::test_x"]})
    assert after == PAGE.replace("`gone.py::test_gone`", "`a.py::test_x` `b.py::test_y`").replace(
        "| It starts | |", "| It starts | `a.py::test_x` |"
    )
    assert filled(after, {"7": ["a.py::test_x", "b.py::test_y"], "8": ["a.py::test_x"]}) == after
    assert keys(PAGE) == ["7", "8"]
