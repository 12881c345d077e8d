"""IOCTL (2.2.31, 2.2.32) with the controls of server-side copy, and the envelope of any other."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE

_REQUEST = struct.Struct("<HHI16sIIIIIIII")
_RESPONSE = struct.Struct("<HHI16sIIIIII")
_COPY = struct.Struct("<24sII")
_CHUNK = struct.Struct("<QQII")
_COPIED = struct.Struct("<III")
_RANGE = struct.Struct("<QQ")
_REQUEST_SIZE = 57
_RESPONSE_SIZE = 49
_INPUT_OFFSET = HEADER_SIZE + _REQUEST.size
_IS_FSCTL = 0x00000001
_RESUME_KEY_SIZE = 24
_RESUME_KEY_REPLY = _RESUME_KEY_SIZE + 8

FSCTL_DFS_GET_REFERRALS = 0x00060194
FSCTL_QUERY_ALLOCATED_RANGES = 0x000940CF
FSCTL_SET_SPARSE = 0x000900C4
FSCTL_SET_COMPRESSION = 0x0009C040
FSCTL_SET_INTEGRITY_INFORMATION = 0x0009C280
FSCTL_SRV_REQUEST_RESUME_KEY = 0x00140078
FSCTL_SRV_ENUMERATE_SNAPSHOTS = 0x00144064
# The target needs to be open for writing only; FSCTL_SRV_COPYCHUNK needs it open for reading, too.
FSCTL_SRV_COPYCHUNK_WRITE = 0x001480F2
_NO_OFFSET = 1 << 63
_COMPRESSION_FORMAT_DEFAULT = 1
_CHECKSUM_TYPE_CRC64 = 2
# The file id of a control that concerns no file (2.2.31).
NO_FILE = b"\xff" * 16


class Chunk(NamedTuple):
    """A range to copy (2.2.31.1.1): where it begins in the source and in the target, and its length, in bytes."""

    source_offset: int
    target_offset: int
    length: int


class CopyReply(NamedTuple):
    """SRV_COPYCHUNK_RESPONSE (2.2.32.1). Of a success, what was written; of INVALID_PARAMETER, the server's limits.

    ``chunks`` is how many were written or may be asked for, ``chunk_bytes`` the bytes of one that was not written whole
    or the most that one may have, ``total_bytes`` the bytes of all.
    """

    chunks: int
    chunk_bytes: int
    total_bytes: int


def encode_ioctl(file_id: bytes, control: int, data: bytes, limit: int) -> bytes:
    """IOCTL with an FSCTL, ``data`` as its input and up to ``limit`` bytes of output."""
    fixed = _REQUEST.pack(
        _REQUEST_SIZE, 0, control, file_id, _INPUT_OFFSET if data else 0, len(data), 0, 0, 0, limit, _IS_FSCTL, 0
    )
    return fixed + (data or b"\0")


def decode_ioctl(message: bytes | memoryview, control: int) -> memoryview:
    """Return the output of the reply to ``control``."""
    size, _, found, _, _, _, offset, length, _, _ = unpack(_RESPONSE, message, HEADER_SIZE, "ioctl")
    check_structure_size(size, _RESPONSE_SIZE, "ioctl")
    if found != control:
        raise WireError(f"ioctl: expected a reply to control 0x{control:08x}, got 0x{found:08x}")
    return slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "ioctl")


def encode_set_compression(file_id: bytes) -> bytes:
    """FSCTL_SET_COMPRESSION (MS-FSCC 2.3): compressed in the format that the file system prefers."""
    return encode_ioctl(file_id, FSCTL_SET_COMPRESSION, struct.pack("<H", _COMPRESSION_FORMAT_DEFAULT), 0)


def encode_set_integrity(file_id: bytes) -> bytes:
    """FSCTL_SET_INTEGRITY_INFORMATION (MS-FSCC 2.3): with checksums of its content."""
    return encode_ioctl(file_id, FSCTL_SET_INTEGRITY_INFORMATION, struct.pack("<HHI", _CHECKSUM_TYPE_CRC64, 0, 0), 0)


def encode_set_sparse(file_id: bytes) -> bytes:
    """FSCTL_SET_SPARSE (MS-FSCC 2.3.69) without a buffer, which sets it: what is never written takes no space."""
    return encode_ioctl(file_id, FSCTL_SET_SPARSE, b"", 0)


def encode_query_ranges(file_id: bytes, begin: int, end: int, limit: int) -> bytes:
    """FSCTL_QUERY_ALLOCATED_RANGES (MS-FSCC 2.3.54): the ranges between two bytes that are no holes."""
    return encode_ioctl(file_id, FSCTL_QUERY_ALLOCATED_RANGES, _RANGE.pack(begin, end - begin), limit)


def decode_ranges(message: bytes | memoryview) -> list[tuple[int, int]]:
    """Decode a reply (MS-FSCC 2.3.55) into half-open byte ranges; each must begin after the previous one."""
    output = decode_ioctl(message, FSCTL_QUERY_ALLOCATED_RANGES)
    if len(output) % _RANGE.size:
        raise WireError(f"allocated ranges: expected whole ones of {_RANGE.size} bytes, got {len(output)} bytes")
    ranges: list[tuple[int, int]] = []
    before = 0
    for begin, length in _RANGE.iter_unpack(output):
        if begin < before or length <= 0 or begin + length >= _NO_OFFSET:
            raise WireError(f"allocated ranges: {length} bytes at {begin} follow what ends at {before}")
        before = begin + length
        ranges.append((begin, before))
    return ranges


def encode_request_resume_key(file_id: bytes) -> bytes:
    """FSCTL_SRV_REQUEST_RESUME_KEY (2.2.31.3): the key that identifies an open file as the source of a copy."""
    return encode_ioctl(file_id, FSCTL_SRV_REQUEST_RESUME_KEY, b"", _RESUME_KEY_REPLY)


def decode_resume_key(message: bytes | memoryview) -> bytes:
    """Return the 24 bytes of SRV_REQUEST_RESUME_KEY (2.2.32.3), which are opaque; the context after them is ignored."""
    output = decode_ioctl(message, FSCTL_SRV_REQUEST_RESUME_KEY)
    if len(output) < _RESUME_KEY_SIZE:
        raise WireError(f"resume key: expected {_RESUME_KEY_SIZE} bytes, got {len(output)}")
    return bytes(output[:_RESUME_KEY_SIZE])


def encode_copy_chunks(file_id: bytes, resume_key: bytes, chunks: Sequence[Chunk]) -> bytes:
    """FSCTL_SRV_COPYCHUNK_WRITE (2.2.31.1) into ``file_id`` from the file that ``resume_key`` names."""
    data = _COPY.pack(resume_key, len(chunks), 0) + b"".join(_CHUNK.pack(*chunk, 0) for chunk in chunks)
    return encode_ioctl(file_id, FSCTL_SRV_COPYCHUNK_WRITE, data, _COPIED.size)


def decode_copied(message: bytes | memoryview) -> CopyReply:
    """Decode SRV_COPYCHUNK_RESPONSE, of a success or of INVALID_PARAMETER, which returns the server's limits."""
    return CopyReply(*unpack(_COPIED, decode_ioctl(message, FSCTL_SRV_COPYCHUNK_WRITE), 0, "copied chunks"))
