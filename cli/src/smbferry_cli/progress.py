"""Progress of a run: a bar on a terminal, otherwise occasional lines."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from smbferry_agent.report import words
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_cli.tables import failure_line
from smbferry_words.run import PhaseName, PhaseState

WIDE: Final = 100
_LINE_SECONDS: Final = 30.0
_DOING: Final = {
    PhaseName.PREFLIGHT: "Checking",
    PhaseName.PREPARE: "Listing",
    PhaseName.TRANSFER: "Copying",
    PhaseName.VERIFY: "Verifying",
    PhaseName.DELETE: "Deleting",
}

# Shown for a run in a cluster while none of its agents is active.
_WAITING: Final = {
    RunState.QUEUED: "Waiting",
    RunState.LAUNCHING: "Starting",
    RunState.CANCELLING: "Cancelling",
}


class View(Protocol):
    """Shows the latest status of a run."""

    def __enter__(self) -> Self:
        """Starts the view."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restores the terminal."""

    def show(self, status: TransferRunStatus) -> None:
        """Shows a status."""

    def say(self, text: str) -> None:
        """Shows an additional line."""


def view_of(console: Console) -> View:
    """Returns a bar for a terminal, lines otherwise."""
    return Bar(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Bar:
    """A bar with rate, files and remaining time, and failures above it."""

    def __init__(self, console: Console) -> None:
        wide = console.width >= WIDE
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            *([BarColumn(bar_width=None, table_column=Column(ratio=1))] if wide else []),
            *(TextColumn("{task.fields[" + name + "]}", markup=False) for name in ("percent", "bytes", "rate")),
            TextColumn("{task.fields[files]}", markup=False),
            TextColumn("{task.fields[eta]}", markup=False),
        ]
        self._progress = Progress(*columns, console=console, transient=True, expand=wide)
        self._listed = 0
        self._task: TaskID = self._progress.add_task("Checking", total=None, **_columns(TransferRunStatus()))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, status: TransferRunStatus) -> None:
        """Updates the bar and lists new failures."""
        done, total = amounts(status)
        self._progress.update(
            self._task, description=doing(status), completed=done, total=total or None, **_columns(status)
        )
        for failure in status.failures[self._listed :]:
            self._progress.console.print(failure_line(failure))
        self._listed = len(status.failures)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(Text(text))


class Lines:
    """A line per finished phase, per failure and every 30 s, for logs."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._ended: set[str] = set()
        self._listed = 0
        self._retry = ""
        self._next = clock() + _LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to restore."""

    def show(self, status: TransferRunStatus) -> None:
        """Prints what changed since the last status."""
        for name, state, duration in _ends(status):
            if name not in self._ended:
                self._ended.add(name)
                self.say(f"{name}: {state.value}{f' in {duration}' if duration else ''}")
        for failure in status.failures[self._listed :]:
            self._console.print(failure_line(failure), soft_wrap=True)
        self._listed = len(status.failures)
        retry = status.retry.message if status.retry is not None else ""
        if retry and retry != self._retry:
            self.say(retry)
        self._retry = retry
        if self._clock() >= self._next:
            self._next = self._clock() + _LINE_SECONDS
            self.say(" ".join([doing(status), *filter(None, _fields(status).values())]))

    def say(self, text: str) -> None:
        """Prints a line."""
        self._console.print(Text(text), soft_wrap=True)


def doing(status: TransferRunStatus) -> str:
    """Returns the current activity in a word. If listing and copying overlap, returns copying."""
    if status.state in _WAITING:
        return _WAITING[status.state]
    phases = status.phases
    running = [
        name for name in PhaseName if phases and (phase := getattr(phases, name)) and phase.state is PhaseState.RUNNING
    ]
    if status.retry is not None:
        return "Waiting for files in use" if status.retry.next_time is not None else "Trying files again"
    if PhaseName.TRANSFER in running:
        surveys = status.progress is not None and status.progress.percent == words.SURVEY
        return "Measuring" if surveys else _DOING[PhaseName.TRANSFER]
    return _DOING[running[-1]] if running else "Ending"


def amounts(status: TransferRunStatus) -> tuple[int, int]:
    """Returns the done and total amounts, in bytes, or in files if there are no bytes to copy."""
    if status.counters is None:
        return 0, 0
    octets, files = status.counters.bytes, status.counters.files
    return (octets.transferred, octets.to_transfer) if octets.to_transfer else (files.transferred, files.to_transfer)


def _fields(status: TransferRunStatus) -> dict[str, str]:
    counters, shown = status.counters, status.progress
    if counters is None or shown is None:
        return dict.fromkeys(("percent", "bytes", "rate", "files", "eta"), "")
    failed = counters.files.failed + counters.directories.failed
    return {
        "percent": shown.percent,
        "bytes": shown.bytes,
        "rate": shown.rate,
        "files": f"{shown.files} files" + (f", {failed:,} failed" if failed else ""),
        "eta": f"ETA {counters.eta}" if counters.eta else "",
    }


def _columns(status: TransferRunStatus) -> dict[str, Any]:
    """Returns the fields in the type that rich expects."""
    return dict(_fields(status))


def _ends(status: TransferRunStatus) -> list[tuple[str, PhaseState, str | None]]:
    if status.phases is None:
        return []
    found = ((name.value, getattr(status.phases, name)) for name in PhaseName)
    return [(name, p.state, p.duration) for name, p in found if p and p.state not in _GOING_ON]


_GOING_ON: Final = frozenset({PhaseState.PENDING, PhaseState.RUNNING, PhaseState.SKIPPED})
