"""A rename over a target that somebody has open: in use and not permitted are told apart (MS-FSCC 2.4.42)."""

from collections.abc import Callable

import pytest
from lab.fake_server import Request, drive, file, folder
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import BIG, World

from smbferry_engine.operations.transfer import execute
from smbferry_engine.share.access import DELETE_ACCESS
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus

SIZES = pytest.mark.parametrize("content", [b"new", BIG], ids=["small", "large"])
RENAME = 10


def renames(request: Request) -> bool:
    return request.command == Command.SET_INFO and request.body[3] == RENAME


def world_with(content: bytes) -> World:
    return World(
        folder(report=file(content, time=2), other=file(b"other")),
        folder(report=file(b"before")),
        personalities=(None, WindowsServer2022()),
    )


@pytest.mark.fault(80)
@SIZES
@pytest.mark.parametrize("share", [7, 3], ids=["which shares deletion", "which does not"])
def test_a_target_that_another_program_has_open_is_in_use(content: bytes, share: int) -> None:
    world = world_with(content)
    world.destination.hold("copy\\report", share=share)
    world.transfer()
    assert world.reasons == [("/report", "SharingViolation")]
    assert "over the final name" in world.watcher.failures[0].message
    assert world.copied == {"/report": b"before", "/other": b"other"}


@pytest.mark.fault(80)
@SIZES
def test_a_target_that_is_open_for_a_moment_is_waited_for_and_nothing_is_copied_again(content: bytes) -> None:
    world = world_with(content)
    other = world.destination.hold("copy\\report")
    run = world.prepare()

    async def main() -> None:
        async def let_go() -> None:
            await world.scheduler.sleep(0.5)
            world.destination.release(other)

        world.scheduler.spawn(let_go())
        await execute(run)

    drive(world.scheduler, main(), *world.links)
    assert (world.copied, world.reasons) == (world.original, [])
    assert run.tally.counters.bytes.written == len(content) + len(b"other")
    assert world.node("report").times[2] == 2


@pytest.mark.fault(80)
@SIZES
def test_a_read_only_file_that_is_in_use_stays_as_it_was(content: bytes) -> None:
    world = world_with(content)
    world.node("report").attributes = 0x23
    world.destination.hold("copy\\report")
    world.transfer()
    assert world.reasons == [("/report", "SharingViolation")]
    assert world.copied["/report"] == b"before"
    assert world.node("report").attributes == 0x23


def refusing(status: int) -> Callable[[Request], int | None]:
    """A server that denies the rename, and answers an open for deleting alone with a status."""

    def fault(request: Request) -> int | None:
        if renames(request):
            return NtStatus.ACCESS_DENIED
        probes = request.command == Command.CREATE and request.body[24:28] == DELETE_ACCESS.to_bytes(4, "little")
        return status if probes and (request.name or "").endswith("report") else None

    return fault


@pytest.mark.fault(80)
@SIZES
def test_a_target_that_the_account_may_not_replace_is_denied_at_once(content: bytes) -> None:
    world = world_with(content)
    world.destination.faults.append(refusing(NtStatus.ACCESS_DENIED))
    world.transfer()
    assert world.reasons == [("/report", "AccessDenied")]
    assert world.copied["/report"] == b"before"
    assert len([request for request in world.destination.requests if renames(request)]) == 1
