"""Going on inside a file: what is kept is only what the source says, and only the rest is written."""

import struct

import pytest
from lab.fake_server import CHUNK, Link, Node, Request, drive, file, folder
from lab.fake_server.nodes import SPARSE
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.errors import EngineError
from smbferry_engine.paths import is_staging_name, staging_names
from smbferry_engine.wire.create import Access, Disposition
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import VerifyMode


def names_of(data: bytes) -> tuple[str, ...]:
    """Names of staging files for a file that is called big, written at 30,000 as `file()` makes them."""
    return staging_names("big", struct.pack("<QQ", len(data), 30_000))


NAMES = names_of(BIG)


def interrupted(kept: bytes, *, name: str = NAMES[0], **source: Node) -> World:
    """A source with one large file, and what a killed run left of it at the destination."""
    return World(Node(None, {"big": file(BIG), **source}, 0), Node(None, {name: file(kept)}, 0))


def opens_for_writing(request: Request) -> bool:
    """Whether it asks for access to write content."""
    if request.command != Command.CREATE:
        return False
    return bool(struct.unpack_from("<I", request.body, 24)[0] & Access.WRITE_DATA)


def ranges_written(world: World) -> list[tuple[int, int]]:
    """Offset and length of each WRITE."""
    bodies = [request.body for request in world.destination.requests if request.command == Command.WRITE]
    found = [struct.unpack_from("<IQ", body, 4) for body in bodies]
    return sorted((offset, length) for length, offset in found)


@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_only_the_rest_is_written(verify: VerifyMode) -> None:
    world = interrupted(BIG[: 3 * CHUNK])
    run = world.transfer(verify_mode=verify)
    assert world.copied == {"/big": BIG}
    assert run.tally.counters.bytes.written == len(BIG) - 3 * CHUNK
    assert run.tally.counters.bytes.transferred == len(BIG)
    assert min(ranges_written(world))[0] == 3 * CHUNK
    assert world.watcher.failures == []
    assert run.housekeeping.opened() == []
    assert world.destination.handles == {}


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    ("kept", "repaired"),
    [
        (BIG[:CHUNK] + bytes(CHUNK) + BIG[2 * CHUNK : 3 * CHUNK], [CHUNK]),  # a hole: requests overtook each other
        (bytes(3 * CHUNK), [0, CHUNK, 2 * CHUNK]),  # the server lost all but the size
        (BIG[: CHUNK - 1] + b"?" + BIG[CHUNK : 3 * CHUNK], [0]),  # torn in one byte
        (BIG[: 3 * CHUNK - 7], [2 * CHUNK]),  # ends within a range
    ],
    ids=["hole", "zeros", "torn", "short"],
)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
def test_what_is_not_what_the_source_says_is_written_again(
    kept: bytes, repaired: list[int], verify: VerifyMode
) -> None:
    world = interrupted(kept)
    world.transfer(verify_mode=verify)
    assert world.copied == {"/big": BIG}
    assert [offset for offset, _ in ranges_written(world) if offset < 3 * CHUNK] == repaired


def test_what_is_longer_than_the_source_is_cut_off() -> None:
    world = interrupted(BIG + b"more")
    run = world.transfer(verify_mode=VerifyMode.NONE)
    assert world.copied == {"/big": BIG}
    assert run.tally.counters.bytes.written == 0


def test_zeros_of_the_source_replace_what_is_kept() -> None:
    zeros = bytes(len(BIG))
    sparse = file(zeros, attributes=SPARSE)
    sparse.allocated_ranges = [(0, len(zeros))]
    world = interrupted(b"x" * (2 * CHUNK), big=sparse)
    run = world.transfer(verify_mode=VerifyMode.NONE)
    assert world.copied == {"/big": zeros}
    assert run.tally.counters.bytes.written == 2 * CHUNK


def test_another_version_of_the_file_starts_anew() -> None:
    world = interrupted(BIG[: 3 * CHUNK], big=file(BIG, time=30_001))
    run = world.transfer()
    assert world.copied == {"/big": BIG}
    assert run.tally.counters.bytes.written == len(BIG)


def test_a_file_that_is_there_already_or_not_wanted_keeps_no_temporary() -> None:
    kept = {NAMES[0]: file(BIG[:CHUNK]), "big": file(BIG)}
    world = World(folder(big=file(BIG)), Node(None, kept, 0))
    world.transfer()
    assert world.copied == {"/big": BIG}
    world = interrupted(BIG[:CHUNK])
    world.transfer(exclude=("/big",))
    assert world.copied == {}


