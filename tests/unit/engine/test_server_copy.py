"""Server-side copy: content that stays on the server, and what happens where the server does not do it."""

import struct
from dataclasses import replace

import pytest
from blake3 import blake3
from lab.fake_server import CHUNK, TREE, Handle, Node, Request, drive, file, folder
from lab.fake_server.world import BIG, OneServer, end

from smbferry_engine.errors import FileReason
from smbferry_engine.files.pieces import gather_part
from smbferry_engine.files.server_copy import DEFAULT_LIMITS, REQUESTS_IN_FLIGHT, ServerCopy, judge
from smbferry_engine.model import Endpoint, Options
from smbferry_engine.paths import staging_names
from smbferry_engine.plan.decide import version_of
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.ioctl import FSCTL_SRV_COPYCHUNK_WRITE, FSCTL_SRV_REQUEST_RESUME_KEY, CopyReply
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.options import ServerSideCopy, VerifyMode
from smbferry_words.run import ServerSideState

HERE = end("src")
UNVERIFIED = {"verify_mode": VerifyMode.NONE}


def controls(world: OneServer, control: int) -> int:
    """How many IOCTLs of a kind the server was sent."""
    return sum(
        request.command == Command.IOCTL and struct.unpack_from("<I", request.body, 4)[0] == control
        for request in world.source.requests
    )


def reads(world: OneServer) -> int:
    return sum(request.command == Command.READ for request in world.source.requests)


def refuse_control(world: OneServer, control: int, status: int, *, after: int = 0) -> None:
    seen = [0]

    def fault(request: Request) -> int | None:
        if request.command != Command.IOCTL or struct.unpack_from("<I", request.body, 4)[0] != control:
            return None
        seen[0] += 1
        return status if seen[0] > after else None

    world.source.faults.append(fault)


@pytest.mark.parametrize(
    ("destination", "options", "state"),
    [
        (end("dst"), Options(), ServerSideState.READY),
        (end("dst", server="FILES.corp.example.com."), Options(), ServerSideState.READY),
        (end("src", path="/elsewhere"), Options(), ServerSideState.READY),
        (end("dst"), Options(server_side_copy=ServerSideCopy.NEVER), ServerSideState.OFF),
        (end("dst", server="other.corp.example.com"), Options(), ServerSideState.NOT_POSSIBLE),
        (end("dst", port=1445), Options(), ServerSideState.NOT_POSSIBLE),
        (end("dst", principal="other@CORP.EXAMPLE.COM"), Options(), ServerSideState.NOT_POSSIBLE),
        (end("dst", ciphers=("AES-128-GCM",)), Options(), ServerSideState.NOT_POSSIBLE),
    ],
)
def test_the_server_copies_where_both_sides_are_one_server_and_one_identity(
    destination: Endpoint, options: Options, state: ServerSideState
) -> None:
    assert judge(HERE, destination, options.server_side_copy).state is state


def test_content_stays_on_the_server_and_the_source_is_opened_on_the_destinations_session() -> None:
    world = OneServer(folder(big=file(BIG)))
    run = world.transfer(**UNVERIFIED)
    assert world.copied == world.original
    assert reads(world) == 0
    assert world.source.trees[8] == r"\\files.corp.example.com\src"
    assert (
        run.tally.counters.bytes.server_side
        == run.tally.counters.bytes.written
        == run.tally.counters.bytes.transferred
        == len(BIG)
    )
    assert world.watcher.records[-1].digest is None
    assert world.source.handles == {}


def test_what_the_server_copied_is_read_back_from_both_sides_and_compared() -> None:
    world = OneServer(folder(big=file(BIG)))
    run = world.transfer()
    assert world.copied == world.original
    assert run.tally.counters.files.verified == 1
    assert world.watcher.records[-1].digest is not None


def test_a_copy_that_is_not_the_source_is_not_kept() -> None:
    world = OneServer(folder(big=file(BIG)))
    spoil(world, times=2)
    world.transfer()
    assert world.reasons == [("/big", FileReason.HASH_MISMATCH)]
    assert world.copied == {}


def spoil(world: OneServer, *, times: int) -> None:
    """A server that copies one byte wrong, so often."""
    copy, left = world.source._copy_chunks, [times]

    def wrong(given: bytes, handle: object) -> tuple[int, bytes]:
        status, output = copy(given, handle)  # type: ignore[arg-type]  # a handle of the fake server's
        if left[0]:
            left[0] -= 1
            handle.node.data[-1] ^= 1  # type: ignore[attr-defined]  # as above
        return status, output

    world.source._copy_chunks = wrong  # type: ignore[method-assign]  # the fault under test


def test_a_source_that_changes_meanwhile_is_said_to_have_changed() -> None:
    source = file(BIG)
    world = OneServer(folder(big=source))
    copy = world.source._copy_chunks

    def changing(given: bytes, handle: object) -> tuple[int, bytes]:
        answer = copy(given, handle)  # type: ignore[arg-type]  # a handle of the fake server's
        assert source.data is not None
        source.data[0] ^= 1
        source.times[2] += 1
        return answer

    world.source._copy_chunks = changing  # type: ignore[method-assign]  # the fault under test
    world.transfer()
    assert world.reasons == [("/big", FileReason.SOURCE_CHANGED)]


