"""What a stopped agent leaves to the next: how far it is with large files, which is checked before it is believed."""

import struct
from typing import Any

import pytest
from blake3 import blake3
from lab.fake_server import CHUNK, FakeServer, Link, drive, file, folder
from lab.fake_server.world import BIG, World
from tests.unit.engine.test_resume import interrupted, ranges_written

from smbferry_engine.files.cleanup import undo
from smbferry_engine.files.pieces import gather_part
from smbferry_engine.plan.shard import Cut, Piece, Shard
from smbferry_engine.run.resume import Handover
from smbferry_engine.run.scope import OneShard
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import Command
from smbferry_words.options import VerifyMode


def handed_over(world: World, kept: bytes, *, digest: bytes | None = None, change_time: int | None = None) -> Handover:
    """What an agent that was stopped after these bytes has left."""
    opened = world.source.find("data\\big")
    assert opened is not None
    changed = opened.times[3] if change_time is None else change_time
    version = struct.pack("<QQ", len(BIG), opened.times[2]) + changed.to_bytes(8, "big")
    return Handover([Piece("big", version, 0, len(kept), digest or blake3(kept).digest())])


def ranges_read(server: FakeServer) -> list[int]:
    """Offset of each READ."""
    return sorted(
        struct.unpack_from("<Q", request.body, 8)[0] for request in server.requests if request.command == Command.READ
    )


@pytest.mark.fault(195)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_what_a_stopped_agent_has_copied_is_neither_written_nor_read_from_the_source_again(verify: VerifyMode) -> None:
    world = interrupted(BIG[: 3 * CHUNK])
    world.handover = handed_over(world, BIG[: 3 * CHUNK])
    run = world.prepare(verify_mode=verify)
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == {"/big": BIG}
    assert world.watcher.failures == []
    assert min(ranges_read(world.source)) == 3 * CHUNK
    assert min(ranges_written(world))[0] == 3 * CHUNK
    assert run.tally.counters.bytes.written == len(BIG) - 3 * CHUNK
    assert run.tally.counters.bytes.transferred == len(BIG)
    assert run.housekeeping.handover.pieces == ()


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        pytest.param(BIG[: CHUNK - 1] + b"?" + BIG[CHUNK : 3 * CHUNK], {}, id="somebody changed the staging file"),
        pytest.param(bytes(3 * CHUNK), {}, id="the server lost it"),
        pytest.param(BIG[: 3 * CHUNK], {"digest": bytes(32)}, id="the hash is another"),
        pytest.param(BIG[: 3 * CHUNK], {"change_time": 1}, id="of another version"),
        pytest.param(BIG[: 2 * CHUNK], {}, id="the staging file is shorter"),
    ],
)
@pytest.mark.fault(198)
def test_what_is_handed_over_is_not_believed(kept: bytes, told: dict[str, Any]) -> None:
    world = interrupted(kept)
    world.handover = handed_over(world, BIG[: 3 * CHUNK], **told)
    world.prepare()
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == {"/big": BIG}
    assert world.watcher.failures == []
    assert min(ranges_read(world.source)) == 0


def test_it_is_flushed_before_it_is_read_back() -> None:
    world = interrupted(BIG[: 3 * CHUNK])
    world.handover = handed_over(world, BIG[: 3 * CHUNK])
    world.prepare()
    drive(world.scheduler, world.execution(), *world.links)
    kinds = [r.command for r in world.destination.requests if r.command in {Command.FLUSH, Command.READ, Command.WRITE}]
    assert kinds.index(Command.FLUSH) < kinds.index(Command.READ) < kinds.index(Command.WRITE)


def test_a_stopped_run_leaves_how_far_it_is_and_the_next_one_continues_there() -> None:
    longer = bytes(range(256)) * (40 * CHUNK // 256)
    world = World(folder(big=file(longer)))
    run = world.prepare()
    task = world.scheduler.spawn(world.execution())
    while run.tally.counters.bytes.written < 9 * CHUNK:
        world.scheduler.run_ready()
        for link in world.links:
            link.exchange()
    assert not task.done
    world.scheduler.close_all()  # the engine is told to stop, and another agent goes on
    drive(world.scheduler, undo(run, keep=True), *world.links)
    run.housekeeping.handover.leave(run.housekeeping.resume_points)
    (piece,) = run.housekeeping.handover.pieces
    assert piece.digest == blake3(longer[: piece.end]).digest()
    written = run.tally.counters.bytes.written

    world.links = [Link(server) for server in (world.source, world.destination)]
    world.source.requests.clear()
    world.destination.handles.clear()  # the connection of the first agent has ended
    world.handover = Handover([piece])
    second = world.prepare()
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == {"/big": longer}
    assert min(ranges_read(world.source)) == piece.end
    assert 0 < piece.end <= written
    assert second.tally.counters.bytes.written <= len(longer) - piece.end


@pytest.mark.parametrize("through", [3 * CHUNK, 4 * CHUNK], ids=["within its part", "its whole part"])
def test_a_shard_continues_within_its_part_of_a_file(through: int) -> None:
    part = (CHUNK, 4 * CHUNK)
    world = interrupted(bytes(CHUNK) + BIG[CHUNK:through])
    opened = world.source.find("data\\big")
    assert opened is not None
    version = struct.pack("<QQ", len(BIG), opened.times[2]) + opened.times[3].to_bytes(8, "big")
    told = Piece("big", version, part[0], through, blake3(BIG[part[0] : through]).digest())
    world.handover = Handover([told])
    run = world.prepare()
    run.scope = OneShard(Shard(Cut("big", part[0]).position, Cut("big", part[1]).position))
    source = DirectoryEntry("big", len(BIG), 0x20, 10_000, 20_000, 30_000, 40_000, 0, 1)  # as `file` makes it
    drive(world.scheduler, gather_part(run, "big", source, part), *world.links)
    assert [(piece.start, piece.end, piece.digest) for piece in run.scope.pieces] == [
        (*part, blake3(BIG[part[0] : part[1]]).digest())
    ]
    assert [offset for offset in ranges_read(world.source) if offset < through] == []
