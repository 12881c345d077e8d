"""What a folder holds, however much that is: a plain list while it is short, packed and in shares once it is long.

A name is in the same share of every listing, whatever its case. So two listings are put side by side share by share,
and only the entries of one are in memory at a time.
"""

import json
import zlib
from collections.abc import Iterator, Sequence

from smbferry_engine.paths import case_key, is_temporary
from smbferry_engine.plan import REPARSE_POINT
from smbferry_engine.wire.directory import DirectoryEntry

# Some 16 MiB of entries; from then on each takes about a tenth.
PLENTY = 40_000
SHARES = 64
_BLOCK = 250
_LEVEL = 1


class _Share:
    """Entries, packed by the block."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._open: list[DirectoryEntry] = []

    def add(self, entry: DirectoryEntry) -> None:
        self._open.append(entry)
        if len(self._open) == _BLOCK:
            self._blocks.append(zlib.compress(json.dumps(self._open).encode("ascii"), _LEVEL))
            self._open = []

    def __iter__(self) -> Iterator[DirectoryEntry]:
        for block in self._blocks:
            for fields in json.loads(zlib.decompress(block)):
                yield DirectoryEntry(*fields)
        yield from self._open


class Entries:
    """The entries of one listing.

    ``own_id`` is the file id that it tells of the folder itself, 0 if none; ``has_links`` whether it holds reparse
    points, ``may_have_temporaries`` whether it may hold temporary files: not known of a list that is not packed.
    """

    def __init__(self, entries: Sequence[DirectoryEntry] = ()) -> None:
        self._list: list[DirectoryEntry] = []
        self._shares: list[_Share] = []
        self._packed = 0
        self.own_id = 0
        self.has_links = False
        self._has_temporaries = False
        self.add(entries)

    def __len__(self) -> int:
        return self._packed + len(self._list)

    def __iter__(self) -> Iterator[DirectoryEntry]:
        for share in self._shares:
            yield from share
        yield from self._list

    @property
    def is_packed(self) -> bool:
        """Whether there are so many that they are packed."""
        return bool(self._shares)

    @property
    def may_have_temporaries(self) -> bool:
        """See above."""
        return self._has_temporaries or bool(self._list)

    def add(self, page: Sequence[DirectoryEntry]) -> None:
        """More of them."""
        self.own_id = self.own_id or next((entry.file_id for entry in page if entry.name == "."), 0)
        self.has_links = self.has_links or any(entry.attributes & REPARSE_POINT for entry in page)
        self._list += page
        if self._shares or len(self._list) > PLENTY:
            self._pack()

    def _pack(self) -> None:
        self._shares = self._shares or [_Share() for _ in range(SHARES)]
        for entry in self._list:
            self._shares[_share_of(entry.name)].add(entry)
            self._has_temporaries = self._has_temporaries or is_temporary(entry.name)
        self._packed += len(self._list)
        self._list = []

    def share(self, index: int) -> list[DirectoryEntry]:
        """Those of one share."""
        if self._shares:
            return list(self._shares[index])
        return [entry for entry in self._list if _share_of(entry.name) == index]


def side_by_side(one: Entries, other: Entries) -> Iterator[tuple[list[DirectoryEntry], list[DirectoryEntry]]]:
    """All of two listings of one folder, in parts that belong together."""
    if not (one.is_packed or other.is_packed):
        yield list(one), list(other)
        return
    for index in range(SHARES):
        yield one.share(index), other.share(index)


def _share_of(name: str) -> int:
    return zlib.crc32(case_key(name).encode("utf-16-le", "surrogatepass")) % SHARES
