"""FileStreamInformation (MS-FSCC 2.4): the streams of a file or folder."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import entries_in, slice_of
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import decode_name

_ENTRY = struct.Struct("<IIQQ")
_CONTENT = "::$DATA".encode("utf-16-le")
# QUERY_INFO response (MS-SMB2 2.2.38) whose output has one entry: that of the content, of any size.
_LENGTH = _ENTRY.size + len(_CONTENT)
_BODY = HEADER_SIZE + 8
_HEAD_OF_ONE = struct.pack("<HHIII", 9, _BODY, _LENGTH, 0, len(_CONTENT))
_HEAD_END = HEADER_SIZE + len(_HEAD_OF_ONE)
_NAME = _BODY + _ENTRY.size
_NAME_END = _BODY + _LENGTH


class StreamEntry(NamedTuple):
    """One stream as the server names it (``:name:$DATA``; ``::$DATA`` is the content); ``size`` in bytes."""

    name: str
    size: int


def is_content_only(message: bytes | memoryview) -> bool:
    """Return whether a successful reply surely lists the content and no other stream, without decoding it."""
    return message[HEADER_SIZE:_HEAD_END] == _HEAD_OF_ONE and message[_NAME:_NAME_END] == _CONTENT


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
