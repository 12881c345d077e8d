"""A tree's work cut into even shards, one per agent: pure, from what a survey found.

All positions of a tree have one order: folders and files by their paths as SMB compares names, a folder before what is
in it, and within a file its bytes. A cut is such a position, and a shard is what lies between two cuts: whole subtrees,
single files where a folder is cut, and a range of a large file where a file is. Whatever becomes of the tree between
the survey and the copy, each position lies in exactly one shard. So shards are disjoint and their union is the tree,
and the cuts alone are all that agents must agree on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Self

from smbferry_engine.paths import SEPARATOR, case_key, display, from_display

FILE_WORK: Final = 64 * 1024
"""What a file costs beside its bytes, in bytes that could be copied meanwhile."""
MIN_PIECE: Final = 32 << 20
"""No file is cut closer to its beginning, its end or another cut than this."""
MIN_SHARD: Final = 16 << 20
"""Less work than this is not worth another agent."""
_ALIGNMENT: Final = 1 << 20
_POINTS: Final = 100_000
_BELOW = "\0"  # sorts before every character that a name may have, so that a folder's subtree is contiguous
_BEHIND = "\1"
_MAX_SHOWN: Final = 4096


def key_of(path: str) -> str:
    """Orders paths: equal where SMB takes them for the same, a folder directly before what is in it."""
    return case_key(path).replace(SEPARATOR, _BELOW)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the order of a tree; ``offset`` within a file."""

    key: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one shard ends and the next begins: at a file or folder, or ``offset`` bytes into a file."""

    path: str
    offset: int = 0

    @property
    def position(self) -> Position:
        """Its place in the order."""
        return Position(key_of(self.path), self.offset)

    @property
    def shown(self) -> str:
        """The path as text that any encoding can write; :meth:`read` takes it back."""
        return display(self.path)

    @classmethod
    def read(cls, shown: str, offset: int) -> Self:
        """A cut as it was shown."""
        return cls(from_display(shown), offset)


@dataclass(frozen=True, slots=True)
class Shard:
    """What lies from ``start`` to before ``end``; None is the tree's own end."""

    start: Position | None = None
    end: Position | None = None

    def holds(self, path: str) -> bool:
        """Whether a folder itself, or the first byte of a file, is in this shard."""
        return self._has(Position(key_of(path)))

    def meets(self, folder: str) -> bool:
        """Whether anything in a folder, or the folder itself, may be in this shard."""
        if not folder:
            return True
        key = key_of(folder)
        begins_before_its_end = self.start is None or self.start.key < key + _BEHIND
        return begins_before_its_end and (self.end is None or Position(key) < self.end)

    def part(self, path: str, size: int) -> tuple[int, int] | None:
        """Which bytes of a file are in this shard, from and to; None for none of it. An empty file is (0, 0)."""
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
    """Part of a file as one agent has gathered it in the file's temporary, from ``start`` to before ``end``.

    ``version`` stands for the source's size, write time and change time, ``digest`` is the part's BLAKE3.
    """

    path: str
    version: bytes
    start: int
    end: int
    digest: bytes


def whole(pieces: Iterable[Piece], version: bytes, size: int) -> list[Piece]:
    """Those of a file's pieces that make up this version of it without a gap; none where some of it is missing."""
    chain: list[Piece] = []
    at = 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.version == version and piece.start == at:
            chain.append(piece)
            at = piece.end
    return chain if at == size else []


def shards_of(cuts: Sequence[Cut]) -> list[Shard]:
    """The shards between cuts, in order, one more than there are cuts; ValueError where cuts are out of order."""
    positions = [cut.position for cut in cuts]
    if any(one >= other for one, other in pairwise(positions)):
        raise ValueError("cuts in the order of the tree expected")
    return [Shard(*bounds) for bounds in pairwise((None, *positions, None))]


@dataclass(frozen=True, slots=True)
class _Point:
    """Work at one place; ``size`` where it is one file that may be cut. Neighbours that were merged have none."""

    key: str
    path: str
    work: int
    size: int


@dataclass(slots=True)
class Sketch:
    """Where in a tree how much work lies, from files told in any order, in bounded memory."""

    limit: int = _POINTS
    total: int = field(default=0, init=False)
    _points: list[_Point] = field(default_factory=list, init=False)

    def add(self, path: str, size: int, *, work: int | None = None, divisible: bool = True) -> None:
        """A file to be copied; ``work`` where it is not its size, ``divisible`` False where it must stay whole."""
        cost = FILE_WORK + (size if work is None else work)
        self.total += cost
        self._points.append(_Point(key_of(path), path, cost, size if divisible else 0))
        if len(self._points) >= 2 * self.limit:
            self._merge()

    def cuts(self, count: int) -> tuple[Cut, ...]:
        """The cuts between at most ``count`` shards of even work; fewer where the tree has too little of it."""
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
        """Halve the points at least: neighbours with little work between them become one."""
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
    """The cut nearest to ``inside`` of a point's work; None where that is the end of the tree."""
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
    """A path that is too long to be written down is no cut; the shard beside it takes over."""
    return len(cut.shown) <= _MAX_SHOWN
