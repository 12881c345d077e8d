"""Several agents share a run: what they leave is whole and exact, and the finish does what only one can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab.fake_server import ACCOUNT, Node, descriptor, drive, file, folder
from lab.fake_server.world import BIG, World, refuse

from smbferry_engine.files.cleanup import undo
from smbferry_engine.operations.sharded import options_of_finish, options_of_shard, weigh
from smbferry_engine.operations.transfer import execute
from smbferry_engine.plan.shard import Cut, Piece, Sketch, shards_of
from smbferry_engine.run.policy import Policy
from smbferry_engine.run.scope import Finish, OneShard
from smbferry_engine.sids import SidMap
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.security import only_for, owner_and_group
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import CompareBy, DeletedFiles, SecurityDescriptors, TransferMode, VerifyMode

if TYPE_CHECKING:
    from smbferry_engine.run.context import RunContext


def source() -> Node:
    return folder(
        a=folder(one=file(b"1"), deep=folder(two=file(b"22", time=77), empty=folder())),
        b=folder(big=file(BIG, time=88), none=file(b"")),
        c=file(b"333"),
        d=folder(four=file(b"4" * 5000)),
    )


CUTS = {
    "at folders": [Cut("b"), Cut("c")],
    "within a folder": [Cut("a\\deep\\two"), Cut("b\\none")],
    "within a file": [Cut("b\\big", 200_000), Cut("b\\big", 400_000)],
    "at names that are not there": [Cut("a\\m"), Cut("b\\big\\x"), Cut("zz")],
}


def copy_shards(world: World, cuts: list[Cut], **options: object) -> list[RunContext]:
    runs = []
    for shard in shards_of(cuts):
        run = world.prepare(**options)
        run.policy = Policy.of(options_of_shard(run.policy.options), run.policy.filters)
        run.scope = OneShard(shard)
        drive(world.scheduler, execute(run), *world.links)
        runs.append(run)
    return runs


def finish(world: World, pieces: list[Piece], **options: object) -> RunContext:
    run = world.prepare(**options)
    run.policy = Policy.of(options_of_finish(run.policy.options), run.policy.filters)
    run.scope = Finish(pieces)
    drive(world.scheduler, execute(run), *world.links)
    return run


READ = bytes.fromhex("0000 1400 a900 1200 0101 0000 0000 0001 0000 0000")


def pieces_of(runs: list[RunContext]) -> list[Piece]:
    return [piece for run in runs for piece in run.scope.pieces]


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
def test_shards_and_their_finish_copy_the_tree_and_each_byte_once(cuts: list[Cut]) -> None:
    world = World(source())
    runs = copy_shards(world, cuts)
    assert sum(run.tally.counters.bytes.transferred for run in runs) == sum(
        len(data or b"") for data in world.original.values()
    )
    assert sum(run.tally.counters.files.listed for run in runs) == 6
    assert sum(run.tally.counters.directories.listed for run in runs) == 6
    last = finish(world, pieces_of(runs))
    assert world.copied == world.original
    assert (
        last.tally.counters.bytes.written
        == last.tally.counters.bytes.transferred
        == last.tally.counters.bytes.to_transfer
        == 0
    )
    assert sum(run.tally.counters.files.transferred for run in (*runs, last)) == 6
    assert world.node("b\\big").times[2] == 88
    assert world.node("a\\deep").times[2] == 30_000
    assert world.watcher.failures == []


@settings(max_examples=20)
@given(
    st.lists(
        st.builds(
            Cut, st.sampled_from(["a", "a\\deep", "a\\one", "b\\big", "b\\none", "c", "q"]), st.integers(0, 700_000)
        ),
        max_size=5,
        unique_by=lambda cut: cut.position,
    )
)
def test_wherever_the_cuts_are_the_tree_is_whole(cuts: list[Cut]) -> None:
    world = World(source())
    runs = copy_shards(world, sorted(cuts, key=lambda cut: cut.position))
    last = finish(world, pieces_of(runs))
    assert world.copied == world.original
    assert last.tally.counters.bytes.written == 0


def test_no_shard_deletes_cleans_up_or_touches_folders_times() -> None:
    world = World(source(), folder(extra=file(b"x"), a=folder(old=file(b"y"))))
    leftover = ".smbferry-00000000-0000000000000000"
    world.node("a").children[leftover] = file(b"of another agent")
    runs = copy_shards(world, CUTS["within a folder"], deleted_files=DeletedFiles.REMOVE, max_deletes=9)
    assert {"/extra", "/a/old", f"/a/{leftover}"} <= set(world.copied)
    finish(world, pieces_of(runs), deleted_files=DeletedFiles.REMOVE, max_deletes=9)
    assert world.copied == world.original
    assert world.node("a").times[2] == 30_000


@pytest.mark.parametrize(
    "spoil", ["a piece is missing", "the temporary was changed", "the source was changed", "cut off"]
)
def test_what_was_not_gathered_whole_is_copied_as_any_other_file(spoil: str) -> None:
    world = World(source())
    pieces = pieces_of(copy_shards(world, CUTS["within a file"]))
    assert len(pieces) == 3
    (name,) = (path[1:].replace("/", "\\") for path in world.copied if ".smbferry-" in path)
    if spoil == "a piece is missing":
        del pieces[1]
    elif spoil == "the temporary was changed":
        world.node(name).data[300_000] ^= 1  # type: ignore[index]  # it is a file
    elif spoil == "cut off":
        del world.node(name).data[-1:]  # type: ignore[union-attr]  # it is a file
    else:
        node = world.source.root.children["data"].children["b"].children["big"]
        node.data, node.times[2] = bytearray(BIG[::-1]), 99
    last = finish(world, pieces)
    assert world.copied == world.original
    assert last.tally.counters.bytes.transferred == len(BIG)
    assert world.watcher.failures == []


def test_a_piece_with_a_forged_digest_lands_nothing_forged() -> None:
    world = World(source())
    pieces = pieces_of(copy_shards(world, CUTS["within a file"]))
    finish(world, [replace(piece, digest=bytes(32)) for piece in pieces])
    assert world.copied == world.original


def test_a_shard_that_ran_twice_leaves_the_same() -> None:
    world = World(source())
    cuts = CUTS["within a file"]
    copy_shards(world, cuts)
    runs = copy_shards(world, cuts)
    assert sum(run.tally.counters.bytes.written for run in runs) == 0
    finish(world, pieces_of(runs))
    assert world.copied == world.original


@pytest.mark.parametrize("abandoned", [True, False])
def test_a_shared_temporary_goes_only_with_the_whole_run(abandoned: bool) -> None:
    world = World(source())
    *_, last = copy_shards(world, CUTS["within a file"])
    assert len(last.housekeeping.shared()) == 1
    drive(world.scheduler, undo(last, abandoned=abandoned), *world.links)
    assert any(".smbferry-" in path for path in world.copied) is not abandoned


def test_a_file_that_one_shard_could_not_write_is_tried_again_at_the_finish() -> None:
    world = World(source())
    world.destination.faults.append(refuse(Command.CREATE, NtStatus.ACCESS_DENIED, name="two"))
    runs = copy_shards(world, CUTS["at folders"])
    assert world.reasons == [("/a/deep/two", "AccessDenied")]
    world.destination.faults.clear()
    finish(world, pieces_of(runs))
    assert world.copied == world.original


def test_folders_get_their_descriptors_at_the_finish_even_where_times_are_not_copied() -> None:
    world = World(source())
    world.source.root.children["data"].children["a"].security[4] = descriptor("a", entries=(READ,))
    wanted = {"security_descriptors": SecurityDescriptors.OWNER_DACL, "timestamps": "None"}
    runs = copy_shards(world, CUTS["at folders"], **wanted)
    assert world.node("a").security == {7: only_for(owner_and_group(descriptor(ACCOUNT))[0])}
    finish(world, pieces_of(runs), **wanted)
    assert READ in world.node("a").descriptor("")


@pytest.mark.parametrize("options", [{"transfer_mode": TransferMode.ALL}, {"compare_by": CompareBy.CHECKSUM}])
def test_what_the_shards_copied_or_compared_is_not_done_again(options: dict[str, object]) -> None:
    world = World(source())
    world.transfer()
    runs = copy_shards(world, CUTS["at folders"], **options)
    last = finish(world, pieces_of(runs), **options)
    assert last.tally.counters.files.transferred == 0
    assert last.tally.counters.files.skipped == 6


def test_whole_trees_are_compared_by_the_finish_alone() -> None:
    world = World(source())
    runs = copy_shards(world, CUTS["at folders"], verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert sum(run.tally.counters.files.verified for run in runs) == 0
    last = finish(world, pieces_of(runs), verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert last.tally.counters.files.verified == 6


def test_a_survey_weighs_what_is_to_be_copied_and_writes_nothing() -> None:
    world = World(source(), folder(c=file(b"333"), d=folder(four=file(b"4" * 5000, time=5))))
    before = world.copied
    run, sketch = world.prepare(dry_run=True), Sketch()
    drive(world.scheduler, weigh(run, sketch, divisible=True), *world.links)
    assert {point.path for point in sketch._points} == {"a\\one", "a\\deep\\two", "b\\big", "b\\none", "d\\four"}
    assert world.copied == before


def test_shards_compare_descriptors_and_correct_them_in_place() -> None:
    tree = source()
    options: dict[str, object] = {
        "compare_by": CompareBy.METADATA,
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
    }
    world = World(tree)
    world.transfer(**options)
    tree.children["b"].children["big"].security = {7: descriptor("bob", entries=(READ,))}
    tree.children["d"].children["four"].security = {7: descriptor("bob", entries=(READ,))}
    runs = copy_shards(world, CUTS["within a folder"], **options)
    assert world.watcher.failures == []
    assert sum(run.tally.counters.files.transferred for run in runs) == 2
    assert sum(run.tally.counters.bytes.transferred for run in runs) == 0
    last = finish(world, pieces_of(runs), **options)
    assert last.tally.counters.files.transferred == 0
    assert owner_and_group(world.node("b\\big").descriptor("")) == owner_and_group(descriptor("bob"))


def test_the_sids_of_each_file_and_folder_are_counted_by_one_agent() -> None:
    old, new = "S-1-5-21-1000-2000-3000", "S-1-5-21-4-5-6"
    tree = source()
    for node in (tree, tree.children["a"], tree.children["c"], tree.children["d"].children["four"]):
        node.security = {7: descriptor("bob", entries=(READ,))}
    options: dict[str, object] = {
        "security_descriptors": SecurityDescriptors.OWNER_DACL,
        "sid_map": SidMap.parse(f"{old} {new}"),
    }
    world = World(tree)
    counts = []
    for shard in shards_of(CUTS["within a folder"]):
        run = world.prepare(**options)
        run.policy = Policy.of(options_of_shard(run.policy.options), run.policy.filters)
        run.scope = OneShard(shard)
        drive(world.scheduler, execute(run), *world.links)
        assert world.watcher.found_sids is not None
        counts.append(sum(rule.descriptors for rule in world.watcher.found_sids.rules))
    finish(world, [], **options)
    assert world.watcher.failures == []
    assert world.watcher.found_sids is not None
    counts.append(sum(rule.descriptors for rule in world.watcher.found_sids.rules))
    files, folders = sum(counts[:-1]), counts[-1]
    assert (files, folders) == (6, 6)
