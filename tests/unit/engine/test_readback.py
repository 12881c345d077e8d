"""Verification behind the writes sees what the server holds, waits for what is not there yet, leaves nothing open."""

import struct
from collections.abc import Callable

import pytest
from lab.fake_server import CHUNK, FakeServer, Link, Node, Request, drive, file, folder, make_session
from lab.fake_server.nodes import SPARSE
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.files import pump
from smbferry_engine.files.pump import stream
from smbferry_engine.files.readback import Watermark
from smbferry_engine.runtime.tasks import Scheduler, Task
from smbferry_engine.share.reading import open_file
from smbferry_engine.share.share import Share
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus

LONG = BIG * 6


def commands(server: FakeServer) -> list[int]:
    return [request.command for request in server.requests if request.command in (Command.READ, Command.WRITE)]


def test_ranges_are_read_back_while_later_ones_are_still_to_be_written() -> None:
    world = World(folder(big=file(LONG)))
    run = world.transfer()
    seen = commands(world.destination)
    assert world.copied == {"/big": LONG}
    assert seen.index(Command.READ) < 10 < seen.count(Command.WRITE)
    assert seen.count(Command.READ) == seen.count(Command.WRITE)
    assert run.tally.counters.files.verified == 1
    assert run.tally.counters.bytes.transferred == run.tally.counters.bytes.written == len(LONG)
    assert world.destination.handles == {}


@pytest.mark.parametrize(
    "data",
    [bytes(len(BIG)), BIG + bytes(3 * CHUNK), bytes(3 * CHUNK) + BIG, BIG + bytes(3 * CHUNK) + BIG],
    ids=["nothing else", "at the end", "at the beginning", "in the middle"],
)
def test_zeros_that_are_not_sent_are_read_back_all_the_same(data: bytes) -> None:
    sparse = file(data, attributes=SPARSE)
    sparse.allocated_ranges = [(0, len(data))]
    world = World(folder(big=sparse))
    run = world.transfer()
    assert world.copied == {"/big": data}
    assert run.tally.counters.files.verified == 1
    assert run.tally.counters.bytes.written < len(data)


def shorten(node: Node) -> None:
    assert node.data is not None
    del node.data[-CHUNK:]


def lengthen(node: Node) -> None:
    assert node.data is not None
    node.data += b"more"


def flip_first(node: Node) -> None:
    assert node.data is not None
    node.data[0] ^= 1


