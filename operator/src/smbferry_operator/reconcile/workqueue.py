"""A level-triggered work queue of keys, as controllers in client-go have it.

A key is queued once, however often it is added. One that is added while it is being processed is processed again
afterwards. Failed keys are retried with growing delays. Some keys go first, but the others get their turns, too. The
queue uses no clock and no tasks: time is an argument.
"""

import heapq
import random
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 120.0
JITTER: Final = 0.25
MAX_DOUBLINGS: Final = 16
IN_A_ROW: Final = 4
"""How many keys that go first are taken before one of the others."""


def _nobody(_key: Hashable) -> bool:
    return False


class _Delayed(Generic[K]):
    """Keys for a later time, each for its earliest."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # also of keys that were discarded or moved to another time
        self._sequence = 0  # keeps keys, which have no order, from being compared

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: K, when: float) -> None:
        if self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, key))

    def discard(self, key: K) -> None:
        self._due.pop(key, None)

    def next(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float) -> K | None:
        """A key that is due, None if none is."""
        if (due := self.next()) is None or due > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key


class WorkQueue(Generic[K]):
    """The queue. Times are seconds of one monotonic clock."""

    def __init__(self, spread: Callable[[], float] = random.random, goes_first: Callable[[K], bool] = _nobody) -> None:
        """Creates an empty queue.

        Args:
            spread: returns numbers from 0 to 1 for the jitter.
            goes_first: whether a key that becomes ready is taken before others.
        """
        self._spread = spread
        self._goes_first = goes_first
        self._first: OrderedDict[K, None] = OrderedDict()
        self._ready: OrderedDict[K, None] = OrderedDict()
        self._in_a_row = 0
        self._under_way: set[K] = set()
        self._again: set[K] = set()
        self._delayed: _Delayed[K] = _Delayed()
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        """How many keys are ready."""
        return len(self._first) + len(self._ready) + len(self._again)

    @property
    def delayed(self) -> int:
        """How many keys wait for a later time."""
        return len(self._delayed)

    @property
    def under_way(self) -> int:
        """How many keys are being processed."""
        return len(self._under_way)

    def add(self, key: K) -> None:
        """Queues a key now; this replaces a later time."""
        self._delayed.discard(key)
        if key in self._under_way:
            self._again.add(key)
        else:
            self._make_ready(key)

    def _make_ready(self, key: K) -> None:
        if key in self._first:
            return
        if self._goes_first(key):
            self._ready.pop(key, None)
            self._first[key] = None
        else:
            self._ready[key] = None

    def add_at(self, key: K, when: float) -> None:
        """Queues a key for that time, unless it is queued for an earlier one."""
        if not (key in self._first or key in self._ready or key in self._again):
            self._delayed.add(key, when)

    def take(self, now: float, *, only_first: bool = False) -> K | None:
        """Takes the next key, None if none is ready. `done` or `failed` must follow.

        Args:
            only_first: take only a key that goes first.
        """
        self._promote(now)
        others_turn = self._ready and not only_first and (not self._first or self._in_a_row >= IN_A_ROW)
        queue = self._ready if others_turn else self._first
        if not queue:
            return None
        self._in_a_row = 0 if others_turn else self._in_a_row + 1
        key, _ = queue.popitem(last=False)
        self._under_way.add(key)
        return key

    def done(self, key: K) -> None:
        """The key was processed."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: K, now: float) -> float:
        """Processing failed: the key is queued again after the returned delay, in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, MAX_DOUBLINGS))
        delay *= 1 + JITTER * (2 * self._spread() - 1)
        self._under_way.discard(key)
        self._again.discard(key)  # the retry sees what was added meanwhile
        self.add_at(key, now + delay)
        return delay

    def next_due(self) -> float | None:
        """When the next delayed key is due, None if no key is delayed."""
        return self._delayed.next()

    def _release(self, key: K) -> None:
        self._under_way.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self, now: float) -> None:
        while (key := self._delayed.pop(now)) is not None:
            if key in self._under_way:
                self._again.add(key)
            else:
                self._make_ready(key)
