"""Bounds-checked reading: the only way a codec looks at a server's variable-length data."""

import struct

from smbferry_engine.wire.errors import WireError


def unpack(layout: struct.Struct, message: bytes | memoryview, offset: int, what: str) -> tuple[int, ...]:
    """Unpack ``layout`` at ``offset``; :class:`WireError` if the message ends before it does."""
    if offset < 0 or offset + layout.size > len(message):
        raise WireError(f"{what}: {layout.size} bytes expected at {offset}, the message has {len(message)}")
    return layout.unpack_from(message, offset)


def check_structure_size(found: int, expected: int, what: str) -> None:
    """Each SMB2 structure begins with its own fixed size; anything else is not that structure."""
    if found != expected:
        raise WireError(f"{what}: structure size {expected} expected, found {found}")


def slice_of(message: bytes | memoryview, offset: int, length: int, least: int, what: str) -> memoryview:
    """``length`` bytes at ``offset``, which may not reach before ``least`` (the fixed part) or past the message."""
    if length == 0:
        return memoryview(b"")
    if offset < least or offset + length > len(message):
        raise WireError(f"{what}: {length} bytes at {offset} lie outside a message of {len(message)}")
    return memoryview(message)[offset : offset + length]
