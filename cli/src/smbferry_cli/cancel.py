"""Ctrl-C and its like: the first asks for a clean end, the second ends at once."""

import contextlib
import os
import signal
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

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._signalled) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself returned

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
            self._hard()
            os._exit(ExitCode.CANCELLED)
        self._cancelled = True
        if self._droppable:
            raise Interrupted
        with contextlib.suppress(OSError):  # the terminal may be what went away
            self._asked()
