"""Names to delete at the destination, kept until the prune; packed, because they may be as many as a whole tree."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from smbferry_engine.share.packed import PackedRows
from smbferry_engine.wire.directory import DirectoryEntry

_AT_ONCE = 1_000
_BLOCK = 4_000


class Extra(NamedTuple):
    """A name to delete, and its attributes (MS-FSCC 2.6)."""

    name: str
    attributes: int


class Extras(NamedTuple):
    """Names to delete from the folder at ``path``. ``folder`` is its entry at the source, whose times are restored;
    None if it is deleted, too, or is the root.
    """

    path: str
    entries: tuple[Extra, ...]
    folder: DirectoryEntry | None


class ExtrasLog:
    """Folders with the names to delete, in the order in which they were found; about ten bytes a name."""

    def __init__(self) -> None:
        self._rows = PackedRows(_BLOCK)

    def add(self, path: str, entries: Sequence[DirectoryEntry], folder: DirectoryEntry | None) -> None:
        """Add the names to delete from the folder at ``path``."""
        for start in range(0, len(entries), _AT_ONCE):
            part = tuple(Extra(entry.name, entry.attributes) for entry in entries[start : start + _AT_ONCE])
            self._rows.add(Extras(path, part, folder), weight=len(part) + 1)

    def backwards(self) -> Iterator[Extras]:
        """Yield the last found first, so that the content of a folder comes before the folder; at most 1,000 names at
        once.
        """
        for path, entries, folder in reversed(self._rows):
            found = tuple(Extra(*entry) for entry in entries)
            yield Extras(path, found, DirectoryEntry(*folder) if folder is not None else None)
