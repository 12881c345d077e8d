"""Cuts a tree's work into even shards, one per agent, from what a survey found. Pure.

All positions of a tree are ordered: folders and files by their paths as SMB compares names, a folder before its
content, and within a file its bytes. A cut is such a position, and a shard is what lies between two cuts: whole
subtrees, single files if a folder is cut, and a range of a large file if a file is cut. However the tree changes
between the survey and the copy, each position is in exactly one shard. So shards are disjoint, their union is the tree,
and agents need to agree only on the cuts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Self

from smbferry_engine.paths import SEPARATOR, case_key, display, from_display

FILE_WORK: Final = 64 * 1024
"""The fixed cost of a file, in bytes that could be copied meanwhile."""
MIN_PIECE: Final = 32 << 20
"""The least distance of a cut from the beginning and end of a file and from another cut, in bytes."""
MIN_SHARD: Final = 16 << 20
"""The least work that is worth another agent, in bytes."""
_ALIGNMENT: Final = 1 << 20
_POINTS: Final = 100_000
_BELOW = "\0"  # sorts before every character of a name, so that a folder's subtree is contiguous
_BEHIND = "\1"
_MAX_SHOWN: Final = 4096


def key_of(path: str) -> str:
    """Return the sort key of a path: equal if SMB takes paths for the same, a folder directly before its content."""
    return case_key(path).replace(SEPARATOR, _BELOW)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A position in the order of a tree; ``offset`` within a file."""

    key: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one shard ends and the next begins: at a file or folder, or ``offset`` bytes into a file."""

    path: str
    offset: int = 0

    @property
    def position(self) -> Position:
        """Its position in the order."""
        return Position(key_of(self.path), self.offset)

    @property
    def shown(self) -> str:
        """The path as printable text; :meth:`read` parses it."""
        return display(self.path)

    @classmethod
    def read(cls, shown: str, offset: int) -> Self:
        """Parse a cut from :attr:`shown`."""
        return cls(from_display(shown), offset)


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a tree from ``start`` to before ``end``; None is the end of the tree on that side."""

    start: Position | None = None
    end: Position | None = None

    def holds(self, path: str) -> bool:
        """Return whether a folder itself, or the first byte of a file, is in this shard."""
        return self._has(Position(key_of(path)))

    def meets(self, folder: str) -> bool:
        """Return whether anything in a folder, or the folder itself, may be in this shard."""
        if not folder:
            return True
        key = key_of(folder)
        begins_before_its_end = self.start is None or self.start.key < key + _BEHIND
        return begins_before_its_end and (self.end is None or Position(key) < self.end)

    def part(self, path: str, size: int) -> tuple[int, int] | None:
        """Return the half-open byte range of a file that is in this shard; None for none of it, (0, 0) for an empty
        file.
        """
        key = key_of(path)
        if not size:
            return (0, 0) if self._has(Position(key)) else None
        low, high = 0, size
        if self.start is not None:
            if self.start.key > key:
                return None
            low = self.start.offset if self.start.key == key else 0
        if self.end is not None:
            if self.end.key < key:
                return None
            high = min(size, self.end.offset) if self.end.key == key else size
        return (low, high) if low < high else None

    def _has(self, position: Position) -> bool:
        return (self.start is None or self.start <= position) and (self.end is None or position < self.end)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a file that one agent has gathered in its staging file: half-open byte range (start, end).

    ``version`` is derived from the source's size, write time and change time; ``digest`` is the part's BLAKE3.
    """

    path: str
    version: bytes
    start: int
    end: int
    digest: bytes


def whole(pieces: Iterable[Piece], version: bytes, size: int) -> list[Piece]:
    """Return the pieces that make up this version of the file without a gap; an empty list if some of it is missing."""
    chain: list[Piece] = []
    at = 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.version == version and piece.start == at:
            chain.append(piece)
            at = piece.end
    return chain if at == size else []


def shards_of(cuts: Sequence[Cut]) -> list[Shard]:
    """Return the shards between the cuts, one more than there are cuts. Raises ValueError if cuts are out of order."""
    positions = [cut.position for cut in cuts]
    if any(one >= other for one, other in pairwise(positions)):
        raise ValueError("expected cuts in the order of the tree")
    return [Shard(*bounds) for bounds in pairwise((None, *positions, None))]


@dataclass(frozen=True, slots=True)
class _Point:
    """Work at one position; ``size`` of a file that may be cut, 0 for merged neighbors."""

    key: str
    path: str
    work: int
    size: int


@dataclass(slots=True)
class Sketch:
    """How much work lies where in a tree, from files added in any order, in bounded memory."""

    limit: int = _POINTS
    total: int = field(default=0, init=False)
    _points: list[_Point] = field(default_factory=list, init=False)

    def add(self, path: str, size: int, *, work: int | None = None, divisible: bool = True) -> None:
        """Add a file to be copied; ``work`` where it is not the size, ``divisible`` False where the file must stay
        whole.
        """
        cost = FILE_WORK + (size if work is None else work)
        self.total += cost
        self._points.append(_Point(key_of(path), path, cost, size if divisible else 0))
        if len(self._points) >= 2 * self.limit:
            self._merge()

    def cuts(self, count: int) -> tuple[Cut, ...]:
        """Return the cuts between at most ``count`` shards of even work; fewer if there is too little work."""
        count = min(count, max(1, self.total // MIN_SHARD))
        targets = [self.total * number // count for number in range(1, count)]
        cuts: list[Cut] = []
        for cut in self._cuts_at(targets):
            if _shown_whole(cut) and (not cuts or _apart(cuts[-1], cut)):
                cuts.append(cut)
        return tuple(cuts)

    def _cuts_at(self, targets: Iterable[int]) -> Iterable[Cut]:
        points = sorted(self._points, key=lambda point: point.key)
        index, before = 0, 0
        for target in targets:
            while before + points[index].work <= target:
                before += points[index].work
                index += 1
            behind = points[index + 1] if index + 1 < len(points) else None
            cut = _cut_within(points[index], behind, target - before)
            if cut is not None and (index or cut.position > Position(points[0].key)):
                yield cut

    def _merge(self) -> None:
        """Merge neighbors with little work, which at least halves the points."""
        grain = 2 * self.total // self.limit
        merged: list[_Point] = []
        for point in sorted(self._points, key=lambda point: point.key):
            last = merged[-1] if merged else None
            if last is not None and last.work + point.work <= grain:
                merged[-1] = _Point(last.key, last.path, last.work + point.work, 0)
            else:
                merged.append(point)
        self._points = merged


def _cut_within(point: _Point, behind: _Point | None, inside: int) -> Cut | None:
    """Return the cut nearest to ``inside`` of a point's work; None for the end of the tree."""
    offset = point.size * inside // point.work // _ALIGNMENT * _ALIGNMENT
    if MIN_PIECE <= offset <= point.size - MIN_PIECE:
        return Cut(point.path, offset)
    if 2 * inside < point.work:
        return Cut(point.path)
    return Cut(behind.path) if behind is not None else None


def _apart(one: Cut, other: Cut) -> bool:
    first, second = one.position, other.position
    return first < second and (first.key != second.key or second.offset - first.offset >= MIN_PIECE)


def _shown_whole(cut: Cut) -> bool:
    """Return whether a cut's path is short enough to be written down; otherwise the shard beside it takes over."""
    return len(cut.shown) <= _MAX_SHOWN
