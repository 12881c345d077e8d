"""The folders that a walk has still to take, last in, first out."""

from collections.abc import Iterable

from smbferry_engine.core.tasks import Signal
from smbferry_engine.folders import Folder


class Frontier:
    """Folders that are still to be walked; tells walkers when none is left and none is under way."""

    def __init__(self, roots: Iterable[Folder]) -> None:
        self._stack = list(roots)
        self._active = 0
        self._waiting: list[Signal[None]] = []

    def push(self, folder: Folder) -> None:
        """Add a folder."""
        self._stack.append(folder)
        self._wake()

    async def take(self) -> Folder | None:
        """The newest folder; None when the walk is over. Each one taken must be told :meth:`walked`."""
        while not self._stack:
            if not self._active:
                return None
            change: Signal[None] = Signal()
            self._waiting.append(change)
            await change
        self._active += 1
        return self._stack.pop()

    def walked(self) -> None:
        """A folder that was taken is done."""
        self._active -= 1
        if not self._active:
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            change.resolve(None)
