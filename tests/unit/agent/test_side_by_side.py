"""Work in processes of its own: none waits for another, and one that hangs or dies is told as such."""

from __future__ import annotations

import os
import signal
import time
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from smbferry_agent.side_by_side import Ended, side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = 60.0


def work(piece: str) -> str:
    """Hangs, dies or returns, as the piece says."""
    match piece.partition(" ")[0]:
        case "hangs":
            time.sleep(LONG)
        case "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        case "fails":
            os._exit(7)
    return f"{piece} in {os.getpid()}"


def ends(pieces: Sequence[str], *, at_once: int = 4, seconds: float = LONG) -> list[Ended[str]]:
    return list(side_by_side(pieces, work, at_once=at_once, seconds=seconds))


@pytest.mark.fault(207)
def test_one_that_hangs_delays_no_other() -> None:
    others = [f"works {number}" for number in range(12)]
    running = side_by_side(["hangs", *others], work, at_once=4, seconds=LONG)
    found = list(islice(running, len(others)))
    running.close()

    assert sorted(each.piece for each in found) == sorted(others)
    assert all(each.result is not None and each.in_time for each in found)


@pytest.mark.fault(207)
def test_one_that_takes_too_long_is_ended() -> None:
    assert ends(["hangs"], seconds=0.1) == [Ended("hangs", None, in_time=False, exit_code=-signal.SIGKILL)]


def test_each_is_a_process_of_its_own_and_no_more_run_than_may() -> None:
    found = ends([f"works {number}" for number in range(5)], at_once=2)

    assert len({each.result for each in found}) == 5
    assert str(os.getpid()) not in {(each.result or "").rpartition(" ")[2] for each in found}


@pytest.mark.fault(208)
@pytest.mark.parametrize(("piece", "code"), [("dies", -signal.SIGKILL), ("fails", 7)])
def test_one_that_dies_is_told_with_its_exit_code(piece: str, code: int) -> None:
    found = {each.piece: each for each in ends([piece, "works"])}

    assert found[piece] == Ended(piece, None, exit_code=code)
    assert found["works"].result is not None


def test_all_are_ended_with_the_one_who_asked() -> None:
    began = time.monotonic()
    running = side_by_side(["works", "hangs", "hangs too"], work, at_once=3, seconds=LONG)
    assert next(running).piece == "works"
    running.close()

    assert time.monotonic() - began < LONG / 4
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_nothing_to_do_ends_at_once() -> None:
    assert ends([]) == []
