"""A Chromium for all tests of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.chromium import Browser, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def browser_and_axe() -> Iterator[tuple[Browser, str]]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def browser(browser_and_axe: tuple[Browser, str]) -> Browser:
    return browser_and_axe[0]


@pytest.fixture(scope="session")
def axe(browser_and_axe: tuple[Browser, str]) -> str:
    return browser_and_axe[1]
