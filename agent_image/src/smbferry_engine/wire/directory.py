"""QUERY_DIRECTORY (2.2.33, 2.2.34) with the three classes of entries that the engine asks for (MS-FSCC 2.4)."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import decode_name, encode_name

_REQUEST = struct.Struct("<HBBI16sHHI")
_RESPONSE = struct.Struct("<HHI")
_REQUEST_SIZE = 33
_RESPONSE_SIZE = 9
_NAME_OFFSET = HEADER_SIZE + _REQUEST.size
_ANY = encode_name("*")
_NAME_LENGTH = 9
# No valid name contains this character, so names are decoded together and split at it.
_SEPARATOR = "/"
_ENCODED_SEPARATOR = encode_name(_SEPARATOR)
MAX_NAME_BYTES = 2 * 255


class EntryClass(NamedTuple):
    """An information class of MS-FSCC 2.4, and the layout of its entries."""

    identifier: int
    layout: struct.Struct


# FileDirectoryInformation (2.4.10): the cheapest for a server to make.
PLAIN = EntryClass(1, struct.Struct("<IIQQQQQQII"))
# FileIdFullDirectoryInformation (2.4.18): with the EaSize field, which holds the tag of reparse points, and file ids.
FULL = EntryClass(38, struct.Struct("<IIQQQQQQIII4xQ"))
# FileIdBothDirectoryInformation (2.4.17): with short names, too, which are not used. Windows clients request it, so
# every server supports it.
BOTH = EntryClass(37, struct.Struct("<IIQQQQQQIII28xQ"))


class DirectoryEntry(NamedTuple):
    """One entry: times in 100 ns since 1601. A :data:`PLAIN` listing has 0 for tags and ids."""

    name: str
    size: int
    attributes: int
    creation_time: int
    access_time: int
    write_time: int
    change_time: int
    reparse_tag: int
    file_id: int


def encode_query_directory(
    file_id: bytes, limit: int, entry_class: EntryClass = FULL, name: str | None = None
) -> bytes:
    """QUERY_DIRECTORY for the next entries of an open directory, up to ``limit`` bytes; with ``name``, for that entry
    only.
    """
    pattern = _ANY if name is None else encode_name(name)
    fixed = _REQUEST.pack(_REQUEST_SIZE, entry_class.identifier, 0, 0, file_id, _NAME_OFFSET, len(pattern), limit)
    return fixed + pattern


def decode_query_directory(message: bytes | memoryview, entry_class: EntryClass = FULL) -> list[DirectoryEntry]:
    """Decode the entries of one successful reply; each offset must increase, so that no reply can loop."""
    size, offset, length = unpack(_RESPONSE, message, HEADER_SIZE, "query directory")
    check_structure_size(size, _RESPONSE_SIZE, "query directory")
    data = bytes(slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "query directory"))
    if not data:
        return []
    try:
        fields, names = _split(data, entry_class.layout)
    except struct.error as error:
        raise WireError(f"directory entry: it begins where {len(data)} bytes of entries end") from error
    make = tuple.__new__  # what NamedTuple's own constructor does, without its cost
    if entry_class is PLAIN:
        return [
            make(DirectoryEntry, (name, size, attributes, creation, access, write, change, 0, 0))
            for name, (_, _, creation, access, write, change, size, _, attributes, _) in zip(names, fields, strict=True)
        ]
    return [
        make(DirectoryEntry, (name, size, attributes, creation, access, write, change, tag, file_id))
        for name, (_, _, creation, access, write, change, size, _, attributes, _, tag, file_id) in zip(
            names, fields, strict=True
        )
    ]


def _split(data: bytes, layout: struct.Struct) -> tuple[list[tuple[int, ...]], list[str]]:
    """Return the fixed part and the name of each entry; raises struct.error if one begins too near the end."""
    fields: list[tuple[int, ...]] = []
    raw: list[bytes] = []
    unpack_from, fixed, length = layout.unpack_from, layout.size, len(data)
    offset = 0
    while True:
        entry = unpack_from(data, offset)
        following, name_length = entry[0], entry[_NAME_LENGTH]
        start = offset + fixed
        end = offset + following if following else length
        if not start + name_length <= end <= length:
            raise WireError(
                f"directory entry: {name_length} bytes of a name at {start} and the next entry at {end} "
                f"do not fit into {length} bytes"
            )
        if name_length % 2 or not 0 < name_length <= MAX_NAME_BYTES:
            raise WireError(f"directory entry: expected a name of 1 to 255 units, got {name_length} bytes")
        fields.append(entry)
        raw.append(data[start : start + name_length])
        if not following:
            return fields, _decode_names(raw)
        offset = end


def _decode_names(raw: list[bytes]) -> list[str]:
    names = decode_name(_ENCODED_SEPARATOR.join(raw)).split(_SEPARATOR)
    # A hostile name may contain the separator.
    return names if len(names) == len(raw) else [decode_name(name) for name in raw]
