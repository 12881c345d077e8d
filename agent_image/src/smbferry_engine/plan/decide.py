"""Decides what happens to each name of a folder, from two listings and the options. Pure.

The questions in order: may the name be copied, do the types agree, does it exist, may it be replaced, does it differ.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from smbferry_engine.errors import FileReason
from smbferry_engine.model import Options
from smbferry_engine.paths import staging_names
from smbferry_engine.plan.mark import is_mark_of
from smbferry_engine.plan.pairing import Pair, Pairing
from smbferry_engine.times import looks_rounded, same_time
from smbferry_engine.wire.attributes import (
    COMPARED_ATTRIBUTES,
    COMPARED_ON_FOLDERS,
    DIRECTORY,
    REPARSE_POINT,
    is_link,
    special_kind,
)
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.reparse import MOUNT_POINT, SYMLINK
from smbferry_words.options import (
    CompareBy,
    ExtendedAttributes,
    HardLinks,
    Links,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    Streams,
    TransferMode,
)

_SPECIAL = DIRECTORY | REPARSE_POINT
_COMPARED_OR_SPECIAL = COMPARED_ATTRIBUTES | _SPECIAL


class Action(Enum):
    """What happens to a file."""

    CREATE = "create"  # the name does not exist
    REPLACE = "replace"  # it differs
    COMPARE = "compare"  # same size: content decides, by checksum
    INSPECT = "inspect"  # same size and time: what no listing has decides
    METADATA = "metadata"  # same content, other attributes or times
    COMPLETE = "complete"  # an earlier run marked it as incomplete
    SKIP = "skip"  # nothing to do, or not allowed to
    FAIL = "fail"  # impossible; reason and message say why


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; ``reason`` and ``message`` only for FAIL."""

    action: Action
    reason: FileReason | None = None
    message: str = ""


_CREATE = Decision(Action.CREATE)
_REPLACE = Decision(Action.REPLACE)
_COMPARE = Decision(Action.COMPARE)
_INSPECT = Decision(Action.INSPECT)
_METADATA = Decision(Action.METADATA)
_COMPLETE = Decision(Action.COMPLETE)
_SKIP = Decision(Action.SKIP)


def version_of(source: DirectoryEntry) -> bytes:
    """Return a value that changes when the file is written to.

    The creation time is not part of it: servers that store none derive it from other times, such as the last access.
    """
    return struct.pack("<QQ", source.size, source.write_time)


def unfinished(pairing: Pairing, options: Options) -> Iterator[tuple[DirectoryEntry, tuple[str, ...]]]:
    """Yield the source's files that will be copied, each with the names of the staging files that it may resume in."""
    for source, destination in pairing.both:
        if source.attributes & DIRECTORY or is_link(source) or special_kind(source):
            continue
        if decide_file(source, destination, options).action in (Action.CREATE, Action.REPLACE):
            yield source, staging_names(source.name, version_of(source))


def inspects(options: Options) -> bool:
    """Return whether what listings do not have is compared, too, of files that are the same by their listings."""
    return (
        options.compare_by is CompareBy.METADATA
        and (
            options.security_descriptors is not SecurityDescriptors.NONE
            or options.streams is Streams.COPY
            or options.extended_attributes is ExtendedAttributes.COPY
            or options.hard_links is HardLinks.PRESERVE
        )
        and options.overwrite_mode is OverwriteMode.ALWAYS
    )


def finish_decides_by_listings(options: Options) -> bool:
    """Return whether the agent that finishes the run copies what an agent with a shard has left.

    With other options it takes a file of the same size and time for done.
    """
    return options.transfer_mode is TransferMode.CHANGED and options.compare_by is not CompareBy.CHECKSUM


def unchanged(pairs: Iterable[Pair], options: Options) -> tuple[list[DirectoryEntry], list[Pair]]:
    """Return the files that :func:`decide_file` would skip because nothing in their listings differs (or inspect, if
    the options :func:`inspect <inspects>` files), and the remaining pairs.

    A shortcut for options that compare by size and time and copy both times and attributes, under which most of a large
    tree is skipped; anything else is left to :func:`decide_file`.
    """
    if (
        options.transfer_mode is not TransferMode.CHANGED
        or options.compare_by is CompareBy.CHECKSUM
        or options.timestamps is not Preservation.PRESERVE
        or options.attributes is not Preservation.PRESERVE
    ):
        return [], list(pairs)
    window = options.modify_window
    same: list[DirectoryEntry] = []
    left: list[Pair] = []
    for pair_ in pairs:
        source, destination = pair_
        if (
            destination is not None
            and (source.write_time == destination.write_time or (window and _same(source, destination, window)))
            and source.size == destination.size
            and not (source.attributes ^ destination.attributes) & _COMPARED_OR_SPECIAL
            and not source.attributes & _SPECIAL
            and source.name == destination.name
        ):
            same.append(source)
        else:
            left.append(pair_)
    return same, left


