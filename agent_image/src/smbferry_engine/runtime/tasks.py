"""A deterministic scheduler of coroutines: an event loop without sockets and clock.

A coroutine handles one file, folder or range; it awaits calls on sessions, queues and timers. The driver delivers
replies and sets the time, so that a whole transfer can be tested without sockets and sleeping.
"""

import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Signal(Generic[T]):
    """A future: it is resolved once, with a value or an error; awaiting it returns the value or raises the error."""

    __slots__ = ("_error", "_value", "_waiters", "done")

    def __init__(self) -> None:
        self.done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._waiters: list[Callable[[], None]] = []

    def resolve(self, value: T) -> None:
        """Set the value. Later calls are ignored."""
        if not self.done:
            self._value = value
            self._finish()

    def fail(self, error: BaseException) -> None:
        """Set the error. Later calls are ignored."""
        if not self.done:
            self._error = error
            self._finish()

    @property
    def error(self) -> BaseException | None:
        """The error, None if there is none."""
        return self._error

    def result(self) -> T:
        """Return the value or raise the error; only if it is done."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # resolve() set it, and T may itself allow None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back when it is done, at once if it is."""
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
    """A running coroutine; awaiting it returns its result or raises its error."""

    __slots__ = ("_coroutine", "_scheduler")

    def __init__(self, coroutine: Coroutine[Signal[Any], None, T], scheduler: "Scheduler") -> None:
        super().__init__()
        self._coroutine = coroutine
        self._scheduler = scheduler

    def step(self) -> None:
        """Run the coroutine until it waits."""
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
        """Close the coroutine where it waits; its ``finally`` blocks run, but must not wait."""
        self._coroutine.close()
        self._scheduler.forget(self)


class Scheduler:
    """Runs tasks that are ready, in the order in which they became ready."""

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
        """Mark a task as ready."""
        if task in self._alive:
            self._ready.append(task)

    def forget(self, task: Task[Any]) -> None:
        """Remove a task that has ended."""
        self._alive.pop(task, None)

    def sleep(self, seconds: float) -> Signal[None]:
        """Return a signal that is resolved ``seconds`` from now."""
        signal: Signal[None] = Signal()
        heapq.heappush(self._timers, (self.now + seconds, next(self._serial), signal))
        return signal

    def advance(self, now: float) -> None:
        """Set the time to ``now`` (monotonic seconds) and resolve the timers that are due."""
        self.now = now
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].resolve(None)

    def next_timer(self) -> float | None:
        """Return when the next timer is due, None if there is none."""
        return self._timers[0][0] if self._timers else None

    @property
    def idle(self) -> bool:
        """True if no task is ready."""
        return not self._ready

    def run_ready(self) -> None:
        """Run ready tasks until none is ready."""
        while self._ready:
            task = self._ready.popleft()
            if not task.done:
                task.step()

    def close_all(self) -> None:
        """Close every task."""
        self._ready.clear()
        self._timers.clear()
        for task in list(self._alive):
            task.close()
