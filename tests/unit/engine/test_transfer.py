"""Whole runs over two servers in memory: what lands, what is counted, and what every kind of trouble leaves behind."""

from collections import Counter
from collections.abc import Callable

import pytest
from blake3 import blake3
from tests.unit.engine.fake_server import (
    ACCOUNT,
    CHUNK,
    DEDUP,
    FULL_ENTRIES,
    PLAIN_ENTRIES,
    FakeServer,
    Link,
    Node,
    Request,
    descriptor,
    file,
    folder,
    make_lane,
)
from tests.unit.engine.fake_server.nodes import SPARSE
from tests.unit.engine.world import BIG, World, refuse

from smbferry_engine.errors import EngineError, FileReason
from smbferry_engine.model import (
    CompareBy,
    DeletedFiles,
    OverwriteMode,
    SecurityDescriptors,
    Symlinks,
    TransferMode,
    VerifyMode,
)
from smbferry_engine.paths import TEMPORARY_PREFIX, temporary_names
from smbferry_engine.transfer import FOLDERS_IN_FLIGHT
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.security import owner_and_group
from smbferry_engine.wire.status import NtStatus


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
    assert (run.counters.files.transferred, run.counters.files.verified, run.counters.directories.transferred) == (
        5,
        5,
        2,
    )
    assert run.counters.bytes.transferred == run.counters.bytes.written == run.counters.bytes.to_transfer
    assert not world.destination.handles
    assert not world.source.handles


def test_a_second_run_changes_nothing() -> None:
    world = World(folder(a=file(b"alpha"), sub=folder(b=file(b"beta"))))
    world.transfer()
    before = len(world.destination.requests)
    run = world.transfer()
    writes = [r for r in world.destination.requests[before:] if r.command in (Command.WRITE, Command.SET_INFO)]
    assert writes == []
    assert (run.counters.files.skipped, run.counters.files.transferred) == (2, 0)


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
    assert run.counters.bytes.written == 0
    assert not [r for r in world.destination.requests if r.command == Command.WRITE]


def test_a_dry_run_counts_the_same_and_touches_nothing() -> None:
    def make() -> World:
        return World(
            folder(a=file(b"alpha"), sub=folder(b=file(BIG))), folder(a=file(b"older!"), gone=folder(c=file(b"c")))
        )

    dry, wet = make(), make()
    before = dry.copied
    options = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
    one, two = dry.transfer(dry_run=True, **options).counters, wet.transfer(**options).counters
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
    assert not [path for path in world.copied if TEMPORARY_PREFIX in path]


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
    assert run.counters.bytes.transferred == 4


def test_links_are_never_followed() -> None:
    link = Node(bytearray(b"target"), reparse=True)
    loop = Node(None, {"x": file(b"x")}, reparse=True)
    world = World(folder(link=link, loop=loop, f=file(b"f")))
    run = world.transfer()
    assert world.copied == {"/f": b"f"}
    files, folders = run.counters.files, run.counters.directories
    assert (files.links, folders.links, files.skipped, folders.skipped) == (1, 1, 0, 1)  # the root is one
    assert [(one.path, one.action, one.left_out) for one in world.watcher.records[:2]] == [
        ("/link", "LeftOut", "Link"),
        ("/loop", "LeftOut", "Link"),
    ]
    strict = World(folder(link=Node(bytearray(b"t"), reparse=True)))
    strict.transfer(symlinks=Symlinks.FAIL)
    assert strict.reasons == [("/link", FileReason.REPARSE_POINT_SKIPPED)]


@pytest.mark.parametrize("tells_disk_ids", [True, False])
def test_a_folder_that_is_its_own_ancestor_ends_the_descent(*, tells_disk_ids: bool) -> None:
    top = folder(f=file(b"f"))
    world = World(top)
    world.source.tells_disk_ids = tells_disk_ids
    top.children["loop"] = top
    world.transfer()
    assert world.copied == {"/f": b"f"}
    assert world.reasons == [("/loop", "DirectoryLoop")]
    again = world.transfer()
    assert again.counters.files.skipped == 1
    assert world.copied == {"/f": b"f"}


def test_full_entries_are_asked_for_only_where_plain_ones_tell_too_little() -> None:
    def classes(server: FakeServer) -> list[int]:
        return [request.body[2] for request in server.requests if request.command == Command.QUERY_DIRECTORY]

    world = World(folder(a=folder(f=file(b"f")), b=folder(link=Node(bytearray(b"t"), reparse=True))))
    world.transfer()
    assert classes(world.source).count(PLAIN_ENTRIES) == 6
    assert classes(world.source).count(FULL_ENTRIES) == 2
    assert set(classes(world.destination)) == {PLAIN_ENTRIES}
    mute = World(folder(a=folder(f=file(b"f"))))
    mute.source.tells_disk_ids = False
    mute.transfer()
    assert classes(mute.source) == [PLAIN_ENTRIES] * 2 + [FULL_ENTRIES] * 4


