"""FileFullEaInformation (MS-FSCC 2.4.16): the extended attributes of a file or folder."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from smbferry_engine.wire.buffers import entries_in
from smbferry_engine.wire.errors import WireError

_ENTRY = struct.Struct("<IBBH")
_ALIGNMENT = 4
MAX_VALUE = 0xFFFF


class ExtendedAttribute(NamedTuple):
    """One attribute: its name (1 to 255 bytes of an 8-bit code page), value, and flags (0x80: FILE_NEED_EA)."""

    flags: int
    name: bytes
    value: bytes


def decode_extended_attributes(data: bytes | memoryview) -> list[ExtendedAttribute]:
    """Decode a list.

    Raises:
        WireError: an entry does not fit, has no name, or its name does not end where it says.
    """
    found: list[ExtendedAttribute] = []
    for fields, start, end in entries_in(_ENTRY, data, "extended attribute"):
        _, flags, name_length, value_length = fields
        name_at = start + _ENTRY.size
        value_at = name_at + name_length + 1
        if value_at + value_length > end:
            raise WireError(
                f"extended attribute: expected {name_length} and {value_length} bytes at {name_at} within "
                f"{len(data)}, got an entry that ends at {end}"
            )
        if not name_length or data[value_at - 1]:
            raise WireError(f"extended attribute: expected a name that ends with a zero byte at {value_at - 1}")
        name = bytes(data[name_at : value_at - 1])
        found.append(ExtendedAttribute(flags, name, bytes(data[value_at : value_at + value_length])))
    return found


def encode_extended_attributes(attributes: Iterable[ExtendedAttribute]) -> bytes:
    """Encode a list for SET_INFO; an attribute with an empty value is removed."""
    encoded = bytearray()
    last = 0
    for flags, name, value in attributes:
        encoded += bytes(-len(encoded) % _ALIGNMENT)
        if encoded:
            struct.pack_into("<I", encoded, last, len(encoded) - last)
        last = len(encoded)
        encoded += _ENTRY.pack(0, flags, len(name), len(value)) + name + b"\0" + value
    return bytes(encoded)
