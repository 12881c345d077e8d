r"""DFS referrals (MS-DFSC 2.2.2, 2.2.4): what ``\server\share\path`` stands for, and how much of it.

Offsets of an entry are relative to its start and are checked against the whole reply; strings end with NUL.
"""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.names import decode_name, encode_name

_REQUEST = struct.Struct("<H")
_RESPONSE = struct.Struct("<HHI")
_ENTRY = struct.Struct("<HHHH")
_VERSION_2 = struct.Struct("<IIHHH")
_VERSION_3 = struct.Struct("<IHHH")
_MAX_VERSION = 4
_NAME_LIST = 0x0002
_ROOT_TARGETS = 0x0001
_UNIT = 2
MAX_ENTRIES = 64
MAX_NAME_BYTES = 2 * 2048


class Referral(NamedTuple):
    r"""One target: ``\server\share`` or ``\server\share\path``; ``root`` if it is a namespace's root, ``ttl`` in s."""

    target: str
    root: bool
    ttl: int


class Referrals(NamedTuple):
    """A reply: how many UTF-16 code units of the path the targets replace, and the targets in order."""

    consumed: int
    targets: tuple[Referral, ...]


def encode_get_referrals(path: str) -> bytes:
    r"""REQ_GET_DFS_REFERRAL for ``\server\share\path``, answered by entries of up to version 4."""
    return _REQUEST.pack(_MAX_VERSION) + encode_name(path) + b"\0\0"


def decode_referrals(data: bytes | memoryview) -> Referrals:
    """RESP_GET_DFS_REFERRAL. Entries that list domain controllers, which are not requested, are refused."""
    consumed, count, _ = unpack(_RESPONSE, data, 0, "referrals")
    if consumed % _UNIT or count > MAX_ENTRIES:
        raise WireError(f"referrals: expected whole UTF-16 units and at most {MAX_ENTRIES} entries")
    offset = _RESPONSE.size
    targets = []
    for _ in range(count):
        referral, size = _entry(data, offset)
        targets.append(referral)
        offset += size
    return Referrals(consumed // _UNIT, tuple(targets))


def _entry(data: bytes | memoryview, offset: int) -> tuple[Referral, int]:
    """Return the entry at ``offset``, and the size of its fixed part: what follows it is the next entry, or strings."""
    version, size, server_type, flags = unpack(_ENTRY, data, offset, "referral")
    fields = offset + _ENTRY.size
    if size < _ENTRY.size:
        raise WireError(f"referral: expected at least {_ENTRY.size} bytes, got {size}")
    root = server_type == _ROOT_TARGETS
    if version == 1:
        return Referral(_string(data, fields), root, 0), size
    if version == 2:  # noqa: PLR2004  # the versions are the specification's own numbers
        _, ttl, _, _, address = unpack(_VERSION_2, data, fields, "referral of version 2")
        return Referral(_string(data, offset + address), root, ttl), size
    if version not in (3, 4):
        raise WireError(f"referral: expected version 1 to 4, got {version}")
    if flags & _NAME_LIST:
        raise WireError("referral: expected a target, got a list of names")
    ttl, _, _, address = unpack(_VERSION_3, data, fields, f"referral of version {version}")
    return Referral(_string(data, offset + address), root, ttl), size


def _string(data: bytes | memoryview, offset: int) -> str:
    """Return the NUL-terminated string at ``offset``."""
    end = offset
    while bytes(data[end : end + _UNIT]) != b"\0\0":
        end += _UNIT
        if end + _UNIT > len(data) or end - offset > MAX_NAME_BYTES:
            raise WireError(f"referral: expected a string at {offset} that ends within {len(data)} bytes")
    return decode_name(data[offset:end])