@pytest.mark.parametrize(
    "status",
    [NtStatus.NOT_SUPPORTED, NtStatus.INVALID_DEVICE_REQUEST, NtStatus.INVALID_PARAMETER, NtStatus.ACCESS_DENIED],
)
@pytest.mark.parametrize("control", [FSCTL_SRV_REQUEST_RESUME_KEY, FSCTL_SRV_COPYCHUNK_WRITE])
def test_a_server_that_refuses_is_told_of_and_files_are_streamed(control: int, status: int) -> None:
    world = OneServer(folder(one=file(BIG), two=file(BIG)))
    refuse_control(world, control, status)
    run = world.transfer()
    assert world.copied == world.original
    assert [fact.state for fact in world.watcher.facts] == [ServerSideState.REFUSED]
    assert "streamed instead" in world.watcher.facts[0].message
    assert run.tally.counters.bytes.server_side == 0
    assert run.tally.counters.bytes.transferred == 2 * len(BIG)


@pytest.mark.fault(91)
@pytest.mark.parametrize(
    "status", [NtStatus.INSUFFICIENT_RESOURCES, NtStatus.SHARING_VIOLATION, NtStatus.BUFFER_OVERFLOW, 0xC00000E5]
)
def test_whatever_else_a_server_says_to_a_resume_key_is_a_refusal_and_the_source_is_closed(status: int) -> None:
    world = OneServer(folder(one=file(BIG)))
    refuse_control(world, FSCTL_SRV_REQUEST_RESUME_KEY, status)
    run = world.transfer()
    assert world.copied == world.original
    assert [fact.state for fact in world.watcher.facts] == [ServerSideState.REFUSED]
    assert status_name(status) in world.watcher.facts[0].message
    assert run.tally.counters.bytes.server_side == 0
    assert world.source.handles == {}


def test_a_resume_key_that_is_none_ends_the_run_with_the_source_closed() -> None:
    """A reply that breaks the protocol is not asked for twice."""
    world = OneServer(folder(one=file(BIG)))
    honest = world.source._ioctl

    def short(body: bytes, handle: Handle, file_id: bytes) -> tuple[int, bytes]:
        status, reply = honest(body, handle, file_id)
        return status, reply[:48] if struct.unpack_from("<I", body, 4)[0] == FSCTL_SRV_REQUEST_RESUME_KEY else reply

    world.source._ioctl = short  # type: ignore[method-assign]  # the fault under test
    with pytest.raises(WireError):
        world.transfer()
    for link in world.links:
        while link.exchange():
            continue
    assert [handle.path for handle in world.source.handles.values() if handle.tree != TREE] == []


def test_a_share_that_the_session_may_not_open_is_streamed() -> None:
    world = OneServer(folder(big=file(BIG)))
    world.source.faults.append(
        lambda request: NtStatus.ACCESS_DENIED if request.command == Command.TREE_CONNECT else None
    )
    world.transfer()
    assert world.copied == world.original
    assert "share can't be opened" in world.watcher.facts[0].message


def test_a_refusal_in_the_middle_begins_the_file_again() -> None:
    world = OneServer(folder(big=file(BIG)))
    world.source.copy_limits = (1, CHUNK, CHUNK)
    refuse_control(world, FSCTL_SRV_COPYCHUNK_WRITE, NtStatus.NOT_SUPPORTED, after=6)
    run = world.transfer()
    assert world.copied == world.original
    assert run.tally.counters.bytes.transferred == len(BIG)


@pytest.mark.parametrize("limits", [(1, 5000, 4096), (3, CHUNK, CHUNK + 1), (256, 4096, 1 << 16)])
def test_the_servers_limits_are_learned_and_kept(limits: tuple[int, int, int]) -> None:
    world = OneServer(folder(big=file(BIG[: 3 * CHUNK])))
    world.source.copy_limits = limits
    run = world.transfer()
    assert world.copied == world.original
    assert run.tally.counters.bytes.server_side == 3 * CHUNK
    assert not world.watcher.facts


@pytest.mark.parametrize(
    "told", [(0, 0, 0), (1, 1, 1), (256, 1 << 20, 0), tuple(DEFAULT_LIMITS), (1 << 31, 1 << 31, 1 << 31)]
)
def test_limits_that_are_none_are_a_refusal_and_no_loop(told: tuple[int, int, int]) -> None:
    world = OneServer(folder(big=file(BIG)))
    world.source._copy_chunks = lambda *_: (NtStatus.INVALID_PARAMETER, struct.pack("<III", *told))  # type: ignore[method-assign]  # the fault under test
    world.transfer()
    assert world.copied == world.original
    assert [fact.state for fact in world.watcher.facts] == [ServerSideState.REFUSED]


