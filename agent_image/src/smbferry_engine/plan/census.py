"""Tables of a survey: counts, histograms, largest files and samples, in bounded memory. Pure."""

import heapq
import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smbferry_engine.paths import SEPARATOR, display, join, units
from smbferry_engine.plan.sample import Reservoir
from smbferry_engine.plan.survey import Amount, Day, Interval, Named, TagCount, Tree
from smbferry_engine.times import UNITS_PER_SECOND
from smbferry_engine.wire.attributes import (
    COMPRESSED,
    DIRECTORY,
    ENCRYPTED,
    OFFLINE,
    RECALL_ON_DATA_ACCESS,
    RECALL_ON_OPEN,
    REPARSE_POINT,
    SPARSE,
)
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.survey import Trait

SIZE_EDGES: Final = (0, 1, 1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 32)
"""Least sizes of the intervals in bytes: powers of two."""
AGE_EDGES: Final = (0, 1, 7, 30, 90, 365, 3 * 365)
"""Least ages of the intervals in days since the last write."""
DAYS: Final = 7
MAX_PATHS: Final = 100
"""The most paths that are kept of each trait."""
LOOKED_AT: Final = 2_000
"""How many files and folders are opened, to estimate what a listing does not show."""
TIMED: Final = 2_000
"""The most files of one interval of sizes that are read or copied for the forecast."""
LONGEST: Final = 4_096
"""Entries with longer paths, in characters, are counted, but are no part of a sample."""
MAX_SHOWN: Final = 1_024
"""Paths are kept up to so many characters."""
LARGEST: Final = 10
MOST_TAGS: Final = 64
_DRIVE: Final = 3  # a drive letter, a colon and a backslash
_MAX_PATH: Final = 259  # MAX_PATH of Windows, without the final zero
_DAY: Final = 24 * 3600 * UNITS_PER_SECOND
_ELSEWHERE: Final = OFFLINE | RECALL_ON_OPEN | RECALL_ON_DATA_ACCESS
_ODD: Final = SPARSE | COMPRESSED | ENCRYPTED | _ELSEWHERE | REPARSE_POINT
_TRAIT_OF: Final = (
    (COMPRESSED, Trait.COMPRESSED),
    (ENCRYPTED, Trait.ENCRYPTED),
    (_ELSEWHERE, Trait.OFFLINE),
)
# What stores a file's content elsewhere marks it as sparse, although it has no holes.
_NO_HOLES: Final = REPARSE_POINT | _ELSEWHERE


def _interval_of_bits(bits: int) -> int:
    return bisect_right(SIZE_EDGES, 1 << (bits - 1) if bits else 0) - 1


# The interval of a size, by the number of bits of the size.
_INTERVALS: Final = tuple(_interval_of_bits(bits) for bits in range(65))


def interval_of(size: int) -> int:
    """Return the index of a size's interval."""
    return _INTERVALS[size.bit_length()]


class Item(NamedTuple):
    """A file or folder of a sample."""

    path: str
    entry: DirectoryEntry


@dataclass(slots=True)
class Sightings:
    """How many files and folders have a trait, and the first of them."""

    count: int = 0
    paths: list[str] = field(default_factory=list)

    def add(self, path: str) -> None:
        """Count one."""
        self.count += 1
        if len(self.paths) < MAX_PATHS:
            self.paths.append(display(path)[:MAX_SHOWN])


class Samples:
    """The random samples: what is opened, folders and files (by interval of sizes) whose copy is timed."""

    def __init__(self) -> None:
        self.looked_at: Reservoir[Item] = Reservoir(LOOKED_AT)
        self.timed: tuple[Reservoir[Item], ...] = tuple(Reservoir(TIMED) for _ in SIZE_EDGES)
        self.folders: Reservoir[Item] = Reservoir(TIMED)


