"""Rows that are kept in memory packed: what may be as much as a whole tree."""

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

_LEVEL = 1


class PackedRows:
    """Rows of plain values, compressed block by block. ``block`` is the weight of rows in one block, ``add``'s sum."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._open: list[Sequence[Any]] = []
        self._weight = 0
        self.blocks: list[bytes] = []

    def add(self, row: Sequence[Any], weight: int = 1) -> None:
        """Add a row."""
        self._open.append(row)
        self._weight += weight
        if self._weight >= self._block:
            self.blocks.append(zlib.compress(json.dumps(self._open).encode("ascii"), _LEVEL))
            self._open, self._weight = [], 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for block in self.blocks:
            yield from json.loads(zlib.decompress(block))
        yield from self._open

    def __reversed__(self) -> Iterator[Sequence[Any]]:
        yield from reversed(self._open)
        for block in reversed(self.blocks):
            yield from reversed(json.loads(zlib.decompress(block)))
