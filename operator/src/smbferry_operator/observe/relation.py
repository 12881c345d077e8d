"""Which values belong to a key: a dict of sets that keeps a single value without a set around it."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Relation(Generic[K, V]):
    """Most objects have one Job and one pod, and a set takes as much memory as everything else kept of them."""

    def __init__(self) -> None:
        self._one: dict[K, V] = {}
        self._several: dict[K, set[V]] = {}

    def __bool__(self) -> bool:
        return bool(self._one or self._several)

    def __contains__(self, key: K) -> bool:
        return key in self._one or key in self._several

    def of(self, key: K) -> Iterator[V]:
        """The values of a key, in any order."""
        if key in self._one:
            yield self._one[key]
        yield from self._several.get(key, ())

    def add(self, key: K, value: V) -> None:
        """Adds a value; one that is there stays."""
        if key in self._several:
            self._several[key].add(value)
        elif (known := self._one.setdefault(key, value)) != value:
            self._several[key] = {known, value}
            del self._one[key]

    def discard(self, key: K, value: V) -> None:
        """Removes a value."""
        if key in self._several:
            self._several[key].discard(value)
            if len(self._several[key]) == 1:
                self._one[key] = self._several.pop(key).pop()
        elif self._one.get(key) == value:
            del self._one[key]

    def clear(self) -> None:
        """Removes everything."""
        self._one.clear()
        self._several.clear()
