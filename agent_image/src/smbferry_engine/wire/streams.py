"""FileStreamInformation (MS-FSCC 2.4): the streams of a file or folder."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.names import decode_name

_ENTRY = struct.Struct("<IIQQ")
_CONTENT = "::$DATA".encode("utf-16-le")
_LAST_AND_CONTENT = struct.pack("<II", 0, len(_CONTENT))
_CONTENT_END = _ENTRY.size + len(_CONTENT)


class StreamEntry(NamedTuple):
    """One stream as the server names it (``:name:$DATA``; ``::$DATA`` is the content); ``size`` in bytes."""

    name: str
    size: int


def is_content_only(data: memoryview) -> bool:
    """Return whether the output of a query has one entry, that of the content: so it is with nearly each file."""
    return data[:8] == _LAST_AND_CONTENT and data[_ENTRY.size : _CONTENT_END] == _CONTENT


def decode_streams(data: bytes | memoryview) -> list[StreamEntry]:
    """Decode the output of a query; each offset must increase, so that no reply can loop.

    Raises:
        WireError: an entry does not fit, or a name has half a UTF-16 unit.
    """
    found: list[StreamEntry] = []
    offset = 0
    while data:
        following, length, size, _ = unpack(_ENTRY, data, offset, "stream")
        end = offset + following if following else len(data)
        if end > len(data) or (following and following < _ENTRY.size):
            raise WireError(f"stream: expected the next entry within {len(data)} bytes, got it at {end}")
        name = slice_of(data[offset:end], _ENTRY.size, length, _ENTRY.size, "stream name")
        found.append(StreamEntry(decode_name(name), size))
        if not following:
            break
        offset = end
    return found
