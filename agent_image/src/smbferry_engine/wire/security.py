"""Decodes self-relative security descriptors (MS-DTYP 2.4.6), so that two can be compared by their meaning."""

import struct
from typing import NamedTuple

from smbferry_engine.sids import MAX_SUB_AUTHORITIES, SID_FIXED, SUB_AUTHORITY, sid_text
from smbferry_engine.wire.buffers import slice_of, unpack
from smbferry_engine.wire.errors import WireError

_DESCRIPTOR = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_ACE = struct.Struct("<BBH")
_REVISION = 1
_CONTROL = struct.Struct("<H")
_CONTROL_AT = 2
_DACL_PRESENT = 0x0004
_SACL_PRESENT = 0x0010
_DACL_AUTO_INHERITED = 0x0400
_SACL_AUTO_INHERITED = 0x0800
_DACL_PROTECTED = 0x1000
_SACL_PROTECTED = 0x2000
_DACL_STATE = _DACL_PRESENT | _DACL_PROTECTED | _DACL_AUTO_INHERITED
_SELF_RELATIVE = 0x8000
_SACL_CONTROL = 0x2A30  # the bits of the control word that concern the audit list
_ACL_REVISION = 2
_ACCESS_ALLOWED = 0
_OBJECT_INHERIT = 0x01
_CONTAINER_INHERIT = 0x02
_FULL_ACCESS = 0x001F01FF
_MASK = struct.Struct("<I")
_AUTO_INHERITED = _DACL_AUTO_INHERITED | _SACL_AUTO_INHERITED
# The bit that asks for one lies two below the one that is asked for.
_ASKED_BY = 2
_OBJECT_FLAGS = struct.Struct("<I")
_MASK_END = 8
_OBJECT_TYPE, _INHERITED_OBJECT_TYPE = 0x1, 0x2
_GUID = 16
# 2.4.4.1: allowed, denied, audit, alarm, with condition, mandatory label, resource attribute, scoped policy.
_WITH_SID = frozenset({0x00, 0x01, 0x02, 0x03, 0x09, 0x0A, 0x0D, 0x0E, 0x11, 0x12, 0x13})
# The same kinds for properties of objects, and with conditions.
_WITH_OBJECT = frozenset({0x05, 0x06, 0x07, 0x08, 0x0B, 0x0C, 0x0F, 0x10})


class AccessControlList(NamedTuple):
    """An ACL (2.4.5): whether it keeps inherited entries out, its entries as they are, in their order, and whether it
    came about by automatic inheritance, which the next change above it goes by.
    """

    protected: bool
    entries: tuple[bytes, ...]
    auto_inherited: bool = False


class SecurityDescriptor(NamedTuple):
    """Owner and group as SIDs in text, None where absent; an access list that is None lets everyone in."""

    owner: str | None
    group: str | None
    dacl: AccessControlList | None
    sacl: AccessControlList | None


def decode_security_descriptor(data: bytes | memoryview) -> SecurityDescriptor:
    """Decode a self-relative descriptor; its layout (padding, the order of its parts) is left out.

    Raises:
        WireError: an offset points outside the bytes, or they are no descriptor.
    """
    revision, _, control, owner, group, sacl, dacl = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    if revision != _REVISION:
        raise WireError(f"security descriptor: expected revision {_REVISION}, got {revision}")
    return SecurityDescriptor(
        _sid(data, owner),
        _sid(data, group),
        _acl(data, dacl, control & _DACL_PROTECTED, control & _DACL_AUTO_INHERITED)
        if control & _DACL_PRESENT
        else None,
        _acl(data, sacl, control & _SACL_PROTECTED, control & _SACL_AUTO_INHERITED)
        if control & _SACL_PRESENT
        else None,
    )


def asking_for_inheritance(data: bytes) -> bytes:
    """Return the descriptor as it is sent: a server keeps SE_DACL_AUTO_INHERITED only if the request asks for it.

    The request sets SE_DACL_AUTO_INHERIT_REQ, and SE_SACL_AUTO_INHERIT_REQ for the audit list (2.4.6, 2.5.3.4.2).

    Raises:
        WireError: it has no control word.
    """
    (control,) = unpack(_CONTROL, data, _CONTROL_AT, "security descriptor")
    asked = control | (control & _AUTO_INHERITED) >> _ASKED_BY
    if asked == control:
        return data
    return data[:_CONTROL_AT] + _CONTROL.pack(asked) + data[_CONTROL_AT + _CONTROL.size :]


