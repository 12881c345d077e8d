"""Whole runs over two servers in memory: what is copied and counted, and what every kind of trouble leaves behind."""

import pytest
from lab.fake_server import (
    ACCOUNT,
    CHUNK,
    DEDUP,
    Node,
    Request,
    descriptor,
    file,
    folder,
)
from lab.fake_server.nodes import SPARSE
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.paths import STAGING_PREFIX
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.security import owner_and_group
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    Links,
    OverwriteMode,
    SecurityDescriptors,
    TransferMode,
    VerifyMode,
)


@pytest.mark.fault(32)
def test_a_tree_arrives_whole_with_its_times_and_attributes() -> None:
    odd = "\ud83d lone"
    world = World(
        folder(
            a=file(b"alpha", time=12_345, attributes=0x21),
            empty=file(b""),
            big=file(BIG, time=77_777),
            sub=Node(None, {"b": file(b"beta"), "nothing": folder(), odd: file(b"x")}, 0, [1, 2, 3, 4]),
        )
    )
    run = world.transfer()
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert world.node("a").times[:3] == [10_000, 20_000, 12_345]
    assert world.node("a").attributes == 0x21
    assert world.node("big").times[2] == 77_777
    assert world.node("sub").times[:3] == [1, 2, 3]
    assert (
        run.tally.counters.files.transferred,
        run.tally.counters.files.verified,
        run.tally.counters.directories.transferred,
    ) == (
        5,
        5,
        2,
    )
    assert (
        run.tally.counters.bytes.transferred == run.tally.counters.bytes.written == run.tally.counters.bytes.to_transfer
    )
    assert not world.destination.handles
    assert not world.source.handles


def test_a_second_run_changes_nothing() -> None:
    world = World(folder(a=file(b"alpha"), sub=folder(b=file(b"beta"))))
    world.transfer()
    before = len(world.destination.requests)
    run = world.transfer()
    writes = [r for r in world.destination.requests[before:] if r.command in (Command.WRITE, Command.SET_INFO)]
    assert writes == []
    assert (run.tally.counters.files.skipped, run.tally.counters.files.transferred) == (2, 0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, b"new"),
        ({"overwrite_mode": OverwriteMode.NEVER}, b"old"),
        ({"transfer_mode": TransferMode.ALL}, b"new"),
        ({"compare_by": CompareBy.CHECKSUM}, b"new"),
        ({"verify_mode": VerifyMode.NONE}, b"new"),
        ({"verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT}, b"new"),
    ],
)
def test_a_file_that_differs_is_replaced_as_the_options_say(options: dict[str, object], expected: bytes) -> None:
    world = World(folder(f=file(b"new", time=50_000)), folder(f=file(b"old", time=40_000)))
    world.transfer(**options)
    assert world.copied == {"/f": expected}
    assert world.watcher.failures == []


def test_equal_content_with_another_time_only_gets_its_time_by_checksum() -> None:
    world = World(folder(f=file(b"same", time=50_000)), folder(f=file(b"same", time=40_000)))
    run = world.transfer(compare_by=CompareBy.CHECKSUM)
    assert world.node("f").times[2] == 50_000
    assert run.tally.counters.bytes.written == 0
    assert not [r for r in world.destination.requests if r.command == Command.WRITE]


def test_a_dry_run_counts_the_same_and_touches_nothing() -> None:
    def make() -> World:
        return World(
            folder(a=file(b"alpha"), sub=folder(b=file(BIG))), folder(a=file(b"older!"), gone=folder(c=file(b"c")))
        )

    dry, wet = make(), make()
    before = dry.copied
    options = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
    one, two = dry.transfer(dry_run=True, **options).tally.counters, wet.transfer(**options).tally.counters
    assert dry.copied == before
    assert wet.copied == wet.original
    for kind in ("files", "directories"):
        dried, wetted = getattr(one, kind), getattr(two, kind)
        assert (dried.listed, dried.to_transfer, dried.skipped, dried.to_delete) == (
            wetted.listed,
            wetted.to_transfer,
            wetted.skipped,
            wetted.to_delete,
        )
    assert one.bytes.to_transfer == two.bytes.to_transfer
    assert not [r for r in dry.destination.requests if r.command in (Command.WRITE, Command.SET_INFO)]


