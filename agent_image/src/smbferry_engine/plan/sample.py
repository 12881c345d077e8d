"""Random samples of bounded size from a stream of unknown length, and what they say about all of it. Pure."""

import heapq
import math
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

_Z: Final = 1.96  # 95 % of a normal distribution lie within so many standard deviations


class Reservoir(Generic[T]):
    """The ``size`` items with the smallest keys: a uniform sample if keys are drawn at random, whatever the order.

    ``bar`` is the key below which a further item enters; callers test it first, so that most items cost one comparison.
    """

    __slots__ = ("_heap", "_serial", "_size", "bar")

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, T]] = []
        self._serial = 0
        self.bar = math.inf

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, key: float, item: T) -> None:
        """Add an item with a random ``key``; the item with the largest key leaves a full sample."""
        if key >= self.bar:
            return
        self._serial += 1
        entry = (-key, self._serial, item)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)
        if len(self._heap) == self._size:
            self.bar = -self._heap[0][0]

    def items(self) -> list[T]:
        """Return the sample, in the order of its keys, so that every beginning of it is a sample, too."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: -entry[0])]


class Estimate(NamedTuple):
    """How many of a population have a property; ``at_most``: the upper bound of the interval with 95 % confidence."""

    likely: int
    at_most: int


def estimate(hits: int, sampled: int, population: int) -> Estimate:
    """Estimate from a sample of ``sampled`` out of ``population`` of which ``hits`` have the property.

    The bound is that of Wilson's score interval; a sample of the whole population is exact.
    """
    if sampled >= population or not sampled:
        return Estimate(hits, hits if sampled else population)
    share, z = hits / sampled, _Z
    middle = share + z * z / (2 * sampled)
    spread = z * math.sqrt(share * (1 - share) / sampled + z * z / (4 * sampled * sampled))
    upper = min(1.0, (middle + spread) / (1 + z * z / sampled))
    return Estimate(round(share * population), math.ceil(upper * population))
