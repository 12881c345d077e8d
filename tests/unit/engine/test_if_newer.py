"""overwriteMode: IfNewer in whole runs: what is as new at the destination stays, whatever else is asked for."""

import pytest
from lab.fake_server import Node, file, folder
from lab.fake_server.world import BIG, World
from tests.unit.engine.test_sharded import copy_shards, finish, pieces_of

from smbferry_engine.plan.shard import Cut
from smbferry_words.options import CompareBy, DeletedFiles, OverwriteMode, Preservation, TransferMode, VerifyMode

IF_NEWER = {"overwrite_mode": OverwriteMode.IF_NEWER}
OLD, SAME, NEW = 20_000, 30_000, 40_000


def source() -> Node:
    return folder(
        newer=file(b"the source's", time=NEW),
        same=file(b"the source's", time=SAME),
        older=file(b"the source's", time=OLD),
        big=file(BIG, time=NEW),
        new=file(b"new"),
    )


def destination() -> Node:
    there = {name: file(b"somebody's!!", time=SAME, attributes=0x21) for name in ("newer", "same", "older")}
    return folder(**there, big=file(b"before"), extra=file(b"x"))


def stays_and_arrives(world: World, *, extra: bool = True) -> None:
    old, new = b"somebody's!!", b"the source's"
    expected = {"/newer": new, "/same": old, "/older": old, "/big": BIG, "/new": b"new"}
    assert world.copied == {**expected, **({"/extra": b"x"} if extra else {})}
    assert [world.node(name).attributes for name in ("same", "older")] == [0x21, 0x21]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compare_by": CompareBy.CHECKSUM},
        {"transfer_mode": TransferMode.ALL},
        {"timestamps": Preservation.NONE},
        {"verify_mode": VerifyMode.NONE},
    ],
    ids=lambda options: " ".join(map(str, options.values())) or "default",
)
def test_a_run_replaces_what_is_older_and_the_next_one_nothing(options: dict[str, object]) -> None:
    world = World(source(), destination())
    run = world.transfer(**IF_NEWER, **options)
    stays_and_arrives(world)
    assert world.reasons == []
    assert (run.tally.counters.files.transferred, run.tally.counters.files.skipped) == (3, 2)
    again = world.transfer(**IF_NEWER, **options)
    assert (again.tally.counters.files.transferred, again.tally.counters.files.skipped) == (0, 5)


def test_a_mirror_deletes_what_the_source_lacks_and_leaves_what_is_newer() -> None:
    world = World(source(), destination())
    world.transfer(**IF_NEWER, deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    stays_and_arrives(world, extra=False)
    assert world.reasons == []


def test_a_mirror_that_nobody_confirmed_holds_nothing_back_that_would_not_be_replaced() -> None:
    world = World(source(), folder(older=file(b"somebody's!!")))
    world.transfer(**IF_NEWER, deleted_files=DeletedFiles.REMOVE, unconfirmed="word")
    assert world.reasons == []
    assert world.copied["/older"] == b"somebody's!!"


def test_the_comparison_of_whole_trees_says_what_stayed_and_differs() -> None:
    world = World(source(), destination())
    world.transfer(**IF_NEWER, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert sorted(world.reasons) == [("/older", "HashMismatch"), ("/same", "HashMismatch")]


@pytest.mark.parametrize("timestamps", Preservation)
def test_several_agents_and_their_finish_replace_the_same_files(timestamps: Preservation) -> None:
    world = World(source(), destination())
    options = {**IF_NEWER, "timestamps": timestamps}
    shards = copy_shards(world, [Cut("big", 200_000), Cut("new")], **options)
    last = finish(world, pieces_of(shards), **options)
    stays_and_arrives(world)
    assert world.reasons == []
    assert sum(run.tally.counters.files.transferred for run in (*shards, last)) == 3


def test_a_destination_that_rounds_times_gets_nothing_twice_within_the_window() -> None:
    world = World(folder(f=file(b"data", time=31_999)))
    world.transfer(**IF_NEWER)
    world.node("f").times[2] = 30_000
    assert world.transfer(**IF_NEWER, modify_window=2_000).tally.counters.files.transferred == 0
    assert world.transfer(**IF_NEWER).tally.counters.files.transferred == 1
