"""What a name is: links are never followed, stubs are read as what they are, and what changed its kind is replaced."""

import struct

import pytest
from lab.fake_server import DEDUP, Node, Request, file, folder
from lab.fake_server.nodes import OPEN_REPARSE_POINT
from lab.fake_server.windows_server_2022 import (
    CLOUD_6,
    MOUNT_POINT,
    STORAGE_SYNC,
    SYMLINK,
    WindowsServer2022,
    cloud_file,
    cloud_folder,
    junction,
    symlink,
    tiered_file,
)
from lab.fake_server.world import BIG, World, refuse
from tests.unit.engine.directory_entries import item

from smbferry_engine.errors import EngineError
from smbferry_engine.share.replies import status_error
from smbferry_engine.wire.attributes import is_data_elsewhere, is_link, special_kind
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, Links, VerifyMode

REMOVE = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
AF_UNIX, APP_EXEC_LINK, NFS, DFS, WOF, HSM2 = 0x80000023, 0x8000001B, 0x80000014, 0x8000000A, 0x80000017, 0x80000006


@pytest.mark.fault(70)
@pytest.mark.parametrize(
    ("tag", "kind"),
    [(SYMLINK, "link"), (MOUNT_POINT, "link"), (0xA0000019, "link"), (DFS, "link"), (0, "link"), (0xA000001D, "link"),
     (DEDUP, "data"), (CLOUD_6, "data"), (STORAGE_SYNC, "data"), (WOF, "data"), (HSM2, "data"), (0x80000042, "data"),
     (AF_UNIX, "special"), (APP_EXEC_LINK, "special"), (NFS, "special"), (0x80000024, "special")],
)  # fmt: skip
def test_a_reparse_point_is_what_its_tag_says(tag: int, kind: str) -> None:
    for attributes in (0x420, 0x410):
        entry = item(attributes=attributes)._replace(reparse_tag=tag)
        said = {"link": is_link(entry), "data": is_data_elsewhere(entry), "special": special_kind(entry) is not None}
        assert said == {word: word == kind for word in said}
    plain = item()._replace(reparse_tag=tag)
    assert not is_link(plain)
    assert not is_data_elsewhere(plain)
    assert special_kind(plain) is None


def stubs() -> Node:
    return folder(
        tiered=tiered_file(b"in the cloud"),
        large=tiered_file(BIG),
        mine=cloud_folder(doc=cloud_file(b"placeholder"), sub=cloud_folder(deep=file(b"deep"))),
        odd=Node(None, {"x": file(b"x")}, reparse=True, reparse_tag=DEDUP),
    )


@pytest.mark.fault(70)
@pytest.mark.parametrize("compare_by", CompareBy)
@pytest.mark.parametrize("verify", VerifyMode)
def test_what_is_tiered_or_in_a_cloud_is_copied_as_what_it_is(compare_by: CompareBy, verify: VerifyMode) -> None:
    world = World(stubs())
    world.source.personality = WindowsServer2022()
    run = world.transfer(links=Links.FAIL, compare_by=compare_by, verify_mode=verify)
    assert world.reasons == []
    assert world.copied == world.original
    assert (
        run.tally.counters.files.transferred,
        run.tally.counters.files.links,
        run.tally.counters.directories.links,
    ) == (5, 0, 0)
    assert world.node("tiered").attributes == 0x20, "on which tier the source keeps it is nothing of the file's"
    again = world.transfer(compare_by=compare_by, verify_mode=verify, **REMOVE)
    assert (
        again.tally.counters.files.transferred,
        again.tally.counters.files.skipped,
        again.tally.counters.files.deleted,
    ) == (0, 5, 0)


def test_a_mirror_of_stubs_onto_stubs_changes_nothing() -> None:
    world = World(stubs(), stubs())
    run = world.transfer(**REMOVE)
    assert (
        run.tally.counters.files.skipped,
        run.tally.counters.files.transferred,
        run.tally.counters.files.deleted,
    ) == (5, 0, 0)
    assert world.reasons == []


@pytest.mark.fault(71)
@pytest.mark.parametrize(
    "status",
    [0xC000CF01, 0xC000CF1D, NtStatus.FILE_IS_OFFLINE, NtStatus.IO_REPARSE_TAG_NOT_HANDLED],
)
@pytest.mark.parametrize("compare_by", CompareBy)
def test_a_stub_that_can_not_be_read_is_named_in_every_run(status: int, compare_by: CompareBy) -> None:
    there = folder(stub=file(b"in the clouds", time=9), ok=file(b"ok"))
    world = World(folder(stub=tiered_file(b"in the cloud"), ok=file(b"ok")), there)

    def unreadable(request: Request) -> int | None:
        stub = request.node is not None and request.node.reparse
        return status if stub and request.command == Command.READ else None

    world.source.faults.append(unreadable)
    for _ in range(2):
        world.watcher.failures.clear()
        run = world.transfer(compare_by=compare_by)
        assert world.reasons == [("/stub", "ReparsePointUnreadable")]
        assert run.tally.failures
    assert world.copied["/stub"] == b"in the clouds"


