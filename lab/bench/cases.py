"""What is measured: the cases of docs/performance.md as a table, and the trees that they need."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from lab.bench.inside import path_of

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
SMALL_FILE = 4 * KIB
MEDIAN_SIZE = 64 * KIB
# The standard deviation of the sizes' logarithms: two thirds of all files are between a seventh and seven times the
# median, and a few large ones hold most of the bytes, as on file servers.
SIGMA = 2.0
LARGEST = 256 * MIB
MANY = 1_000_000
FIRST_PART = "part-0"
ROUND_TRIP = 0.010


class Work(StrEnum):
    """What a client is asked to do."""

    READ = "read"
    WRITE = "write"
    COPY = "copy"
    TREE = "tree"
    RESCAN = "rescan"
    INSPECT = "inspect"
    MEND = "mend"
    SURVEY = "survey"
    FORECAST = "forecast"


# Both sides have the tree already.
IN_PLACE = frozenset({Work.RESCAN, Work.INSPECT, Work.MEND})
# Nothing is written.
READING = frozenset({Work.READ, Work.SURVEY})
# The destination's security descriptors are compared with the source's.
BY_DESCRIPTOR = frozenset({Work.INSPECT, Work.MEND})


class Unit(StrEnum):
    """What a case's rate counts."""

    BYTES = "bytes"
    FILES = "files"


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of the source share. One file where `single`; `protected` entries have descriptors of their own."""

    name: str
    sizes: tuple[int, ...]
    single: bool = False
    protected: bool = False

    @property
    def files(self) -> int:
        """How many files it has."""
        return len(self.sizes)

    @property
    def bytes(self) -> int:
        """How many bytes they have."""
        return sum(self.sizes)

    def part(self) -> Tree:
        """Its first part: what clients that would take minutes for the whole are measured with."""
        chosen = [size for number, size in enumerate(self.sizes) if path_of(number).startswith(f"{FIRST_PART}/")]
        return Tree(f"{self.name}/{FIRST_PART}", tuple(chosen), self.single, self.protected)


@dataclass(frozen=True, slots=True)
class Case:
    """One row group of the table: `round_trip` in seconds, 0 for the network as it is.

    With `one_identity` one user opens both shares, so that the server may copy by itself. The work FORECAST is
    a survey and then the copy that it forecasts: what is timed is the copy. With `streams` the shares are those of a
    volume that has alternate data streams, though none of the files has any.
    """

    name: str
    title: str
    work: Work
    unit: Unit
    tree: Tree
    rounds: int
    round_trip: float = 0.0
    one_identity: bool = False
    streams: bool = False


def log_normal_sizes(total: int, *, median: int = MEDIAN_SIZE, sigma: float = SIGMA, seed: int = 5) -> tuple[int, ...]:
    """File sizes in bytes with a log-normal distribution that add up to `total`; the same for the same arguments."""
    source = random.Random(seed)
    sizes: list[int] = []
    left = total
    while left > 0:
        size = min(LARGEST, max(1, round(median * source.lognormvariate(0.0, sigma))), left)
        sizes.append(size)
        left -= size
    return tuple(sizes)


def cases(scale: float) -> list[Case]:
    """All cases at a scale (1.0 is the real one); those over a long line are smaller, as they take longer."""
    return [*_near(scale), *_on_one_server(scale), *_forecasts(scale), *_far(scale), *_million(scale)]


def _near(scale: float) -> list[Case]:
    one = Tree("one", (_scaled(GIB, scale),), single=True)
    small = Tree("small", (SMALL_FILE,) * _scaled(10_000, scale))
    protected = Tree("protected", small.sizes, protected=True)
    mixed = Tree("mixed", log_normal_sizes(_scaled(2 * GIB, scale)))
    many = Tree("unchanged", (1,) * _scaled(100_000, scale))
    listed = Tree("unchanged-acl", many.sizes, protected=True)
    size, count = _size(one.bytes), f"{small.files:,} x 4 KiB"
    rescan, by_metadata = f"rescan {many.files:,} unchanged files", "compareBy: Metadata"
    return [
        Case("read", f"read one file of {size}", Work.READ, Unit.BYTES, one, 5),
        Case("write", f"write one file of {size}", Work.WRITE, Unit.BYTES, one, 5),
        Case("copy", f"copy one file of {size}", Work.COPY, Unit.BYTES, one, 5),
        Case("small", f"copy {count}, times", Work.TREE, Unit.FILES, small, 3),
        Case("small-acl", f"copy {count}, times, owner + DACL", Work.TREE, Unit.FILES, protected, 3),
        Case(
            "small-streams", f"copy {count}, times, streams looked for", Work.TREE, Unit.FILES, small, 5, streams=True
        ),
        Case("mixed", f"copy {mixed.files:,} files of {_size(mixed.bytes)} in all", Work.TREE, Unit.BYTES, mixed, 3),
        Case("rescan", rescan, Work.RESCAN, Unit.FILES, many, 3),
        Case("rescan-acl", f"{rescan}, {by_metadata}", Work.INSPECT, Unit.FILES, listed, 3),
        Case("rescan-ace", f"{rescan} but one ACE, {by_metadata}", Work.MEND, Unit.FILES, listed, 3),
    ]


def _on_one_server(scale: float) -> list[Case]:
    """What the server copies by itself, and what is streamed all the same: apart from what all clients do."""
    one = Tree("one", (_scaled(GIB, scale),), single=True)
    small = Tree("small", (SMALL_FILE,) * _scaled(10_000, scale))
    large, many = (f"copy {what}, one identity" for what in (f"one file of {_size(one.bytes)}", _count(small)))
    return [
        Case("server-copy", large, Work.COPY, Unit.BYTES, one, 5, one_identity=True),
        Case("server-small", many, Work.TREE, Unit.FILES, small, 3, one_identity=True),
    ]


def _forecasts(scale: float) -> list[Case]:
    """Trees of different kinds, each copied after a survey."""
    small = Tree("small", (SMALL_FILE,) * _scaled(10_000, scale))
    large = Tree("large", (_scaled(64 * MIB, scale),) * 32)
    mixed = Tree("mixed", log_normal_sizes(_scaled(2 * GIB, scale)))
    found = [
        ("forecast-small", f"{small.files:,} x 4 KiB", small),
        ("forecast-large", f"{large.files} x {_size(large.sizes[0])}", large),
        ("forecast-mixed", f"{mixed.files:,} files of {_size(mixed.bytes)} in all", mixed),
    ]
    return [Case(name, title, Work.FORECAST, Unit.BYTES, tree, 3) for name, title, tree in found]


def _count(tree: Tree) -> str:
    return f"{tree.files:,} x 4 KiB, times"


def _far(scale: float) -> list[Case]:
    one = Tree("one-far", (_scaled(256 * MIB, scale),), single=True)
    small = Tree("small-far", (SMALL_FILE,) * _scaled(1_000, scale))
    protected = Tree("protected-far", small.sizes, protected=True)
    mixed = Tree("mixed-far", log_normal_sizes(_scaled(256 * MIB, scale)))
    many = Tree("unchanged-far", (1,) * _scaled(20_000, scale))
    listed = Tree("unchanged-acl-far", many.sizes, protected=True)
    size, count = _size(one.bytes), f"{small.files:,} x 4 KiB"
    rescan = f"rescan {many.files:,} unchanged files"
    end = f", {ROUND_TRIP * 1000:.0f} ms"
    found = [
        ("read-10ms", f"read one file of {size}", Work.READ, Unit.BYTES, one, 3),
        ("write-10ms", f"write one file of {size}", Work.WRITE, Unit.BYTES, one, 3),
        ("copy-10ms", f"copy one file of {size}", Work.COPY, Unit.BYTES, one, 3),
        ("small-10ms", f"copy {count}, times", Work.TREE, Unit.FILES, small, 2),
        ("small-acl-10ms", f"copy {count}, times, owner + DACL", Work.TREE, Unit.FILES, protected, 3),
        ("mixed-10ms", f"copy {mixed.files:,} files of {_size(mixed.bytes)} in all", Work.TREE, Unit.BYTES, mixed, 2),
        ("rescan-10ms", rescan, Work.RESCAN, Unit.FILES, many, 2),
        ("rescan-acl-10ms", f"{rescan}, compareBy: Metadata", Work.INSPECT, Unit.FILES, listed, 2),
    ]
    return [
        Case(name, title + end, work, unit, tree, rounds, ROUND_TRIP) for name, title, work, unit, tree, rounds in found
    ]


def _million(scale: float) -> list[Case]:
    tree = Tree("million", (0,) * _scaled(MANY, scale))
    return [
        Case("million", f"rescan {tree.files:,} unchanged files: memory", Work.RESCAN, Unit.FILES, tree, 1),
        Case("survey-million", f"survey {tree.files:,} files: memory", Work.SURVEY, Unit.FILES, tree, 1),
    ]


def _scaled(number: int, scale: float) -> int:
    return max(1, round(number * scale))


def _size(count: int) -> str:
    unit, name = (GIB, "GiB") if count >= GIB else (MIB, "MiB")
    return f"{count / unit:.3g} {name}"
