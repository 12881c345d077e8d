"""What a run has of a large file when the file's copying is cut short: how far it is, and the hash of all before that.

The next attempt goes on there, and reads of the source only what is missing: a file whose copying takes longer than the
sessions of its server live comes to its end all the same. The destination is not believed for it. What an earlier
session wrote is read back and hashed by the attempt that lands the file, while it copies the rest; if that is not what
was read from the source, as after a server's crash, the file is gone through from its beginning.

Where connections keep dying, reading back comes to its end, too: what was flushed to the server's disk and read back is
not read back again.
"""

from collections import deque
from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.wire.create import CreateReply

_MOST_AHEAD = 256


class KeptDiffersError(FileError):
    """What an earlier session of this run wrote is not at the destination any more."""

    def __init__(self, through: int) -> None:
        super().__init__(FileReason.HASH_MISMATCH, f"the first {through} bytes are not what was written before")


class Kept(NamedTuple):
    """All before ``through`` was read of the source and written, by an earlier session; ``hasher`` is BLAKE3 of it."""

    through: int
    hasher: blake3


NOTHING = Kept(0, blake3())


class Headway:
    """How far one file is: all from ``begin`` to before ``through`` is read, written, and in ``hasher`` (BLAKE3)."""

    def __init__(self, opened: CreateReply, begin: int = 0) -> None:
        self._version = _version(opened)
        self._ahead: deque[tuple[int, blake3]] = deque()
        self._begin = begin
        self._back: deque[tuple[int, blake3]] = deque()
        self._proved = NOTHING
        self._durable = 0
        self.remembers = False
        self.through = begin
        self.hasher = blake3()

    def kept(self) -> Kept:
        """What there is now."""
        return Kept(self.through, self.hasher)

    @property
    def amount(self) -> int:
        """Grows with everything that is read, or read back, and need not be again."""
        return self.through + self._proved.through

    def serves(self, opened: CreateReply, kept_size: int) -> bool:
        """Whether it is of the file as it is now, and a temporary of ``kept_size`` bytes can hold what it tells of."""
        return self._version == _version(opened) and (self.through == self._begin or self.through <= kept_size)

    def hashed(self, end: int, hasher: blake3, settled: int) -> None:
        """All before ``end`` has been read, and is in ``hasher``; all before ``settled`` is at the destination."""
        self._ahead.append((end, hasher.copy()))
        self.settle(settled)
        if len(self._ahead) > _MOST_AHEAD:
            # A hole without an end yet: fewer points do, as long as the last one is among them.
            self._ahead = deque(reversed(list(self._ahead)[::-2]))

    def read_back(self, end: int, hasher: blake3) -> None:
        """All before ``end`` has been read back from the destination, and is in ``hasher``.

        Called only where it ``remembers``: where connections die.
        """
        if end <= self._durable:
            self._proved = Kept(end, hasher.copy())
            return
        self._back.append((end, hasher.copy()))
        if len(self._back) > _MOST_AHEAD:
            self._back = deque(reversed(list(self._back)[::-2]))

    def flushed(self, through: int) -> None:
        """All before ``through`` is on the destination's disk: what was read back of that need not be again."""
        self._durable = max(self._durable, through)
        while self._back and self._back[0][0] <= through:
            self._proved = Kept(*self._back.popleft())

    def proved(self) -> Kept:
        """What was read back and can't be lost any more; not checked against the source. Forgets all beyond."""
        self._back.clear()
        return self._proved if self._proved.through <= self.through else NOTHING

    def settle(self, settled: int) -> None:
        """All before ``settled`` is at the destination."""
        while self._ahead and self._ahead[0][0] <= settled:
            self.through, self.hasher = self._ahead.popleft()

    def pause(self, settled: int) -> None:
        """The attempt is over: what it read ahead of what it settled has to be read again."""
        self.settle(settled)
        self._ahead.clear()


def _version(opened: CreateReply) -> tuple[int, int, int]:
    return opened.size, opened.write_time, opened.change_time