class Census:
    """Counts the entries of a tree. ``now`` is a FILETIME; ``base`` the destination's path, for the length of paths."""

    def __init__(self, now: int, base: str = "", *, draw: Callable[[], float] | None = None) -> None:
        self.samples = Samples()
        self.directories = 0
        self.depth = 0
        self._now = now
        self._prefix = _DRIVE + (units(base) + 1 if base else 0)
        self._draw = draw or random.random
        self._sizes = [[0, 0] for _ in SIZE_EDGES]
        self._ages = [[0, 0] for _ in AGE_EDGES]
        self._age_edges = [days * _DAY for days in AGE_EDGES]
        self._week = now - DAYS * _DAY
        self._written = [[[0, 0] for _ in SIZE_EDGES] for _ in range(DAYS)]
        self._changed = [[0, 0] for _ in range(DAYS)]
        self._largest: list[tuple[int, str]] = []
        self._sightings: dict[Trait, Sightings] = {}
        self._tags: Counter[int] = Counter()

    @property
    def files(self) -> int:
        """How many files there are."""
        return sum(files for files, _ in self._sizes)

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return sum(size for _, size in self._sizes)

    def found(self, trait: Trait, path: str) -> None:
        """Count a file or folder with a trait."""
        self._sightings.setdefault(trait, Sightings()).add(path)

    def sightings(self) -> dict[Trait, Sightings]:
        """Return what was found in listings."""
        return self._sightings

    def add_link(self, path: str, entry: DirectoryEntry) -> None:
        """Count a reparse point that names something elsewhere, or has no content."""
        self.found(Trait.LINK, path)
        self._count_tag(entry.reparse_tag)

    def add_folder(self, path: str, entry: DirectoryEntry) -> None:
        """Count a folder."""
        self.directories += 1
        self.depth = max(self.depth, path.count(SEPARATOR) + 1 if path else 0)
        key = self._draw() if len(path) <= LONGEST else math.inf
        if key < self.samples.looked_at.bar:
            self.samples.looked_at.add(key, Item(path, entry))
        if key < self.samples.folders.bar:
            self.samples.folders.add(key, Item(path, entry))
        if entry.attributes & _ODD or entry.reparse_tag:
            self._add_odd(path, entry, key)
        if self._prefix + units(path) > _MAX_PATH:
            self.found(Trait.LONG_PATH, path)

    def add_files(self, folder: str, entries: Sequence[DirectoryEntry]) -> None:
        """Count files of one folder."""
        sizes, ages, week, now, draw = self._sizes, self._ages, self._week, self._now, self._draw
        looked_at, timed, edges = self.samples.looked_at, self.samples.timed, self._age_edges
        samples = len(folder) <= LONGEST
        least_large = self._largest[0][0] if len(self._largest) == LARGEST else -1
        room = _MAX_PATH - self._prefix - (units(folder) + 1 if folder else 0)
        for entry in entries:
            name, size, attributes, written = entry[0], entry[1], entry[2], entry[5]
            index = _INTERVALS[size.bit_length()]
            interval = sizes[index]
            interval[0] += 1
            interval[1] += size
            age = ages[max(0, bisect_right(edges, now - written) - 1)]
            age[0] += 1
            age[1] += size
            key = draw() if samples else math.inf
            if key < looked_at.bar:
                looked_at.add(key, Item(join(folder, name), entry))
            if attributes & _ODD or entry[7]:
                self._add_odd(join(folder, name), entry, key)
            elif key < timed[index].bar:
                timed[index].add(key, Item(join(folder, name), entry))
            if written > week or entry[6] > week:
                self._add_recent(entry, index)
            if size > least_large:
                least_large = self._add_large(join(folder, name), size)
            if 2 * len(name) > room and units(name) > room:
                self.found(Trait.LONG_PATH, join(folder, name))

    def _add_odd(self, path: str, entry: DirectoryEntry, key: float) -> None:
        """Count what attributes, tag and EaSize say (MS-FSCC 2.6, 2.4.18). ``key`` is its place in samples."""
        for mask, trait in _TRAIT_OF:
            if entry.attributes & mask:
                self.found(trait, path)
        if entry.attributes & (SPARSE | _NO_HOLES) == SPARSE:
            self.found(Trait.SPARSE, path)
        if entry.attributes & REPARSE_POINT:
            self._count_tag(entry.reparse_tag)
        elif entry.reparse_tag:
            # The same field of a listing holds the size of extended attributes where there is no reparse point.
            self.found(Trait.EXTENDED_ATTRIBUTE, path)
        if not entry.attributes & (DIRECTORY | _ELSEWHERE):
            self.samples.timed[interval_of(entry.size)].add(key, Item(path, entry))

    def _count_tag(self, tag: int) -> None:
        if tag in self._tags or len(self._tags) < MOST_TAGS:
            self._tags[tag] += 1

    def _add_recent(self, entry: DirectoryEntry, index: int) -> None:
        for time, table in ((entry.write_time, None), (entry.change_time, self._changed)):
            day = max(0, (self._now - time) // _DAY)
            if day < DAYS:
                cell = self._written[day][index] if table is None else table[day]
                cell[0] += 1
                cell[1] += entry.size

    def _add_large(self, path: str, size: int) -> int:
        """Keep one of the largest files; returns the size of the smallest that is kept, -1 while there is room."""
        if len(self._largest) < LARGEST:
            heapq.heappush(self._largest, (size, path))
        else:
            heapq.heapreplace(self._largest, (size, path))
        return self._largest[0][0] if len(self._largest) == LARGEST else -1

    def amounts(self) -> list[Amount]:
        """Return the files of each interval of sizes."""
        return [Amount(*cell) for cell in self._sizes]

    def daily(self) -> list[Amount]:
        """Return what was written in the last days, by interval of sizes."""
        columns = zip(*self._written, strict=True)
        return [Amount(sum(cell[0] for cell in column), sum(cell[1] for cell in column)) for column in columns]

    def tags(self) -> tuple[TagCount, ...]:
        """Return the tags of reparse points, the most frequent first."""
        return tuple(TagCount(*found) for found in self._tags.most_common())

    def tree(self) -> Tree:
        """Return the tables."""
        written = [Amount(sum(cell[0] for cell in day), sum(cell[1] for cell in day)) for day in self._written]
        largest = sorted(self._largest, key=lambda found: (-found[0], found[1]))
        return Tree(
            files=self.files,
            directories=self.directories,
            bytes=self.bytes,
            depth=self.depth,
            sizes=_intervals(SIZE_EDGES, self._sizes),
            ages=_intervals(AGE_EDGES, self._ages),
            days=tuple(Day(ago, written[ago], Amount(*changed)) for ago, changed in enumerate(self._changed)),
            largest=tuple(Named(display(path), size) for size, path in largest),
        )


def _intervals(edges: Sequence[int], cells: Sequence[Sequence[int]]) -> tuple[Interval, ...]:
    return tuple(Interval(least, Amount(*cell)) for least, cell in zip(edges, cells, strict=True))
