"""Which part of the tree a run copies: the whole tree, one shard, or what the shards left to finish."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from smbferry_engine.plan.shard import Piece, Shard, key_of


class Scope(Protocol):
    """What a run may count, copy and settle.

    ``is_whole``: the run deletes, sets the metadata of folders and cleans up; False if other agents copy the rest.
    ``pieces`` are those of large files that this agent has gathered.
    """

    is_whole: bool
    pieces: list[Piece]

    def holds(self, path: str) -> bool:
        """Return whether a name is this agent's to count and to report."""
        ...

    def meets(self, folder: str) -> bool:
        """Return whether anything in a folder, or the folder itself, may be this agent's."""
        ...

    def part(self, path: str, size: int) -> tuple[int, int] | None:
        """Return which bytes of a file are this agent's, as a half-open range; None for none of it."""
        ...

    def gathered(self, path: str) -> Sequence[Piece]:
        """Return what other agents have gathered of a large file."""
        ...


class WholeTree:
    """The whole tree, copied by this run alone."""

    is_whole = True

    def __init__(self) -> None:
        self.pieces: list[Piece] = []

    def holds(self, path: str) -> bool:
        """Return True for every name."""
        del path
        return True

    def meets(self, folder: str) -> bool:
        """Return True for every folder."""
        del folder
        return True

    def part(self, path: str, size: int) -> tuple[int, int] | None:
        """Return all bytes."""
        del path
        return 0, size

    def gathered(self, path: str) -> Sequence[Piece]:
        """Return nothing."""
        del path
        return ()


class Finish(WholeTree):
    """The whole tree, once its shards have been copied; ``pieces`` of large files are what they gathered."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        super().__init__()
        self._gathered: defaultdict[str, list[Piece]] = defaultdict(list)
        for piece in pieces:
            self._gathered[key_of(piece.path)].append(piece)

    def gathered(self, path: str) -> Sequence[Piece]:
        """Return what the shards gathered of a file."""
        return self._gathered.get(key_of(path), ())


class OneShard:
    """One agent's shard of the tree; other agents copy the rest at the same time, another one finishes."""

    is_whole = False

    def __init__(self, shard: Shard) -> None:
        self.holds = shard.holds
        self.meets = shard.meets
        self.part = shard.part
        self.pieces: list[Piece] = []

    def gathered(self, path: str) -> Sequence[Piece]:
        """Return nothing: only the finish commits pieces."""
        del path
        return ()
