"""The threat model names, for each attempt of each actor, what stops it and the test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
MODEL = PAGE.partition("\n## Threat model\n")[2].partition("\n## ")[0]
ACTORS = dict(re.findall(r"^### (.+)\n((?:(?!### ).*\n?)*)", MODEL, flags=re.MULTILINE))
ATTEMPTS = [
    pytest.param(cells, id=f"{actor}: {cells[0]}")
    for actor, text in ACTORS.items()
    for line in re.split(r"\| attempt[^\n]*\n[^\n]*\n", text)[1:]
    for row in line.partition("\n\n")[0].splitlines()
    if (cells := [cell.strip() for cell in row.strip("|").split(" | ")])
]


def test_the_actors_are_tenant_agent_operator_servers_and_network() -> None:
    assert list(ACTORS) == [
        "A tenant",
        "An agent that was taken over",
        "The operator that was taken over",
        "A file server or a KDC",
        "The network",
    ]
    assert all("| attempt" in text for text in ACTORS.values())


@pytest.mark.parametrize("cells", ATTEMPTS)
def test_each_attempt_has_what_stops_it_and_its_test(cells: list[str]) -> None:
    attempt, stops, tests = cells
    assert attempt
    assert stops
    assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`(, `tests/[\w/]+\.py::test_\w+`)*", tests.strip(" |"))
