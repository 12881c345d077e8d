"""What a child took, and that its failure is an error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from lab.bench.measure import ClientError, Command, Usage, run, total

if TYPE_CHECKING:
    from pathlib import Path


def python(text: str, *, piped: bool = False, silent: bool = False) -> Command:
    return Command((sys.executable, "-c", text), piped=piped, silent=silent)


def test_memory_and_cpu_are_the_childs_own(tmp_path: Path) -> None:
    used = run([(python("b = bytearray(b'x' * (64 << 20)); sum(range(20_000_000))"),)], tmp_path, timeout=60)
    assert 64 << 20 < used.peak_bytes < 200 << 20
    assert used.cpu_seconds > 0.05
    assert used.seconds > 0.05


def test_a_stages_commands_run_at_once_and_a_pipe_leads_from_one_to_the_next(tmp_path: Path) -> None:
    first = python("print('from the first')")
    second = python("import sys; print(sys.stdin.read().upper().strip())", piped=True)
    assert run([(first, second)], tmp_path, timeout=60).outputs == (b"FROM THE FIRST\n",)


def test_what_is_silent_is_dropped_and_stages_follow_each_other(tmp_path: Path) -> None:
    used = run([(python("print(1)", silent=True),), (python("print(2)"),)], tmp_path, timeout=60)
    assert b"2\n" in used.outputs
    assert b"1\n" not in used.outputs


def test_a_command_that_fails_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="ended with 3: no such share"):
        run([(python("import sys; print('no such share', file=sys.stderr); sys.exit(3)"),)], tmp_path, timeout=60)


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="not done in time"):
        run([(python("import signal; signal.pause()"),)], tmp_path, timeout=0.3)


def test_stages_add_up_but_for_memory() -> None:
    parts = [Usage(1.0, 0.5, 10, (b"a",)), Usage(2.0, 0.25, 7, (b"b",))]
    assert total(parts) == Usage(3.0, 0.75, 10, (b"a", b"b"))
