"""FSCTL_SRV_ENUMERATE_SNAPSHOTS (2.2.31, 2.2.32.2): the times of a server's snapshots of a folder."""

import re
import struct
from datetime import UTC, datetime
from typing import NamedTuple

from smbferry_engine.wire.buffers import unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.ioctl import FSCTL_SRV_ENUMERATE_SNAPSHOTS, decode_ioctl, encode_ioctl

_ARRAY = struct.Struct("<III")
# @GMT tokens (MS-SMB2 2.2.32.2, MS-SMB 2.2.1.1.1): UTC, to the second.
_TOKEN = re.compile(r"@GMT-(\d{4})\.(\d{2})\.(\d{2})-(\d{2})\.(\d{2})\.(\d{2})", re.ASCII)
_EARLIEST = datetime(1601, 1, 2, tzinfo=UTC)
_SHOWN = 40


class SnapshotArray(NamedTuple):
    """SRV_SNAPSHOT_ARRAY: how many snapshots there are, the times of those that were returned, and the size in bytes of
    a reply with all of them. A server returns none if not all fit.
    """

    total: int
    times: tuple[datetime, ...]
    needed: int


def encode_enumerate_snapshots(file_id: bytes, limit: int) -> bytes:
    """IOCTL for the snapshots of the folder that is open as ``file_id``; at least 16 bytes of output."""
    return encode_ioctl(file_id, FSCTL_SRV_ENUMERATE_SNAPSHOTS, b"", limit)


def decode_snapshots(message: bytes | memoryview) -> SnapshotArray:
    """Decode a reply; counts, sizes and tokens must agree with each other.

    Raises:
        WireError: they do not.
    """
    output = decode_ioctl(message, FSCTL_SRV_ENUMERATE_SNAPSHOTS)
    total, returned, size = unpack(_ARRAY, output, 0, "snapshots")
    needed = _ARRAY.size + size
    if not returned:
        return SnapshotArray(total, (), needed)
    if needed > len(output) or size % 2:
        raise WireError(f"snapshots: expected an array within {len(output)} bytes, got one of {size}")
    text = bytes(output[_ARRAY.size : needed]).decode("utf-16-le", "replace")
    # Each token ends with a null character, the array with one more.
    tokens = text.rstrip("\0").split("\0")
    if returned > total or returned != len(tokens):
        raise WireError(f"snapshots: expected {returned} of {total} tokens, got {len(tokens)}")
    return SnapshotArray(total, tuple(_time_of(token) for token in tokens), needed)


def _time_of(token: str) -> datetime:
    match = _TOKEN.fullmatch(token)
    try:
        year, month, day, hour, minute, second = map(int, match.groups() if match else ())
        time = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise WireError(f"snapshots: expected @GMT-YYYY.MM.DD-hh.mm.ss, got {token[:_SHOWN]!a}") from None
    if time < _EARLIEST:
        raise WireError(f"snapshots: expected a time after 1601, got {token}")
    return time
