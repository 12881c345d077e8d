"""Tests that pages name are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NAMED = re.compile(r"`(?:tests/)?([\w/]+\.py)::(\w+)`")
TESTS = sorted({test for page in (ROOT / "docs").rglob("*.md") for test in NAMED.findall(page.read_text())})


@cache
def functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_each_test_that_a_page_names_is_there(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions(file)
