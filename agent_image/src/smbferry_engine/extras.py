"""What only the destination has, remembered until the prune: packed, for it may be as much as a whole tree."""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from smbferry_engine.wire.directory import DirectoryEntry

_AT_ONCE = 1_000
_BLOCK = 4_000
_LEVEL = 1


class Extra(NamedTuple):
    """A name that goes, and its attributes (MS-FSCC 2.6)."""

    name: str
    attributes: int


class Extras(NamedTuple):
    """Names that go from the folder at ``path``; ``folder`` is its entry at the source, whose times it keeps, or None
    where it goes too (or is the root).
    """

    path: str
    entries: tuple[Extra, ...]
    folder: DirectoryEntry | None


class ExtrasLog:
    """Folders with what goes from them, in the order in which they were found; some ten bytes a name."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[Extras] = []
        self._names = 0

    def add(self, path: str, entries: Sequence[DirectoryEntry], folder: DirectoryEntry | None) -> None:
        """``entries`` go from the folder at ``path``."""
        for start in range(0, len(entries), _AT_ONCE):
            part = tuple(Extra(entry.name, entry.attributes) for entry in entries[start : start + _AT_ONCE])
            self._open.append(Extras(path, part, folder))
            self._names += len(part) + 1
            if self._names > _BLOCK:
                self._blocks.append(zlib.compress(json.dumps(self._open).encode("ascii"), _LEVEL))
                self._open, self._names = [], 0

    def backwards(self) -> Iterator[Extras]:
        """The last found first, so that what lies in a folder comes before the folder; at most 1,000 names at once."""
        yield from reversed(self._open)
        for block in reversed(self._blocks):
            for path, entries, folder in reversed(json.loads(zlib.decompress(block))):
                found = tuple(Extra(*entry) for entry in entries)
                yield Extras(path, found, DirectoryEntry(*folder) if folder is not None else None)
