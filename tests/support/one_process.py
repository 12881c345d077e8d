"""Work that is done side by side, here one piece after the other in this process: its logs can be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smbferry_agent import location_checks
from smbferry_agent.side_by_side import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest

    from smbferry_agent.location_checks import NamedLocation


def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locations are checked in this process. One whose uid is `hangs` takes too long, one with `dies` ends it."""
    monkeypatch.setattr(location_checks, "side_by_side", _one_by_one)
    monkeypatch.setattr(location_checks, "about", lambda **_: None)


def _one_by_one(
    pieces: Sequence[NamedLocation], work: Callable[[NamedLocation], str], **_: Any
) -> Iterator[Ended[NamedLocation]]:
    for piece in pieces:
        match piece.uid:
            case "hangs":
                yield Ended(piece, None, in_time=False, exit_code=-9)
            case "dies":
                yield Ended(piece, None, exit_code=-11)
            case _:
                yield Ended(piece, work(piece), exit_code=0)
