"""FileStreamInformation (MS-FSCC 2.4): the streams of a file or folder."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import entries_in, slice_of
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
    """Decode the output of a query.

    Raises:
        WireError: an entry does not fit, or a name has half a UTF-16 unit.
    """
    found: list[StreamEntry] = []
    for (_, length, size, _), start, end in entries_in(_ENTRY, data, "stream"):
        name = slice_of(data[start:end], _ENTRY.size, length, _ENTRY.size, "stream name")
        found.append(StreamEntry(decode_name(name), size))
    return found