def decide_reparse_point(source: DirectoryEntry, links: Links) -> Decision:
    """Decide about a link in the source, which is never followed, or a reparse point that holds no data (a socket).

    CREATE is for a link that is copied as a link, if the server can.
    """
    special = special_kind(source)
    if special is not None:
        return Decision(Action.FAIL, FileReason.REPARSE_POINT_UNREADABLE, f"expected a file or folder, got {special}")
    if links is Links.COPY:
        if source.reparse_tag in (SYMLINK, MOUNT_POINT):
            return _CREATE
        got = f"expected a symbolic link or junction to copy, got a link with the tag 0x{source.reparse_tag:08x}"
        return Decision(Action.FAIL, FileReason.REPARSE_POINT_SKIPPED, got)
    if links is Links.FAIL:
        return Decision(Action.FAIL, FileReason.REPARSE_POINT_SKIPPED, "links are never followed")
    return _SKIP


def needs_respelling(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Return whether the destination's entry is to be renamed because its name differs in case only."""
    return (
        source.name != destination.name
        and (bool(source.attributes & DIRECTORY) or may_replace(source, destination, options))
        and options.overwrite_mode is not OverwriteMode.NEVER
        and not (source.attributes ^ destination.attributes) & DIRECTORY
        and not is_link(destination)
    )


def decide_file(source: DirectoryEntry, destination: DirectoryEntry | None, options: Options) -> Decision:
    """Return what to do with one file of the source, given what the destination has of that name."""
    if destination is None:
        return _CREATE
    if destination.attributes & DIRECTORY:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a file here, the destination a folder")
    if not may_replace(source, destination, options):
        return _COMPLETE if is_incomplete(source, destination, options.modify_window) else _SKIP
    if options.transfer_mode is TransferMode.ALL or is_link(destination) or special_kind(destination):
        return _REPLACE
    return _decide_by_content(source, destination, options)


def may_replace(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Return whether the options let the source's file replace what the destination has of that name."""
    if options.overwrite_mode is OverwriteMode.IF_NEWER:
        newer = source.write_time > destination.write_time + options.modify_window
        # The mark of an incomplete copy is an older time: the copy is as new as its source.
        return newer and not is_incomplete(source, destination, options.modify_window)
    return options.overwrite_mode is OverwriteMode.ALWAYS


def _decide_by_content(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    if source.size != destination.size:
        return _REPLACE
    if options.compare_by is CompareBy.CHECKSUM:
        return _COMPARE
    if is_incomplete(source, destination, options.modify_window):
        return _COMPLETE
    if _time_differs(source, destination, options):
        return _REPLACE
    return _INSPECT if inspects(options) else decide_metadata(source, destination, options)


def is_incomplete(source: DirectoryEntry, destination: DirectoryEntry, window: int) -> bool:
    """Return whether an earlier run copied the file without all of its metadata, and marked it (ADR 18)."""
    same_size = source.size == destination.size and not destination.attributes & (DIRECTORY | REPARSE_POINT)
    return same_size and is_mark_of(source.write_time, destination.write_time, window)


def _same(source: DirectoryEntry, destination: DirectoryEntry, window: int) -> bool:
    return same_time(source.write_time, destination.write_time, window)


def only_time_is_rounded(source: DirectoryEntry, destination: DirectoryEntry | None, decision: Decision) -> bool:
    """Return whether a file is copied again, or gets its time, only because the server keeps times less exactly."""
    return (
        decision.action in (Action.REPLACE, Action.METADATA)
        and destination is not None
        and source.size == destination.size
        and source.write_time != destination.write_time
        and looks_rounded(source.write_time, destination.write_time)
    )


def decide_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    """Return what to do with a file whose content is the same on both sides."""
    if options.timestamps is Preservation.PRESERVE and not _same(source, destination, options.modify_window):
        return _METADATA
    if attributes_differ(source, destination, options.attributes, COMPARED_ATTRIBUTES):
        return _METADATA
    return _SKIP


def _time_differs(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Return whether the write times make a copy necessary. Where times are not copied, a destination that is at least
    as new as the source counts as its copy.
    """
    if options.timestamps is Preservation.PRESERVE:
        return not _same(source, destination, options.modify_window)
    return source.write_time > destination.write_time + options.modify_window


def attributes_differ(source: DirectoryEntry, destination: DirectoryEntry, attributes: Preservation, mask: int) -> bool:
    """Return whether attributes are to be copied and differ within ``mask``."""
    if attributes is not Preservation.PRESERVE:
        return False
    return source.attributes & mask != destination.attributes & mask


def decide_directory(destination: DirectoryEntry | None) -> Decision:
    """Return what to do with a folder of the source: create it, keep what is there, or nothing at all."""
    if destination is None:
        return _CREATE
    if not destination.attributes & DIRECTORY:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a folder here, the destination a file")
    if is_link(destination):
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a folder here, the destination a link")
    return _SKIP


def directory_needs_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Return whether a folder that is on both sides has other times or attributes than its source."""
    if options.timestamps is Preservation.PRESERVE and not _same(source, destination, options.modify_window):
        return True
    return attributes_differ(source, destination, options.attributes, COMPARED_ON_FOLDERS)
