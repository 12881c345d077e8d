"""Runs that are cut short: connections lost and made again, sessions ended, a stop at any moment."""

import contextlib

import pytest
from lab.fake_server import Link, Node, Request, drive, file, folder
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.core.calls import Call, Reply
from smbferry_engine.errors import EngineError
from smbferry_engine.files.cleanup import undo
from smbferry_engine.files.staging import StagingFile
from smbferry_engine.run.context import StagingArea
from smbferry_engine.run.housekeeping import StagingEvent
from smbferry_engine.run.room import IN_A_ROW
from smbferry_engine.session.reconnect import PAUSES
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import CONNECTION_LOST, SESSION_ENDED


def cut(world: World, link: Link, *, every: int, times: int) -> None:
    """Lose a side's connection at every so many requests, so many times."""
    count, left = [0], [times]

    def fault(_request: Request) -> int | None:
        count[0] += 1
        if left[0] and count[0] % every == 0:
            left[0] -= 1
            link.lose = True
        return None

    link.server.faults.append(fault)


@pytest.mark.fault(2)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("every", [3, 7, 16])
def test_a_lost_connection_is_made_again_and_the_run_goes_on(side: int, every: int) -> None:
    tree = {f"f{index}": file(f"content {index}".encode()) for index in range(30)}
    world = World(Node(None, {**tree, "big": file(BIG), "d": folder(x=file(b"x"))}, 0))
    cut(world, world.links[side], every=every, times=4)
    run = world.transfer()
    assert world.restored
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert run.tally.counters.files.transferred == 32
    assert run.tally.counters.bytes.transferred == run.tally.counters.bytes.to_transfer


@pytest.mark.parametrize("command", [Command.CREATE, Command.READ], ids=["of the root", "of a file"])
def test_a_session_that_the_server_ends_is_opened_again(command: Command) -> None:
    world = World(folder(a=file(b"a"), b=file(b"b")))
    world.source.faults.append(refuse(command, NtStatus.NETWORK_SESSION_EXPIRED, times=1))
    world.transfer()
    assert (world.restored, world.copied) == (1, world.original)


def test_a_connection_that_stays_lost_ends_the_run() -> None:
    world = World(folder(a=file(b"a")))

    def fault(request: Request) -> int | None:
        world.links[0].lose = world.links[0].lose or request.command == Command.READ
        return None

    world.source.faults.append(fault)
    with pytest.raises(EngineError) as caught:
        world.transfer()
    assert caught.value.reason == CONNECTION_LOST.name
    assert world.restored == len(PAUSES)
    assert world.copied == {}


@pytest.mark.parametrize("stop_at", range(1, 40, 3))
def test_a_run_stopped_anywhere_leaves_only_whole_files(stop_at: int) -> None:
    tree = {f"f{index}": file(f"content {index}".encode()) for index in range(8)}
    world = World(Node(None, {**tree, "big": file(BIG)}, 0), folder(big=file(b"old")))
    count = [0]

    def full(request: Request) -> int | None:
        count[0] += 1
        if count[0] < stop_at or request.command != Command.WRITE or world.run is None:
            return None
        world.destination.room, world.run.tally.room.in_a_row = 0, IN_A_ROW  # it is not the first to find none
        return NtStatus.DISK_FULL

    world.destination.faults.append(full)
    with pytest.raises(EngineError, match="DestinationFull") if stop_at < 10 else contextlib.suppress(EngineError):
        world.transfer()
    assert world.run is not None
    world.scheduler.close_all()
    for session in (link.session for link in world.links):
        session.drop_unsent(EngineError(SESSION_ENDED, "stopped"))
    drive(world.scheduler, undo(world.run), *world.links)
    original = {**world.original, "/big": b"old"}
    for path, content in world.copied.items():
        assert content in (original[path], world.original[path])


def test_a_landing_that_was_under_way_when_the_run_was_stopped_is_judged_and_undone() -> None:
    world = World(folder(), folder(good=file(b"g"), torn=file(b"")))
    run = world.transfer()
    opened, refused = Reply(NtStatus.SUCCESS, b""), Reply(NtStatus.DISK_FULL, b"")
    for name, replies in (("good", [opened, opened]), ("torn", [opened, refused]), ("never", [refused, refused])):
        run.housekeeping.committing[name] = Call(())
        run.housekeeping.committing[name].resolve(replies)
    drive(world.scheduler, undo(run), *world.links)
    assert world.copied == {"/good": b"g"}


def test_one_reply_that_is_none_does_not_keep_the_clean_up_from_the_other_files() -> None:
    world = World(folder(), folder(good=file(b"g")))
    run = world.transfer()
    entry = DirectoryEntry("f", 1, 0, 1, 1, 1, 1, 0, 1)
    odd = Call(())
    odd.resolve([Reply(NtStatus.SUCCESS, b"")])
    run.housekeeping.note("odd", "odd", StagingEvent.OPENED, odd)
    drive(world.scheduler, StagingFile.create(StagingArea.of(run), "f", entry), *world.links)
    assert len(world.copied) == 2
    drive(world.scheduler, undo(run), *world.links)
    assert world.copied == {"/good": b"g"}


@pytest.mark.parametrize("keep", [True, False])
def test_a_temporary_stays_only_where_another_agent_goes_on(keep: bool) -> None:
    world = World(folder(), folder(good=file(b"g")))
    run = world.transfer()
    drive(
        world.scheduler,
        StagingFile.create(StagingArea.of(run), "f", DirectoryEntry("f", 1, 0, 1, 1, 1, 1, 0, 1)),
        *world.links,
    )
    drive(world.scheduler, undo(run, keep=keep), *world.links)
    assert len(world.copied) == 1 + keep
