"""The first connection is tried again where that may help, within the time that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lab.fake_server.world import end

from smbferry_engine.errors import EngineError
from smbferry_engine.session import connect
from smbferry_words import reasons

if TYPE_CHECKING:
    from collections.abc import Callable

    from smbferry_engine.model import Endpoint
    from smbferry_words.reason import Reason

SIDE = end("src")


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Has attempts end as told, the last one in success; the list are the seconds that each was given."""
    monkeypatch.setattr(connect, "_PAUSE", 0.0)

    def ends(*reasons: Reason) -> list[float]:
        given: list[float] = []

        def attempt(_endpoint: Endpoint, *, deadline_seconds: float) -> Any:
            given.append(deadline_seconds)
            if len(given) <= len(reasons):
                raise EngineError(reasons[len(given) - 1], "as the test says")
            return "connected"

        monkeypatch.setattr(connect, "connect", attempt)
        return given

    return ends


@pytest.mark.fault(93)
@pytest.mark.parametrize(
    "reason", [reasons.DEADLINE_EXCEEDED, reasons.CONNECTION_LOST, reasons.SERVER_UNREACHABLE, reasons.SESSION_ENDED]
)
def test_a_first_handshake_that_stalls_or_is_lost_is_tried_again(
    dialled: Callable[..., list[float]], reason: Reason
) -> None:
    given = dialled(reason, reason)
    assert connect.connect_patiently(SIDE, deadline_seconds=30) == "connected"  # type: ignore[comparison-overlap]
    assert len(given) == 3


def test_all_attempts_together_take_no_longer_than_the_time_that_there_is(
    dialled: Callable[..., list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt takes all that it is given."""
    now = [0.0]
    monkeypatch.setattr("smbferry_engine.session.connect.time.monotonic", lambda: now[0])
    given = dialled(*[reasons.DEADLINE_EXCEEDED] * 3)
    attempt = connect.connect

    def slow(endpoint: Endpoint, *, deadline_seconds: float) -> Any:
        now[0] += deadline_seconds
        return attempt(endpoint, deadline_seconds=deadline_seconds)

    monkeypatch.setattr(connect, "connect", slow)
    with pytest.raises(EngineError, match="as the test says"):
        connect.connect_patiently(SIDE, deadline_seconds=30)
    assert given == [10, 10, 10]


@pytest.mark.parametrize(
    "reason",
    [reasons.SERVER_KEY_MISMATCH, reasons.ENCRYPTION_NOT_SUPPORTED, reasons.SERVER_REFUSED, reasons.LOGON_REFUSED],
)
def test_a_refusal_is_not_asked_for_twice(dialled: Callable[..., list[float]], reason: Reason) -> None:
    given = dialled(reason)
    with pytest.raises(EngineError):
        connect.connect_patiently(SIDE)
    assert len(given) == 1
