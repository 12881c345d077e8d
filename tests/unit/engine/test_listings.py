"""Listings: their classes, their pages, and names and folders that may not be followed."""

from collections import Counter

import pytest
from lab.fake_server import (
    FULL_ENTRIES,
    PLAIN_ENTRIES,
    FakeServer,
    Node,
    file,
    folder,
)
from lab.fake_server.world import World

from smbferry_engine.errors import EngineError, FileReason
from smbferry_engine.operations.transfer import FOLDERS_IN_FLIGHT
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import Links


@pytest.mark.fault(35)
def test_links_are_never_followed() -> None:
    link = Node(bytearray(b"target"), reparse=True)
    loop = Node(None, {"x": file(b"x")}, reparse=True)
    world = World(folder(link=link, loop=loop, f=file(b"f")))
    run = world.transfer()
    assert world.copied == {"/f": b"f"}
    files, folders = run.tally.counters.files, run.tally.counters.directories
    assert (files.links, folders.links, files.skipped, folders.skipped) == (1, 1, 0, 1)  # the root is one
    assert [(one.path, one.action, one.left_out) for one in world.watcher.records[:2]] == [
        ("/link", "LeftOut", "Link"),
        ("/loop", "LeftOut", "Link"),
    ]
    strict = World(folder(link=Node(bytearray(b"t"), reparse=True)))
    strict.transfer(links=Links.FAIL)
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
    assert again.tally.counters.files.skipped == 1
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
    assert world.transfer().tally.counters.files.skipped == 2


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
    assert (run.tally.counters.files.links, run.tally.counters.files.transferred) == (1, 1)


def test_only_the_first_of_many_large_folders_is_asked_for_twice() -> None:
    large = {f"d{number}": folder(**{f"f{index}": file(b"f") for index in range(9)}) for number in range(5)}
    world = World(folder(**large))
    world.source.entries_per_page = 4
    run = world.transfer(dry_run=True)
    assert run.tally.counters.files.listed == 45
    opened = [request.name for request in world.source.requests if request.command == Command.CREATE]
    listed = Counter(name for name in opened if name)
    assert sorted(listed.values()) == [1] * 5 + [
        4
    ]  # the root is the first, and was looked at before: itself, and what its volume holds


@pytest.mark.parametrize("per_page", [1, 2, 3, 7, 100])
def test_a_folder_of_any_number_of_pages_is_listed_whole(per_page: int) -> None:
    world = World(folder(**{f"f{number}": file(b"f") for number in range(10)}))
    world.source.entries_per_page = per_page
    run = world.transfer()
    assert run.tally.counters.files.listed == 10
    assert world.copied == world.original
    assert not world.source.handles


@pytest.mark.fault(34)
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
