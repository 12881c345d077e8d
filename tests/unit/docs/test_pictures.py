"""Pictures that pages show by HTML are there, small, and told to those who do not see them."""

from __future__ import annotations

import re

import pytest
from tests.documented.commands import ROOT

README = (ROOT / "README.md").read_text()
MAX_BYTES = 150 * 1024
SHOWN = re.findall(r'(?:src|srcset)="([^"]+)"', README)


def test_the_readme_shows_the_status_table_and_a_report_by_day_and_by_night() -> None:
    assert len(SHOWN) == 4
    assert sorted(SHOWN) == sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs" / "images").glob("*.png"))


@pytest.mark.parametrize("path", SHOWN)
def test_a_picture_is_a_small_png(path: str) -> None:
    content = (ROOT / path).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < MAX_BYTES


def test_every_picture_says_what_it_shows() -> None:
    images = re.findall(r"<img [^>]*>", README)
    assert len(images) == 2
    assert all(len(re.search(r'alt="([^"]*)"', image)[1]) > 80 for image in images)  # type: ignore[index]  # None fails, too