@pytest.mark.parametrize("status", [0xC0000003, NtStatus.NOT_SUPPORTED, NtStatus.INVALID_PARAMETER])
@pytest.mark.parametrize(("missing", "used"), [((1,), 38), ((1, 38), 37), ((38,), 1), ((38, 37), 1)])
def test_a_class_of_listing_that_a_server_does_not_have_is_asked_for_once(
    status: int, missing: tuple[int, ...], used: int
) -> None:
    world = World(folder(a=folder(f=file(b"f")), b=folder(g=file(b"g"), c=folder()), d=folder()))
    world.source.entries_per_page = 2
    for server in (world.source, world.destination):
        server.personality.missing_listing_classes = frozenset(missing)
        server.personality.missing_listing_status = status
    world.transfer()
    assert world.reasons == []
    assert world.copied == world.original
    asked = [request.body[2] for request in world.source.requests if request.command == Command.QUERY_DIRECTORY]
    assert asked[-1] == used
    assert set(asked) <= {*missing, used}
    assert all(asked.count(entry_class) <= FOLDERS_IN_FLIGHT for entry_class in missing)
    assert world.transfer().counters.files.skipped == 2


def test_a_server_without_any_class_of_listing_is_named() -> None:
    world = World(folder(a=folder(f=file(b"f"))))
    world.source.personality.missing_listing_classes = frozenset({1, 37, 38})
    with pytest.raises(EngineError) as caught:
        world.transfer()
    assert "STATUS_INVALID_INFO_CLASS" in caught.value.message


def test_links_are_told_where_only_the_third_class_is_there() -> None:
    world = World(folder(link=Node(bytearray(b"t"), reparse=True, reparse_tag=0xA000000C), f=file(b"f")))
    world.source.personality.missing_listing_classes = frozenset({38})
    run = world.transfer()
    assert (run.counters.files.links, run.counters.files.transferred) == (1, 1)


def test_only_the_first_of_many_large_folders_is_asked_for_twice() -> None:
    large = {f"d{number}": folder(**{f"f{index}": file(b"f") for index in range(9)}) for number in range(5)}
    world = World(folder(**large))
    world.source.entries_per_page = 4
    run = world.transfer(dry_run=True)
    assert run.counters.files.listed == 45
    opened = [request.name for request in world.source.requests if request.command == Command.CREATE]
    listed = Counter(name for name in opened if name)
    assert sorted(listed.values()) == [1] * 5 + [3]  # the root is the first, and was looked at before


@pytest.mark.parametrize("per_page", [1, 2, 3, 7, 100])
def test_a_folder_of_any_number_of_pages_is_listed_whole(per_page: int) -> None:
    world = World(folder(**{f"f{number}": file(b"f") for number in range(10)}))
    world.source.entries_per_page = per_page
    run = world.transfer()
    assert run.counters.files.listed == 10
    assert world.copied == world.original
    assert not world.source.handles


def test_names_that_must_not_be_copied_are_recorded() -> None:
    names = ["CON", "dot.", "space ", "a\\..\\..\\evil", "a/b", "tab\t", "A", "a"]
    world = World(Node(None, {name: file(name.encode()) for name in names}, 0))
    world.transfer()
    assert world.copied == {"/A": b"A"}
    reasons = dict(world.reasons)
    assert reasons.pop("/a") == "CaseCollision"
    assert set(reasons.values()) == {"NameNotRepresentable"}
    assert len(reasons) == 6
    assert all(request.name is None or ".." not in request.name for request in world.source.requests)
    assert all(request.name is None or ".." not in request.name for request in world.destination.requests)


def test_types_that_disagree_are_recorded_and_left_alone() -> None:
    world = World(folder(x=file(b"x"), y=folder(z=file(b"z"))), folder(x=folder(), y=file(b"y")))
    world.transfer()
    assert sorted(world.reasons) == [("/x", "TypeConflict"), ("/y", "TypeConflict")]
    assert world.copied == {"/x": None, "/y": b"y"}


def test_removed_files_go_last_and_with_their_folders() -> None:
    there = folder(keep=file(b"k"), old=file(b"o", attributes=1), dir=folder(deep=folder(x=file(b"x"))))
    world = World(folder(keep=file(b"k"), new=file(b"n")), there)
    run = world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert world.copied == {"/keep": b"k", "/new": b"n"}
    assert (run.counters.files.deleted, run.counters.directories.deleted) == (2, 2)


def test_nothing_is_deleted_past_the_limit() -> None:
    there = Node(None, {f"f{index}": file(b"") for index in range(10)}, 0)
    world = World(folder(f0=file(b"")), there)
    with pytest.raises(EngineError) as caught:
        world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes=8)
    assert caught.value.reason == "MaxDeletesExceeded"
    assert len(world.copied) == 10


def test_nothing_is_deleted_after_an_incomplete_listing() -> None:
    world = World(folder(dark=folder()), folder(old=file(b"o"), dark=folder(x=file(b"x"))))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="data\\dark"))
    with pytest.raises(EngineError) as caught:
        world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert caught.value.reason == "SourceListingIncomplete"
    assert "/old" in world.copied
    assert "/dark/x" in world.copied


