"""What is to be done with each name of a folder: pure, from two listings and the options.

An ordered chain of small questions: may the name be copied, do the types agree, is it there, may it be replaced, does
it differ.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from smbferry_engine.errors import FileReason
from smbferry_engine.mark import is_mark_of
from smbferry_engine.model import CompareBy, Options, OverwriteMode, Preservation, Symlinks, TransferMode
from smbferry_engine.paths import temporary_names
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

_SPECIAL = DIRECTORY | REPARSE_POINT
_COMPARED_OR_SPECIAL = COMPARED_ATTRIBUTES | _SPECIAL


class Action(Enum):
    """What becomes of a file."""

    CREATE = "create"  # nothing of that name is there
    REPLACE = "replace"  # it differs
    COMPARE = "compare"  # same size: content decides, by checksum
    METADATA = "metadata"  # the content is the same, attributes or times are not
    COMPLETE = "complete"  # an earlier run left it without some of its metadata, and marked it
    SKIP = "skip"  # nothing to do, or not allowed to
    FAIL = "fail"  # can't be done; reason and message say why


@dataclass(frozen=True, slots=True)
class Decision:
    """An action; ``reason`` and ``message`` only for FAIL."""

    action: Action
    reason: FileReason | None = None
    message: str = ""


_CREATE = Decision(Action.CREATE)
_REPLACE = Decision(Action.REPLACE)
_COMPARE = Decision(Action.COMPARE)
_METADATA = Decision(Action.METADATA)
_COMPLETE = Decision(Action.COMPLETE)
_SKIP = Decision(Action.SKIP)


def version_of(source: DirectoryEntry) -> bytes:
    """Equal for two listings of a file that was not written to between them.

    The creation time tells nothing: servers that keep none derive it from the other times, the last access included.
    """
    return struct.pack("<QQ", source.size, source.write_time)


def unfinished(pairing: Pairing, options: Options) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names of files that are to be copied, each with those of the temporary files that it may go on in."""
    for source, destination in pairing.both:
        if source.attributes & DIRECTORY or is_link(source) or special_kind(source):
            continue
        if decide_file(source, destination, options).action in (Action.CREATE, Action.REPLACE):
            yield source.name, temporary_names(source.name, version_of(source))


def unchanged(pairs: Iterable[Pair], options: Options) -> tuple[list[DirectoryEntry], list[Pair]]:
    """The source's files for which :func:`decide_file` says SKIP because nothing differs, and the pairs that are left.

    It answers only for options that compare by size and time and copy both times and attributes, which is when most of
    a large tree is like that; whatever else is left to :func:`decide_file`.
    """
    if (
        options.transfer_mode is not TransferMode.CHANGED
        or options.compare_by is not CompareBy.SIZE_AND_TIME
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


def decide_reparse_point(source: DirectoryEntry, options: Options) -> Decision:
    """A link in the source, which is never followed, or something else that holds no data (a socket, an alias)."""
    special = special_kind(source)
    if special is not None:
        return Decision(Action.FAIL, FileReason.REPARSE_POINT_UNREADABLE, f"expected a file or folder, got {special}")
    if options.symlinks is Symlinks.FAIL:
        return Decision(Action.FAIL, FileReason.REPARSE_POINT_SKIPPED, "a link is never followed")
    return _SKIP


def needs_respelling(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Whether what is on both sides, of one kind, is to be renamed at the destination, where only case differs."""
    return (
        source.name != destination.name
        and options.overwrite_mode is not OverwriteMode.NEVER
        and not (source.attributes ^ destination.attributes) & DIRECTORY
        and not is_link(destination)
    )


def decide_file(source: DirectoryEntry, destination: DirectoryEntry | None, options: Options) -> Decision:
    """What to do with one file of the source, given what the destination has of that name."""
    if destination is None:
        return _CREATE
    if destination.attributes & DIRECTORY:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a file here, the destination a folder")
    if options.overwrite_mode is OverwriteMode.NEVER:
        return _COMPLETE if is_incomplete(source, destination, options.modify_window) else _SKIP
    if options.transfer_mode is TransferMode.ALL or is_link(destination) or special_kind(destination):
        return _REPLACE
    return _decide_by_content(source, destination, options)


def _decide_by_content(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    if source.size != destination.size:
        return _REPLACE
    if options.compare_by is CompareBy.CHECKSUM:
        return _COMPARE
    if is_incomplete(source, destination, options.modify_window):
        return _COMPLETE
    if _time_differs(source, destination, options):
        return _REPLACE
    return decide_metadata(source, destination, options)


def is_incomplete(source: DirectoryEntry, destination: DirectoryEntry, window: int) -> bool:
    """Whether an earlier run copied the file but could not give it all of its metadata, and marked it (ADR 18)."""
    same_size = source.size == destination.size and not destination.attributes & (DIRECTORY | REPARSE_POINT)
    return same_size and is_mark_of(source.write_time, destination.write_time, window)


def _same(source: DirectoryEntry, destination: DirectoryEntry, window: int) -> bool:
    return same_time(source.write_time, destination.write_time, window)


def only_time_is_rounded(source: DirectoryEntry, destination: DirectoryEntry | None, decision: Decision) -> bool:
    """Whether a file is copied again, or given its time, for no more than that its server keeps times less exactly."""
    return (
        decision.action in (Action.REPLACE, Action.METADATA)
        and destination is not None
        and source.size == destination.size
        and source.write_time != destination.write_time
        and looks_rounded(source.write_time, destination.write_time)
    )


def decide_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    """What to do with a file whose content is the same on both sides."""
    if options.timestamps is Preservation.PRESERVE and not _same(source, destination, options.modify_window):
        return _METADATA
    if attributes_differ(source, destination, options, COMPARED_ATTRIBUTES):
        return _METADATA
    return _SKIP


def _time_differs(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Where times are not copied, a destination that is at least as new as the source was written from it."""
    if options.timestamps is Preservation.PRESERVE:
        return not _same(source, destination, options.modify_window)
    return source.write_time > destination.write_time + options.modify_window


def attributes_differ(source: DirectoryEntry, destination: DirectoryEntry, options: Options, mask: int) -> bool:
    """Whether attributes are to be copied and differ within ``mask``."""
    if options.attributes is not Preservation.PRESERVE:
        return False
    return source.attributes & mask != destination.attributes & mask


def decide_directory(destination: DirectoryEntry | None) -> Decision:
    """What to do with a folder of the source: create it, keep what is there, or nothing at all."""
    if destination is None:
        return _CREATE
    if not destination.attributes & DIRECTORY:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a folder here, the destination a file")
    if is_link(destination):
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a folder here, the destination a link")
    return _SKIP


def directory_needs_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Whether a folder that is on both sides has other times or attributes than its source."""
    if options.timestamps is Preservation.PRESERVE and not _same(source, destination, options.modify_window):
        return True
    return attributes_differ(source, destination, options, COMPARED_ON_FOLDERS)
