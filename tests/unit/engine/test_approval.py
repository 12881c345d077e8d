"""A plan says what a run would do, and the run deletes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from lab.fake_server import Node, drive, file, folder
from lab.fake_server.world import World

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Options
from smbferry_engine.operations.plan import Outline, options_of_plan, plan_run
from smbferry_engine.operations.transfer import execute
from smbferry_engine.paths import staging_names
from smbferry_engine.plan.name_set import NameSet
from smbferry_words.options import CompareBy, DeletedFiles

MIRROR: dict[str, Any] = {"deleted_files": DeletedFiles.REMOVE, "max_deletes": "100%"}
OLD, NEW = 1_000_000_000, 2_000_000_000


def planned(world: World, *, since: int | None = None, **options: Any) -> Outline:
    found, chosen = Outline(), options_of_plan(Options(**options))
    run = world.prepare(**options | {"dry_run": chosen.dry_run, "compare_by": chosen.compare_by})
    drive(world.scheduler, plan_run(run, found, since=since), *world.links)
    return found


def copied(world: World, plan: Outline, **options: Any) -> None:
    drive(world.scheduler, execute(world.prepare(**options), plan.approved), *world.links)


def of_time(content: bytes, moment: int) -> Node:
    made = file(content)
    made.times = [moment] * 4
    return made


# --- The plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_counts_and_names_what_would_be_done_and_changes_nothing() -> None:
    source = folder(new=file(b"new"), changed=of_time(b"xx", NEW), edited=of_time(b"s", OLD), same=of_time(b"=", OLD))
    there = folder(
        changed=of_time(b"x", OLD), edited=of_time(b"d", NEW), same=of_time(b"=", OLD), gone=folder(deep=file(b"g"))
    )
    world = World(source, there)
    before = world.copied
    found = planned(world, **MIRROR)

    assert world.copied == before
    assert (found.created.files, found.created.bytes, found.created.paths) == (1, 3, ["/new"])
    assert (found.replaced.files, sorted(found.replaced.paths)) == (2, ["/changed", "/edited"])
    assert (found.newer.files, found.newer.paths) == (1, ["/edited"])
    assert (found.deleted.files, found.deleted.directories) == (1, 1)
    assert found.deleted.paths == ["/gone", "/gone/deep"]
    assert found.existing == 5


def test_without_deletions_what_only_the_destination_has_is_counted_but_not_planned() -> None:
    found = planned(World(folder(a=file(b"a")), folder(theirs=file(b"t"))))

    assert (found.deleted.files, found.existing) == (0, 1)


def test_a_plan_reads_no_content_even_to_compare_by_checksum() -> None:
    world = World(folder(a=of_time(b"1", OLD)), folder(a=of_time(b"2", NEW)))
    found = planned(world, compare_by=CompareBy.CHECKSUM)

    assert (found.compared, found.replaced.files, found.newer.files) == (1, 0, 1)


def test_files_whose_source_has_changed_since_are_not_counted_as_replaced() -> None:
    source = folder(a=of_time(b"11", NEW), b=of_time(b"22", OLD))
    there = folder(a=of_time(b"1", OLD), b=of_time(b"2", OLD))

    assert planned(World(source, there)).replaced.files == 2
    later = planned(World(source, there), since=NEW - 1)
    assert (later.replaced.paths, later.changed) == (["/b"], 1)


def test_a_plan_knows_both_root_folders_by_what_their_servers_tell_of_them() -> None:
    world = World(folder(a=file(b"a")))
    first, again = planned(world), planned(world)
    world.destination.root.children["copy"].node_id = 4711
    other = planned(world)
    world.destination.tells_disk_ids = False

    assert first.source_id
    assert first.destination_id == again.destination_id != other.destination_id
    assert planned(world).destination_id == 0


def test_staging_files_of_an_earlier_attempt_are_no_part_of_a_plan() -> None:
    left = staging_names("f", b"another version")[0]
    world = World(folder(f=file(b"f")), Node(None, {left: file(b"half")}, 0))
    found = planned(world, **MIRROR)

    assert (found.deleted.files, found.existing) == (0, 0)
    assert list(world.copied) == [f"/{left}"], "a plan removes nothing"


def test_a_guard_that_forbids_the_deletions_fails_the_plan() -> None:
    world = World(folder(a=file(b"a")), folder(b=file(b"b"), c=file(b"c")))
    with pytest.raises(EngineError) as caught:
        planned(world, deleted_files=DeletedFiles.REMOVE, max_deletes=1)
    assert caught.value.reason == "MaxDeletesExceeded"


def test_only_twenty_names_of_each_kind_are_kept() -> None:
    there = Node(None, {f"f{index:03}": file(b"") for index in range(60)}, 0)
    found = planned(World(folder(), there), **MIRROR)

    assert (found.deleted.files, len(found.deleted.paths)) == (60, 20)


# --- The set of names -------------------------------------------------------------------------------------------------


def test_the_digest_of_names_does_not_depend_on_their_order() -> None:
    names = [(f"folder\\{index}", False) for index in range(50)]

    assert NameSet(names).digest == NameSet(reversed(names)).digest
    assert len(NameSet(names).digest) == 32


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([("a", False)], id="one less"),
        pytest.param([("a", False), ("b", False), ("c", False)], id="one more"),
        pytest.param([("a", False), ("B", False)], id="another name"),
        pytest.param([("a", False), ("b", True)], id="a folder instead of a file"),
        pytest.param([("a", False), ("a", False)], id="one of them twice"),
        pytest.param([("ab", False)], id="both names together"),
        pytest.param([], id="none"),
    ],
)
def test_other_names_have_another_digest(other: list[tuple[str, bool]]) -> None:
    assert NameSet([("a", False), ("b", False)]).digest != NameSet(other).digest


def test_two_walks_over_the_same_trees_have_the_same_digest() -> None:
    def world() -> World:
        return World(folder(a=file(b"a")), folder(x=folder(y=file(b"1"), z=folder()), w=file(b"2")))

    assert planned(world(), **MIRROR).deletions == planned(world(), **MIRROR).deletions != ""


# --- Within the plan --------------------------------------------------------------------------------------------------


def test_what_the_plan_lists_is_deleted() -> None:
    world = World(folder(a=file(b"a")), folder(x=folder(y=file(b"1")), w=file(b"2")))
    copied(world, planned(world, **MIRROR), **MIRROR)

    assert world.copied == {"/a": b"a"}
    assert world.reasons == []


@pytest.mark.fault(231)
def test_what_has_appeared_since_the_plan_stays_with_its_folders_and_is_reported_by_name() -> None:
    world = World(folder(a=file(b"a")), folder(x=folder(old=file(b"1")), w=file(b"2")))
    plan = planned(world, **MIRROR)
    copy = world.destination.root.children["copy"]
    copy.children["x"].children["fresh"] = file(b"3")
    copy.children["mine"] = folder(deep=file(b"4"))
    copied(world, plan, **MIRROR)

    assert world.copied == {"/a": b"a", "/x": None, "/x/fresh": b"3", "/mine": None, "/mine/deep": b"4"}
    assert sorted(world.reasons) == [
        ("/mine", "NotApproved"), ("/mine/deep", "NotApproved"), ("/x/fresh", "NotApproved"),
    ]  # fmt: skip


@pytest.mark.fault(231)
def test_what_has_vanished_from_the_source_since_the_plan_stays_at_the_destination() -> None:
    world = World(folder(a=file(b"a"), b=file(b"b")), folder(a=file(b"a"), b=file(b"b"), old=file(b"o")))
    plan = planned(world, **MIRROR)
    del world.source.root.children["data"].children["b"]
    copied(world, plan, **MIRROR)

    assert world.copied == {"/a": b"a", "/b": b"b"}
    assert world.reasons == [("/b", "NotApproved")]


def test_a_folder_in_place_of_an_approved_file_is_not_deleted() -> None:
    world = World(folder(a=file(b"a")), folder(name=file(b"1")))
    plan = planned(world, **MIRROR)
    world.destination.root.children["copy"].children["name"] = folder(deep=file(b"2"))
    copied(world, plan, **MIRROR)

    assert world.copied == {"/a": b"a", "/name": None, "/name/deep": b"2"}


def test_what_entries_of_another_kind_replace_is_part_of_the_plan() -> None:
    world = World(folder(name=file(b"file")), folder(name=folder(deep=file(b"d"))))
    plan = planned(world, **MIRROR)
    assert (plan.deleted.files, plan.deleted.directories) == (1, 1)
    copied(world, plan, **MIRROR)

    assert world.copied == {"/name": b"file"}


@pytest.mark.fault(231)
def test_an_entry_of_another_kind_that_has_appeared_since_the_plan_is_not_replaced() -> None:
    world = World(folder(name=file(b"file")), folder(old=file(b"o")))
    plan = planned(world, **MIRROR)
    world.destination.root.children["copy"].children["name"] = folder(deep=file(b"d"))
    copied(world, plan, **MIRROR)

    assert world.copied == {"/name": None, "/name/deep": b"d"}
    assert world.reasons == [("/name", "TypeConflict")]


def test_without_an_approval_there_is_no_such_limit() -> None:
    world = World(folder(a=file(b"a")), folder(old=file(b"o")))
    drive(world.scheduler, execute(world.prepare(**MIRROR)), *world.links)

    assert world.copied == {"/a": b"a"}
