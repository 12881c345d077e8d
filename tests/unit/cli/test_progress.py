"""A run as it goes on, on a terminal and in a log; and what Ctrl-C does at each moment."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from tests.unit.cli.samples import console, ended, going_on

from smbferry_api.run_status import RetryStatus
from smbferry_cli.cancel import Cancel, Interrupted
from smbferry_cli.progress import Bar, Lines, amounts, doing, view_of
from smbferry_words.run import PhaseState

if TYPE_CHECKING:
    from smbferry_api.run_status import TransferRunStatus

RUNNING, DONE = PhaseState.RUNNING, PhaseState.SUCCEEDED
SOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def waiting(next_time: datetime | None) -> TransferRunStatus:
    message = "2 files are in use." if next_time else "Trying 2 files."
    retry = RetryStatus(files=2, attempt=1, attempts=3, next_time=next_time, message=message)
    return going_on(transfer=RUNNING).model_copy(update={"retry": retry})


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (going_on(), "Ending"),
        (going_on(preflight=RUNNING), "Checking"),
        (going_on(preflight=DONE, prepare=RUNNING), "Listing"),
        (going_on(prepare=RUNNING, transfer=RUNNING, verify=RUNNING), "Copying"),
        (going_on(prepare=DONE, transfer=DONE, verify=RUNNING), "Verifying"),
        (going_on(transfer=DONE, delete=RUNNING), "Deleting"),
        (going_on(preflight=DONE), "Ending"),
        (waiting(SOON), "Waiting for files in use"),
        (waiting(None), "Trying files again"),
    ],
)
def test_what_goes_on_in_a_word(status: TransferRunStatus, word: str) -> None:
    assert doing(status) == word


def test_the_bar_counts_bytes_and_where_there_are_none_files() -> None:
    status = ended()
    assert amounts(status) == (512 << 20, 512 << 20)
    assert status.counters is not None
    empty = status.counters.model_copy(update={"bytes": status.counters.bytes.model_copy(update={"to_transfer": 0})})
    assert amounts(status.model_copy(update={"counters": empty})) == (2003, 2003)
    assert amounts(going_on()) == (0, 0)


def test_the_view_suits_the_place() -> None:
    assert isinstance(view_of(console(terminal=True)[0]), Bar)
    assert isinstance(view_of(console(terminal=False)[0]), Lines)


def test_a_log_gets_a_line_per_phase_and_failure_and_one_each_half_minute() -> None:
    shown, out = console(terminal=False)
    now = [0.0]
    with Lines(shown, lambda: now[0]) as view:
        view.show(going_on(preflight=RUNNING))
        view.show(going_on(preflight=DONE, transfer=RUNNING))
        view.show(going_on(preflight=DONE, transfer=RUNNING))
        view.show(ended(listed=1))
        view.show(ended(failed=2, listed=2))
        now[0] = 31.0
        view.show(ended(failed=2, listed=2))
    assert out.getvalue().splitlines() == [
        "preflight: Succeeded",
        "failed f0: FileLocked",
        "failed f1: FileLocked",
        "Ending 99% 512.0 MiB/512.0 MiB 2,001/2,003 files, 2 failed",
    ]


def test_a_log_says_once_what_a_run_waits_for() -> None:
    shown, out = console(terminal=False)
    with Lines(shown, lambda: 0.0) as view:
        for status in (waiting(SOON), waiting(SOON), waiting(None), going_on(transfer=RUNNING)):
            view.show(status)
    assert out.getvalue().splitlines() == ["2 files are in use.", "Trying 2 files."]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_bar_lists_each_failure_once_above_itself(width: int) -> None:
    shown, out = console(terminal=True, width=width)
    with Bar(shown) as view:
        view.show(ended(failed=1, listed=1))
        view.show(ended(failed=2, listed=2))
    said = out.getvalue()
    assert (said.count("f0: FileLocked"), said.count("f1: FileLocked")) == (1, 1)
    assert "512.0 MiB/512.0" in said


def test_no_colour_means_none() -> None:
    out = io.StringIO()
    shown = Console(file=out, width=120, force_terminal=True, _environ={"NO_COLOR": "1"})
    with Bar(shown) as view:
        view.show(ended(failed=1, listed=1))
    assert "\x1b[3" not in out.getvalue()


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


class Ends:
    """What a Cancel called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def cancel(self) -> Cancel:
        return Cancel(lambda: self.called.append("asked"), lambda: self.called.append("hard"))


def signalled(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_any_data_moves_the_first_signal_drops_everything(number: int) -> None:
    ends = Ends()
    with ends.cancel() as cancel, pytest.raises(Interrupted), cancel.droppable():
        signalled(number)
    assert cancel.cancelled()
    assert ends.called == []


def test_once_data_moves_the_first_signal_asks_for_an_orderly_end() -> None:
    ends = Ends()
    with ends.cancel() as cancel, cancel.droppable():
        cancel.from_now_on_orderly()
        assert not cancel.cancelled()
        signalled()
        assert cancel.cancelled()
    assert ends.called == ["asked"]


def test_the_second_signal_wipes_and_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ends, over = Ends(), threading.Event()

    def end(code: int) -> None:
        ends.called.append(f"exit {code:d}")
        over.set()

    monkeypatch.setattr(os, "_exit", end)
    with ends.cancel():
        signalled()
        signalled(signal.SIGTERM)
        assert over.wait(5)
    assert ends.called == ["asked", "hard", "exit 40"]


STUCK = """
import ctypes, os, signal
from smbferry_cli.cancel import Cancel

libc = ctypes.CDLL(None)
with Cancel(lambda: None, lambda: print("wiped", flush=True) or 1 // 0):
    if os.fork() == 0:
        for _ in range(2):
            os.kill(os.getppid(), signal.SIGINT)
            libc.usleep(100_000)
        os._exit(0)
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)  # never comes back, not even for a signal
"""


def test_a_process_that_is_stuck_in_c_ends_at_the_second_signal_even_where_wiping_fails() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = [sys.executable, "-c", STUCK]
    ended = subprocess.run(script, capture_output=True, text=True, check=False, env=environment, timeout=20)
    assert (ended.returncode, ended.stdout) == (40, "wiped\n")


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Ends().cancel():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_a_terminal_that_is_gone_does_not_stop_the_orderly_end() -> None:
    def gone() -> None:
        raise OSError

    with Cancel(gone, gone) as cancel:
        signalled(signal.SIGHUP)
        assert cancel.cancelled()
