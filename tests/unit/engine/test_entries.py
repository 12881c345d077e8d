"""Listings of any length: what is packed and put side by side in parts comes to the same as the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import Node, file, folder
from lab.fake_server.world import BIG, World

from smbferry_engine.paths import staging_names
from smbferry_engine.plan.pairing import pair
from smbferry_engine.share import entries
from smbferry_engine.share.entries import Entries, side_by_side
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import DeletedFiles, VerifyMode

NAMES = st.text(st.sampled_from("aAbB\u00df\u017f\u0131\u0130\ud83d."), min_size=1, max_size=4)


def entry(name: str, size: int = 0) -> DirectoryEntry:
    return DirectoryEntry(name, size, 0x20, 1, 2, 3, 4, 0, 5)


@pytest.mark.fault(39)
@given(st.lists(NAMES, unique=True), st.lists(NAMES, unique=True), st.integers(0, 6), st.integers(1, 3))
def test_parts_come_to_the_same_as_the_whole(ours: list[str], theirs: list[str], plenty: int, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "PLENTY", plenty)
        patch.setattr(entries, "_BLOCK", block)
        one, other = Entries(), Entries([entry(name) for name in theirs])
        for name in ours:
            one.add([entry(name)])
        parts = [pair(*part) for part in side_by_side(one, other)]
    whole = pair(map(entry, ours), map(entry, theirs))
    assert len(one) == len(ours)
    assert sorted(map(str, one)) == sorted(str(entry(name)) for name in ours)
    for found in ("both", "only_destination", "refused", "leftovers"):
        assert sorted(map(str, (each for part in parts for each in getattr(part, found)))) == sorted(
            map(str, getattr(whole, found))
        )


@pytest.mark.parametrize("verify", list(VerifyMode))
def test_a_long_folder_is_copied_pruned_and_compared_as_any_other(
    monkeypatch: pytest.MonkeyPatch, verify: VerifyMode
) -> None:
    monkeypatch.setattr(entries, "PLENTY", 10)
    monkeypatch.setattr(entries, "_BLOCK", 3)
    source = {f"f{index}": file(f"{index}".encode()) for index in range(200)}
    there = {f"F{index}": file(f"{index}".encode()) for index in range(100, 150)}
    extra = {f"extra {index}": file(b"x") for index in range(150)}
    deep = folder(**{f"g{index}": file(b"g") for index in range(20)})
    world = World(Node(None, {**source, "deep": deep}, 0), Node(None, {**there, **extra, "gone": folder(x=file())}, 0))
    run = world.transfer(deleted_files=DeletedFiles.REMOVE, max_deletes="100%", verify_mode=verify)
    assert world.watcher.failures == []
    assert world.copied == world.original
    assert run.tally.counters.files.renamed == 50
    assert (
        run.tally.counters.files.listed
        == run.tally.counters.files.transferred + run.tally.counters.files.skipped
        == 220
    )
    assert run.tally.counters.files.deleted == 151


def test_what_a_killed_run_left_in_a_long_folder_is_gone_on_in_or_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PLENTY", 10)
    version = len(BIG).to_bytes(8, "little") + (30_000).to_bytes(8, "little")
    kept, old = staging_names("big", version)[0], staging_names("big", bytes(16))[0]
    small = {f"f{index}": file(b"x") for index in range(50)}
    there = {**{f"f{index}": file(b"x") for index in range(50)}, kept: file(BIG[: len(BIG) // 2]), old: file(b"old")}
    world = World(Node(None, {**small, "big": file(BIG)}, 0), Node(None, there, 0))
    run = world.transfer()
    assert world.copied == world.original
    assert run.tally.counters.bytes.written < len(BIG)


def test_a_packed_entry_takes_few_bytes() -> None:
    many = Entries()
    for start in range(0, 100_000, 1_000):
        many.add([entry(f"a file with a name of usual length {start + index}.docx", index) for index in range(1_000)])
    assert many.is_packed
    packed = sum(len(block) for bucket in many._buckets for block in bucket.blocks)
    assert packed < 100_000 * 40
    assert len(list(many)) == 100_000
