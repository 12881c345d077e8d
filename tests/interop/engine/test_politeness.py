"""A run that gives way to others, beside somebody who opens and reads files of the same server."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted
from tests.interop.engine.support import MIB

from smbferry_engine import Outcome, Politeness
from smbferry_engine.core.calls import close_request, open_request, read_request
from smbferry_engine.session import reply_probe
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.header import Command, encode_header_into

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.interop.engine.support import Bench

pytestmark = pytest.mark.takes(20)

TREE = [Wanted("large", size=48 * MIB), *(Wanted(f"folder/{number}", size=4_000) for number in range(200))]


@contextlib.contextmanager
def somebody(bench: Bench, name: str) -> Iterator[list[int]]:
    """Somebody who opens a file and reads 64 KiB of it, again and again; the list has the status of each."""
    holder, over, seen = connect(bench.ends()[0]), threading.Event(), list[int]()

    async def read_on() -> None:
        while not over.is_set():
            opening = open_request(f"{bench.source.name}\\{name}", access=Access.READ_DATA)
            replies = await holder.channel.session.call(opening, read_request(0, 65536), close_request())
            seen.extend(reply.status for reply in replies)

    thread = threading.Thread(target=lambda: Driver([holder.channel]).run(read_on()))
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(30)
        holder.channel.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The commands of all requests that sessions of this process have sent."""
    commands: list[int] = []

    def noted(*arguments: Any, command: int, **fields: Any) -> None:
        commands.append(command)
        encode_header_into(*arguments, command=command, **fields)

    monkeypatch.setattr("smbferry_engine.core.session.encode_header_into", noted)
    return commands


def test_a_run_that_gives_way_copies_everything_and_has_measured_its_server(bench: Bench) -> None:
    bench.source.seed(TREE)
    with somebody(bench, "large") as seen:
        result = bench.copy(politeness=Politeness(1.2))
    assert result.outcome is Outcome.SUCCEEDED
    bench.same()
    assert len(seen) > 3
    assert set(seen) == {0}
    fact = result.counters.politeness
    assert fact is not None
    assert fact.unmeasured == ()
    assert fact.side in ("source", "destination")
    assert fact.idle is not None
    assert fact.current is not None
    assert fact.idle > 0 < fact.current
    assert 0 < fact.share <= 1


def test_without_the_option_nothing_is_measured_and_no_echo_is_sent(
    bench: Bench, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("a run without the option has no probe")

    monkeypatch.setattr(reply_probe, "connect", refuse)
    bench.source.seed(TREE[1:50])
    result = bench.copy()
    bench.same()
    assert result.counters.politeness is None
    assert sent
    assert Command.ECHO not in sent
