"""What a run deletes at the destination, and what it never deletes."""

import pytest
from lab.fake_server import (
    Node,
    file,
    folder,
)
from lab.fake_server.world import World, refuse

from smbferry_engine.errors import EngineError
from smbferry_engine.paths import staging_names
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import DeletedFiles


def test_removed_files_go_last_and_with_their_folders() -> None:
    there = folder(keep=file(b"k"), old=file(b"o", attributes=1), dir=folder(deep=folder(x=file(b"x"))))
    world = World(folder(keep=file(b"k"), new=file(b"n")), there)
    run = world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert world.copied == {"/keep": b"k", "/new": b"n"}
    assert (run.tally.counters.files.deleted, run.tally.counters.directories.deleted) == (2, 2)


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


def test_an_include_copies_only_its_part_of_the_tree() -> None:
    world = World(folder(p=folder(q=folder(f=file(b"f")), r=file(b"r")), s=folder(t=file(b"t"))))
    world.transfer(include=("/p/q",))
    assert world.copied == {"/p": None, "/p/q": None, "/p/q/f": b"f"}
    assert not [r for r in world.source.requests if r.name and "\\s" in r.name]


def test_leftovers_of_an_earlier_attempt_are_removed_and_never_copied() -> None:
    name = staging_names("f", b"another version")[0]
    world = World(Node(None, {"f": file(b"f"), name: file(b"?")}, 0), Node(None, {name: file(b"half")}, 0))
    world.transfer()
    assert world.copied == {"/f": b"f"}
