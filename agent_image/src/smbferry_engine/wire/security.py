"""Self-relative security descriptors (MS-DTYP 2.4.6) taken apart, so that two can be compared by what they mean."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import slice_of, unpack
from smbferry_engine.wire.errors import WireError

_DESCRIPTOR = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBH")
_SID = struct.Struct("<BB6s")
_REVISION = 1
_SUB_AUTHORITY = 4
_MAX_SUB_AUTHORITIES = 15
_DACL_PRESENT = 0x0004
_SACL_PRESENT = 0x0010
_DACL_PROTECTED = 0x1000
_SACL_PROTECTED = 0x2000


class AccessControlList(NamedTuple):
    """An ACL (2.4.5): whether it keeps inherited entries out, and its entries as they are, in their order."""

    protected: bool
    entries: tuple[bytes, ...]


class SecurityDescriptor(NamedTuple):
    """Owner and group as SIDs in text, None where absent; an access list that is None lets everyone in."""

    owner: str | None
    group: str | None
    dacl: AccessControlList | None
    sacl: AccessControlList | None


def decode_security_descriptor(data: bytes | memoryview) -> SecurityDescriptor:
    """A self-relative descriptor; what says only how it came about or is laid out (inheritance, padding) is left out.

    Raises:
        WireError: it reaches outside its bytes, or is no descriptor.
    """
    revision, _, control, owner, group, sacl, dacl = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    if revision != _REVISION:
        raise WireError(f"security descriptor: revision {_REVISION} expected, found {revision}")
    return SecurityDescriptor(
        _sid(data, owner),
        _sid(data, group),
        _acl(data, dacl, protected=bool(control & _DACL_PROTECTED)) if control & _DACL_PRESENT else None,
        _acl(data, sacl, protected=bool(control & _SACL_PROTECTED)) if control & _SACL_PRESENT else None,
    )


def _sid(data: bytes | memoryview, offset: int) -> str | None:
    """The SID (2.4.2) at ``offset`` in the form S-1-5-32-544; None for offset 0, which means that there is none."""
    if not offset:
        return None
    revision, count, _ = unpack(_SID, data, offset, "SID")
    if revision != _REVISION or count > _MAX_SUB_AUTHORITIES:
        raise WireError(f"SID: revision {_REVISION} and at most {_MAX_SUB_AUTHORITIES} parts expected, found {count}")
    raw = slice_of(data, offset, _SID.size + count * _SUB_AUTHORITY, _DESCRIPTOR.size, "SID")
    authority = int.from_bytes(raw[2 : _SID.size], "big")
    parts = struct.unpack_from(f"<{count}I", raw, _SID.size)
    return "-".join(["S", str(revision), str(authority), *map(str, parts)])


def _acl(data: bytes | memoryview, offset: int, *, protected: bool) -> AccessControlList | None:
    if not offset:
        return None
    _, _, size, count, _ = unpack(_ACL, data, offset, "access list")
    acl = slice_of(data, offset, max(size, _ACL.size), _DESCRIPTOR.size, "access list")
    entries, at = [], _ACL.size
    for _ in range(count):
        _, _, length = unpack(_ACE, acl, at, "access list entry")
        if length < _ACE.size:
            raise WireError(f"access list entry: at least {_ACE.size} bytes expected, found {length}")
        entries.append(bytes(slice_of(acl, at, length, _ACL.size, "access list entry")))
        at += length
    return AccessControlList(protected, tuple(entries))
