"""The process's beginning: its memory stays its own, what is loaded is loaded once and not looked through again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from smbferry_agent import main, start

if TYPE_CHECKING:
    import pytest


def test_the_command_has_garbage_collected_again_and_its_memory_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    seen: list[tuple[bool, int]] = []

    def command() -> int:
        steps.append("command")
        seen.append((gc.isenabled(), gc.get_freeze_count()))
        return 7

    monkeypatch.setattr(start, "forbid_core_dumps", lambda: steps.append("no core dumps"))
    monkeypatch.setattr(main, "main", command)
    try:
        assert start.start() == 7
    finally:
        gc.unfreeze()
    assert steps == ["no core dumps", "command"]
    ((enabled, frozen),) = seen
    assert enabled
    assert frozen > 1000