def at_creation(data: bytes, *, owner: bool) -> bytes:
    """Return the descriptor to create the object with: at no moment does anybody get more access than in the end.

    It is protected, because a server may merge inherited entries into an unprotected list (2.5.3.4.1). It has no audit
    list, and without ``owner`` no owner and group: setting these may take a privilege.

    Raises:
        WireError: it is shorter than its fixed part.
    """
    revision, reserved, control, owner_at, group_at, _, dacl = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    control = control & ~_SACL_CONTROL | _DACL_PROTECTED
    if not owner:
        owner_at = group_at = 0
    fixed = _DESCRIPTOR.pack(revision, reserved, control, owner_at, group_at, 0, dacl)
    return fixed + data[_DESCRIPTOR.size :]


def is_whole_at_creation(data: bytes) -> bool:
    """Return whether :func:`at_creation` leaves nothing of owner, group and access list to be set later."""
    (control,) = unpack(_CONTROL, data, _CONTROL_AT, "security descriptor")
    return control & _DACL_STATE == _DACL_PRESENT | _DACL_PROTECTED


def owner_and_group(data: bytes) -> tuple[bytes, bytes]:
    """Return both SIDs as raw bytes, empty where absent.

    Raises:
        WireError: one lies outside the descriptor.
    """
    _, _, _, owner, group, _, _ = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    return _raw_sid(data, owner), _raw_sid(data, group)


def _raw_sid(data: bytes, offset: int) -> bytes:
    if not offset:
        return b""
    count = slice_of(data, offset, SID_FIXED.size, _DESCRIPTOR.size, "SID")[1]
    return bytes(slice_of(data, offset, SID_FIXED.size + count * SUB_AUTHORITY, _DESCRIPTOR.size, "SID"))


def only_for(sid: bytes, *, inheritable: bool = False) -> bytes:
    """Return a descriptor without owner whose protected access list grants full access to ``sid`` (raw) and nobody
    else.

    Nothing in it is inherited. If ``inheritable``, what is created in the folder inherits it.
    """
    flags = _OBJECT_INHERIT | _CONTAINER_INHERIT if inheritable else 0
    entry = _ACE.pack(_ACCESS_ALLOWED, flags, _ACE.size + _MASK.size + len(sid)) + _MASK.pack(_FULL_ACCESS) + sid
    acl = _ACL.pack(_ACL_REVISION, 0, _ACL.size + len(entry), 1, 0) + entry
    control = _SELF_RELATIVE | _DACL_PRESENT | _DACL_PROTECTED
    return _DESCRIPTOR.pack(_REVISION, 0, control, 0, 0, 0, _DESCRIPTOR.size) + acl


def _sid(data: bytes | memoryview, offset: int) -> str | None:
    """Return the SID (2.4.2) at ``offset`` in the form S-1-5-32-544; None for offset 0, which means no SID."""
    if not offset:
        return None
    return sid_text(sid_at(data, offset, _DESCRIPTOR.size))


def sid_at(data: bytes | memoryview, offset: int, least: int) -> bytes:
    """Return the raw SID (2.4.2) at ``offset``, which must not be before ``least``.

    Raises:
        WireError: it lies outside the bytes, or is no SID.
    """
    revision, count, _ = unpack(SID_FIXED, data, offset, "SID")
    if revision != _REVISION or count > MAX_SUB_AUTHORITIES:
        raise WireError(f"SID: expected revision {_REVISION} and at most {MAX_SUB_AUTHORITIES} parts, got {count}")
    return bytes(slice_of(data, offset, SID_FIXED.size + count * SUB_AUTHORITY, least, "SID"))


def sid_offset(entry: bytes) -> int | None:
    """Return where an entry (2.4.4) has its SID; None for a type that is not known.

    Raises:
        WireError: it ends before that.
    """
    if entry[0] in _WITH_SID:
        return _MASK_END
    if entry[0] not in _WITH_OBJECT:
        return None
    (flags,) = unpack(_OBJECT_FLAGS, entry, _MASK_END, "object entry")
    types = bool(flags & _OBJECT_TYPE) + bool(flags & _INHERITED_OBJECT_TYPE)
    return _MASK_END + _OBJECT_FLAGS.size + types * _GUID


def _acl(data: bytes | memoryview, offset: int, protected: int, auto_inherited: int) -> AccessControlList | None:
    if not offset:
        return None
    _, _, size, count, _ = unpack(_ACL, data, offset, "access list")
    acl = slice_of(data, offset, max(size, _ACL.size), _DESCRIPTOR.size, "access list")
    entries, at = [], _ACL.size
    for _ in range(count):
        _, _, length = unpack(_ACE, acl, at, "access list entry")
        if length < _ACE.size:
            raise WireError(f"access list entry: expected at least {_ACE.size} bytes, got {length}")
        entries.append(bytes(slice_of(acl, at, length, _ACL.size, "access list entry")))
        at += length
    return AccessControlList(bool(protected), tuple(entries), bool(auto_inherited))
