"""Sparse files: what their server says is a hole is neither read nor written, and only where that can be relied on."""

import struct

import pytest
from lab.fake_server import CHUNK, file, folder
from lab.fake_server.azure_files import AzureFiles
from lab.fake_server.world import World, refuse

from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.paths import is_staging_name
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import OverwriteMode, VerifyMode

SPARSE, RECALLED = 0x200, 0x400000


@pytest.mark.parametrize("per_reply", [1, 1_000])
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
@pytest.mark.parametrize(
    ("allocated", "read"),
    [
        ([], set()),
        ([(0, CHUNK)], {0}),
        ([(CHUNK, CHUNK), (4 * CHUNK - 7, 7)], {1, 3}),
        ([(4 * CHUNK, CHUNK)], {4}),
        ([(0, 5 * CHUNK)], {0, 1, 2, 3, 4}),
    ],
    ids=["nothing", "the beginning", "the middle", "the end", "all"],
)
def test_the_holes_of_a_sparse_file_are_not_even_read(
    allocated: list[tuple[int, int]], read: set[int], verify: VerifyMode, per_reply: int
) -> None:
    content = bytearray(5 * CHUNK)
    for begin, length in allocated:
        content[begin : begin + length] = b"x" * length
    sparse = file(bytes(content), attributes=SPARSE)
    sparse.allocated_ranges = allocated
    world = World(folder(big=sparse))
    world.source.ranges_per_reply = per_reply
    run = world.transfer(verify_mode=verify)
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert run.tally.counters.bytes.transferred == 5 * CHUNK
    assert run.tally.counters.bytes.written == len(read) * CHUNK
    assert offsets_read(world) == [index * CHUNK for index in sorted(read)]


@pytest.mark.parametrize(
    ("attributes", "status"),
    [(SPARSE, NtStatus.NOT_SUPPORTED), (SPARSE | RECALLED, None), (0x20, None)],
    ids=["the server does not tell", "its content is elsewhere", "it is not sparse"],
)
def test_a_file_that_may_have_content_where_it_takes_no_room_is_read(attributes: int, status: int | None) -> None:
    world = World(folder(big=file(b"x" * 2 * CHUNK, attributes=attributes)))
    if status is not None:
        world.source.faults.append(refuse(Command.IOCTL, status))
    world.transfer()
    assert world.copied == world.original
    assert offsets_read(world) == [0, CHUNK]


@pytest.mark.parametrize("ranges", [[(CHUNK, CHUNK), (0, 10)], [(0, 0)], [(0, 1 << 63)], [(9 * CHUNK, 10)]])
def test_ranges_that_can_not_be_end_the_run(ranges: list[tuple[int, int]]) -> None:
    world = World(folder(big=file(bytes(2 * CHUNK), attributes=SPARSE)))
    world.source._allocated_ranges = lambda *_: (  # type: ignore[method-assign]  # a server of its own mind
        0,
        b"".join(struct.pack("<QQ", *each) for each in ranges),
    )
    with pytest.raises((ProtocolError, WireError)):
        world.transfer()
    assert all(is_staging_name(path[1:]) for path in world.copied)


STUB = SPARSE | 0x1000


@pytest.mark.fault(81)
@pytest.mark.parametrize("size", [100, 3 * CHUNK])
@pytest.mark.parametrize("overwrite", OverwriteMode)
@pytest.mark.parametrize("replaces", [False, True])
def test_a_file_is_sparse_where_its_source_is_and_nowhere_else(
    size: int, overwrite: OverwriteMode, *, replaces: bool
) -> None:
    content = b"x" + bytes(size)
    source = {
        "plain": file(content),
        "sparse": file(content, attributes=SPARSE),
        "stub": file(content, attributes=STUB),
    }
    source["sparse"].allocated_ranges = [(0, 1 + size)]
    there = (
        {name: file(b"older", time=2) for name in source} if replaces and overwrite is not OverwriteMode.NEVER else {}
    )
    world = World(folder(**source), folder(**there))
    world.transfer(overwrite_mode=overwrite)
    assert (world.copied, world.reasons) == (world.original, [])
    assert {name: world.node(name).sparse for name in source} == {"plain": False, "sparse": True, "stub": False}


@pytest.mark.fault(81)
@pytest.mark.parametrize(("allocated", "written"), [(CHUNK, CHUNK), (4 * CHUNK, 4 * CHUNK)], ids=["holes", "none"])
def test_zeros_that_take_no_room_at_the_source_take_none_and_the_file_is_not_sparse_for_it(
    allocated: int, written: int
) -> None:
    """Samba does not call a file sparse whose holes a local program made."""
    source = file(b"x" * CHUNK + bytes(3 * CHUNK))
    source.allocated = allocated
    world = World(folder(big=source))
    run = world.transfer()
    assert (world.copied, world.reasons) == (world.original, [])
    assert run.tally.counters.bytes.written == written
    assert not world.node("big").sparse


@pytest.mark.parametrize("size", [100, 3 * CHUNK])
def test_a_sparse_file_comes_whole_to_a_server_without_sparse_files(size: int) -> None:
    source = file(b"x" + bytes(size), attributes=SPARSE)
    source.allocated_ranges = [(0, 1)]
    world = World(folder(sparse=source))
    world.destination.personality = AzureFiles()
    world.destination.personality.missing_listing_classes = frozenset()
    world.transfer()
    assert (world.copied, world.reasons) == (world.original, [])
    assert not world.node("sparse").sparse


def offsets_read(world: World) -> list[int]:
    bodies = [request.body for request in world.source.requests if request.command == Command.READ]
    return sorted(struct.unpack_from("<IQ", body, 4)[1] for body in bodies)