@pytest.mark.parametrize("planted", ["link", "reparse point"])
def test_nothing_is_written_into_what_only_looks_like_ours(planted: str) -> None:
    world = interrupted(BIG[:CHUNK])
    elsewhere = world.node(NAMES[0])
    elsewhere.links, elsewhere.reparse = (2, False) if planted == "link" else (1, True)
    world.transfer()
    assert world.copied == {"/big": BIG}
    assert world.node("big") is not elsewhere
    assert elsewhere.data == bytearray(BIG[:CHUNK])


def test_what_may_not_be_opened_again_starts_anew() -> None:
    world = interrupted(BIG[:CHUNK])

    def denied(request: Request) -> int | None:
        opens = opens_for_writing(request) and struct.unpack_from("<I", request.body, 36)[0] == Disposition.OPEN
        return NtStatus.ACCESS_DENIED if opens else None

    world.destination.faults.append(denied)
    run = world.transfer()
    assert world.copied == {"/big": BIG}
    assert run.tally.counters.bytes.written == len(BIG)


def test_a_name_that_a_dead_client_still_holds_is_passed_over() -> None:
    world = interrupted(BIG[:CHUNK])
    world.destination.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name=NAMES[0]))
    run = world.transfer()
    assert run.tally.counters.bytes.written == len(BIG)
    assert world.copied == {"/big": BIG, f"/{NAMES[0]}": BIG[:CHUNK]}
    world.destination.faults.clear()
    world.transfer()
    assert world.copied == {"/big": BIG}


def test_a_name_that_a_dead_client_held_for_a_while_is_removed_once_the_file_has_landed() -> None:
    world = interrupted(BIG[:CHUNK])
    world.destination.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name=NAMES[0], times=1))
    world.transfer()
    assert world.copied == {"/big": BIG}


def test_all_names_held_is_this_files_failure() -> None:
    world = interrupted(BIG[:CHUNK], a=file(b"a"))
    world.destination.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name=".smbferry-"))
    world.transfer()
    assert world.reasons == [("/big", "SharingViolation")]
    assert world.copied["/a"] == b"a"


@pytest.mark.parametrize("side", [0, 1])
def test_a_connection_lost_within_a_file_costs_only_what_was_under_way(side: int) -> None:
    data = BIG * 6
    world = World(folder(big=file(data)))
    lose(world.links[side], Command.READ if side == 0 else Command.WRITE, at=20)
    run = world.transfer()
    assert world.restored == 1
    assert world.copied == {"/big": data}
    assert run.tally.counters.bytes.transferred == len(data)
    assert run.tally.counters.bytes.written <= len(data) + 8 * CHUNK


def lose(link: Link, command: Command, *, at: int) -> None:
    """Cut the connection at this many requests of a kind, once."""
    seen = [0]

    def fault(request: Request) -> int | None:
        seen[0] += request.command == command
        if seen[0] == at:
            seen[0] += 1
            link.lose = True
        return None

    link.server.faults.append(fault)


def expire(world: World, *, at: tuple[int, ...]) -> None:
    """End the destination's session at these writes: it refuses until it is renewed, a second later."""
    session = world.links[1].session
    session.life.renewable = True
    seen = [0]

    def fault(request: Request) -> int | None:
        seen[0] += request.command == Command.WRITE
        if request.command != Command.WRITE or seen[0] not in at:
            return None
        world.scheduler.sleep(1.0).when_done(session.renewed)
        return NtStatus.NETWORK_SESSION_EXPIRED

    world.destination.faults.append(fault)


def test_the_next_attempt_waits_until_the_last_one_has_closed_its_file() -> None:
    data = BIG * 6
    world = World(folder(big=file(data)))
    expire(world, at=(20,))
    world.links[1].put_off = lambda compound: struct.unpack_from("<H", compound, 12)[0] == Command.CLOSE

    def in_use(request: Request) -> int | None:
        held = {handle.path for handle in world.destination.handles.values()}
        return NtStatus.SHARING_VIOLATION if opens_for_writing(request) and request.name in held else None

    world.destination.faults.append(in_use)
    run = world.transfer(verify_mode=VerifyMode.NONE)
    assert world.restored == 0
    assert world.copied == {"/big": data}
    assert run.tally.counters.bytes.written == len(data), "nothing was written twice"
    assert bytes_read(world) <= len(data) + 2 * 8 * CHUNK, "of the source, what was under way and what came next"
    assert run.housekeeping.idle


