"""Generates the columns of docs/faults.md and docs/verdicts.md that name tests: `python -m lab.test_columns [--check]`.

A test names the rows that it shows by a marker: `@pytest.mark.fault(7)`, `@pytest.mark.verdict("Keytab truncated")`.
A row is found by its first cell; its last cell lists the tests. Everything else on a page is written by hand.
"""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

from smbferry_api.generated import write

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PAGES = {"fault": ROOT / "docs" / "faults.md", "verdict": ROOT / "docs" / "verdicts.md"}
"""Marker → page."""
HEADINGS = ("Tests", "Shown by")
ROW = re.compile(r"\| (?P<key>[^|]+?) \|(?P<middle>.*)\| [^|]*\|")


def marked(marker: str, tests: Path = TESTS) -> dict[str, list[str]]:
    """Row → tests that have the marker with it, as `file::function` below ``tests``, by file and line."""
    found: dict[str, list[str]] = {}
    for file in sorted(tests.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if f"mark.{marker}(" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                for key in _arguments(node, marker):
                    found.setdefault(key, []).append(f"{file.relative_to(tests)}::{node.name}")
    return found


def _arguments(test: ast.FunctionDef, marker: str) -> list[str]:
    calls = [d for d in test.decorator_list if isinstance(d, ast.Call)]
    return [
        str(ast.literal_eval(argument))
        for call in calls
        if ast.unparse(call.func) == f"pytest.mark.{marker}"
        for argument in call.args
    ]


def keys(page: str) -> list[str]:
    """The first cell of each row whose last cell lists tests, in their order."""
    return [row["key"] for _, row in _rows(page)]


def filled(page: str, tests: dict[str, list[str]]) -> str:
    """The page with the tests of each row in its last cell."""
    lines = page.splitlines(keepends=True)
    for number, row in _rows(page):
        shown = " ".join(f"`{test}`" for test in tests.get(row["key"], []))
        lines[number] = f"| {row['key']} |{row['middle']}| {shown} |\n"
    return "".join(lines)


def _rows(page: str) -> list[tuple[int, re.Match[str]]]:
    """Line number, from 0, and row of each table whose last column has the heading of tests."""
    found, inside = [], False
    for number, line in enumerate(page.splitlines()):
        row = ROW.fullmatch(line)
        if row is None:
            inside = inside and line.startswith("|--")
        elif line.endswith(tuple(f"| {heading} |" for heading in HEADINGS)):
            inside = True
        elif inside:
            found.append((number, row))
    return found


def main() -> int:
    """Writes the pages. With --check, lists those that differ and returns 1."""
    parser = argparse.ArgumentParser(description="Generate the columns of the documentation that name tests.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page differs")
    pages = {page: filled(page.read_text(encoding="utf-8"), marked(marker)) for marker, page in PAGES.items()}
    return write(pages, check=parser.parse_args().check)


if __name__ == "__main__":
    raise SystemExit(main())
