"""Filters by size, age and attribute in whole runs: what they leave out is neither copied nor deleted."""

import pytest
from lab.fake_server import Node, file, folder
from lab.fake_server.world import BIG, World, end
from tests.unit.engine.directory_entries import item
from tests.unit.engine.test_retry_locked import copy_while
from tests.unit.engine.test_sharded import copy_shards, finish, pieces_of

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Options, Selection
from smbferry_engine.operations.conduct import check_options
from smbferry_engine.paths import staging_names
from smbferry_engine.plan.decide import version_of
from smbferry_engine.plan.shard import Cut
from smbferry_engine.wire.header import Command
from smbferry_words.options import DeletedFiles, FileAttribute, OverwriteMode, VerifyMode

MIRROR = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
HIDDEN = 0x22
WITHOUT_HIDDEN = Selection(without=(FileAttribute.HIDDEN,))
SELECTIONS = [
    (Selection(min_size=4), file(b"ab"), file(b"abcd")),
    (Selection(max_size=4), file(b"abcde"), file(b"abcd")),
    (Selection(written_from=30_000), file(b"ab", time=29_999), file(b"ab", time=30_000)),
    (Selection(written_until=30_000), file(b"ab", time=30_001), file(b"ab", time=30_000)),
    (WITHOUT_HIDDEN, file(b"ab", attributes=HIDDEN), file(b"ab")),
]
EACH = pytest.mark.parametrize(("selection", "out", "wanted"), SELECTIONS)


def copy_of(node: Node) -> Node:
    return Node(bytearray(node.data or b""), attributes=node.attributes, times=list(node.times))


@EACH
def test_what_is_left_out_is_not_copied_and_not_counted(selection: Selection, out: Node, wanted: Node) -> None:
    world = World(folder(out=copy_of(out), wanted=copy_of(wanted), sub=folder(out=copy_of(out))))
    run = world.transfer(selection=selection)
    assert world.copied == {"/wanted": bytes(wanted.data or b""), "/sub": None}
    assert (world.reasons, run.tally.counters.files.listed) == ([], 1)
    assert not [
        request
        for request in world.source.requests
        if request.command == Command.CREATE and (request.name or "").endswith("out")
    ]


@EACH
def test_a_mirror_deletes_what_the_filters_select_and_nothing_else(
    selection: Selection, out: Node, wanted: Node
) -> None:
    there = folder(
        out=copy_of(out),
        wanted=copy_of(wanted),
        kept=folder(out=copy_of(out), wanted=copy_of(wanted)),
        gone=folder(deeper=folder(wanted=copy_of(wanted))),
    )
    world = World(folder(other=copy_of(wanted)), there)
    world.transfer(selection=selection, **MIRROR)
    assert set(world.copied) == {"/other", "/out", "/kept", "/kept/out"}
    assert world.reasons == []


@EACH
def test_what_the_source_has_and_the_filters_leave_out_stays_as_it_is(
    selection: Selection, out: Node, wanted: Node
) -> None:
    world = World(folder(f=copy_of(out)), folder(f=copy_of(wanted)))
    world.transfer(selection=selection, **MIRROR)
    assert world.copied == {"/f": bytes(wanted.data or b"")}


@EACH
def test_what_is_selected_at_the_source_replaces_what_would_be_left_out(
    selection: Selection, out: Node, wanted: Node
) -> None:
    world = World(folder(f=copy_of(wanted)), folder(f=copy_of(out)))
    run = world.transfer(selection=selection, **MIRROR)
    assert world.copied == {"/f": bytes(wanted.data or b"")}
    assert world.node("f").attributes == wanted.attributes
    counters = run.tally.counters.files
    assert (counters.listed, counters.listed_destination, counters.transferred) == (1, 1, 1)


@pytest.mark.parametrize("there", [file(b"x", attributes=HIDDEN), folder(inside=file(b"x", attributes=HIDDEN))])
@pytest.mark.parametrize("ours", [file(b"ours"), folder(f=file(b"ours"))], ids=["a file", "a folder"])
def test_what_is_left_out_does_not_give_way_to_something_of_another_kind(ours: Node, there: Node) -> None:
    if ours.is_directory == there.is_directory:
        return
    world = World(folder(f=ours), folder(f=there))
    before = world.copied
    world.transfer(selection=WITHOUT_HIDDEN, **MIRROR)
    assert world.copied == before
    assert world.reasons == [("/f", "TypeConflict")]


def test_a_comparison_of_trees_looks_at_what_is_selected() -> None:
    source = folder(f=file(b"ours"), hidden=file(b"1", attributes=HIDDEN))
    world = World(source, folder(hidden=file(b"2", attributes=HIDDEN), extra=file(b"3", attributes=HIDDEN)))
    run = world.transfer(selection=WITHOUT_HIDDEN, verify_mode=VerifyMode.POINT_IN_TIME_CONSISTENT)
    assert (world.reasons, run.tally.counters.files.verified) == ([], 1)


def test_a_file_in_use_that_the_filters_no_longer_select_is_left_out_when_it_is_tried_again() -> None:
    world = World(folder(f=file(b"data"), g=file(b"more")))
    held = world.source.hold("data\\f", share=0)

    def grow() -> None:
        node = world.source.root.children["data"].children["f"]
        node.data = bytearray(b"longer than the limit")
        world.source.release(held)

    run = copy_while(world, {70.0: grow}, selection=Selection(max_size=10))
    assert (world.copied, world.reasons) == ({"/g": b"more"}, [])
    files = run.tally.counters.files
    assert (files.listed, files.to_transfer, files.transferred, files.skipped) == (1, 1, 1, 0)


def test_several_agents_select_the_same_files() -> None:
    selection = Selection(min_size=2)
    world = World(folder(a=file(b"1"), b=file(b"22"), c=file(BIG), d=file(b"4")))
    shards = copy_shards(world, [Cut("b"), Cut("c", 200_000)], selection=selection)
    finish(world, pieces_of(shards), selection=selection)
    assert (world.copied, world.reasons) == ({"/b": b"22", "/c": BIG}, [])


def test_a_staging_file_of_what_is_no_longer_selected_is_removed() -> None:
    source = folder(f=file(BIG))
    name = staging_names("f", version_of(item("f", size=len(BIG), time=30_000)))[0]
    for selection, kept in ((Selection(max_size=10), False), (Selection(min_size=10), True)):
        world = World(source, folder(**{name: file(BIG[: len(BIG) // 2])}))
        world.transfer(selection=selection, overwrite_mode=OverwriteMode.NEVER)
        assert world.copied == ({"/f": BIG} if kept else {})


def test_a_minimum_above_its_maximum_is_refused_before_anything_is_reached() -> None:
    with pytest.raises(EngineError) as caught:
        check_options(end("src"), end("dst"), Options(selection=Selection(min_size=2, max_size=1)))
    assert caught.value.reason == "OptionsInvalid"
