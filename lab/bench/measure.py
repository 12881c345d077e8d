"""Runs clients as child processes: how long, how much CPU, how much memory; each child in a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAMPLE_SECONDS = 0.02
_SESSION_FIELD = 3
_SHOWN = 400


class ClientError(Exception):
    """A client failed or took too long; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Command:
    """One child. `piped` reads the standard output of the command before it in its stage; `silent` drops its own."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    piped: bool = False
    silent: bool = False

    @property
    def name(self) -> str:
        """What it is called in messages: the program, or a worker's module."""
        return self.argv[2] if self.argv[1:2] == ("-m",) else self.argv[0]


Stage = tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one or several stages took.

    `seconds` is wall-clock time, `cpu_seconds` user and system time of all children and those that they waited for.
    `peak_bytes` is the greatest sum of the resident high-water marks (VmHWM) of the processes of a stage. `outputs` are
    the standard outputs of the commands that no other command read.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    outputs: tuple[bytes, ...] = ()


def run(stages: Sequence[Stage], scratch: Path, *, timeout: float) -> Usage:
    """Run stages one after the other, the commands of each at once.

    Raises:
        ClientError: a command failed, or `timeout` seconds were not enough.
    """
    deadline = time.monotonic() + timeout
    return total([_Stage(stage, scratch).run(deadline) for stage in stages])


def total(parts: Sequence[Usage]) -> Usage:
    """Several stages as one: times add up, memory does not."""
    return Usage(
        seconds=sum(part.seconds for part in parts),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        peak_bytes=max((part.peak_bytes for part in parts), default=0),
        outputs=tuple(output for part in parts for output in part.outputs),
    )


class _Child:
    """A running command, and a thread that waits for it, so that its end is timed to the microsecond."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], errors: Path, output: Path | None) -> None:
        self._name = name
        self.process = process
        self._errors = errors
        self._output = output
        self.ended = 0.0
        self.cpu_seconds = 0.0
        self._waiter = threading.Thread(target=self._wait)
        self._waiter.start()

    def _wait(self) -> None:
        _, status, used = os.wait4(self.process.pid, 0)
        self.ended = time.perf_counter()
        self.cpu_seconds = used.ru_utime + used.ru_stime
        self.process.returncode = os.waitstatus_to_exitcode(status)

    @property
    def running(self) -> bool:
        return self._waiter.is_alive()

    def finish(self, *, timed_out: bool) -> bytes | None:
        """Wait for its end; its output, where nobody else read it.

        Raises:
            ClientError: it failed.
        """
        self._waiter.join()
        said = self._errors.read_bytes().decode(errors="replace").strip()[-_SHOWN:]
        if timed_out:
            raise ClientError(f"{self._name} was not done in time: {said}")
        if self.process.returncode:
            raise ClientError(f"{self._name} ended with {self.process.returncode}: {said}")
        return None if self._output is None else self._output.read_bytes()


class _Stage:
    def __init__(self, commands: Stage, scratch: Path) -> None:
        self._commands = commands
        self._scratch = scratch
        self._children: list[_Child] = []
        self._peaks: dict[int, int] = {}

    def run(self, deadline: float) -> Usage:
        started = time.perf_counter()
        timed_out = False
        try:
            self._start()
        finally:
            timed_out = self._watch(deadline)
        results = [child.finish(timed_out=timed_out) for child in self._children]
        return Usage(
            seconds=max(child.ended for child in self._children) - started,
            cpu_seconds=sum(child.cpu_seconds for child in self._children),
            peak_bytes=sum(self._peaks.values()),
            outputs=tuple(output for output in results if output is not None),
        )

    def _start(self) -> None:
        feed: int | None = None
        for index, command in enumerate(self._commands):
            read_end = write_end = None
            if index + 1 < len(self._commands) and self._commands[index + 1].piped:
                read_end, write_end = os.pipe()
            errors, output = self._scratch / f"errors-{index}", self._scratch / f"output-{index}"
            with errors.open("wb") as said, output.open("wb") as sink:
                process = subprocess.Popen(
                    command.argv,
                    env={**os.environ, **command.env},
                    stdin=feed if command.piped else subprocess.DEVNULL,
                    stdout=write_end if write_end is not None else subprocess.DEVNULL if command.silent else sink,
                    stderr=said,
                    start_new_session=True,
                )
            for descriptor in (feed, write_end):
                if descriptor is not None:
                    os.close(descriptor)
            feed = read_end
            self._children.append(_Child(command.name, process, errors, None if write_end is not None else output))

    def _watch(self, deadline: float) -> bool:
        """Sample memory until all have ended, or end them when time is up. Tells whether it was."""
        try:
            while any(child.running for child in self._children):
                self._sample()
                if time.monotonic() > deadline:
                    self._end()
                    return True
                time.sleep(SAMPLE_SECONDS)
        except BaseException:
            self._end()
            raise
        return False

    def _end(self) -> None:
        """End, by their ids, the sessions that still run."""
        for child in self._children:
            if child.running:
                os.killpg(child.process.pid, signal.SIGKILL)

    def _sample(self) -> None:
        sessions = {child.process.pid for child in self._children}
        for pid in processes_of(sessions):
            self._peaks[pid] = max(self._peaks.get(pid, 0), high_water(pid))


def processes_of(sessions: set[int]) -> list[int]:
    """The processes of sessions, by their ids (proc_pid_stat(5))."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:  # it has just ended
                continue
            if int(stat.rpartition(")")[2].split()[_SESSION_FIELD]) in sessions:
                found.append(int(entry.name))
    return found


def high_water(pid: int) -> int:
    """A process' greatest resident size so far in bytes; 0 for one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
