"""Rates: how fast the transfer is, how long the rest may take, and the limit it must keep to."""

from collections import deque
from collections.abc import Callable

from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.model import Counters, Observer, Phase, PhaseState

_WINDOW = 10.0
_INTERVAL = 1.0
_BURST_SECONDS = 0.25
_LOOK_AGAIN = 5.0  # seconds: how long a changed limit may go unnoticed by whoever waits
_DUST = 1e-3  # bytes: what floating point may leave over
_LEAST_PIECE = 64 * 1024


class Meter:
    """Writes rate and remaining time into counters from the bytes of the last seconds."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._samples: deque[tuple[float, int]] = deque()
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Whether a second has passed since the last time; updates the counters if so. ``now`` is monotonic."""
        if now < self._next:
            return False
        self._next = now + _INTERVAL
        self.update(now)
        return True

    def update(self, now: float) -> None:
        """Take a sample and compute the rate over the window."""
        done = self._counters.bytes.transferred
        self._samples.append((now, done))
        while now - self._samples[0][0] > _WINDOW:
            self._samples.popleft()
        started, before = self._samples[0]
        if now > started:
            rate = (done - before) / (now - started)
            self._counters.bytes_per_second = int(rate)
            left = max(0, self._counters.bytes.to_transfer - done)
            self._counters.eta_seconds = left / rate if rate > 0 else None


class Phases:
    """Tells an observer how far each step is; a run that stops leaves none of them running."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._running: list[Phase] = []

    def begin(self, phase: Phase) -> None:
        """A step begins."""
        self._running.append(phase)
        self._observer.phase(phase, PhaseState.RUNNING)

    def end(self, phase: Phase) -> None:
        """A step that began is done."""
        self._running.remove(phase)
        self._observer.phase(phase, PhaseState.SUCCEEDED)

    def skip(self, phase: Phase) -> None:
        """A step that this run does not have."""
        self._observer.phase(phase, PhaseState.SKIPPED)

    def fail_running(self) -> None:
        """The run stops: what was under way has failed."""
        while self._running:
            self._observer.phase(self._running.pop(), PhaseState.FAILED)


class Limiter:
    """A token bucket over bytes; ``limit`` is asked each time and every few seconds of waiting: it may change."""

    def __init__(self, scheduler: Scheduler, limit: Callable[[], int | None]) -> None:
        self._scheduler = scheduler
        self._limit = limit
        self._asked = 0.0
        self._granted = 0.0
        self._at = 0.0

    def piece(self, most: int) -> int:
        """How much of ``most`` bytes to move at a time, so that a limit is kept evenly and not in bursts."""
        rate = self._limit()
        return most if rate is None else max(_LEAST_PIECE, min(most, int(rate * _BURST_SECONDS)))

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes may be moved: all that was asked for before them goes first."""
        self._refill()
        mine = self._asked
        self._asked += count
        try:
            while (rate := self._refill()) is not None and (missing := mine - self._granted) > _DUST:
                await self._scheduler.sleep(min(missing / rate, _LOOK_AGAIN))
        except GeneratorExit:
            self._granted += count  # stopped while it waited: its share goes to whoever is behind it
            raise

    async def before(self, _offset: int, length: int) -> None:
        """Wait until a range may be moved: what a stream awaits before it asks for one."""
        await self.take(length)

    def _refill(self) -> int | None:
        """Grant what the time since the last look allows; returns the rate."""
        now, rate = self._scheduler.now, self._limit()
        if rate is None:
            self._granted = self._asked
        else:
            most = self._asked + rate * _BURST_SECONDS
            self._granted = min(self._granted + (now - self._at) * rate, most)
        self._at = now
        return rate
