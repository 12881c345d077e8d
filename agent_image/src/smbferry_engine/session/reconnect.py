"""Reconnects after a lost connection, and repeats the operations that it interrupted.

Every operation on a file or folder may be repeated: a large file is resumed (see ``staging``), a file that was
committed just before the connection was lost is replaced by itself, a folder that was created exists, a file that was
deleted is gone. Only network errors are handled this way, not protocol violations or refusals.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.model import Counters
from smbferry_engine.runtime.tasks import Scheduler, Signal
from smbferry_words.failure_class import FailureClass
from smbferry_words.reasons import CONNECTION_LOST, DEADLINE_EXCEEDED, SESSION_ENDED

T = TypeVar("T")

# Seconds before each attempt. After so many attempts in a row without progress the run fails. Bytes alone are no
# progress: they may be the same each time.
PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)

_TRANSIENT = frozenset(reason.name for reason in (CONNECTION_LOST, DEADLINE_EXCEEDED, SESSION_ENDED))


def is_transient(error: Exception) -> bool:
    """Return whether a new connection may solve the error."""
    return isinstance(error, EngineError) and error.reason in _TRANSIENT


class Recovery:
    """Repeats operations after reconnecting.

    ``broken()`` returns whether a side must be reconnected; ``restore()`` reconnects such sides (blocking, bounded in
    time) or raises :class:`EngineError`. ``resumed()`` grows with every part of a large file that need not be copied
    again. ``refused(error)``, if set, is awaited when a file fails; it may raise the reason for which the run fails.
    """

    def __init__(
        self, scheduler: Scheduler, counters: Counters, broken: Callable[[], bool], restore: Callable[[], None]
    ) -> None:
        self._scheduler = scheduler
        self._counters = counters
        self._broken = broken
        self._restore = restore
        self._under_way: Signal[None] | None = None
        self._attempts = 0
        self._progress = (0, 0, 0, 0)
        self.resumed: Callable[[], int] = lambda: 0
        self.refused: Callable[[FileError], Awaitable[None]] | None = None

    async def persist(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Return the result of ``operation``, which is repeated after each reconnection."""
        while True:
            try:
                return await operation()
            except EngineError as error:
                if not is_transient(error):
                    raise
                await self._recover(error)
            except FileError as error:
                if self.refused is not None:
                    await self.refused(error)
                raise

    async def _recover(self, error: EngineError) -> None:
        """Wait until both sides are connected; the first caller reconnects, the others wait."""
        if self._under_way is not None:
            await self._under_way
            return
        self._under_way = Signal()
        try:
            await self._reconnect(error)
        except EngineError as final:
            self._under_way.fail(final)
            raise
        else:
            self._under_way.resolve(None)
        finally:
            self._under_way = None

    async def _reconnect(self, error: EngineError) -> None:
        files, folders = self._counters.files, self._counters.directories
        done = files.transferred + files.skipped + files.failed + files.deleted + folders.deleted
        seen = files.listed + folders.listed
        progress = (done, seen, self._counters.bytes.server_side, self.resumed())
        if progress != self._progress:
            self._progress = progress
            self._attempts = 0
        while self._broken():
            if self._attempts >= len(PAUSES):
                raise error
            pause = PAUSES[self._attempts]
            self._attempts += 1
            await self._scheduler.sleep(pause)
            try:
                self._restore()
            except EngineError as refusal:
                if refusal.failure_class is not FailureClass.NETWORK:
                    raise
                error = refusal
