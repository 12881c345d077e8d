"""A connection that is lost is made again, and what it interrupted is done again from its beginning.

Everything that a run does to one file or folder may be repeated: a large file goes on where it was (see ``temporary``),
one that landed just before the connection went is replaced by itself, a folder that was made is there, a file that was
deleted is gone. Only failures of the network are met this way; a server that breaks the protocol or refuses is not
asked twice.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from smbferry_engine.core.tasks import Scheduler, Signal
from smbferry_engine.errors import CONNECTION_LOST, DEADLINE_EXCEEDED, SESSION_ENDED, EngineError, FailureClass
from smbferry_engine.model import Counters

T = TypeVar("T")

# Seconds before each attempt. As many in a row are the end, unless something was done between them that need not be
# done again: bytes alone do not count, which may be the same each time.
PAUSES = (0.2, 1.0, 2.0, 4.0, 8.0)

_TRANSIENT = frozenset(reason.name for reason in (CONNECTION_LOST, DEADLINE_EXCEEDED, SESSION_ENDED))


def is_transient(error: Exception) -> bool:
    """Whether a new connection may be all that is missing."""
    return isinstance(error, EngineError) and error.reason in _TRANSIENT


class Recovery:
    """Repeats operations over reconnections.

    ``broken()`` tells whether a side's session is gone, ``restore()`` makes every such side anew (blocking, bounded in
    time) or raises :class:`EngineError`. ``headway()``, where it is set, changes with every part of a large file that
    need not be done again.
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
        self.headway: Callable[[], int] = lambda: 0

    async def persist(self, operation: Callable[[], Awaitable[T]]) -> T:
        """The result of ``operation``, which is started again whenever its connection was lost and is back."""
        while True:
            try:
                return await operation()
            except EngineError as error:
                if not is_transient(error):
                    raise
                await self._recover(error)

    async def _recover(self, error: EngineError) -> None:
        """Return when both sides are up; whoever comes first does the work and the others wait for it."""
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
        progress = (done, seen, self._counters.bytes.server_side, self.headway())
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