@pytest.mark.parametrize("command", [Command.WRITE, Command.SET_INFO])
@pytest.mark.parametrize("size", [5, len(BIG)])
def test_a_refusal_after_create_leaves_no_file(command: int, size: int) -> None:
    world = World(folder(f=file(BIG[:size]), ok=file(b"ok")))
    world.destination.faults.append(refuse(command, NtStatus.ACCESS_DENIED, times=1))
    world.transfer()
    assert len(world.reasons) == 1
    failed = world.reasons[0][0]
    assert failed not in world.copied
    assert not [path for path in world.copied if STAGING_PREFIX in path]


@pytest.mark.fault(40)
def test_what_is_read_back_wrongly_does_not_stay() -> None:
    world = World(folder(small=file(b"abc"), big=file(BIG, time=9)), folder(big=file(b"old")))

    def corrupt(request: Request) -> int | None:
        if request.command == Command.READ and request.node is not None and request.node.data:
            request.node.data[0] ^= 1
        return None

    world.destination.faults.append(corrupt)
    world.transfer()
    assert sorted(world.reasons) == [("/big", "HashMismatch"), ("/small", "HashMismatch")]
    assert {failure.phase for failure in world.watcher.failures} == {"Verify"}
    assert world.copied == {"/big": b"old"}


def test_a_source_that_keeps_changing_is_recorded_and_nothing_lands() -> None:
    world = World(folder(big=file(BIG), still=file(b"still")))

    def touch(request: Request) -> int | None:
        if request.command == Command.READ and request.node is not None and len(request.node.data or b"") > 100:
            request.node.times[2] += 1
        return None

    world.source.faults.append(touch)
    world.transfer()
    assert world.reasons == [("/big", "SourceChanged")]
    assert world.copied == {"/still": b"still"}


def test_a_file_held_open_is_tried_again_and_copied_when_it_is_free() -> None:
    world = World(folder(f=file(b"data")))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name="data\\f", times=2))
    world.transfer()
    assert world.copied == {"/f": b"data"}
    assert world.reasons == []


def test_a_file_held_open_for_good_is_recorded_and_the_others_are_copied() -> None:
    world = World(folder(f=file(b"data"), g=file(b"more")))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.SHARING_VIOLATION, name="data\\f"))
    run = world.transfer()
    assert world.copied == {"/g": b"more"}
    assert world.reasons == [("/f", "SharingViolation")]
    assert run.tally.counters.bytes.transferred == 4


@pytest.mark.parametrize("size", [50, len(BIG)])
@pytest.mark.parametrize("compare_by", CompareBy)
def test_a_file_that_the_server_deduplicates_is_a_file_like_any_other(size: int, compare_by: CompareBy) -> None:
    def deduplicated() -> Node:
        return Node(bytearray(BIG[:size]), reparse=True, reparse_tag=DEDUP)

    world = World(folder(f=deduplicated(), same=deduplicated()), folder(same=deduplicated()))
    run = world.transfer(links=Links.FAIL, compare_by=compare_by, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert (run.tally.counters.files.transferred, run.tally.counters.files.skipped) == (1, 1)


def test_an_owner_that_may_not_be_set_is_said_and_the_content_stays() -> None:
    world = World(folder(small=file(b"s"), big=file(BIG)))

    def no_owner(request: Request) -> int | None:
        if request.command == Command.SET_INFO and request.body[2] == 3 and request.body[12] == 3:
            return NtStatus.INVALID_OWNER
        return None

    world.destination.faults.append(no_owner)
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert world.copied == world.original
    assert sorted(world.reasons) == [(path, "OwnerNotPermitted") for path in ("/", "/big", "/small")]
    assert set(world.node("small").security) == {4, 7}
    assert world.node("small").descriptor("")[-8:] == descriptor("data\\small")[-8:]
    assert owner_and_group(world.node("small").descriptor(""))[0] == owner_and_group(descriptor(ACCOUNT))[0]


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("status", [NtStatus.ACCESS_DENIED, NtStatus.PRIVILEGE_NOT_HELD])
def test_without_the_privilege_for_audit_lists_all_else_is_copied_and_each_file_told_of(side: str, status: int) -> None:
    world = World(folder(small=file(b"s"), big=file(BIG), d=folder()))

    def no_privilege(request: Request) -> int | None:
        wanted = int.from_bytes(request.body[24:28], "little") if request.command == Command.CREATE else 0
        return status if wanted & 0x01000000 else None

    getattr(world, side).faults.append(no_privilege)
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL_SACL)
    assert world.copied == world.original
    assert {path for path, _ in world.reasons} == {"/", "/small", "/big", "/d"}
    assert {reason for _, reason in world.reasons} == {"SecurityNotPermitted"}
    assert side in world.watcher.failures[0].message
    assert set(world.node("small").security) == {4, 7}


