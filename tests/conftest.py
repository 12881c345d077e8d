"""For all suites: files that take long are begun first, so that no worker is alone with one at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By the files' own marks; those without one keep their order, at the end."""
    items.sort(key=lambda item: -sum(mark.args[0] for mark in item.iter_markers("takes")))
