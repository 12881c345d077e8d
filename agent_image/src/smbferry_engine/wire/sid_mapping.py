"""Replaces SIDs in self-relative security descriptors (MS-DTYP 2.4.6), and leaves everything else as it is.

Owner, group and the trustee of each entry are replaced. The other fields of an entry stay byte for byte: rights, flags,
object types, conditions and resource attributes. SIDs inside a condition (2.4.4.17) are therefore not replaced.
"""

import struct
from collections.abc import Callable
from typing import Final

from smbferry_engine.wire.buffers import slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.security import sid_at, sid_offset

_DESCRIPTOR = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBH")
_MAX_SIZE: Final = 0xFFFC  # of an ACL (2.4.5) and of an entry (2.4.4.1): 16 bits, a multiple of four
_DACL_PRESENT: Final = 0x0004
_SACL_PRESENT: Final = 0x0010
_ALIGNMENT: Final = 4

Replace = Callable[[bytes], bytes]


class TooLargeError(Exception):
    """An access list would be larger than its 16-bit size field allows."""


def replace_sids(data: bytes, replace: Replace) -> bytes:
    """Return the descriptor with each raw SID passed through ``replace``; the same object if none changes.

    Entries of unknown types stay as they are.

    Raises:
        WireError: it is malformed.
        TooLargeError: an access list, or an entry, becomes too large.
    """
    revision, reserved, control, *offsets = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    owner, group = (sid_at(data, at, _DESCRIPTOR.size) if at else b"" for at in offsets[:2])
    present = control & _SACL_PRESENT, control & _DACL_PRESENT
    lists = [_list_at(data, at) if at and there else b"" for at, there in zip(offsets[2:], present, strict=True)]
    old = [owner, group, *lists]
    new = [
        replace(owner) if owner else b"",
        replace(group) if group else b"",
        *(_replaced(acl, replace) for acl in lists),
    ]
    if new == old:
        return data
    body, places = b"", []
    for part in new:
        places.append(_DESCRIPTOR.size + len(body) if part else 0)
        body += part + bytes(-len(part) % _ALIGNMENT)
    return _DESCRIPTOR.pack(revision, reserved, control, *places) + body


def _list_at(data: bytes, at: int) -> bytes:
    size = unpack(_ACL, data, at, "access list")[2]
    return bytes(slice_of(data, at, max(size, _ACL.size), _DESCRIPTOR.size, "access list"))


def _replaced(acl: bytes, replace: Replace) -> bytes:
    """Return an access list with the SIDs of its entries replaced; the same if none changes."""
    if not acl:
        return acl
    revision, reserved, _, count, reserved_too = _ACL.unpack_from(acl)
    old, new, at = [], [], _ACL.size
    for _ in range(count):
        length = unpack(_ACE, acl, at, "access list entry")[2]
        if length < _ACE.size:
            raise WireError(f"access list entry: expected at least {_ACE.size} bytes, got {length}")
        entry = bytes(slice_of(acl, at, length, _ACL.size, "access list entry"))
        old.append(entry)
        new.append(_entry(entry, replace))
        at += length
    if new == old:
        return acl
    entries = b"".join(new)
    size = _ACL.size + len(entries)
    if size > _MAX_SIZE:
        raise TooLargeError(f"expected an access list of at most {_MAX_SIZE} bytes, got {size} with the new SIDs")
    return _ACL.pack(revision, reserved, size, count, reserved_too) + entries


def _entry(entry: bytes, replace: Replace) -> bytes:
    at = sid_offset(entry)
    if at is None:
        return entry
    sid = sid_at(entry, at, at)
    new = replace(sid)
    if new == sid:
        return entry
    kind, flags, _ = _ACE.unpack_from(entry)
    changed = entry[_ACE.size : at] + new + entry[at + len(sid) :]
    size = _ACE.size + len(changed)
    if size > _MAX_SIZE:
        raise TooLargeError(f"expected an entry of at most {_MAX_SIZE} bytes, got {size} with the new SID")
    return _ACE.pack(kind, flags, size) + changed
