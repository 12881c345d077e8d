"""A source that is written to while it is read: no torn copy is verified, and nobody's open file is left out for it."""

from collections.abc import Callable

import pytest
from lab.fake_server import Node, Request, file, folder
from lab.fake_server.world import BIG, OneServer, World

from smbferry_engine.wire.header import Command
from smbferry_words.options import VerifyMode

SIZES = pytest.mark.parametrize("size", [1000, len(BIG)], ids=["small", "large"])
MODES = pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
WRITES = 0x2
COPY_CHUNKS = b"\xf2\x80\x14\x00"


def content_of(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


def source_node(world: World) -> Node:
    return world.source.root.children["data"].children["f"]


def writing(world: World, *, when: int, moves: tuple[int, ...], each_time: bool = False) -> Callable[[Request], None]:
    """A writer that changes the end of the file before the READ of that number; `moves` are the times that tell."""
    reads = [0]

    def fault(request: Request) -> None:
        node = source_node(world)
        if request.command == Command.READ and request.node is node and node.data is not None:
            reads[0] += 1
            if reads[0] == when or (each_time and reads[0] > when):
                node.data[-1] = 100 + reads[0]
                for index in moves:
                    world.source.clock += 1
                    node.times[index] = world.source.clock

    return fault


@pytest.mark.fault(85)
@SIZES
@MODES
def test_a_write_that_only_the_change_time_tells_of_is_seen(size: int, verify: VerifyMode) -> None:
    world = World(folder(f=file(content_of(size)), still=file(b"still")))
    world.source.faults.append(writing(world, when=1, moves=(3,), each_time=True))
    world.transfer(verify_mode=verify)
    assert world.reasons == [("/f", "SourceChanged")]
    assert world.copied == {"/still": b"still"}


@pytest.mark.fault(85)
@SIZES
@MODES
def test_a_write_that_no_time_tells_of_while_the_writer_is_there_is_seen(size: int, verify: VerifyMode) -> None:
    """A server may move the times when the writer closes the file."""
    world = World(folder(f=file(content_of(size)), still=file(b"still")))
    world.source.hold("data\\f", access=WRITES, share=7)
    world.source.faults.append(writing(world, when=2, moves=(), each_time=True))
    world.transfer(verify_mode=verify)
    assert world.reasons == [("/f", "SourceChanged")]
    assert world.copied == {"/still": b"still"}


@SIZES
@MODES
def test_a_file_whose_writer_does_nothing_is_copied(size: int, verify: VerifyMode) -> None:
    world = World(folder(f=file(content_of(size))))
    world.source.hold("data\\f", access=WRITES, share=7)
    run = world.transfer(verify_mode=verify)
    assert (world.copied, world.reasons) == (world.original, [])
    assert run.tally.counters.bytes.transferred == run.tally.counters.bytes.written == size


@SIZES
def test_a_writer_that_ends_is_waited_for(size: int) -> None:
    world = World(folder(f=file(content_of(size))))
    other = world.source.hold("data\\f", access=WRITES, share=7)
    write = writing(world, when=2, moves=())
    left = [0]

    def fault(request: Request) -> None:
        write(request)
        if request.command != Command.READ:
            return
        left[0] += 1
        if left[0] == 2:
            world.source.release(other)
            world.source.clock += 1
            source_node(world).times[2:] = [world.source.clock] * 2

    world.source.faults.append(fault)
    world.transfer()
    assert (world.copied, world.reasons) == (world.original, [])


def test_a_small_file_takes_one_compound_that_refuses_writers_and_nothing_more() -> None:
    world = World(folder(f=file(b"small")))
    world.transfer()
    commands = [request.command for request in world.source.requests if request.name == "data\\f"]
    opens = [request for request in world.source.requests if request.name == "data\\f"]
    assert commands == [Command.CREATE]
    assert opens[0].body[32] == 5  # FILE_SHARE_READ and FILE_SHARE_DELETE


def test_a_large_file_is_open_without_sharing_writes_for_one_compound_only() -> None:
    world = World(folder(f=file(BIG)))
    world.transfer()
    shares = [request.body[32] for request in world.source.requests if request.name == "data\\f"]
    assert shares == [7, 5]
    assert world.source.handles == {}


@SIZES
def test_a_file_that_nobody_may_open_is_in_use_all_the_same(size: int) -> None:
    world = World(folder(f=file(content_of(size))))
    world.source.hold("data\\f", share=0)
    world.transfer()
    assert world.reasons == [("/f", "SharingViolation")]


@MODES
def test_a_server_that_copies_by_itself_is_watched_as_well(verify: VerifyMode) -> None:
    world = OneServer(folder(f=file(BIG)))
    world.source.hold("data\\f", access=WRITES, share=7)
    assert world.server_copy is not None

    copies = [0]

    def fault(request: Request) -> None:
        node = source_node(world)
        if request.command == Command.IOCTL and request.body[4:8] == COPY_CHUNKS and node.data is not None:
            copies[0] += 1
            node.data[0] = node.data[-1] = copies[0]

    world.source.faults.append(fault)
    world.transfer(verify_mode=verify)
    assert copies[0]
    if verify is VerifyMode.NONE:
        assert (world.copied, world.reasons) == (world.original, [])
    else:
        assert (world.copied, world.reasons) == ({}, [("/f", "SourceChanged")])