def test_a_cloud_folder_that_can_not_be_listed_is_named_and_nothing_is_deleted() -> None:
    world = World(folder(mine=cloud_folder(doc=file(b"doc"))), folder(mine=folder(doc=file(b"doc")), old=file(b"o")))
    world.source.faults.append(refuse(Command.CREATE, 0xC000CF01, name="data\\mine"))
    with pytest.raises(EngineError) as caught:
        world.transfer(**REMOVE)
    assert caught.value.reason == "SourceListingIncomplete"
    assert world.reasons == [("/mine", "ReparsePointUnreadable")]
    assert set(world.copied) == {"/mine", "/mine/doc", "/old"}


def test_a_status_of_the_cloud_filter_is_said_in_words() -> None:
    assert "stored elsewhere" in status_error(0xC000CF01, "reading the file").args[0]


@pytest.mark.fault(71)
@pytest.mark.parametrize("links", Links)
@pytest.mark.parametrize("tag", [AF_UNIX, APP_EXEC_LINK])
def test_what_is_neither_link_nor_data_is_named(links: Links, tag: int) -> None:
    world = World(folder(odd=Node(bytearray(), reparse=True, reparse_tag=tag), f=file(b"f")))
    run = world.transfer(links=links)
    assert world.reasons == [("/odd", "ReparsePointUnreadable")]
    assert world.copied == {"/f": b"f"}
    assert run.tally.counters.files.links == 0


def test_links_are_counted_apart_from_what_is_unchanged_and_told_in_the_report() -> None:
    world = World(folder(s=symlink(), j=junction(), f=file(b"f")))
    world.source.personality = WindowsServer2022()
    run = world.transfer(links=Links.SKIP)
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.links, folders.links, files.skipped, folders.skipped) == (1, 1, 0, 1)  # the root is one
    assert (files.listed, folders.listed) == (2, 2)
    assert {(one.path, one.left_out) for one in world.watcher.records if one.action == "LeftOut"} == {
        ("/s", "Link"),
        ("/j", "Link"),
    }
    assert {(one.path, one.what) for one in world.watcher.left} == {("/s", "Link"), ("/j", "Link")}
    assert world.copied == {"/f": b"f"}
    assert not [
        r for r in world.source.requests if r.command == Command.CREATE and (r.name or "").endswith(("\\s", "\\j"))
    ]


@pytest.mark.parametrize("tells_disk_ids", [True, False])
def test_a_loop_behind_cloud_folders_ends(*, tells_disk_ids: bool) -> None:
    top = cloud_folder(f=file(b"f"))
    world = World(folder(top=top))
    world.source.tells_disk_ids = tells_disk_ids
    top.children["loop"] = top
    world.transfer()
    assert world.copied == {"/top": None, "/top/f": b"f"}
    assert world.reasons == [("/top/loop", "DirectoryLoop")]


def test_a_root_that_is_a_cloud_folder_is_a_root_and_a_junction_is_none() -> None:
    world = World(cloud_folder(f=cloud_file(b"f")))
    world.source.personality = WindowsServer2022()
    world.transfer()
    assert (world.copied, world.reasons) == ({"/f": b"f"}, [])
    opened = [request for request in world.source.requests if request.name == "data"]
    options = struct.unpack_from("<I", opened[-1].body, 40)[0]
    assert not options & OPEN_REPARSE_POINT, "what the cloud has not brought yet is listed, too"
    with pytest.raises(EngineError) as caught:
        World(junction()).transfer()
    assert caught.value.reason == "PathIsReparsePoint"


def changed_kinds() -> World:
    """A file that became a folder, a folder that became a file, and some that became links."""
    source = folder(
        to_folder=folder(new=file(b"n"), deep=folder(er=file(b"er"))), to_file=file(b"file"), large=file(BIG),
        link=symlink(), kept=file(b"kept"),
    )  # fmt: skip
    destination = folder(
        to_folder=file(b"old", attributes=0x21), to_file=folder(a=file(b"a"), sub=folder(b=file(b"b"))),
        large=folder(), link=file(b"was a file"), kept=file(b"kept"), gone=file(b"gone"),
    )  # fmt: skip
    return World(source, destination)


@pytest.mark.fault(72)
@pytest.mark.parametrize("verify", VerifyMode)
def test_what_changed_its_kind_is_replaced_where_the_mirror_deletes(verify: VerifyMode) -> None:
    world = changed_kinds()
    run = world.transfer(verify_mode=verify, **REMOVE)
    assert world.reasons == []
    assert world.copied == {path: data for path, data in world.original.items() if path != "/link"}
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.deleted, folders.deleted, files.transferred) == (5, 3, 4)
    assert (files.to_delete, folders.to_delete, files.to_transfer) == (5, 3, 4)
    assert world.node("to_folder").times[2] == 30_000
    again = world.transfer(verify_mode=verify, **REMOVE)
    assert (again.tally.counters.files.transferred, again.tally.counters.files.deleted) == (0, 0)


