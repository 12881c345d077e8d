"""A run as it goes on: a bar on a terminal, a line now and then where there is none."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from smbferry_api.run_status import PhaseName, PhaseState, RunState, TransferRunStatus
from smbferry_cli.tables import failure_line

WIDE: Final = 100
_LINE_SECONDS: Final = 30.0
_DOING: Final = {
    PhaseName.PREFLIGHT: "Checking",
    PhaseName.PREPARE: "Listing",
    PhaseName.TRANSFER: "Copying",
    PhaseName.VERIFY: "Verifying",
    PhaseName.DELETE: "Deleting",
}

# What a run says of itself in a cluster while none of its agents works.
_WAITING: Final = {
    RunState.QUEUED: "Waiting",
    RunState.LAUNCHING: "Starting",
    RunState.CANCELLING: "Cancelling",
}


class View(Protocol):
    """Shows a run's newest status."""

    def __enter__(self) -> Self:
        """Begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the terminal as it was."""

    def show(self, status: TransferRunStatus) -> None:
        """The status as it stands."""

    def say(self, text: str) -> None:
        """A line beside it."""


def view_of(console: Console) -> View:
    """A bar where someone watches, lines otherwise."""
    return Bar(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Bar:
    """A bar with rate, files and time left; failures are listed above it."""

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
        """Moves the bar; lists failures that are new."""
        done, total = amounts(status)
        self._progress.update(
            self._task, description=doing(status), completed=done, total=total or None, **_columns(status)
        )
        for failure in status.failures[self._listed :]:
            self._progress.console.print(failure_line(failure))
        self._listed = len(status.failures)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._progress.console.print(Text(text))


class Lines:
    """A line per phase that ends, per failure, and each half minute; for logs."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._ended: set[str] = set()
        self._listed = 0
        self._next = clock() + _LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """There is nothing to leave."""

    def show(self, status: TransferRunStatus) -> None:
        """What is new since the last time."""
        for name, state, duration in _ends(status):
            if name not in self._ended:
                self._ended.add(name)
                self.say(f"{name}: {state.value}{f' in {duration}' if duration else ''}")
        for failure in status.failures[self._listed :]:
            self._console.print(failure_line(failure), soft_wrap=True)
        self._listed = len(status.failures)
        if self._clock() >= self._next:
            self._next = self._clock() + _LINE_SECONDS
            self.say(" ".join([doing(status), *filter(None, _fields(status).values())]))

    def say(self, text: str) -> None:
        """A line."""
        self._console.print(Text(text), soft_wrap=True)


def doing(status: TransferRunStatus) -> str:
    """What goes on now, in a word. Listing and copying overlap: then copying is what is said."""
    if status.state in _WAITING:
        return _WAITING[status.state]
    phases = status.phases
    running = [
        name for name in PhaseName if phases and (phase := getattr(phases, name)) and phase.state is PhaseState.RUNNING
    ]
    if PhaseName.TRANSFER in running:
        return _DOING[PhaseName.TRANSFER]
    return _DOING[running[-1]] if running else "Ending"


def amounts(status: TransferRunStatus) -> tuple[int, int]:
    """Done and all there is to do, in bytes; in files where there are no bytes to move."""
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
    """The fields as rich takes them, beside arguments of other types."""
    return dict(_fields(status))


def _ends(status: TransferRunStatus) -> list[tuple[str, PhaseState, str | None]]:
    if status.phases is None:
        return []
    found = ((name.value, getattr(status.phases, name)) for name in PhaseName)
    return [(name, p.state, p.duration) for name, p in found if p and p.state not in _GOING_ON]


_GOING_ON: Final = frozenset({PhaseState.PENDING, PhaseState.RUNNING, PhaseState.SKIPPED})
