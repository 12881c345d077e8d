"""What only the destination has, kept for the prune in little room."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import Node, file, folder
from lab.fake_server.world import World

from smbferry_engine.tree.extras import Extra, ExtrasLog
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import DeletedFiles

NAME = st.text(st.characters(), min_size=1, max_size=20)


def entry(name: str, *, attributes: int = 0x20, number: int = 0) -> DirectoryEntry:
    time = 133_000_000_000_000_000 + 7_777 * number
    return DirectoryEntry(name, 12_345 + number, attributes, time, time + 1, time + 2, time + 3, 0, 1_000_000 + number)


@given(st.lists(st.tuples(NAME, st.lists(NAME, max_size=4), st.booleans()), max_size=20))
def test_what_was_added_comes_back_to_the_code_unit_and_in_reverse(
    added: list[tuple[str, list[str], bool]],
) -> None:
    log = ExtrasLog()
    for path, names, is_kept in added:
        log.add(path, [entry(name, attributes=len(name)) for name in names], entry(path) if is_kept else None)
    found = list(log.backwards())
    assert [(extras.path, [one.name for one in extras.entries]) for extras in found] == [
        (path, names) for path, names, _ in reversed(added) if names
    ]
    assert all(one == Extra(one.name, len(one.name)) for extras in found for one in extras.entries)
    assert [extras.folder for extras in found] == [
        entry(path) if is_kept else None for path, names, is_kept in reversed(added) if names
    ]


def test_a_long_folder_comes_in_parts_and_nothing_is_lost() -> None:
    log = ExtrasLog()
    log.add("d\ud83d", [entry(f"\udcff {number}", number=number) for number in range(25_001)], entry("d"))
    found = list(log.backwards())
    assert max(len(extras.entries) for extras in found) <= 1_000
    assert {one.name for extras in found for one in extras.entries} == {f"\udcff {number}" for number in range(25_001)}
    assert {(extras.path, extras.folder) for extras in found} == {("d\ud83d", entry("d"))}


def test_a_tree_that_goes_takes_little_room() -> None:
    log, names = ExtrasLog(), 0
    tracemalloc.start()
    try:
        for number in range(500):
            log.add(
                f"projects\\2024\\folder {number}",
                [entry(f"report {number} {one}.docx", number=number * 50 + one) for one in range(50)],
                entry(f"folder {number}", number=number),
            )
            names += 50
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / names < 30


def test_a_folder_of_more_names_than_are_packed_at_once_is_pruned_whole() -> None:
    there = folder(keep=file(b"k"), gone=Node(None, {f"f{number}": file() for number in range(1_200)}, 0))
    for number in range(1_300):
        there.children[f"x{number}"] = file()
    world = World(folder(keep=file(b"k"), d=folder()), there)
    run = world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes="100%")
    assert world.copied == {"/keep": b"k", "/d": None}
    assert (run.tally.counters.files.deleted, run.tally.counters.directories.deleted) == (2_500, 1)
    assert world.watcher.failures == []