def test_a_dry_run_counts_what_changed_its_kind_as_the_run_does() -> None:
    world, real = changed_kinds(), changed_kinds()
    before = world.copied
    dry, wet = world.transfer(dry_run=True, **REMOVE).tally.counters, real.transfer(**REMOVE).tally.counters
    assert world.copied == before
    for kind in ("files", "directories"):
        one, other = getattr(dry, kind), getattr(wet, kind)
        for name in ("listed", "listed_destination", "to_transfer", "to_delete", "skipped", "links"):
            assert getattr(one, name) == getattr(other, name), (kind, name)


@pytest.mark.fault(72)
def test_what_changed_its_kind_is_named_where_nothing_is_deleted() -> None:
    world = changed_kinds()
    world.transfer()
    conflicts = [("/large", "TypeConflict"), ("/link", "TypeConflict"), ("/to_file", "TypeConflict")]
    assert sorted(world.reasons) == [*conflicts, ("/to_folder", "TypeConflict")]
    assert world.copied["/to_folder"] == b"old"
    assert world.copied["/to_file/sub/b"] == b"b"


def test_a_limit_on_deletions_keeps_what_changed_its_kind() -> None:
    world = changed_kinds()
    before = world.copied
    with pytest.raises(EngineError) as caught:
        world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes=7)
    assert caught.value.reason == "MaxDeletesExceeded"
    assert world.copied == before
    assert {reason for _, reason in world.reasons} == {"TypeConflict"}


def test_a_filtered_file_in_a_folder_that_became_a_file_stays_and_is_named() -> None:
    world = World(folder(x=file(b"x")), folder(x=folder(keep=file(b"k"), go=file(b"g"))))
    world.transfer(exclude=("*/keep",), **REMOVE)
    assert world.copied == {"/x": None, "/x/keep": b"k"}
    assert world.reasons == [("/x", "TypeConflict")]


def vanish(world: World, path: str) -> None:
    """Take a folder away at the source as soon as it is to be listed, and never before."""
    parent, _, name = f"data\\{path}".rpartition("\\")

    def fault(request: Request) -> int | None:
        if request.command == Command.CREATE and request.name == f"data\\{path}":
            there = world.source.find(parent)
            if there is not None:
                there.children.pop(name, None)
        return None

    world.source.faults.append(fault)


@pytest.mark.fault(73)
def test_a_folder_that_vanished_between_two_listings_counts_as_gone() -> None:
    def tree() -> Node:
        return folder(dir=folder(x=file(b"x")), f=file(b"f"))

    world = World(tree(), folder(**tree().children, old=file(b"old")))
    vanish(world, "dir")
    run = world.transfer(**REMOVE)
    assert world.reasons == []
    assert world.copied == {"/f": b"f"}
    folders = run.tally.counters.directories
    assert (run.tally.counters.files.deleted, folders.deleted, folders.listed) == (2, 1, 1)  # the root is one


def test_a_new_folder_that_vanished_leaves_none_at_the_destination() -> None:
    world = World(folder(dir=folder(sub=folder(x=file(b"x"))), f=file(b"f")), folder(old=file(b"old")))
    vanish(world, "dir\\sub")
    world.transfer(**REMOVE)
    assert world.reasons == []
    assert world.copied == {"/f": b"f", "/dir": None}


def test_a_folder_that_can_not_be_found_though_it_is_listed_blocks_deletions() -> None:
    world = World(folder(dir=folder()), folder(old=file(b"old")))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.OBJECT_NAME_NOT_FOUND, name="data\\dir"))
    with pytest.raises(EngineError) as caught:
        world.transfer(**REMOVE)
    assert caught.value.reason == "SourceListingIncomplete"
    assert "/old" in world.copied


@pytest.mark.fault(74)
def test_a_name_that_came_back_is_not_deleted() -> None:
    world = World(
        folder(last=file(b"l")), folder(back=file(b"b"), dir=folder(x=file(b"x"), y=file(b"y")), old=file(b"o"))
    )

    def come_back(request: Request) -> int | None:
        data = world.source.find("data")
        assert data is not None
        if request.command == Command.CREATE and request.name == "data\\dir":
            data.children.update(back=file(b"b"), dir=folder(x=file(b"x")))
        return None

    world.source.faults.append(come_back)
    run = world.transfer(**REMOVE)
    assert world.copied == {"/back": b"b", "/dir": None, "/dir/x": b"x", "/last": b"l"}
    assert sorted(world.reasons) == [("/back", "SourceChanged"), ("/dir", "SourceChanged"), ("/dir/x", "SourceChanged")]
    assert run.tally.counters.files.deleted == 2


def test_a_source_that_can_not_be_looked_at_again_keeps_what_the_destination_has() -> None:
    world = World(folder(dir=folder(f=file(b"f"))), folder(dir=folder(f=file(b"f"), old=file(b"o"))))
    world.source.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="data\\dir\\old"))
    world.transfer(**REMOVE)
    assert world.copied["/dir/old"] == b"o"
    assert world.reasons == [("/dir/old", "SourceChanged")]
