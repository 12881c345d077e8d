"""Synchronization of tasks: a bounded queue, a semaphore, a sequencer."""

from collections import deque
from typing import Generic, TypeVar

from smbferry_engine.runtime.tasks import Signal

T = TypeVar("T")


class Queue(Generic[T]):
    """A FIFO queue of at most ``limit`` items; closed when no more will be added."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._getters: deque[Signal[None]] = deque()
        self._putters: deque[Signal[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: T) -> None:
        """Add an item, waiting while the queue is full."""
        while len(self._items) >= self._limit:
            room: Signal[None] = Signal()
            self._putters.append(room)
            await room
        self._items.append(item)
        if self._getters:
            self._getters.popleft().resolve(None)

    async def get(self) -> T | None:
        """Take the oldest item, waiting for one; None when the queue is closed and empty."""
        while not self._items:
            if self._closed:
                return None
            arrival: Signal[None] = Signal()
            self._getters.append(arrival)
            await arrival
        item = self._items.popleft()
        if self._putters:
            self._putters.popleft().resolve(None)
        return item

    def close(self) -> None:
        """Close the queue: :meth:`get` returns None once it is empty."""
        self._closed = True
        while self._getters:
            self._getters.popleft().resolve(None)


class Gate:
    """A semaphore: at most ``limit`` holders at once."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[Signal[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place."""
        while self._free <= 0:
            turn: Signal[None] = Signal()
            self._waiting.append(turn)
            try:
                await turn
            except GeneratorExit:
                # Stopped while it waited: its turn must not be lost to those behind it.
                if turn.done:
                    self._wake()
                else:
                    self._waiting.remove(turn)
                raise
        self._free -= 1

    def leave(self) -> None:
        """Give the place back."""
        self._free += 1
        self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting.popleft().resolve(None)


class Sequencer:
    """Lets the ranges of one file pass in the order of their offsets, whatever the order of their replies."""

    def __init__(self, position: int = 0) -> None:
        self._position = position
        self._waiting: dict[int, Signal[None]] = {}

    async def reach(self, offset: int) -> None:
        """Wait until everything before ``offset`` has passed."""
        while self._position != offset:
            turn: Signal[None] = Signal()
            self._waiting[offset] = turn
            await turn

    def passed(self, offset: int) -> None:
        """Record that everything before ``offset`` has passed."""
        self._position = offset
        waiter = self._waiting.pop(offset, None)
        if waiter is not None:
            waiter.resolve(None)
