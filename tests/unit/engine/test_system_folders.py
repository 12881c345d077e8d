"""Folders that servers keep for themselves are no part of a transfer, unless somebody says so."""

import pytest
from lab.fake_server import Node, file, folder
from lab.fake_server.world import World, refuse

from smbferry_engine.run.context import RunContext
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import DeletedFiles, SystemFolders, VerifyMode

REMOVE = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
NAMES = ("$Recycle.Bin", "System Volume Information", ".snapshot", "DfsrPrivate")


def tree(**more: Node) -> Node:
    return Node(None, {**{name: folder(f=file(b"f")) for name in NAMES}, **more}, 0)


class AtRoots(World):
    """Both sides are the roots of shares."""

    def __init__(self, source: Node, destination: Node) -> None:
        super().__init__(folder())
        for server, root in ((self.source, source), (self.destination, destination)):
            server.root = root
            server._number(root)

    def prepare(self, **options: object) -> RunContext:
        run = super().prepare(**options)
        run.source.root = run.destination.root = ""
        return run


@pytest.mark.fault(79)
@pytest.mark.parametrize("verify", VerifyMode)
def test_what_a_server_keeps_for_itself_is_neither_copied_nor_deleted(verify: VerifyMode) -> None:
    there = folder(**{"~SNAPSHOT": folder(s=file(b"s")), "RECYCLER": folder(r=file(b"r")), "old": file(b"old")})
    world = AtRoots(tree(sub=folder(**{"~snapshot": folder(x=file(b"x")), "f": file(b"f")})), there)
    world.source.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="System Volume"))
    run = world.transfer(verify_mode=verify, **REMOVE)
    assert world.reasons == []
    assert world.destination.tree() == {
        "/~SNAPSHOT": None, "/~SNAPSHOT/s": b"s", "/RECYCLER": None, "/RECYCLER/r": b"r", "/sub": None, "/sub/f": b"f"
    }  # fmt: skip
    assert (
        run.tally.counters.directories.system,
        run.tally.counters.directories.listed,
        run.tally.counters.files.deleted,
    ) == (5, 7, 1)
    left_out = {one.path for one in world.watcher.records if one.left_out == "SystemFolder"}
    assert left_out == {f"/{name}" for name in NAMES} | {"/sub/~snapshot"}
    assert {(one.path, one.what) for one in world.watcher.left} == {(path, "SystemFolder") for path in left_out}


def test_they_are_folders_like_any_other_where_the_options_say_so() -> None:
    world = AtRoots(tree(), folder(RECYCLER=folder(r=file(b"r"))))
    run = world.transfer(system_folders=SystemFolders.COPY, **REMOVE)
    assert world.destination.tree() == world.source.tree()
    assert run.tally.counters.directories.system == 0


def test_an_include_that_names_one_lets_it_in() -> None:
    world = AtRoots(tree(f=file(b"f")), folder())
    world.transfer(include=("/f", "/dfsrprivate", "/.snapshot/f"))
    assert set(world.destination.tree()) == {"/f", "/DfsrPrivate", "/DfsrPrivate/f", "/.snapshot", "/.snapshot/f"}


def test_an_include_that_only_happens_to_match_does_not() -> None:
    world = AtRoots(tree(), folder())
    run = world.transfer(include=("/*",))
    assert world.destination.tree() == {}
    assert run.tally.counters.directories.system == len(NAMES)


@pytest.mark.parametrize("kind", ["deeper", "file"])
def test_the_same_names_elsewhere_are_ordinary(kind: str) -> None:
    inner = {"$RECYCLE.BIN": folder(f=file(b"f"))} if kind == "deeper" else {}
    source = folder(sub=Node(None, inner, 0), **({".snapshot": file(b"a file")} if kind == "file" else {}))
    world = AtRoots(source, folder())
    world.transfer()
    assert world.destination.tree() == world.source.tree()


def test_below_the_root_of_a_share_they_are_ordinary() -> None:
    world = World(tree(), folder(RECYCLER=folder(r=file(b"r"))))
    run = world.transfer(**REMOVE)
    assert world.copied == world.original
    assert run.tally.counters.directories.system == 0
