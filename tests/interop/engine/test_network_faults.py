"""Faults of the network, and servers that fall silent: the run goes on, or ends with a reason and the next goes on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.file_server import FileServer
from lab.support.domain.trees import Wanted, small
from tests.interop.engine.invariants import Expected
from tests.interop.engine.network import Proxy, delayed, once
from tests.interop.engine.support import DESTINATION, MIB, SIDES, SOURCE, Bench, ends_with

from smbferry_engine import EngineError, FailureClass, SecurityDescriptors
from smbferry_engine.core.calls import open_request
from smbferry_engine.session import channel, pair, reconnect
from smbferry_engine.session.connect import CHUNK, connect
from smbferry_engine.session.driver import Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain

    from smbferry_engine import Endpoint

pytestmark = pytest.mark.takes(175)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter deadlines, and fewer and shorter pauses between attempts to reconnect."""
    monkeypatch.setattr(channel, "ANSWER_DEADLINE", 3.0)
    monkeypatch.setattr(reconnect, "PAUSES", (0.1, 0.1, 0.1))
    monkeypatch.setattr(pair, "RECONNECT_DEADLINE", 2.0)


# --- 2: connections are cut or reset ----------------------------------------------------------------------------------

# How much of the server's talk goes before the cut: a destination says little while much is written.
CUTS = [(SOURCE, 20 * MIB), (SOURCE, 40_000), (DESTINATION, 4_000), (DESTINATION, 100_000)]


@pytest.mark.fault(2)
@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(("side", "count"), CUTS)
def test_a_connection_lost_once_is_made_again_and_the_run_completes(
    bench: Bench, domain: Domain, side: int, count: int, *, resets: bool
) -> None:
    bench.source.seed([*small(300), Wanted("large", size=40 * MIB)])
    cuts: list[int] = []

    def cut_once(frame: bytes, before: int) -> bytes | None:
        if before > count and not cuts:
            cuts.append(before)
            return None
        return frame

    with Proxy(domain, cut_once, resets=resets).running() as proxy:
        result = bench.copy(ends=ends_with(bench, side, proxy.through))
    assert cuts
    assert result.counters.files.transferred == 301
    # The tail of what had been written is read back and compared, not written again.
    assert result.counters.bytes.written <= result.counters.bytes.transferred + 8 * CHUNK
    bench.same()


# Not even the smallest range of a large file comes through, from the source or to the destination: what does gets on.
@pytest.mark.fault(2)
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("side", "passes"),
    [(SOURCE, lambda frame, _: len(frame) < 16_384), (DESTINATION, lambda _, before: before < 4_000)],
    ids=["source", "destination"],
)
def test_a_connection_that_is_lost_again_and_again_is_named_and_the_next_run_completes(
    bench: Bench, domain: Domain, side: int, passes: Callable[[bytes, int], bool]
) -> None:
    bench.source.seed([Wanted("large", size=40 * MIB), *small(50)])
    proxy = Proxy(domain, lambda frame, before: frame if passes(frame, before) else None)
    with proxy.running(), pytest.raises(EngineError) as caught:
        bench.copy(ends=ends_with(bench, side, proxy.through))
    assert (caught.value.reason, caught.value.failure_class) == ("ConnectionLost", FailureClass.NETWORK)
    bench.finish()


# --- 3: a black hole --------------------------------------------------------------------------------------------------


def swallow(bench: Bench, domain: Domain, side: int, *, count: int, within: float) -> EngineError:
    """Run into a black hole that opens after so many of the server's bytes; the run's error."""
    opened: list[float] = []

    def open_up() -> None:
        opened.append(time.monotonic())
        proxy.black_hole()

    proxy = Proxy(domain, once(count, open_up))
    with proxy.running(), pytest.raises(EngineError) as caught:
        bench.copy(ends=ends_with(bench, side, proxy.through), expected=Expected(within=within + 10))
    assert time.monotonic() - opened[0] < within
    return caught.value


@pytest.mark.fault(3)
def test_a_black_hole_ends_the_run_within_a_minute_and_the_next_one_goes_on(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("large", size=40 * MIB), *small(50)])
    error = swallow(bench, domain, SOURCE, count=20 * MIB, within=60)
    assert (error.reason, error.failure_class) == ("ServerUnreachable", FailureClass.NETWORK)
    bench.finish()


@pytest.mark.fault(3)
@pytest.mark.usefixtures("quick")
def test_a_black_hole_before_the_destination_does_too(bench: Bench, domain: Domain) -> None:
    bench.source.seed([Wanted("large", size=40 * MIB), *small(200)])
    error = swallow(bench, domain, DESTINATION, count=20_000, within=20)
    assert (error.reason, error.failure_class) == ("ServerUnreachable", FailureClass.NETWORK)
    bench.finish()


# --- 4: the server is there and does nothing --------------------------------------------------------------------------


