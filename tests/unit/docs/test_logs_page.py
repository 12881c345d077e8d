"""docs/logs.md lists exactly the fields and levels that operator and agents write."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
from typing import TYPE_CHECKING

import kopf
import pytest
from tests.documented.commands import ROOT

from smbferry_agent.logs import JsonLines
from smbferry_operator.model import Key, Kind, logged

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
OPERATOR, AGENTS = (ROOT / "operator" / "src", ROOT / "agent_image" / "src")
LEVELS = {"debug", "info", "warning", "error", "exception"}


def calls(folder: object) -> Iterator[ast.Call]:
    for file in sorted(ROOT.joinpath(str(folder)).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def keywords(folder: object, *functions: str) -> set[str]:
    """The names of values that are passed to functions which add fields."""
    return {word.arg for call in calls(folder) if name_of(call) in functions for word in call.keywords if word.arg}


def levels(folder: object) -> set[str]:
    """The levels of all calls of loggers; `exception` is an error."""
    found = {
        name_of(call)
        for call in calls(folder)
        if name_of(call) in LEVELS
        and isinstance(call.func, ast.Attribute)
        and getattr(call.func.value, "id", "") in {"logger", "_log"}
    }
    return {"error" if level == "exception" else level for level in found}


def documented(part: str, column: str) -> set[str]:
    """The words of the first column of the tables with this heading, in a part of the page."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (text,) = [found for found in section if found.startswith(part)]
    tables = re.findall(rf"^\| {column} \|.*\n\|.*\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    cells = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return {word for cell in cells for word in re.findall(r"[a-z_]+", cell)}


def record(**more: object) -> logging.LogRecord:
    error = ValueError("bug")
    made = logging.LogRecord("smbferry_agent.x", logging.WARNING, "x.py", 1, "message", (), (ValueError, error, None))
    made.__dict__.update(more)
    return made


def test_the_fields_of_agents() -> None:
    base = set(json.loads(JsonLines().format(record())))
    assert documented("Agents", "field") == base | keywords(AGENTS / "smbferry_agent", "fields", "about")


def test_the_fields_of_the_operator() -> None:
    root, stream = logging.getLogger(), io.StringIO()
    before = (root.handlers[:], root.level)
    try:
        kopf.configure(log_format=kopf.LogFormat.JSON)
        formatter = next(h.formatter for h in root.handlers if type(h.formatter).__name__.endswith("JsonFormatter"))
    finally:
        root.handlers[:], root.level = before
    assert formatter is not None
    print(formatter.format(record(**logged(Key(Kind.TASK, "team", "nightly")))), file=stream)
    written = json.loads(stream.getvalue())

    assert written["object"] == {"kind": "TransferTask", "namespace": "team", "name": "nightly"}
    assert documented("Operator", "field") == {*written, *keywords(OPERATOR, "logged")}


@pytest.mark.parametrize(("part", "folder"), [("Operator", OPERATOR), ("Agents", AGENTS)])
def test_the_levels(part: str, folder: object) -> None:
    assert documented(part, "level") == levels(folder)


def test_no_field_of_an_agent_replaces_one_that_every_line_has() -> None:
    base = {"time", "level", "logger", "message", "traceback"}
    assert keywords(AGENTS / "smbferry_agent", "fields", "about") & base == set()
