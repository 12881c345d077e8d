"""Whether the metadata of two files or folders agrees, as far as the options copy it: pure.

Access times are left out, for reading a file moves them; so is a creation time that its server only makes up.
"""

from dataclasses import dataclass

from smbferry_engine.plan import ARCHIVE, COMPARED_ATTRIBUTES, COMPARED_ON_FOLDERS, DIRECTORY, HIDDEN, READONLY, SYSTEM
from smbferry_engine.times import same_time, to_datetime
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.security import AccessControlList, decode_security_descriptor

_ATTRIBUTES = ((READONLY, "read-only"), (HIDDEN, "hidden"), (SYSTEM, "system"), (ARCHIVE, "archive"))


@dataclass(frozen=True, slots=True)
class Compared:
    """Which metadata is compared: what the options copy. ``parts`` are those of a descriptor beside owner and group,
    0 for none; ``access`` is what it takes to read them. Times within ``window`` (in 100 ns) are the same.
    """

    times: bool = False
    attributes: bool = False
    parts: int = 0
    access: int = 0
    window: int = 0


def listed_differences(source: DirectoryEntry, destination: DirectoryEntry, compared: Compared) -> list[str]:
    """What differs of two entries of listings, in words; nothing where they agree."""
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
    if not created and not (_made_up(source) or _made_up(destination)):
        found.append(_apart("created", source.creation_time, destination.creation_time))
    return found


def _made_up(entry: DirectoryEntry) -> bool:
    """Whether the creation time is one of the other times: servers that keep none give one of those."""
    return entry.creation_time in (entry.access_time, entry.write_time, entry.change_time)


def _apart(what: str, ours: int, theirs: int) -> str:
    one, other = (to_datetime(time).isoformat() for time in (ours, theirs))
    if one == other:
        one, other = f"{one} ({ours})", f"{other} ({theirs})"
    return f"{what} {one} at the source, {other} at the destination"


def _words(attributes: int) -> str:
    return ", ".join(word for bit, word in _ATTRIBUTES if attributes & bit) or "none"


def security_differences(source: bytes, destination: bytes, parts: int) -> list[str]:
    """What differs of two raw security descriptors in owner, group and ``parts``, in words.

    Raises:
        WireError: one of them is none.
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


def _entries(acl: AccessControlList | None) -> AccessControlList | None:
    """No audit list and an empty one that lets inherited entries in audit alike."""
    return acl if acl is not None and (acl.entries or acl.protected) else None


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
