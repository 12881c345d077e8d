"""Attachments: the named streams and extended attributes of a file or folder, and which of them can be copied. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.paths import MAX_NAME_UNITS, case_key, units
from smbferry_engine.wire.extended_attributes import ExtendedAttribute
from smbferry_engine.wire.streams import StreamEntry
from smbferry_words.run import NotCarriedKind

# MS-FSCC 2.1.5: a stream's name may have any character but these, so what a server names here can't leave the file.
_STREAM: Final = re.compile(r":([^\x00/\\:]*):\$DATA", re.IGNORECASE | re.DOTALL)
_CONTENT: Final = "::$DATA"
# Only the kernel of Windows sets these: caches of the server that they were made on.
_KERNEL: Final = b"$KERNEL."
_REASONS: Final = {
    NotCarriedKind.STREAM: (FileReason.STREAM_NOT_CARRIED, "streams"),
    NotCarriedKind.EXTENDED_ATTRIBUTE: (FileReason.EXTENDED_ATTRIBUTE_NOT_CARRIED, "extended attributes"),
}


class Lost(NamedTuple):
    """A stream or extended attribute that can't be copied, and why.

    ``fails`` is False for what the options do not ask for: its file is complete without it.
    """

    what: NotCarriedKind
    name: str
    reason: str
    fails: bool = True


class Attachments(NamedTuple):
    """What a file or folder has beside its content: streams with their sizes, extended attributes, and what of them
    can't be copied whatever the destination.
    """

    streams: tuple[StreamEntry, ...] = ()
    eas: tuple[ExtendedAttribute, ...] = ()
    lost: tuple[Lost, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to copy and nothing that its file would be incomplete without."""
        return not self.streams and not self.eas and not any(lost.fails for lost in self.lost)


NO_ATTACHMENTS: Final = Attachments()


class Kinds(NamedTuple):
    """Kinds of attachments: those that are read, or that a volume can hold."""

    streams: bool = False
    eas: bool = False

    def __bool__(self) -> bool:
        return self.streams or self.eas


NO_KINDS: Final = Kinds()


def stream_path(path: str, name: str) -> str:
    """Return the path of a stream of the file or folder at ``path``."""
    return f"{path}:{name}:$DATA"


def streams_of(entries: Iterable[StreamEntry]) -> tuple[list[StreamEntry], list[Lost]]:
    """Return the named streams by their plain names, and those that have none that may be sent to a server."""
    found: dict[str, StreamEntry] = {}
    lost = []
    for entry in entries:
        if entry.name.upper() == _CONTENT:
            continue
        named = _STREAM.fullmatch(entry.name)
        problem = _problem(named[1]) if named else "expected a name such as ':name:$DATA'"
        if named and not problem and case_key(named[1]) in found:
            problem = "another stream of the file has the same name"
        if named and not problem:
            found[case_key(named[1])] = StreamEntry(named[1], entry.size)
        else:
            lost.append(Lost(NotCarriedKind.STREAM, entry.name, f"{problem}, got {entry.name!r}"))
    return list(found.values()), lost


def _problem(name: str) -> str:
    if not name:
        return "expected a stream with a name"
    return f"expected at most {MAX_NAME_UNITS} UTF-16 units" if units(name) > MAX_NAME_UNITS else ""


def eas_of(entries: Iterable[ExtendedAttribute]) -> tuple[list[ExtendedAttribute], list[Lost]]:
    """Return the extended attributes that may be copied, and those that may not."""
    found: dict[bytes, ExtendedAttribute] = {}
    lost = []
    for entry in entries:
        key = entry.name.upper()
        if key.startswith(_KERNEL):
            lost.append(_lost_ea(entry.name, "only the kernel of the server sets it", fails=False))
        elif not entry.value:
            lost.append(_lost_ea(entry.name, "it is empty, and setting an empty one removes it"))
        elif key in found:
            lost.append(_lost_ea(entry.name, "another extended attribute of the file has the same name"))
        else:
            found[key] = entry
    return list(found.values()), lost


def _lost_ea(name: bytes, reason: str, *, fails: bool = True) -> Lost:
    return Lost(NotCarriedKind.EXTENDED_ATTRIBUTE, ea_name(name), reason, fails)


def ea_name(name: bytes) -> str:
    """Return the name of an extended attribute for a person; it is in an 8-bit code page that is not known."""
    return name.decode("ascii", "backslashreplace")


def extra_streams(source: Iterable[StreamEntry], destination: Iterable[StreamEntry]) -> list[str]:
    """Return the names of streams that only the destination has."""
    ours = {case_key(stream.name) for stream in source}
    return [stream.name for stream in destination if case_key(stream.name) not in ours]


def eas_to_set(
    source: Iterable[ExtendedAttribute], destination: Iterable[ExtendedAttribute]
) -> tuple[list[ExtendedAttribute], list[ExtendedAttribute]]:
    """Return the extended attributes to set at the destination, and those to remove, with empty values.

    Servers may store their names in upper case.
    """
    ours = {one.name.upper(): one for one in source}
    theirs = {one.name.upper(): one for one in destination}
    wrong = [one for key, one in ours.items() if key not in theirs or not _same(one, theirs[key])]
    return wrong, [one._replace(value=b"") for key, one in theirs.items() if key not in ours]


def _same(one: ExtendedAttribute, other: ExtendedAttribute) -> bool:
    return (one.flags, one.value) == (other.flags, other.value)


def listed_alike(source: Attachments, destination: Attachments) -> bool:
    """Return whether both have the same streams with the same sizes, and the same extended attributes."""
    ours = {case_key(stream.name): stream.size for stream in source.streams}
    theirs = {case_key(stream.name): stream.size for stream in destination.streams}
    return ours == theirs and eas_to_set(source.eas, destination.eas) == ([], [])


def attachment_differences(
    source: Attachments,
    destination: Attachments,
    digests: tuple[Mapping[str, bytes], Mapping[str, bytes]],
) -> list[str]:
    """Return the differences, in words; ``digests`` are those of both sides' streams by name."""
    ours, theirs = ({case_key(name): digest for name, digest in side.items()} for side in digests)
    names = {case_key(stream.name): stream.name for stream in (*destination.streams, *source.streams)}
    found = []
    for key, name in names.items():
        if key not in theirs:
            found.append(f"stream {name!r} is missing at the destination")
        elif key not in ours:
            found.append(f"stream {name!r} is only at the destination")
        elif ours[key] != theirs[key]:
            found.append(f"stream {name!r} has other content at the destination")
    wrong, extra = eas_to_set(source.eas, destination.eas)
    found += [f"extended attribute {ea_name(one.name)!r} differs at the destination" for one in wrong]
    found += [f"extended attribute {ea_name(one.name)!r} is only at the destination" for one in extra]
    return found


def lacking_error(lost: Iterable[Lost]) -> FileError | None:
    """Return the error of a file or folder that was copied without some of its attachments; None if none counts."""
    failing = [one for one in lost if one.fails]
    if not failing:
        return None
    first = failing[0]
    reason, kind = _REASONS[first.what]
    count = sum(one.what is first.what for one in failing)
    return FileError(
        reason,
        f"everything else was copied; {kind} that were not: {count}, first {first.name!r}: {first.reason}",
    )
