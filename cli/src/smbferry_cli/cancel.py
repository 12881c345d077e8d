"""Handles Ctrl-C and similar signals: the first requests a clean stop, the second stops immediately."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Final, Self

from smbferry_api.exit_codes import ExitCode

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal arrived while work can be dropped. Not an Exception, so that no handler treats it as a failure."""


class Cancel:
    """A context manager in the main thread.

    The first signal is handled in that thread. A separate thread handles the second one, because Python runs handlers
    only in the main thread, which may be blocked in libkrb5 by a KDC that does not answer.

    Args:
        asked: called at the first signal if work must stop cleanly.
        hard: called at the second signal before the process exits; wipes secrets.
    """

    def __init__(self, asked: Callable[[], None], hard: Callable[[], None]) -> None:
        self._asked = asked
        self._hard = hard
        self._cancelled = False
        self._droppable = False
        self._before: dict[int, object] = {}
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)  # noqa: FBT003 (the socket module's own signature)
        self._watcher = threading.Thread(target=self._watch, name="second-signal", daemon=True)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself returned
        self._waker.close()  # ends the watcher
        self._watcher.join()
        self._woken.close()

    def cancelled(self) -> bool:
        """True once a clean stop is requested."""
        return self._cancelled

    @contextmanager
    def droppable(self) -> Iterator[None]:
        """Within this context, the first signal raises Interrupted, because nothing has been written yet."""
        self._droppable = True
        try:
            yield
        finally:
            self._droppable = False

    def from_now_on_orderly(self) -> None:
        """Ends `droppable` early, because work has started that must stop cleanly."""
        self._droppable = False

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        if self._cancelled:
            return
        self._cancelled = True
        if self._droppable:
            raise Interrupted
        with contextlib.suppress(OSError):  # the terminal may be closed
            self._asked()

    def _watch(self) -> None:
        seen = 0
        while data := self._woken.recv(16):  # a byte per signal: its number
            seen += sum(number in _SIGNALS for number in data)
            if seen > 1:
                try:
                    self._hard()
                finally:
                    os._exit(ExitCode.CANCELLED)
