"""The process's beginning: what is loaded is loaded once, and not looked through for garbage again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from smbferry_agent import main
from smbferry_agent.start import start

if TYPE_CHECKING:
    import pytest


def test_garbage_is_collected_again_when_everything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, int]] = []

    def command() -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count()))
        return 7

    monkeypatch.setattr(main, "entry_point", command)
    try:
        assert start() == 7
    finally:
        gc.unfreeze()
    ((enabled, frozen),) = seen
    assert enabled
    assert frozen > 1000
