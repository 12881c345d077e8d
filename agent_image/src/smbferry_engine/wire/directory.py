"""QUERY_DIRECTORY (2.2.33, 2.2.34) with FileIdFullDirectoryInformation (MS-FSCC 2.4.18)."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import decode_name, encode_name

_REQUEST = struct.Struct("<HBBI16sHHI")
_RESPONSE = struct.Struct("<HHI")
_ENTRY = struct.Struct("<IIQQQQQQIIIIQ")
_REQUEST_SIZE = 33
_RESPONSE_SIZE = 9
_NAME_OFFSET = HEADER_SIZE + _REQUEST.size
_ID_FULL_DIRECTORY = 38
_ANY = encode_name("*")
MAX_NAME_BYTES = 2 * 255


class DirectoryEntry(NamedTuple):
    """One entry: times in 100 ns since 1601; ``reparse_tag`` is the EaSize field, which holds it for reparse points."""

    name: str
    size: int
    attributes: int
    creation_time: int
    access_time: int
    write_time: int
    change_time: int
    reparse_tag: int
    file_id: int


def encode_query_directory(file_id: bytes, limit: int) -> bytes:
    """Ask for the next entries of an open directory, up to ``limit`` bytes of them."""
    fixed = _REQUEST.pack(_REQUEST_SIZE, _ID_FULL_DIRECTORY, 0, 0, file_id, _NAME_OFFSET, len(_ANY), limit)
    return fixed + _ANY


def decode_query_directory(message: bytes | memoryview) -> Iterator[DirectoryEntry]:
    """The entries of one successful reply; each step goes forward, so that no reply can loop."""
    size, offset, length = unpack(_RESPONSE, message, HEADER_SIZE, "query directory")
    check_structure_size(size, _RESPONSE_SIZE, "query directory")
    return _entries(slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "query directory"))


def _entries(data: memoryview) -> Iterator[DirectoryEntry]:
    offset = 0
    while offset < len(data):
        (following, _, creation, access, write, change, size, _, attributes, name_length, ea_size, _, file_id) = unpack(
            _ENTRY, data, offset, "directory entry"
        )
        end = offset + following if following else len(data)
        if end > len(data) or (following and following < _ENTRY.size):
            raise WireError(f"directory entry: the next one lies at {following}, outside {len(data)} bytes")
        start = offset + _ENTRY.size
        if name_length == 0 or name_length > MAX_NAME_BYTES or start + name_length > end:
            raise WireError(f"directory entry: a name of {name_length} bytes does not fit")
        name = decode_name(data[start : start + name_length])
        yield DirectoryEntry(name, size, attributes, creation, access, write, change, ea_size, file_id)
        if not following:
            return
        offset = end
