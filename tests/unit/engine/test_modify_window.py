"""Times that a destination does not keep as they are set: FAT rounds them to 2 s, some NAS to 1 s, some keep none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.fake_server import Node, Personality, file, folder
from lab.fake_server.windows_server_2022 import WindowsServer2022
from lab.fake_server.world import World
from tests.unit.engine.directory_entries import item

from smbferry_engine.model import Options
from smbferry_engine.plan.compare import Compared, listed_differences
from smbferry_engine.plan.decide import Action, decide_file, decide_metadata, directory_needs_metadata, unchanged
from smbferry_engine.times import looks_rounded, same_time
from smbferry_words.options import CompareBy, Preservation, VerifyMode

SECOND = 10_000_000
NOW = 133_000_000_000_000_000
WINDOW = {"modify_window": 2 * SECOND}


class NoTimes(Personality):
    """Keeps no write times."""

    def stored(self, times: list[int]) -> list[int]:
        return [*times[:2], 0, times[3]]


def tree() -> Node:
    return folder(
        a=file(b"alpha", time=NOW + 1),
        b=file(b"beta", time=NOW + 2 * SECOND - 1),
        sub=Node(None, {"c": file(b"gamma", time=NOW + SECOND)}, 0, [NOW, NOW, NOW + 3, NOW]),
    )


def rounding(personality: Personality) -> World:
    world = World(tree())
    world.destination.personality = personality
    return world


@pytest.mark.parametrize(
    ("one", "other", "window", "same"),
    [(5, 5, 0, True), (5, 6, 0, False), (5, 7, 2, True), (7, 5, 2, True), (5, 8, 2, False), (0, 1, 1, True)],
)
def test_two_times_are_the_same_within_the_window(one: int, other: int, window: int, *, same: bool) -> None:
    assert same_time(one, other, window) is same


@pytest.mark.fault(78)
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 20), st.sampled_from(Preservation))
def test_times_within_the_window_are_the_same_everywhere(
    one: int, other: int, window: int, timestamps: Preservation
) -> None:
    options = Options(modify_window=window, timestamps=timestamps)
    ours, theirs, same = item(time=one), item(time=other), abs(one - other) <= window
    kept = timestamps is Preservation.PRESERVE
    copied = not same if kept else one > other + window
    assert (decide_file(ours, theirs, options).action is Action.REPLACE) is copied
    assert (decide_metadata(ours, theirs, options).action is Action.METADATA) is (kept and not same)
    assert (unchanged([(ours, theirs)], options)[0] == [ours]) is (kept and same)
    inner, outer = (item(time=time, attributes=0x10) for time in (one, other))
    assert directory_needs_metadata(inner, outer, options) is (kept and not same)
    assert (listed_differences(ours, theirs, Compared(times=True, window=window)) == []) is same


@pytest.mark.parametrize("compare_by", CompareBy)
@pytest.mark.parametrize("verify", VerifyMode)
def test_a_second_run_onto_rounded_times_copies_nothing_within_the_window(
    compare_by: CompareBy, verify: VerifyMode
) -> None:
    world = rounding(WindowsServer2022(fat=True))
    world.transfer(compare_by=compare_by, verify_mode=verify, **WINDOW)
    assert world.node("b").times[2] == NOW
    again = world.transfer(compare_by=compare_by, verify_mode=verify, **WINDOW)
    assert world.reasons == []
    files, folders = again.tally.counters.files, again.tally.counters.directories
    assert (files.transferred, files.skipped, files.rounded_times, folders.transferred) == (0, 3, 0, 0)


@pytest.mark.fault(78)
@pytest.mark.parametrize("personality", [WindowsServer2022(fat=True), NoTimes()], ids=["fat", "none"])
def test_a_destination_that_rounds_times_is_told_with_the_remedy(personality: Personality) -> None:
    world = rounding(personality)
    first = world.transfer()
    assert first.tally.counters.files.rounded_times == 0
    again = world.transfer()
    assert again.tally.counters.files.rounded_times == again.tally.counters.files.transferred == 3
    assert world.reasons == []


def test_files_that_changed_are_not_said_to_be_rounded() -> None:
    world = World(folder(a=file(b"new!", time=NOW), b=file(b"b", time=NOW)), folder(a=file(b"old"), b=file(b"c")))
    run = world.transfer()
    assert (run.tally.counters.files.transferred, run.tally.counters.files.rounded_times) == (2, 0)


@pytest.mark.parametrize(
    ("time", "stored", "rounded"),
    [(NOW + 1, NOW, True), (NOW - 1, NOW, True), (NOW + 1, 0, True), (NOW + 2 * SECOND, NOW, False),
     (NOW + 5, NOW + 3, False)],
)  # fmt: skip
def test_a_rounded_time_is_a_whole_second_close_by(time: int, stored: int, *, rounded: bool) -> None:
    assert looks_rounded(time, stored) is rounded
