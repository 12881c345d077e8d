"""The page of `smbferry report` in a real browser: on a telephone and a desk, by day and night, on paper, read out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from lab.support.chromium import Browser, Page
from tests.browser import reports

from smbferry_cli.html import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from smbferry_cli.html import Facts

SIZES = {"telephone": (390, 844), "desk": (1280, 900)}
SCHEMES = ("light", "dark")
RUNS = (reports.nightly, reports.failed, reports.hostile)


@pytest.mark.parametrize(
    ("make", "size", "scheme"),
    list(itertools.product(RUNS, SIZES, SCHEMES)),
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_nothing_is_wrong_with_it(
    make: Callable[[], Facts], size: str, scheme: str, browser: Browser, axe: str
) -> None:
    width, height = SIZES[size]
    with Page(browser, page(make()), width=width, height=height, scheme=scheme) as shown:
        assert shown.said == []
        assert shown.value("innerWidth") == width, "it is as wide as the screen"
        assert shown.value("document.documentElement.scrollWidth") == width, "nothing is scrolled sideways"
        assert shown.faults(axe) == []
        assert shown.said == []


def test_a_browser_that_finds_fault_is_believed(browser: Browser, axe: str) -> None:
    bad = "<!doctype html><html lang=en><title>x</title><img src=data:,><p style=width:2000px>x<script>fly()</script>"
    with Page(browser, bad, width=390, height=844) as shown:
        assert any("fly is not defined" in said for said in shown.said)
        assert shown.value("document.documentElement.scrollWidth") > 390
        assert any(fault.startswith("image-alt") for fault in shown.faults(axe))


def test_it_is_dark_in_the_dark_and_light_on_paper(browser: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.body).color"
    found = {}
    for scheme in SCHEMES:
        with Page(browser, page(reports.nightly()), width=1280, height=900, scheme=scheme) as shown:
            found[scheme] = (shown.value(background), shown.value(ink))
            shown.on_paper()
            found[f"{scheme} paper"] = (shown.value(background), shown.value(ink))
    assert found["dark"] != found["light"]
    assert found["dark paper"] == found["light paper"] == found["light"]


def test_it_can_be_printed(browser: Browser) -> None:
    with Page(browser, page(reports.nightly()), width=1280, height=900, scheme="dark") as shown:
        printed = shown.printed()
    assert printed.startswith(b"%PDF-")
    assert 1 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 4


def test_a_screen_reader_is_told_what_the_charts_and_tables_say(browser: Browser) -> None:
    with Page(browser, page(reports.nightly()), width=1280, height=900) as shown:
        names = shown.names()
        assert shown.value("document.querySelectorAll('ul > li').length") == 3, "one for each file that failed"
    headings = [name for role, name in names if role == "heading"]
    assert headings == [
        "finance-k7w2m9ab", "Throughput", "Actions", "File sizes", "Encryption and authentication", "Phases",
        "Files that failed",
    ]  # fmt: skip
    charts = [name for role, name in names if role == "image"]
    assert len(charts) == 2
    assert charts[0].startswith("Throughput over 3m20s, maximum ")
    assert {"source", "destination", "phase", "count"} <= {name for role, name in names if role == "columnheader"}
