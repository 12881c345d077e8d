"""A level-triggered work queue: what is to be looked at, not what has happened.

A key is in it once, however often it is added; one that is added while it is worked on is worked on again
afterwards; failures are repeated with growing delays. Some keys go before others, but the others have their turns, too.
The core knows no clock and no tasks: time is an argument.
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


class WorkQueue(Generic[K]):
    """The core. Times are seconds of any one clock that never goes back."""

    def __init__(self, spread: Callable[[], float] = random.random, goes_first: Callable[[K], bool] = _nobody) -> None:
        """Makes an empty queue.

        Args:
            spread: gives numbers from 0 to 1 for the jitter.
            goes_first: whether a key that becomes ready is taken before others.
        """
        self._spread = spread
        self._goes_first = goes_first
        self._first: OrderedDict[K, None] = OrderedDict()
        self._ready: OrderedDict[K, None] = OrderedDict()
        self._in_a_row = 0
        self._under_way: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._failures: dict[K, int] = {}

    def __len__(self) -> int:
        """How many keys wait to be worked on now."""
        return len(self._first) + len(self._ready) + len(self._again)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    @property
    def under_way(self) -> int:
        """How many keys are worked on."""
        return len(self._under_way)

    def add(self, key: K) -> None:
        """To be looked at as soon as a worker is free; what was planned for later is done by that as well."""
        self._due.pop(key, None)
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
        """To be looked at then, unless it already is to be sooner."""
        waits = key in self._first or key in self._ready or key in self._again
        if waits or self._due.get(key, float("inf")) <= when:
            return
        self._due[key] = when
        self._sequence += 1
        heapq.heappush(self._heap, (when, self._sequence, key))

    def take(self, now: float, *, only_first: bool = False) -> K | None:
        """The next key to work on; None if there is none now. `done` or `failed` must follow.

        Args:
            only_first: of those that go before others.
        """
        self._promote(now)
        others_turn = self._ready and not only_first and (not self._first or self._in_a_row >= IN_A_ROW)
        lane = self._ready if others_turn else self._first
        if not lane:
            return None
        self._in_a_row = 0 if others_turn else self._in_a_row + 1
        key, _ = lane.popitem(last=False)
        self._under_way.add(key)
        return key

    def done(self, key: K) -> None:
        """The work on the key went well."""
        self._failures.pop(key, None)
        self._release(key)

    def failed(self, key: K, now: float) -> float:
        """The work on the key failed: it is repeated after the returned delay, in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, MAX_DOUBLINGS))
        delay *= 1 + JITTER * (2 * self._spread() - 1)
        self._under_way.discard(key)
        self._again.discard(key)  # what came during the work is seen by the repetition
        self.add_at(key, now + delay)
        return delay

    def next_due(self) -> float | None:
        """When the next delayed key is due; None if there is none."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _release(self, key: K) -> None:
        self._under_way.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            if key in self._under_way:
                self._again.add(key)
            else:
                self._make_ready(key)
