"""Ctrl-C and its like: the first asks for a clean end, the second ends at once."""

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
    """A signal came where work can be dropped as it is. Not an Exception: nothing on the way takes it for a failure."""


class Cancel:
    """A context manager in the main thread.

    The first signal is handled there. The second is seen by a thread of its own: Python runs handlers in the main
    thread only, and that may be waiting inside libkrb5 for a KDC that does not answer.

    Args:
        asked: called at the first signal when the work goes on to a clean end.
        hard: called at the second signal, before the process ends by force: wipes what must not stay.
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
        """Whether a clean end is asked for."""
        return self._cancelled

    @contextmanager
    def droppable(self) -> Iterator[None]:
        """Within, the first signal raises Interrupted: nothing has been written anywhere yet."""
        self._droppable = True
        try:
            yield
        finally:
            self._droppable = False

    def from_now_on_orderly(self) -> None:
        """Ends `droppable` early: work has begun that must be ended in order."""
        self._droppable = False

    def _signalled(self, _number: int, _frame: FrameType | None) -> None:
        if self._cancelled:
            return
        self._cancelled = True
        if self._droppable:
            raise Interrupted
        with contextlib.suppress(OSError):  # the terminal may be what went away
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
