"""The SIDs that a security descriptor names: owner, group, and the trustees of its access lists (MS-DTYP 2.4.4)."""

from typing import Final

from smbferry_engine.sids import sid_text
from smbferry_engine.wire.security import decode_security_descriptor, sid_at, sid_offset

_ACCOUNTS: Final = "S-1-5-21-"
_PREFIX_PARTS: Final = 7
_LOCAL: Final = ("S-1-22-", "S-1-5-88-")
# Mandatory labels, resource attributes and scoped policies have a SID, too, which is no account's.
_NO_ACCOUNT: Final = frozenset({0x11, 0x12, 0x13})


def trustees_of(descriptor: bytes | memoryview) -> frozenset[str]:
    """Return owner, group and the trustees of both access lists, such as S-1-5-32-544.

    Entries of other types (mandatory labels, resource attributes) name no account and are left out.

    Raises:
        WireError: the descriptor or an entry is malformed.
    """
    decoded = decode_security_descriptor(descriptor)
    found = {sid for sid in (decoded.owner, decoded.group) if sid is not None}
    for acl in (decoded.dacl, decoded.sacl):
        for entry in acl.entries if acl is not None else ():
            sid = _trustee(entry)
            if sid is not None:
                found.add(sid)
    return frozenset(found)


def _trustee(entry: bytes) -> str | None:
    at = None if entry[0] in _NO_ACCOUNT else sid_offset(entry)
    return None if at is None else sid_text(sid_at(entry, at, at))


def is_local(sid: str) -> bool:
    """Return whether a SID only means something on the server that made it up: Unix users and groups of Samba
    (S-1-22-1, S-1-22-2) and of Windows' NFS server (S-1-5-88).
    """
    return sid.startswith(_LOCAL)


def domain_of(sid: str) -> str | None:
    """Return the domain's (or a server's own) prefix of an account's SID, S-1-5-21-a-b-c; None for a well-known SID."""
    parts = sid.split("-")
    return "-".join(parts[:_PREFIX_PARTS]) if sid.startswith(_ACCOUNTS) and len(parts) > _PREFIX_PARTS else None