def test_no_name_is_left_of_those_under_which_attempts_of_the_run_have_gathered_the_file() -> None:
    data = BIG * 6
    world = World(folder(big=file(data)))
    expire(world, at=(10, 30))
    # Somebody's virus scanner, say, has it open for a moment.
    taken = refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name=names_of(data)[0], times=1)
    world.destination.faults.append(lambda request: taken(request) if len(ranges_written(world)) >= 10 else None)
    world.transfer()
    assert world.copied == {"/big": data}


def test_a_source_that_stays_away_leaves_the_temporary_for_the_next_run() -> None:
    world = World(folder(big=file(BIG * 6)))

    def fault(request: Request) -> int | None:
        reads = sum(request.command == Command.READ for request in world.source.requests)
        world.links[0].lose = world.links[0].lose or reads > 20
        return None

    world.source.faults.append(fault)
    with pytest.raises(EngineError, match="ConnectionLost"):
        world.transfer()
    assert all(is_staging_name(path[1:]) for path in world.copied)
    before = len(next(content for content in world.copied.values() if content is not None))
    assert before > 8 * CHUNK
    world.source.faults.clear()
    world.restore()
    run = world.transfer()
    assert world.copied == {"/big": BIG * 6}
    assert run.tally.counters.bytes.written < len(BIG * 6) - before + CHUNK


# --- Within one run: what was read of the source is not read again ----------------------------------------------------


def bytes_read(world: World) -> int:
    """Of files at the source, as asked for."""
    bodies = [request.body for request in world.source.requests if request.command == Command.READ]
    return sum(struct.unpack_from("<I", body, 4)[0] for body in bodies)


@pytest.mark.fault(2)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
@pytest.mark.parametrize("side", [0, 1])
def test_sessions_that_end_again_and_again_do_not_make_the_source_read_again(side: int, verify: VerifyMode) -> None:
    data = BIG * 8
    world = World(folder(big=file(data)))
    for at in (12, 24, 36):
        lose(world.links[side], Command.READ if side == 0 else Command.WRITE, at=at)
    run = world.transfer(verify_mode=verify)
    assert world.restored == 3
    assert world.copied == {"/big": data}
    assert world.watcher.failures == []
    assert bytes_read(world) <= len(data) + 3 * 9 * CHUNK, "each time at most what was under way"
    assert run.tally.counters.bytes.transferred == len(data)
    assert not run.housekeeping.resume_points


@pytest.mark.fault(2)
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
@pytest.mark.parametrize("lost", ["torn", "shorter"])
def test_what_the_destination_lost_with_the_connection_is_written_again(lost: str, verify: VerifyMode) -> None:
    data = BIG * 8
    world = World(folder(big=file(data)))
    lose(world.links[1], Command.WRITE, at=20)
    restore = world.restore

    def crash() -> None:
        kept = next(node for name, node in world.destination.root.children["copy"].children.items())
        assert kept.data is not None
        if lost == "torn":
            kept.data[CHUNK : CHUNK + 4] = b"lost"
        else:
            del kept.data[CHUNK:]
        restore()

    assert world.prepare(verify_mode=verify)
    world.run.recovery._restore = crash  # type: ignore[union-attr]  # it has been prepared
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == {"/big": data}
    assert world.watcher.failures == []
    assert bytes_read(world) > len(data) + 9 * CHUNK, "from its beginning"
    assert world.run is not None
    assert world.run.tally.counters.bytes.transferred == len(data)


def test_a_source_that_changed_while_the_connection_was_away_is_read_from_its_beginning() -> None:
    data, other = BIG * 8, bytes(reversed(BIG)) * 8
    world = World(folder(big=file(data)))
    lose(world.links[1], Command.WRITE, at=20)
    restore = world.restore

    def change() -> None:
        node = world.source.root.children["data"].children["big"]
        assert node.data is not None
        node.data[:] = other
        node.times[3] += 1  # whoever sets the write time back can't set this one
        restore()

    assert world.prepare()
    world.run.recovery._restore = change  # type: ignore[union-attr]  # it has been prepared
    drive(world.scheduler, world.execution(), *world.links)
    assert world.copied == {"/big": other}
