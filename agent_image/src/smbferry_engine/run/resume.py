"""How far a run is with a large file, and the hash of everything before that, in case the connection is lost.

The next attempt resumes there and reads only what is missing from the source, so that a file completes even if its copy
takes longer than any session of its server lasts. The destination is not trusted: the attempt that commits the file
reads back and hashes what earlier sessions wrote, while it copies the rest. If that differs from what was read from the
source, as after a server crash, the file is copied from its beginning.

Where connections keep dying, reading back makes progress, too: what was flushed to the server's disk and read back once
is not read back again.
"""

import struct
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.plan.shard import Piece
from smbferry_engine.wire.create import CreateReply

_MOST_AHEAD = 256


class PrefixDiffersError(FileError):
    """The destination no longer holds what an earlier session of this run wrote."""

    def __init__(self, through: int) -> None:
        super().__init__(
            FileReason.HASH_MISMATCH, f"expected the first {through} bytes as they were written, got others"
        )


class VerifiedPrefix(NamedTuple):
    """What an earlier session read from the source and wrote: all before ``through``, with its BLAKE3 in ``hasher``."""

    through: int
    hasher: blake3


NOTHING = VerifiedPrefix(0, blake3())


class ResumePoint:
    """How far one file is: the half-open range (begin, through) is read, written, and hashed in ``hasher`` (BLAKE3)."""

    def __init__(self, opened: CreateReply, begin: int = 0) -> None:
        self._opened = opened
        self._ahead: deque[tuple[int, blake3]] = deque()
        self._begin = begin
        self._back: deque[tuple[int, blake3]] = deque()
        self._proved = NOTHING
        self._durable = 0
        self.remembers = False
        self.through = begin
        self.hasher = blake3()

    def adopt(self, prefix: VerifiedPrefix) -> None:
        """Begin after a prefix that an earlier agent wrote, and that was flushed and read back since."""
        self.through, self.hasher = prefix
        self._proved = prefix

    @property
    def version(self) -> bytes:
        """The version of the source file, as a :class:`~smbferry_engine.plan.shard.Piece` has it."""
        return version_of(self._opened)

    def kept(self) -> VerifiedPrefix:
        """Return the prefix that is read and written."""
        return VerifiedPrefix(self.through, self.hasher)

    @property
    def amount(self) -> int:
        """Bytes that need not be read, or read back, again; it only grows."""
        return self.through + self._proved.through

    def serves(self, opened: CreateReply, kept_size: int) -> bool:
        """Return whether it describes the file as it is now, and a staging file of ``kept_size`` bytes can hold that
        prefix.
        """
        return self.version == version_of(opened) and (self.through == self._begin or self.through <= kept_size)

    def hashed(self, end: int, hasher: blake3, settled: int) -> None:
        """Record that all before ``end`` has been read and hashed, and all before ``settled`` is at the destination."""
        self._ahead.append((end, hasher.copy()))
        self.settle(settled)
        if len(self._ahead) > _MOST_AHEAD:
            # The destination lags far behind: keep every other point, the last one included.
            self._ahead = deque(reversed(list(self._ahead)[::-2]))

    def read_back(self, end: int, hasher: blake3) -> None:
        """Record that all before ``end`` has been read back from the destination and hashed.

        Called only if ``remembers`` is set: where connections die.
        """
        if end <= self._durable:
            self._proved = VerifiedPrefix(end, hasher.copy())
            return
        self._back.append((end, hasher.copy()))
        if len(self._back) > _MOST_AHEAD:
            self._back = deque(reversed(list(self._back)[::-2]))

    def flushed(self, through: int) -> None:
        """Record that all before ``through`` is on the destination's disk: it need not be read back twice."""
        self._durable = max(self._durable, through)
        while self._back and self._back[0][0] <= through:
            self._proved = VerifiedPrefix(*self._back.popleft())

    def proved(self) -> VerifiedPrefix:
        """Return the prefix that was read back and flushed, not yet compared with the source. Forgets what is beyond
        it.
        """
        self._back.clear()
        return self._proved if self._proved.through <= self.through else NOTHING

    def settle(self, settled: int) -> None:
        """Record that all before ``settled`` is at the destination."""
        while self._ahead and self._ahead[0][0] <= settled:
            self.through, self.hasher = self._ahead.popleft()

    def pause(self, settled: int) -> None:
        """End an attempt: what was read and is not at the destination must be read again."""
        self.settle(settled)
        self._ahead.clear()


def version_of(opened: CreateReply) -> bytes:
    """Return what identifies the version of an open source file: parts of two versions make no file."""
    return struct.pack("<QQ", opened.size, opened.write_time) + opened.change_time.to_bytes(8, "big")


class ResumePoints:
    """The resume points of a run, by path and first byte of the part."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, int], ResumePoint] = {}

    def __len__(self) -> int:
        return len(self._points)

    def get(self, path: str, begin: int = 0) -> ResumePoint | None:
        """Return the resume point of a file, or of its part from ``begin``."""
        return self._points.get((path, begin))

    def begin(self, path: str, opened: CreateReply, kept_size: int, begin: int = 0) -> ResumePoint:
        """Return the resume point of a file, or of its part from ``begin``; a new one if the old one can't be used."""
        found = self.get(path, begin)
        if found is None or not found.serves(opened, kept_size):
            found = self._points[path, begin] = ResumePoint(opened, begin)
        return found

    def pieces(self) -> Iterable[Piece]:
        """Yield what is read and written of each file, or of its part."""
        for (path, begin), point in self._points.items():
            if begin < point.through:
                yield Piece(path, point.version, begin, point.through, point.hasher.digest())

    def forget(self, path: str, begin: int = 0) -> None:
        """Forget it: the file is done, or the next attempt starts over."""
        self._points.pop((path, begin), None)

    def has_part_of(self, path: str) -> bool:
        """Return whether this run has copied some of a file."""
        return any(name == path for name, _ in self._points)

    @property
    def amount(self) -> int:
        """Bytes that need not be read, or read back, again; it only grows."""
        return sum(point.amount for point in self._points.values())


class Handover:
    """What one agent of a run leaves to the next: how far it is with large files, and the BLAKE3 of that.

    The next agent reads this back from the destination. If it has this hash, the source is read from there on.

    Args:
        found: what the earlier agent has left.
    """

    def __init__(self, found: Iterable[Piece] = ()) -> None:
        self._pieces = {(piece.path, piece.start): piece for piece in found if piece.start < piece.end}

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """What an agent that starts now can continue, the longest first."""
        return tuple(sorted(self._pieces.values(), key=lambda piece: piece.start - piece.end))

    def of(self, path: str, opened: CreateReply, kept_size: int, begin: int = 0) -> Piece | None:
        """Return how far a file is, or its part from ``begin``; None if nothing is known of this version, or its
        staging file is shorter.
        """
        piece = self._pieces.get((path, begin))
        fits = piece is not None and piece.version == version_of(opened) and piece.end <= kept_size
        return piece if fits else None

    def forget(self, path: str, begin: int = 0) -> None:
        """Forget it: the file is done, or its staging file holds something else."""
        self._pieces.pop((path, begin), None)

    def leave(self, points: ResumePoints) -> None:
        """Note how far this agent is. It has stopped, and its staging files stay."""
        self._pieces |= {(piece.path, piece.start): piece for piece in points.pieces()}
