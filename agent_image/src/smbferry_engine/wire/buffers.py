"""Bounds-checked reading, which all codecs use for variable-length data."""

import struct
from collections.abc import Iterator

from smbferry_engine.wire.errors import WireError


def unpack(layout: struct.Struct, message: bytes | memoryview, offset: int, what: str) -> tuple[int, ...]:
    """Unpack ``layout`` at ``offset``; :class:`WireError` if the message ends before it does."""
    if offset < 0 or offset + layout.size > len(message):
        raise WireError(f"{what}: expected {layout.size} bytes at {offset}, the message has {len(message)}")
    return layout.unpack_from(message, offset)


def entries_in(
    layout: struct.Struct, data: bytes | memoryview, what: str
) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Yield the fixed part, the start and the end of each entry of a list, which may be empty.

    ``layout`` begins with the distance to the next entry, zero in the last one. Each offset must increase, so that no
    list can loop.

    Raises:
        WireError: an entry does not fit, or overlaps the fixed part of the one before.
    """
    start = 0
    while data:
        fields = unpack(layout, data, start, what)
        following = fields[0]
        end = start + following if following else len(data)
        if end > len(data) or 0 < following < layout.size:
            raise WireError(f"{what}: expected the next one within {len(data)} bytes, got it at {end}")
        yield fields, start, end
        if not following:
            return
        start = end


def check_structure_size(found: int, expected: int, what: str) -> None:
    """Raise :class:`WireError` unless the structure begins with its own fixed size, as each SMB2 structure does."""
    if found != expected:
        raise WireError(f"{what}: expected structure size {expected}, got {found}")


def slice_of(message: bytes | memoryview, offset: int, length: int, least: int, what: str) -> memoryview:
    """Return ``length`` bytes at ``offset``, which must be in the message and after its fixed part, at ``least``."""
    if length == 0:
        return memoryview(b"")
    if offset < least or offset + length > len(message):
        raise WireError(f"{what}: {length} bytes at {offset} lie outside a message of {len(message)}")
    return memoryview(message)[offset : offset + length]
