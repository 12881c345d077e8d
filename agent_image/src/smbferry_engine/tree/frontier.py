"""The folders that are still to be walked, last in, first out."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from smbferry_engine.runtime.tasks import Signal

T = TypeVar("T")


class Frontier(Generic[T]):
    """A stack of folders; the walk is over when it is empty and no walker is busy."""

    def __init__(self, roots: Iterable[T]) -> None:
        self._stack = list(roots)
        self._active = 0
        self._waiting: list[Signal[None]] = []

    def push(self, folder: T) -> None:
        """Add a folder."""
        self._stack.append(folder)
        self._wake()

    async def take(self) -> T | None:
        """Return the newest folder; None when the walk is over. Call :meth:`walked` after each folder."""
        while not self._stack:
            if not self._active:
                return None
            change: Signal[None] = Signal()
            self._waiting.append(change)
            await change
        self._active += 1
        return self._stack.pop()

    def walked(self) -> None:
        """Record that a folder was walked."""
        self._active -= 1
        if not self._active:
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            change.resolve(None)