@pytest.mark.fault(4)
@pytest.mark.usefixtures("quick")
@SIDES
def test_a_server_process_that_stops_is_left_and_what_it_does_when_it_wakes_harms_nothing(
    bench: Bench, server: FileServer, domain: Domain, side: int
) -> None:
    bench.source.seed([Wanted("large", size=60 * MIB), Wanted("next", size=10 * MIB)])
    stopped: list[int] = []
    count = 20 * MIB if side == SOURCE else 2_000
    with Proxy(domain, once(count, lambda: stopped.extend(server.stop_serving())), port=server.port).running() as proxy:
        expected = Expected(leaves_staging_files=True)
        result = bench.copy(ends=ends_with(bench, side, proxy.through), expected=expected)
    assert stopped
    assert result.counters.files.transferred == 2
    server.wake(stopped)
    bench.finish()


@pytest.mark.fault(4)
@pytest.mark.usefixtures("quick")
@SIDES
def test_a_server_that_stops_as_a_whole_ends_the_run_in_bounded_time(
    bench: Bench, server: FileServer, domain: Domain, side: int
) -> None:
    bench.source.seed([Wanted("large", size=60 * MIB)])
    count = 20 * MIB if side == SOURCE else 2_000
    proxy = Proxy(domain, once(count, server.stop), port=server.port)
    with proxy.running(), pytest.raises(EngineError) as caught:
        bench.copy(ends=ends_with(bench, side, proxy.through), expected=Expected(within=25))
    assert (caught.value.reason, caught.value.failure_class) == ("DeadlineExceeded", FailureClass.NETWORK)
    server.kill()
    bench.finish()


# --- 93: the first handshake ------------------------------------------------------------------------------------------


@pytest.mark.fault(93)
@pytest.mark.parametrize("reply", [0, 1, 2], ids=["negotiate", "session setup", "tree connect"])
@SIDES
def test_a_first_handshake_that_stalls_is_tried_again(
    bench: Bench, domain: Domain, monkeypatch: pytest.MonkeyPatch, side: int, reply: int
) -> None:
    """One reply of the first handshake never comes; the one after it is answered."""
    monkeypatch.setattr("smbferry_engine.session.connect.HANDSHAKE_DEADLINE", 9.0)
    bench.source.seed(small(3))
    seen: list[bytes] = []
    stalled = threading.Event()

    def stall_once(frame: bytes, _before: int) -> bytes:
        seen.append(frame)
        if len(seen) == reply + 1:
            stalled.set()
            return b""
        return frame

    began = time.monotonic()
    with Proxy(domain, stall_once).running() as proxy:
        result = bench.copy(ends=ends_with(bench, side, proxy.through))
    assert stalled.is_set()
    assert result.counters.files.transferred == 3
    assert time.monotonic() - began < 9 + 20
    bench.same()


# --- 6: few credits ---------------------------------------------------------------------------------------------------


@pytest.mark.fault(6)
@pytest.mark.parametrize("most", [1, 3, 8, 20, 64])
def test_few_credits_make_a_run_slower_and_nothing_else(bench: Bench, domain: Domain, most: int) -> None:
    bench.source.seed([*small(60), Wanted("large", size=9 * MIB), *(Wanted(f"s/{n}", size=n << 16) for n in range(9))])
    with FileServer(domain, f"smb2 max credits = {most}").running() as server:
        source, destination = (server.through(end) for end in bench.ends())
        assert credits_at(destination) <= most
        bench.copy(ends=(source, destination), security_descriptors=SecurityDescriptors.OWNER_DACL)
    bench.same()


def credits_at(endpoint: Endpoint) -> int:
    """How many credits the server lets a client hold that asks for more with every request."""
    session = connect(endpoint).channel
    try:

        async def ask() -> None:
            for _ in range(10):
                await session.session.call(open_request(endpoint.path.strip("/"), access=0x80))

        Driver([session]).run(ask())
        return session.session.credits.total
    finally:
        session.close()


# --- 8: long ways -----------------------------------------------------------------------------------------------------


@pytest.mark.fault(8)
@pytest.mark.parametrize("round_trip_ms", [10, 50])
def test_round_trips_are_overlapped(bench: Bench, domain: Domain, round_trip_ms: int) -> None:
    bench.source.seed([*small(400, per_folder=20), Wanted("large", size=64 * MIB)])
    source, destination = bench.ends()
    with (
        delayed(domain, source, round_trip_ms=round_trip_ms) as far_source,
        delayed(domain, destination, round_trip_ms=round_trip_ms) as far_destination,
    ):
        began = time.monotonic()
        bench.copy(ends=(far_source, far_destination), expected=None)
        took = time.monotonic() - began
    bench.same()
    # Read, committed and read back, one after the other: three round trips for each small file, 96 for the large one.
    one_by_one = (3 * 400 + 96) * round_trip_ms / 1000
    assert took < one_by_one