@pytest.mark.parametrize("said", [CopyReply(0, 0, 0), CopyReply(1, 0, 1 << 31), CopyReply(2, 0, len(BIG))])
def test_a_server_that_says_other_than_it_was_asked_fails_the_file(said: CopyReply) -> None:
    world = OneServer(folder(big=file(BIG)))
    world.source._copy_chunks = lambda *_: (0, struct.pack("<III", *said))  # type: ignore[method-assign]  # the fault under test
    world.transfer(**UNVERIFIED)
    assert world.reasons == [("/big", FileReason.FILE_FAILED)]
    assert world.copied == {}


def test_small_files_and_files_that_are_mostly_holes_are_streamed() -> None:
    sparse = file(BIG)
    sparse.allocated = 4096
    world = OneServer(folder(sparse=sparse, small=file(b"small")))
    run = world.transfer()
    assert world.copied == world.original
    assert run.tally.counters.bytes.server_side == 0
    assert not world.watcher.facts


def test_a_lost_connection_is_made_again_and_so_is_the_sources_tree_on_it() -> None:
    world = OneServer(folder(big=file(BIG)))
    world.prepare()
    cut = [True]

    def lose(request: Request) -> int | None:
        if request.command == Command.IOCTL and cut[0] and len(request.body) > 100:
            cut[0] = False
            world.links[1].lose = True
        return None

    world.source.faults.append(lose)
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == world.original
    assert world.restored == 1
    assert len(world.source.trees) == 3


def kept(world_source: Node, content: bytes) -> dict[str, Node]:
    """What an earlier attempt left."""
    entry = DirectoryEntry("big", len(world_source.data or b""), 0, 0, 0, world_source.times[2], 0, 0, 0)
    return {staging_names("big", version_of(entry))[0]: file(content)}


def test_what_an_earlier_attempt_left_is_gone_on_with_and_compared() -> None:
    source = file(BIG)
    world = OneServer(folder(big=source), folder(**kept(source, BIG[: 4 * CHUNK])))
    world.source.copy_limits = (1, 1 << 16, 1 << 16)
    world.server_copy = ServerCopy(end("src"), end("dst"), world.watcher.server_side)
    world.server_copy._limits = CopyReply(*world.source.copy_limits)
    run = world.transfer()
    assert world.copied == world.original
    left = len(BIG) - 4 * CHUNK + REQUESTS_IN_FLIGHT * (1 << 16)
    assert run.tally.counters.bytes.server_side == left
    assert run.tally.counters.bytes.transferred == len(BIG)


@pytest.mark.parametrize("verify", [VerifyMode.NONE, VerifyMode.ONLY_FILES_TRANSFERRED])
def test_what_an_earlier_attempt_left_is_never_trusted(verify: VerifyMode) -> None:
    source = file(BIG)
    torn = bytes(CHUNK) + BIG[CHUNK : 4 * CHUNK] + bytes(2 * CHUNK)
    world = OneServer(folder(big=source), folder(**kept(source, torn)))
    world.source.copy_limits = (1, 1 << 16, 1 << 16)
    world.server_copy = ServerCopy(end("src"), end("dst"), world.watcher.server_side)
    world.server_copy._limits = CopyReply(*world.source.copy_limits)
    world.transfer(verify_mode=verify)
    assert world.copied == world.original
    assert not world.reasons


PARTS = ((0, 2 * CHUNK + 7), (2 * CHUNK + 7, len(BIG)))


@pytest.mark.parametrize("refused", [False, True])
def test_agents_that_share_a_file_have_the_server_copy_their_parts(refused: bool) -> None:
    source = file(BIG)
    world = OneServer(folder(big=source))
    if refused:
        refuse_control(world, FSCTL_SRV_COPYCHUNK_WRITE, NtStatus.NOT_SUPPORTED, after=1)
        world.source.copy_limits = (1, CHUNK, CHUNK)
        assert world.server_copy is not None
        world.server_copy._limits = CopyReply(1, CHUNK, CHUNK)
    run = world.prepare()
    entry = DirectoryEntry("big", len(BIG), 0x20, 0, 0, source.times[2], 0, 0, 1)

    async def gather() -> None:
        for part in PARTS:
            await gather_part(run, "big", entry, part)

    drive(world.scheduler, gather(), *world.links)
    assert [piece.digest for piece in run.scope.pieces] == [blake3(BIG[start:end]).digest() for start, end in PARTS]
    assert run.tally.counters.bytes.transferred == len(BIG)
    assert (run.tally.counters.bytes.server_side == len(BIG)) is not refused
    assert list(world.copied.values()) == [BIG]


def test_a_limit_of_the_rate_is_kept_in_small_pieces() -> None:
    world = OneServer(folder(big=file(BIG)))
    run = world.transfer(**UNVERIFIED, bytes_per_second=1 << 20)
    assert world.copied == world.original
    assert controls(world, FSCTL_SRV_COPYCHUNK_WRITE) >= len(BIG) // (1 << 18)
    assert run.tally.counters.bytes.server_side == len(BIG)


def test_one_share_needs_no_second_tree() -> None:
    world = OneServer(folder(big=file(BIG)))
    world.server_copy = ServerCopy(end("dst"), replace(end("DST"), path="/x"), world.watcher.server_side)
    world.transfer()
    assert world.copied == world.original
    assert len(world.source.trees) == 1
