"""docs/architecture.md: every file that it names exists, and its walks are short and visit each file once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
PACKAGES = [ROOT / "agent_image/src/smbferry_engine", ROOT / "agent_image/src/smbferry_agent", ROOT]
WALKS = {
    "A 5 MiB file, from its listing to its final name": 18,
    "A changed spec, to a Job": 20,
    "An identity check, to its condition": 16,
}


def walk(title: str) -> list[str]:
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. \[[^\]]+\]\(\.\./([^)]+)\)", section, re.MULTILINE)


@pytest.mark.parametrize(("title", "most"), WALKS.items())
def test_a_walk_is_short_and_visits_each_file_once(title: str, most: int) -> None:
    files = walk(title)
    assert 0 < len(files) <= most
    assert len(set(files)) == len(files)
    assert [name for name in files if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("name", re.findall(r"`([\w./]+\.(?:py|toml))`", PAGE))
def test_every_other_file_that_the_page_names_exists(name: str) -> None:
    assert any((package / name).is_file() for package in PACKAGES)
