"""Compares the metadata of two files or folders, as far as the options copy it. Pure.

Access times are not compared, because reading changes them, nor creation times that a server derives from others.
"""

from dataclasses import dataclass

from smbferry_engine.plan.attachments import NO_KINDS, Kinds
from smbferry_engine.times import UNITS_PER_SECOND, same_time, to_datetime
from smbferry_engine.wire.attributes import (
    ARCHIVE,
    COMPARED_ATTRIBUTES,
    COMPARED_ON_FOLDERS,
    DIRECTORY,
    HIDDEN,
    READONLY,
    SYSTEM,
)
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.security import AccessControlList, decode_security_descriptor

# Plain integers: these are combined once per file, and IntFlag is slow at that.
_OWNER, _GROUP, _DACL, _SACL = (int(part) for part in SecurityPart)
_ATTRIBUTES = ((READONLY, "read-only"), (HIDDEN, "hidden"), (SYSTEM, "system"), (ARCHIVE, "archive"))


@dataclass(frozen=True, slots=True)
class Compared:
    """Which metadata is compared: what the options copy. ``parts`` of a descriptor are those beside owner and group, 0
    for none; ``access`` are the rights to read them. ``attachments`` are the kinds that are asked for, of source and
    destination. Times that differ by at most ``window`` (in 100 ns) are the same.
    """

    times: bool = False
    attributes: bool = False
    parts: int = 0
    access: int = 0
    window: int = 0
    attachments: tuple[Kinds, Kinds] = (NO_KINDS, NO_KINDS)


def listed_differences(source: DirectoryEntry, destination: DirectoryEntry, compared: Compared) -> list[str]:
    """Return the differences of two entries, in words; an empty list if there are none."""
    found = []
    if compared.times:
        found += _times(source, destination, compared.window)
    if compared.attributes:
        mask = COMPARED_ON_FOLDERS if source.attributes & DIRECTORY else COMPARED_ATTRIBUTES
        ours, theirs = source.attributes & mask, destination.attributes & mask
        if ours != theirs:
            found.append(f"attributes {_words(ours)} at the source, {_words(theirs)} at the destination")
    return found


def _times(source: DirectoryEntry, destination: DirectoryEntry, window: int) -> list[str]:
    found = []
    if not same_time(source.write_time, destination.write_time, window):
        found.append(_apart("written", source.write_time, destination.write_time))
    created = same_time(source.creation_time, destination.creation_time, window)
    both = (source, destination)
    if not created and not any(map(_made_up, both)) and not all(map(_is_in_the_second_of_writing, both)):
        found.append(_apart("created", source.creation_time, destination.creation_time))
    return found


def _made_up(entry: DirectoryEntry) -> bool:
    """Return whether the creation time is one of the other times: servers that store none return one of those."""
    return entry.creation_time in (entry.access_time, entry.write_time, entry.change_time)


def _is_in_the_second_of_writing(entry: DirectoryEntry) -> bool:
    """Return whether the creation time may be what Samba 4.17 makes up: the seconds of the write time with the fraction
    of another time, which it does not report.
    """
    return entry.creation_time // UNITS_PER_SECOND == entry.write_time // UNITS_PER_SECOND


def _apart(what: str, ours: int, theirs: int) -> str:
    one, other = (to_datetime(time).isoformat() for time in (ours, theirs))
    if one == other:
        one, other = f"{one} ({ours})", f"{other} ({theirs})"
    return f"{what} {one} at the source, {other} at the destination"


def _words(attributes: int) -> str:
    return ", ".join(word for bit, word in _ATTRIBUTES if attributes & bit) or "none"


def security_differences(source: bytes, destination: bytes, parts: int) -> list[str]:
    """Return the differences of two raw security descriptors in owner, group and ``parts``, in words.

    Raises:
        WireError: one of them is malformed.
    """
    ours, theirs = decode_security_descriptor(source), decode_security_descriptor(destination)
    found = [
        f"{what} {one or 'none'} at the source, {other or 'none'} at the destination"
        for what, one, other in (("owner", ours.owner, theirs.owner), ("group", ours.group, theirs.group))
        if one != other
    ]
    if parts & SecurityPart.DACL and ours.dacl != theirs.dacl:
        found.append(_lists("access list", ours.dacl, theirs.dacl))
    if parts & SecurityPart.SACL and _entries(ours.sacl) != _entries(theirs.sacl):
        found.append(_lists("audit list", ours.sacl, theirs.sacl))
    return found


def differing_parts(source: bytes, destination: bytes, parts: int, *, auto_inherited: bool = True) -> int:
    """Return which of ``parts`` (SECURITY_INFORMATION, MS-DTYP 2.4.7) of two raw descriptors differ in meaning.

    Without ``auto_inherited``, how an access list came about is no difference: some servers do not store that.

    Raises:
        WireError: one of them is malformed.
    """
    if source == destination:
        return 0
    ours, theirs = decode_security_descriptor(source), decode_security_descriptor(destination)
    lists = [(ours.dacl, theirs.dacl), (_entries(ours.sacl), _entries(theirs.sacl))]
    if not auto_inherited:
        lists = [(_however_made(one), _however_made(other)) for one, other in lists]
    found = (
        (_OWNER, ours.owner != theirs.owner),
        (_GROUP, ours.group != theirs.group),
        *((part, one != other) for part, (one, other) in zip((_DACL, _SACL), lists, strict=True)),
    )
    return parts & sum(part for part, differs in found if differs)


def _entries(acl: AccessControlList | None) -> AccessControlList | None:
    """Return the audit list; None for an empty one that lets inherited entries in, which audits like none."""
    return acl if acl is not None and (acl.entries or acl.protected) else None


def _however_made(acl: AccessControlList | None) -> AccessControlList | None:
    return acl and acl._replace(auto_inherited=False)


def _lists(what: str, ours: AccessControlList | None, theirs: AccessControlList | None) -> str:
    one, other = (_size(acl) for acl in (ours, theirs))
    if one == other:
        return f"the {what} has other entries at the destination"
    return f"{what}: {one} at the source, {other} at the destination"


def _size(acl: AccessControlList | None) -> str:
    if acl is None:
        return "none"
    protected = ", protected from inheritance" if acl.protected else ""
    return f"{len(acl.entries)} entries{protected}{', automatically inherited' if acl.auto_inherited else ''}"