FIRST, LAST = 1, -(-len(LONG) // CHUNK)


@pytest.mark.parametrize(
    ("spoil", "at"),
    [(flip_first, FIRST), (shorten, FIRST), (shorten, LAST), (lengthen, LAST)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_the_server_did_not_keep_does_not_get_the_final_name(spoil: Callable[[Node], None], at: int) -> None:
    world = World(folder(big=file(LONG)))
    seen = [0]

    def fault(request: Request) -> int | None:
        if request.command == Command.READ and request.node is not None:
            seen[0] += 1
            if seen[0] == at:
                spoil(request.node)
        return None

    world.destination.faults.append(fault)
    world.transfer()
    assert world.reasons == [("/big", "HashMismatch")]
    assert world.copied == {}
    assert world.destination.handles == {}


@pytest.mark.parametrize("command", [Command.READ, Command.WRITE])
def test_a_refusal_on_either_way_ends_both(command: Command) -> None:
    world = World(folder(big=file(LONG)))
    world.destination.faults.append(refuse(command, NtStatus.ACCESS_DENIED, times=1))
    world.transfer()
    assert world.reasons == [("/big", "AccessDenied")]
    assert world.copied == {}
    assert world.destination.handles == {}


def test_a_file_whose_open_is_under_way_when_it_is_not_wanted_any_more_is_closed() -> None:
    server = FakeServer(folder(f=file(BIG)))
    link, scheduler = Link(server, make_session()), Scheduler()
    link.hold_replies = True
    task = scheduler.spawn(open_file(Share(link.session, ""), "f"))
    scheduler.run_ready()
    link.exchange()
    assert len(server.handles) == 1
    task.close()
    link.hold_replies = False
    while link.exchange():
        pass
    assert server.handles == {}


def test_an_open_that_was_refused_meanwhile_needs_no_closing() -> None:
    server = FakeServer(folder())
    link, scheduler = Link(server, make_session()), Scheduler()
    link.hold_replies = True
    task = scheduler.spawn(open_file(Share(link.session, ""), "f"))
    scheduler.run_ready()
    link.exchange()
    task.close()
    link.hold_replies = False
    while link.exchange():
        pass
    assert [request.command for request in server.requests] == [Command.CREATE]


def test_a_buffer_is_free_as_soon_as_it_was_sent() -> None:
    server = FakeServer(folder(f=file(BIG)))
    link, scheduler = Link(server, make_session()), Scheduler()

    async def read() -> bytes:
        return await stream(scheduler, await open_file(Share(link.session, ""), "f"))

    drive(scheduler, read(), link)
    buffer = link.session.pool.take()
    link.hold_replies = True
    call = link.session.write_in_place(buffer, bytes(16), 0, 5, link.session.pool)
    link.exchange()
    assert not call.done
    assert link.session.pool.take() is buffer


class Waits:
    """Tasks that wait at a frontier, by the range that they wait for."""

    def __init__(self, frontier: Watermark, *ranges: tuple[int, int]) -> None:
        self.scheduler = Scheduler()
        self._tasks: dict[tuple[int, int], Task[None]] = {
            range_: self.scheduler.spawn(frontier.reach(*range_)) for range_ in ranges
        }

    @property
    def over(self) -> list[tuple[int, int]]:
        self.scheduler.run_ready()
        return [range_ for range_, task in self._tasks.items() if task.done]


def test_a_frontier_lets_pass_what_is_whole_from_the_beginning() -> None:
    frontier = Watermark(0)
    waits = Waits(frontier, (0, 10), (10, 10), (20, 5))
    assert waits.over == []
    frontier.settled(10, 10)
    assert waits.over == []
    frontier.settled(0, 10)
    assert waits.over == [(0, 10), (10, 10)]
    frontier.settled(20, 5)
    assert waits.over == [(0, 10), (10, 10), (20, 5)]


def test_a_hole_can_be_read_when_the_file_reaches_beyond_it() -> None:
    frontier = Watermark(0)
    waits = Waits(frontier, (0, 10), (10, 10), (20, 5))
    frontier.settled(0, 10, hole=True)
    assert waits.over == []
    frontier.settled(10, 10)
    assert waits.over == [(0, 10), (10, 10)]
    frontier.settled(20, 5, hole=True)
    assert waits.over == [(0, 10), (10, 10)]
    frontier.complete(25)
    assert waits.over == [(0, 10), (10, 10), (20, 5)]


def test_what_was_there_before_can_be_read_once_it_is_known_to_be_right() -> None:
    frontier = Watermark(30)
    waits = Waits(frontier, (0, 10), (10, 10))
    assert waits.over == []
    frontier.settled(0, 10, hole=True)
    assert waits.over == [(0, 10)]


def test_a_flush_that_fails_keeps_the_file_from_its_name() -> None:
    world = World(folder(big=file(LONG)))
    world.destination.faults.append(refuse(Command.FLUSH, NtStatus.ACCESS_DENIED, times=1))
    world.transfer()
    assert world.reasons == [("/big", "AccessDenied")]
    assert world.copied == {}


def test_a_file_is_flushed_once_before_it_gets_its_name() -> None:
    world = World(folder(big=file(LONG)))
    world.transfer()
    seen = [request.command for request in world.destination.requests]
    last_write = len(seen) - seen[::-1].index(Command.WRITE)
    assert seen.count(Command.FLUSH) == 1
    assert last_write <= seen.index(Command.FLUSH) < seen.index(Command.SET_INFO)


def test_a_large_file_begins_with_one_larger_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "_OPENING", 4 * CHUNK)
    monkeypatch.setattr(pump, "_OPENING_FROM", 8 * CHUNK)
    world = World(folder(big=file(LONG)))
    world.transfer()
    reads = [request.body for request in world.source.requests if request.command == Command.READ]
    lengths = [struct.unpack_from("<I", body, 4)[0] for body in reads]
    assert lengths == [4 * CHUNK, *[CHUNK] * (len(LONG) // CHUNK - 4), len(LONG) % CHUNK]
    assert world.copied == {"/big": LONG}
    assert world.watcher.failures == []
