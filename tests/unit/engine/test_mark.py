"""The mark of a file that lacks some of its metadata: told from every time that a file may have by itself."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smbferry_engine.model import Options
from smbferry_engine.plan.decide import Action, decide_file, unchanged
from smbferry_engine.plan.mark import SHIFT_SECONDS, is_mark_of, mark_of
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import CompareBy, OverwriteMode, Preservation, TransferMode

SECOND = 10_000_000
TIMES = st.integers(0, 2**63 - 1)
NOW = 133_000_000_000_000_000


def entry(write_time: int, size: int = 1) -> DirectoryEntry:
    return DirectoryEntry("f", size, 0x20, NOW, NOW, write_time, NOW, 0, 1)


@given(TIMES)
def test_a_mark_can_be_set_and_is_a_fixed_span_apart(time: int) -> None:
    mark = mark_of(time)
    assert 0 < mark < 2**63
    assert abs(mark - time) == SHIFT_SECONDS * SECOND
    assert is_mark_of(time, mark)
    assert not is_mark_of(time, time)


@given(st.integers(0, 400_000_000_000) | st.just(0))
@example(SHIFT_SECONDS + 1)
def test_a_server_that_keeps_every_other_second_holds_it(seconds: int) -> None:
    kept = seconds // 2 * 2 * SECOND
    assert mark_of(kept) % (2 * SECOND) == 0
    assert is_mark_of(seconds * SECOND, mark_of(kept), 2 * SECOND)


def test_no_change_of_a_time_zone_looks_like_it() -> None:
    assert all(abs(SHIFT_SECONDS - hours * 3600) > 600 for hours in range(400))


@pytest.mark.fault(65)
@pytest.mark.parametrize(
    ("options", "action"),
    [
        (Options(), Action.COMPLETE),
        (Options(timestamps=Preservation.NONE), Action.COMPLETE),
        (Options(overwrite_mode=OverwriteMode.NEVER), Action.COMPLETE),
        (Options(overwrite_mode=OverwriteMode.IF_NEWER), Action.COMPLETE),
        (Options(overwrite_mode=OverwriteMode.IF_NEWER, transfer_mode=TransferMode.ALL), Action.COMPLETE),
        (Options(compare_by=CompareBy.CHECKSUM), Action.COMPARE),
        (Options(transfer_mode=TransferMode.ALL), Action.REPLACE),
    ],
)
def test_a_marked_file_is_never_taken_for_one_that_is_done(options: Options, action: Action) -> None:
    source, marked = entry(NOW), entry(mark_of(NOW))
    assert decide_file(source, marked, options).action is action
    assert unchanged([(source, marked)], options) == ([], [(source, marked)])


def test_a_mark_of_another_version_is_a_file_that_differs() -> None:
    marked = entry(mark_of(NOW))
    assert decide_file(entry(NOW + 1), marked, Options()).action is Action.REPLACE
    assert decide_file(entry(NOW, 9), marked, Options()).action is Action.REPLACE
