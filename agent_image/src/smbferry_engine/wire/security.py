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
_CONTROL = struct.Struct("<H")
_CONTROL_AT = 2
_DACL_PRESENT = 0x0004
_SACL_PRESENT = 0x0010
_DACL_AUTO_INHERIT_REQ = 0x0100
_SACL_AUTO_INHERIT_REQ = 0x0200
_DACL_AUTO_INHERITED = 0x0400
_SACL_AUTO_INHERITED = 0x0800
_DACL_PROTECTED = 0x1000
_SACL_PROTECTED = 0x2000
_DACL_STATE = _DACL_PRESENT | _DACL_PROTECTED | _DACL_AUTO_INHERITED
_SELF_RELATIVE = 0x8000
_SACL_CONTROL = 0x2A30  # everything in the control word that is about the audit list
_ACL_REVISION = 2
_ACCESS_ALLOWED = 0
_FULL_ACCESS = 0x001F01FF
_MASK = struct.Struct("<I")
_AUTO_INHERITED = _DACL_AUTO_INHERITED | _SACL_AUTO_INHERITED
# The bit that asks for one lies two below the one that is asked for.
_ASKED_BY = 2


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
    """A self-relative descriptor; what says only how it is laid out (padding, the order of its parts) is left out.

    Raises:
        WireError: it reaches outside its bytes, or is no descriptor.
    """
    revision, _, control, owner, group, sacl, dacl = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    if revision != _REVISION:
        raise WireError(f"security descriptor: revision {_REVISION} expected, found {revision}")
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
    """The same descriptor as it is sent: a server keeps SE_DACL_AUTO_INHERITED only where the request asks for it.

    The request does by SE_DACL_AUTO_INHERIT_REQ, and by SE_SACL_AUTO_INHERIT_REQ for the audit list (2.4.6, 2.5.3.4.2).

    Raises:
        WireError: it has no control word.
    """
    (control,) = unpack(_CONTROL, data, _CONTROL_AT, "security descriptor")
    asked = control | (control & _AUTO_INHERITED) >> _ASKED_BY
    if asked == control:
        return data
    return data[:_CONTROL_AT] + _CONTROL.pack(asked) + data[_CONTROL_AT + _CONTROL.size :]


def at_creation(data: bytes, *, owner: bool) -> bytes:
    """What a descriptor's object is made with: nobody gets more of it, from its first moment on, than in the end.

    It is protected, for a server may merge what the folder hands down into a list that is not (2.5.3.4.1). The audit
    list is left out, and without ``owner`` so are owner and group, each of which takes a privilege of its own.

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
    """Whether :func:`at_creation` leaves nothing of owner, group and access list to be set later."""
    (control,) = unpack(_CONTROL, data, _CONTROL_AT, "security descriptor")
    return control & _DACL_STATE == _DACL_PRESENT | _DACL_PROTECTED


def owner_and_group(data: bytes) -> tuple[bytes, bytes]:
    """Both SIDs as they are in the descriptor, empty where absent.

    Raises:
        WireError: one lies outside the descriptor.
    """
    _, _, _, owner, group, _, _ = unpack(_DESCRIPTOR, data, 0, "security descriptor")
    return _raw_sid(data, owner), _raw_sid(data, group)


def _raw_sid(data: bytes, offset: int) -> bytes:
    if not offset:
        return b""
    count = slice_of(data, offset, _SID.size, _DESCRIPTOR.size, "SID")[1]
    return bytes(slice_of(data, offset, _SID.size + count * _SUB_AUTHORITY, _DESCRIPTOR.size, "SID"))


def only_for(sid: bytes) -> bytes:
    """A descriptor without owner whose protected access list lets nobody in but ``sid`` (raw), which may do anything.

    Nothing of it is handed down.
    """
    entry = _ACE.pack(_ACCESS_ALLOWED, 0, _ACE.size + _MASK.size + len(sid)) + _MASK.pack(_FULL_ACCESS) + sid
    acl = _ACL.pack(_ACL_REVISION, 0, _ACL.size + len(entry), 1, 0) + entry
    control = _SELF_RELATIVE | _DACL_PRESENT | _DACL_PROTECTED
    return _DESCRIPTOR.pack(_REVISION, 0, control, 0, 0, 0, _DESCRIPTOR.size) + acl


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


def _acl(data: bytes | memoryview, offset: int, protected: int, auto_inherited: int) -> AccessControlList | None:
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
    return AccessControlList(bool(protected), tuple(entries), bool(auto_inherited))
