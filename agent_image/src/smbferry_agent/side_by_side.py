"""Work side by side, each piece in a process of its own: one that hangs or dies concerns no other.

libkrb5 finds its configuration in the environment of its process and may wait for a KDC for many seconds. Threads would
wait for each other there, and a thread can't be ended. Call this while the process has no other threads: a fork copies
the calling thread only.
"""

import multiprocessing
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_CONTEXT: Final = multiprocessing.get_context("fork")
_EXIT_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ended(Generic[T]):
    """How the work on one piece ended.

    Attributes:
        result: what was returned; None if there is no result.
        in_time: False if the process was ended because it took too long.
        exit_code: of the process; negative for a signal.
    """

    piece: T
    result: str | None
    in_time: bool = True
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class _Running(Generic[T]):
    piece: T
    process: ForkProcess
    until: float

    def stop(self, grace: float) -> int | None:
        self.process.join(grace)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        return self.process.exitcode


def side_by_side(
    pieces: Sequence[T], work: Callable[[T], str], *, at_once: int, seconds: float
) -> Generator[Ended[T], None, None]:
    """Starts the pieces in order, some at once; yields each as soon as it has ended.

    Args:
        work: runs in the process of the piece.
        at_once: how many processes there are at most.
        seconds: how long each may take from its start.
    """
    waiting = list(reversed(pieces))
    running: dict[Connection, _Running[T]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                receiver, started = _start(waiting.pop(), work, seconds)
                running[receiver] = started
            first = min(each.until for each in running.values())
            ready = wait(list(running), max(0.0, first - time.monotonic()))
            for receiver in [each for each in running if each in ready]:
                result = _received(receiver)
                yield _ended(running.pop(receiver), receiver, result)
            for receiver in [r for r, each in running.items() if each.until <= time.monotonic()]:
                late = running.pop(receiver)
                code = late.stop(0)
                receiver.close()
                yield Ended(late.piece, None, in_time=False, exit_code=code)
    finally:
        for each in running.values():
            each.stop(0)


def _start(piece: T, work: Callable[[T], str], seconds: float) -> tuple[Connection, _Running[T]]:
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(work, piece, sender), daemon=True)
    process.start()
    sender.close()
    return receiver, _Running(piece, process, time.monotonic() + seconds)


def _run(work: Callable[[T], str], piece: T, sender: Connection) -> None:
    sender.send(work(piece))
    sender.close()


def _received(receiver: Connection) -> str | None:
    try:
        return str(receiver.recv())
    except EOFError:  # it died
        return None


def _ended(done: _Running[T], receiver: Connection, result: str | None) -> Ended[T]:
    code = done.stop(_EXIT_SECONDS)
    receiver.close()
    return Ended(done.piece, result, exit_code=code)
