"""A scheduler of coroutines, deterministic and without IO: what asyncio's loop is, minus the sockets and the clock.

One coroutine describes one file, folder or range; it awaits calls on lanes, queues and timers. Whoever drives the
scheduler delivers replies and says what time it is, so a whole transfer can be tested with no socket and no sleeping.
"""

import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """Something that will happen once, with a value or an error; awaiting it gives the value or raises the error."""

    __slots__ = ("_error", "_value", "_waiters", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiters: list[Callable[[], None]] = []

    def resolve(self, value: T) -> None:
        """It happened. Later calls are ignored: whoever waited has gone."""
        if not self.done:
            self._value = value
            self._finish()

    def fail(self, error: BaseException) -> None:
        """It can't happen any more, for this reason."""
        if not self.done:
            self._error = error
            self._finish()

    @property
    def error(self) -> BaseException | None:
        """Why it failed, if it did."""
        return self._error

    def result(self) -> T:
        """The value; raises the error. Only for a signal that is done."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # resolve() set it, and T may itself allow None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back when it happens, at once if it has."""
        if self.done:
            callback()
        else:
            self._waiters.append(callback)

    def _finish(self) -> None:
        self.done = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter()

    def __await__(self) -> "Generator[Signal[Any], None, T]":
        if not self.done:
            yield self
        return self.result()


class Task(Signal[T]):
    """A running coroutine; awaiting it gives what it returns or raises what it raised."""

    __slots__ = ("_coroutine", "_scheduler")

    def __init__(self, coroutine: Coroutine[Signal[Any], None, T], scheduler: "Scheduler") -> None:
        super().__init__()
        self._coroutine = coroutine
        self._scheduler = scheduler

    def step(self) -> None:
        """Run until the next wait."""
        try:
            awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self._scheduler.forget(self)
            self.resolve(stop.value)
        except Exception as error:  # noqa: BLE001  # handed to whoever awaits the task, who is the one to judge it
            self._scheduler.forget(self)
            self.fail(error)
        else:
            awaited.when_done(self._wake)

    def _wake(self) -> None:
        self._scheduler.wake(self)

    def close(self) -> None:
        """End the coroutine where it waits; its ``finally`` blocks run and may not wait."""
        self._coroutine.close()
        self._scheduler.forget(self)


class Scheduler:
    """Runs tasks that can go on, in the order in which they became able to."""

    def __init__(self) -> None:
        self._ready: deque[Task[Any]] = deque()
        self._timers: list[tuple[float, int, Signal[None]]] = []
        self._serial = count()
        self._alive: dict[Task[Any], None] = {}
        self.now = 0.0

    def spawn(self, coroutine: Coroutine[Any, None, T]) -> Task[T]:
        """Start a coroutine; it first runs at the next :meth:`run_ready`."""
        task = Task(coroutine, self)
        self._alive[task] = None
        self._ready.append(task)
        return task

    def wake(self, task: Task[Any]) -> None:
        """Put a task in the queue of those that can go on."""
        if task in self._alive:
            self._ready.append(task)

    def forget(self, task: Task[Any]) -> None:
        """A task has ended."""
        self._alive.pop(task, None)

    def sleep(self, seconds: float) -> Signal[None]:
        """Happens ``seconds`` from now."""
        signal: Signal[None] = Signal()
        heapq.heappush(self._timers, (self.now + seconds, next(self._serial), signal))
        return signal

    def advance(self, now: float) -> None:
        """It is now ``now`` (seconds of a monotonic clock)."""
        self.now = now
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].resolve(None)

    def next_timer(self) -> float | None:
        """When the next timer fires, or None."""
        return self._timers[0][0] if self._timers else None

    @property
    def idle(self) -> bool:
        """Whether nothing can go on before a reply or a timer."""
        return not self._ready

    def run_ready(self) -> None:
        """Run every task that can go on, until none can."""
        while self._ready:
            task = self._ready.popleft()
            if not task.done:
                task.step()

    def close_all(self) -> None:
        """End every task where it stands."""
        self._ready.clear()
        self._timers.clear()
        for task in list(self._alive):
            task.close()