def test_what_filters_exclude_is_neither_copied_nor_deleted() -> None:
    world = World(
        folder(a=file(b"a"), b=folder(c=Node(bytearray(b"t"), attributes=0x20))),
        Node(
            None, {"x.tmp": file(b"x"), "gone": folder(y=file(b"y")), "mixed": Node(None, {"z.tmp": file(b"z")}, 0)}, 0
        ),
    )
    world.source.root.children["data"].children["n.tmp"] = file(b"n")
    world.transfer(exclude=("*.tmp",), deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert world.copied == {"/x.tmp": b"x", "/mixed": None, "/mixed/z.tmp": b"z", "/a": b"a", "/b": None, "/b/c": b"t"}


@pytest.mark.parametrize("size", [50, len(BIG)])
@pytest.mark.parametrize("compare_by", CompareBy)
def test_a_file_that_the_server_deduplicates_is_a_file_like_any_other(size: int, compare_by: CompareBy) -> None:
    def deduplicated() -> Node:
        return Node(bytearray(BIG[:size]), reparse=True, reparse_tag=DEDUP)

    world = World(folder(f=deduplicated(), same=deduplicated()), folder(same=deduplicated()))
    run = world.transfer(symlinks=Symlinks.FAIL, compare_by=compare_by, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert (run.counters.files.transferred, run.counters.files.skipped) == (1, 1)


def test_an_include_copies_only_its_part_of_the_tree() -> None:
    world = World(folder(p=folder(q=folder(f=file(b"f")), r=file(b"r")), s=folder(t=file(b"t"))))
    world.transfer(include=("/p/q",))
    assert world.copied == {"/p": None, "/p/q": None, "/p/q/f": b"f"}
    assert not [r for r in world.source.requests if r.name and "\\s" in r.name]


def test_leftovers_of_an_earlier_attempt_are_removed_and_never_copied() -> None:
    name = temporary_names("f", b"another version")[0]
    world = World(Node(None, {"f": file(b"f"), name: file(b"?")}, 0), Node(None, {name: file(b"half")}, 0))
    world.transfer()
    assert world.copied == {"/f": b"f"}


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


@pytest.mark.parametrize("credits_", [8, 12])
def test_few_credits_make_it_slower_but_not_fail(credits_: int) -> None:
    world = World(folder(big=file(BIG), a=file(b"a"), sub=folder(b=file(b"b"))), credits_=credits_)
    world.source.credits_granted = world.destination.credits_granted = 2
    world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL)
    assert world.copied == world.original


@pytest.mark.parametrize("credits_", [1, 2, 3])
@pytest.mark.parametrize("kept", [None, 64])
def test_with_a_credit_or_two_everything_completes_only_slower(credits_: int, kept: int | None) -> None:
    """`kept` None is a server that never gives more; one that keeps 64 gives them for an ECHO."""
    world = World(folder(big=file(BIG), a=file(b"a"), sub=folder(b=file(b"b"), c=file())), credits_=credits_)
    for server in (world.source, world.destination):
        server.keep_credits(kept or credits_, first=credits_)
    run = world.transfer(security_descriptors=SecurityDescriptors.OWNER_DACL, deleted_files=DeletedFiles.REMOVE)
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert run.counters.files.verified == 4
    assert world.source.handles == world.destination.handles == {}


@pytest.mark.parametrize("small", [0, 1])
def test_a_side_that_takes_less_at_a_time_than_the_other_is_given_less(small: int) -> None:
    world = World(folder(big=file(BIG)))
    world.links[small].renew(make_lane(chunk=CHUNK // 2))
    world.transfer()
    assert world.copied == world.original
    writes = [request for request in world.destination.requests if request.command == Command.WRITE]
    assert max(int.from_bytes(request.body[4:8], "little") for request in writes) <= CHUNK // 2


def test_replies_in_any_order_give_the_same_content() -> None:
    world = World(folder(big=file(BIG)))
    for link in world.links:
        original = link.exchange

        def reversed_exchange(link: Link = link, original: Callable[[], bool] = original) -> bool:
            link.hold_replies = True
            moved = original()
            link.hold_replies = False
            link.held.reverse()
            return original() or moved

        link.exchange = reversed_exchange  # type: ignore[method-assign]
    world.transfer()
    assert world.copied == world.original
    assert [record.digest for record in world.watcher.records if record.path == "/big"] == [blake3(BIG).hexdigest()]
    assert world.watcher.failures == []


@pytest.mark.parametrize("holes", [{0}, {4}, {1, 3}, {0, 1, 2, 3, 4}])
def test_zeros_of_a_sparse_file_are_not_sent_and_those_of_any_other_are(holes: set[int]) -> None:
    content = b"".join(bytes(CHUNK) if index in holes else b"x" * CHUNK for index in range(5))
    world = World(folder(big=file(content, attributes=SPARSE), whole=file(content)))
    for node in world.source.root.children["data"].children.values():
        node.allocated_ranges = [(0, 5 * CHUNK)]
    run = world.transfer()
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert run.counters.bytes.transferred == 10 * CHUNK
    assert run.counters.bytes.written == (10 - len(holes)) * CHUNK
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
    assert run.counters.bytes.written == CHUNK


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
    assert (run.counters.directories.transferred, run.counters.directories.skipped) == (0, 2)
