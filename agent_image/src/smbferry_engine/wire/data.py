"""READ (2.2.19, 2.2.20), WRITE (2.2.21, 2.2.22) and FLUSH (2.2.17)."""

import struct

from smbferry_engine.wire.buffers import check_structure_size, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE

_READ_REQUEST = struct.Struct("<HBBIQ16sIIIHH")
_READ_RESPONSE = struct.Struct("<HBBIII")
_WRITE_REQUEST = struct.Struct("<HHIQ16sIIHHI")
_WRITE_RESPONSE = struct.Struct("<HHIIHH")
_FLUSH_REQUEST = struct.Struct("<HHI16s")
_READ_REQUEST_SIZE = 49
_READ_RESPONSE_SIZE = 17
_WRITE_REQUEST_SIZE = 49
_WRITE_RESPONSE_SIZE = 17
_FLUSH_SIZE = 24

READ_DATA_OFFSET = HEADER_SIZE + _READ_RESPONSE.size
WRITE_DATA_OFFSET = HEADER_SIZE + _WRITE_REQUEST.size


def encode_read(file_id: bytes, offset: int, length: int) -> bytes:
    """READ of ``length`` bytes at ``offset``, with the data at :data:`READ_DATA_OFFSET` of the reply."""
    return _READ_REQUEST.pack(_READ_REQUEST_SIZE, READ_DATA_OFFSET, 0, length, offset, file_id, 0, 0, 0, 0, 0) + b"\0"


def decode_read(message: bytes | bytearray | memoryview, start: int, end: int) -> tuple[int, int]:
    """Return absolute offset and length of the data of the READ reply at ``start``."""
    if start + HEADER_SIZE + _READ_RESPONSE.size > end:
        raise WireError(f"read: expected the fixed part, the message ends at {end}")
    size, offset, _, length, _, _ = _READ_RESPONSE.unpack_from(message, start + HEADER_SIZE)
    check_structure_size(size, _READ_RESPONSE_SIZE, "read")
    if length and (offset < READ_DATA_OFFSET or start + offset + length > end):
        raise WireError(f"read: {length} bytes at {offset} lie outside a message of {end - start}")
    return start + offset, length


def encode_write(file_id: bytes, offset: int, data: bytes | memoryview) -> bytes:
    """WRITE of ``data`` at ``offset``, for use in a compound."""
    return b"".join((_write_fixed(file_id, offset, len(data)), data))


def encode_write_into(buffer: bytearray | memoryview, file_id: bytes, offset: int, length: int) -> None:
    """Write the fixed part of WRITE in front of the data at :data:`WRITE_DATA_OFFSET` of ``buffer``."""
    _WRITE_REQUEST.pack_into(
        buffer, HEADER_SIZE, _WRITE_REQUEST_SIZE, WRITE_DATA_OFFSET, length, offset, file_id, 0, 0, 0, 0, 0
    )


def _write_fixed(file_id: bytes, offset: int, length: int) -> bytes:
    return _WRITE_REQUEST.pack(_WRITE_REQUEST_SIZE, WRITE_DATA_OFFSET, length, offset, file_id, 0, 0, 0, 0, 0)


def decode_write(message: bytes | memoryview) -> int:
    """Return how many bytes a successful WRITE has written."""
    size, _, count, _, _, _ = unpack(_WRITE_RESPONSE, message, HEADER_SIZE, "write")
    check_structure_size(size, _WRITE_RESPONSE_SIZE, "write")
    return count


def encode_flush(file_id: bytes) -> bytes:
    """FLUSH; the server answers once the file is on stable storage."""
    return _FLUSH_REQUEST.pack(_FLUSH_SIZE, 0, 0, file_id)
