"""The entries of a folder: a plain list for a short one, packed into buckets for a long one.

A name is in the same bucket of every listing, whatever its case. So two listings can be paired bucket by bucket, with
the entries of only one bucket in memory.
"""

import zlib
from collections.abc import Iterator, Sequence

from smbferry_engine.paths import case_key, is_staging_name
from smbferry_engine.share.packed import PackedRows
from smbferry_engine.wire.attributes import REPARSE_POINT
from smbferry_engine.wire.directory import DirectoryEntry

# About 16 MiB of entries; a packed entry takes about a tenth.
PLENTY = 40_000
_BUCKETS = 64
_BLOCK = 250


class Entries:
    """The entries of one listing.

    ``own_id`` is the file id of the folder, from its entry ``.``, 0 if there is none. ``has_links``: it holds reparse
    points.
    """

    def __init__(self, entries: Sequence[DirectoryEntry] = ()) -> None:
        self._list: list[DirectoryEntry] = []
        self._buckets: list[PackedRows] = []
        self._packed = 0
        self.own_id = 0
        self.has_links = False
        self._has_staging_files = False
        self.add(entries)

    def __len__(self) -> int:
        return self._packed + len(self._list)

    def __iter__(self) -> Iterator[DirectoryEntry]:
        for bucket in self._buckets:
            yield from (DirectoryEntry(*row) for row in bucket)
        yield from self._list

    @property
    def is_packed(self) -> bool:
        """True for a long listing, which is packed."""
        return bool(self._buckets)

    @property
    def may_have_staging_files(self) -> bool:
        """True if there may be staging files in it; always true for a short listing."""
        return self._has_staging_files or bool(self._list)

    def add(self, page: Sequence[DirectoryEntry]) -> None:
        """Add a page of entries."""
        self.own_id = self.own_id or next((entry.file_id for entry in page if entry.name == "."), 0)
        self.has_links = self.has_links or any(entry.attributes & REPARSE_POINT for entry in page)
        self._list += page
        if self._buckets or len(self._list) > PLENTY:
            self._pack()

    def _pack(self) -> None:
        self._buckets = self._buckets or [PackedRows(_BLOCK) for _ in range(_BUCKETS)]
        for entry in self._list:
            self._buckets[_bucket_of(entry.name)].add(entry)
            self._has_staging_files = self._has_staging_files or is_staging_name(entry.name)
        self._packed += len(self._list)
        self._list = []

    def parts(self) -> Iterator[list[DirectoryEntry]]:
        """Yield the entries in lists; names that differ only in case are in the same list."""
        for one, _ in side_by_side(self, Entries()):
            yield one

    def bucket(self, index: int) -> list[DirectoryEntry]:
        """Return the entries of one bucket."""
        if self._buckets:
            return [DirectoryEntry(*row) for row in self._buckets[index]]
        return [entry for entry in self._list if _bucket_of(entry.name) == index]


def side_by_side(one: Entries, other: Entries) -> Iterator[tuple[list[DirectoryEntry], list[DirectoryEntry]]]:
    """Yield two listings of one folder in parts with the same names."""
    if not (one.is_packed or other.is_packed):
        yield list(one), list(other)
        return
    for index in range(_BUCKETS):
        yield one.bucket(index), other.bucket(index)


def _bucket_of(name: str) -> int:
    return zlib.crc32(case_key(name).encode("utf-16-le", "surrogatepass")) % _BUCKETS