def test_audit_lists_are_copied_with_the_access_lists() -> None:
    world = World(folder(small=file(b"s"), d=folder()))
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL_SACL)
    assert world.watcher.failures == []
    assert [set(world.node(path).security) for path in ("small", "d")] == [{7, 12}, {7, 12, 3}]


@pytest.mark.fault(81)
@pytest.mark.parametrize("holes", [{0}, {4}, {1, 3}, {0, 1, 2, 3, 4}])
def test_zeros_of_a_sparse_file_are_not_sent_and_those_of_any_other_are(holes: set[int]) -> None:
    content = b"".join(bytes(CHUNK) if index in holes else b"x" * CHUNK for index in range(5))
    world = World(folder(big=file(content, attributes=SPARSE), whole=file(content)))
    for node in world.source.root.children["data"].children.values():
        node.allocated_ranges = [(0, 5 * CHUNK)]
    run = world.transfer()
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert run.tally.counters.bytes.transferred == 10 * CHUNK
    assert run.tally.counters.bytes.written == (10 - len(holes)) * CHUNK
    assert world.node("big").sparse
    assert not world.node("whole").sparse


@pytest.mark.parametrize("status", [NtStatus.NOT_SUPPORTED, 0xC0000010])
def test_a_server_without_sparse_files_gets_the_zeros_by_the_size_alone(status: int) -> None:
    content = b"x" * CHUNK + bytes(3 * CHUNK)
    sparse = file(content, attributes=SPARSE)
    sparse.allocated_ranges = [(0, CHUNK)]
    world = World(folder(big=sparse))
    world.destination.faults.append(refuse(Command.IOCTL, status))
    run = world.transfer()
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert run.tally.counters.bytes.written == CHUNK


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, "Running"),
        ({"verify_mode": VerifyMode.NONE}, "Skipped"),
        ({"verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT}, "Running"),
        ({"dry_run": True}, "Skipped"),
        ({"dry_run": True, "verify_mode": VerifyMode.POINT_IN_TIME_CONSISTENT}, "Skipped"),
    ],
)
def test_every_phase_is_told_of_and_none_stays_running(options: dict[str, object], state: str) -> None:
    world = World(folder(a=file(b"a")))
    world.transfer(**options)
    told = world.watcher.phases
    assert [phase for phase, first in told if first != "Succeeded"] == ["prepare", "transfer", "verify", "delete"]
    assert ("verify", state) in told
    assert "Running" not in dict(told).values()


def test_a_server_that_does_not_say_how_a_file_was_closed_is_read_all_the_same() -> None:
    world = World(folder(a=file(b"alpha"), big=file(BIG)))

    def forget(replies: list[bytes]) -> list[bytes]:
        return [
            reply[:66] + bytes(len(reply) - 66) if reply[12] == Command.CLOSE and reply[8:12] == bytes(4) else reply
            for reply in replies
        ]

    world.source.before_reply = forget
    world.transfer()
    assert world.copied == world.original
    assert world.watcher.failures == []


def test_a_folder_keeps_its_sources_time_when_something_was_put_into_it() -> None:
    world = World(folder(d=folder(old=file(b"o"), new=file(b"n"))), folder(d=folder(old=file(b"o"))))
    run = world.transfer()
    assert world.node("d").times[2] == 30_000
    assert (run.tally.counters.directories.transferred, run.tally.counters.directories.skipped) == (0, 2)
