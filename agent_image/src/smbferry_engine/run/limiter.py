"""Limits of a run: its rate, and how many large files are copied at once."""

from collections.abc import Callable

from smbferry_engine.runtime.sync import Gate
from smbferry_engine.runtime.tasks import Scheduler

_LARGE_FILES_AT_ONCE = 2
_BURST_SECONDS = 0.25
_LOOK_AGAIN = 5.0  # seconds after which a waiting coroutine notices a changed limit
_DUST = 1e-3  # bytes: rounding errors of floating point
_LEAST_PIECE = 64 * 1024


class Limiter:
    """A token bucket over bytes, and a gate for large files.

    ``limit()`` returns bytes per second, None for no limit. It may change: it is called for each request, and every few
    seconds while one waits.
    """

    def __init__(self, scheduler: Scheduler, limit: Callable[[], int | None]) -> None:
        self._scheduler = scheduler
        self._limit = limit
        self._asked = 0.0
        self._granted = 0.0
        self._at = 0.0
        self.large_files = Gate(_LARGE_FILES_AT_ONCE)

    def piece(self, most: int) -> int:
        """Return how many of ``most`` bytes to move at a time, so that the rate is even."""
        rate = self._limit()
        return most if rate is None else max(_LEAST_PIECE, min(most, int(rate * _BURST_SECONDS)))

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes may be moved; earlier callers go first."""
        self._refill()
        mine = self._asked
        self._asked += count
        try:
            while (rate := self._refill()) is not None and (missing := mine - self._granted) > _DUST:
                await self._scheduler.sleep(min(missing / rate, _LOOK_AGAIN))
        except GeneratorExit:
            self._granted += count  # stopped while it waited: the next one in line gets its share
            raise

    async def before(self, _offset: int, length: int) -> None:
        """Wait until a range may be read; called by a stream before each READ."""
        await self.take(length)

    def _refill(self) -> int | None:
        """Grant the bytes that the elapsed time allows; returns the rate."""
        now, rate = self._scheduler.now, self._limit()
        if rate is None:
            self._granted = self._asked
        else:
            most = self._asked + rate * _BURST_SECONDS
            self._granted = min(self._granted + (now - self._at) * rate, most)
        self._at = now
        return rate
