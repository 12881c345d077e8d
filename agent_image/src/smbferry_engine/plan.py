"""What is to be done with each name of a folder: pure, from two listings and the options.

An ordered chain of small questions: may the name be copied, do the types agree, is it there, may it be replaced, does
it differ.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from smbferry_engine.errors import FileReason
from smbferry_engine.mark import is_mark_of
from smbferry_engine.model import CompareBy, DeletedFiles, Options, OverwriteMode, Preservation, Symlinks, TransferMode
from smbferry_engine.paths import (
    case_key,
    is_link_to_self_or_parent,
    is_temporary,
    name_problem,
    plain_keys,
    temporary_names,
)
from smbferry_engine.wire.directory import DirectoryEntry

READONLY = 0x00000001
HIDDEN = 0x00000002
SYSTEM = 0x00000004
DIRECTORY = 0x00000010
ARCHIVE = 0x00000020
NORMAL = 0x00000080
TEMPORARY = 0x00000100
REPARSE_POINT = 0x00000400
OFFLINE = 0x00001000
NOT_CONTENT_INDEXED = 0x00002000

COPIED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE | TEMPORARY | OFFLINE | NOT_CONTENT_INDEXED
# Servers differ in what they can hold; these four every one can, so only they make two files differ.
COMPARED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE
# A write sets ARCHIVE on a folder's parent nowhere, but creating in it does on some servers: not compared there.
COMPARED_ON_FOLDERS = READONLY | HIDDEN | SYSTEM


_SPECIAL = DIRECTORY | REPARSE_POINT
_COMPARED_OR_SPECIAL = COMPARED_ATTRIBUTES | _SPECIAL

Pair = tuple[DirectoryEntry, DirectoryEntry | None]

_TAG_DEDUP = 0x80000013  # IO_REPARSE_TAG_DEDUP, MS-FSCC 2.1.2.1


def is_deduplicated(entry: DirectoryEntry) -> bool:
    """Whether it is a file that the server's own data deduplication stores: a reparse point in name only."""
    return entry.attributes & (REPARSE_POINT | DIRECTORY) == REPARSE_POINT and entry.reparse_tag == _TAG_DEDUP


def is_link(entry: DirectoryEntry) -> bool:
    """Whether it stands for something else (a link, mount point or placeholder), which is never followed."""
    return bool(entry.attributes & REPARSE_POINT) and not is_deduplicated(entry)


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


@dataclass(slots=True)
class Pairing:
    """Two listings of one folder side by side. ``refused`` are source names that must not be copied, and why."""

    both: list[Pair] = field(default_factory=list)
    only_destination: list[DirectoryEntry] = field(default_factory=list)
    refused: list[tuple[DirectoryEntry, FileReason, str]] = field(default_factory=list)
    leftovers: list[DirectoryEntry] = field(default_factory=list)


def pair(source: Iterable[DirectoryEntry], destination: Iterable[DirectoryEntry]) -> Pairing:
    """Match two listings by name as SMB compares names, in an order that does not depend on the server's.

    Of source names that differ only in case, the one spelled as at the destination is copied, else the first in order
    of code points. Names of the destination that are hostile are left out: nothing of ours has such a name.
    """
    ours, our_names = _named(source)
    theirs, their_names = _named(destination)
    our_keys, their_keys = plain_keys(our_names), plain_keys(their_names)
    if our_keys is None or their_keys is None or len(set(our_keys)) != len(our_keys):
        return _pair_each(ours, theirs)
    there = dict(zip(their_keys, theirs, strict=True))
    counterpart = there.pop
    both = [(entry, counterpart(key, None)) for key, entry in zip(our_keys, ours, strict=True)]
    return Pairing(both, list(there.values()))


def _named(entries: Iterable[DirectoryEntry]) -> tuple[list[DirectoryEntry], list[str]]:
    """The entries that have a name of their own, and these names."""
    found = list(entries)
    names = [entry.name for entry in found]
    if "." in names or ".." in names:
        found = [entry for entry in found if not is_link_to_self_or_parent(entry.name)]
        names = [entry.name for entry in found]
    return found, names


def _pair_each(source: list[DirectoryEntry], destination: list[DirectoryEntry]) -> Pairing:
    """The same for names that must be looked at one by one."""
    result = Pairing()
    there = _by_key(destination, result.leftovers)
    wanted: dict[str, list[DirectoryEntry]] = {}
    for entry in source:
        if not is_temporary(entry.name):
            wanted.setdefault(case_key(entry.name), []).append(entry)
    for key, same in wanted.items():
        counterpart = there.pop(key, None)
        chosen = same[0] if len(same) == 1 else _choose(same, counterpart, result)
        problem = name_problem(chosen.name)
        if problem:
            result.refused.append((chosen, FileReason.NAME_NOT_REPRESENTABLE, problem))
        else:
            result.both.append((chosen, counterpart))
    result.only_destination = [entry for entry in there.values() if name_problem(entry.name) is None]
    return result


def version_of(source: DirectoryEntry) -> bytes:
    """Equal for two listings of a file that was not written to between them.

    The creation time tells nothing: servers that keep none derive it from the other times, the last access included.
    """
    return struct.pack("<QQ", source.size, source.write_time)


def unfinished(pairing: Pairing, options: Options) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Names of files that are to be copied, each with those of the temporary files that it may go on in."""
    for source, destination in pairing.both:
        if source.attributes & DIRECTORY or is_link(source):
            continue
        if decide_file(source, destination, options).action in (Action.CREATE, Action.REPLACE):
            yield source.name, temporary_names(source.name, version_of(source))


def _by_key(destination: Iterable[DirectoryEntry], leftovers: list[DirectoryEntry]) -> dict[str, DirectoryEntry]:
    there: dict[str, DirectoryEntry] = {}
    for entry in destination:
        if is_temporary(entry.name):
            leftovers.append(entry)
        else:
            there[case_key(entry.name)] = entry
    return there


def _choose(same: list[DirectoryEntry], counterpart: DirectoryEntry | None, result: Pairing) -> DirectoryEntry:
    distinct = sorted({entry.name: entry for entry in same}.values(), key=lambda entry: entry.name)
    exact = [entry for entry in distinct if counterpart is not None and entry.name == counterpart.name]
    chosen = exact[0] if exact else distinct[0]
    for entry in distinct:
        if entry is not chosen:
            message = f"{chosen.name!r} differs from it only in case and is the one copied"
            result.refused.append((entry, FileReason.CASE_COLLISION, message))
    return chosen


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
    same: list[DirectoryEntry] = []
    left: list[Pair] = []
    for pair_ in pairs:
        source, destination = pair_
        if (
            destination is not None
            and source.write_time == destination.write_time
            and source.size == destination.size
            and not (source.attributes ^ destination.attributes) & _COMPARED_OR_SPECIAL
            and not source.attributes & _SPECIAL
        ):
            same.append(source)
        else:
            left.append(pair_)
    return same, left


def decide_reparse_point(options: Options) -> Decision:
    """A link or other reparse point in the source: never followed."""
    if options.symlinks is Symlinks.FAIL:
        return Decision(
            Action.FAIL, FileReason.REPARSE_POINT_SKIPPED, "a link or other reparse point is never followed"
        )
    return _SKIP


def decide_file(source: DirectoryEntry, destination: DirectoryEntry | None, options: Options) -> Decision:
    """What to do with one file of the source, given what the destination has of that name."""
    if destination is None:
        return _CREATE
    if destination.attributes & DIRECTORY:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a file here, the destination a folder")
    if options.overwrite_mode is OverwriteMode.NEVER:
        return _COMPLETE if is_incomplete(source, destination) else _SKIP
    if options.transfer_mode is TransferMode.ALL or is_link(destination):
        return _REPLACE
    return _decide_by_content(source, destination, options)


def _decide_by_content(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    if source.size != destination.size:
        return _REPLACE
    if options.compare_by is CompareBy.CHECKSUM:
        return _COMPARE
    if is_incomplete(source, destination):
        return _COMPLETE
    if _time_differs(source, destination, options):
        return _REPLACE
    return decide_metadata(source, destination, options)


def is_incomplete(source: DirectoryEntry, destination: DirectoryEntry) -> bool:
    """Whether an earlier run copied the file but could not give it all of its metadata, and marked it (ADR 18)."""
    same_size = source.size == destination.size and not destination.attributes & (DIRECTORY | REPARSE_POINT)
    return same_size and is_mark_of(source.write_time, destination.write_time)


def decide_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> Decision:
    """What to do with a file whose content is the same on both sides."""
    if options.timestamps is Preservation.PRESERVE and source.write_time != destination.write_time:
        return _METADATA
    if attributes_differ(source, destination, options, COMPARED_ATTRIBUTES):
        return _METADATA
    return _SKIP


def _time_differs(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Where times are not copied, a destination that is at least as new as the source was written from it."""
    if options.timestamps is Preservation.PRESERVE:
        return source.write_time != destination.write_time
    return source.write_time > destination.write_time


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
    if destination.attributes & REPARSE_POINT:
        return Decision(Action.FAIL, FileReason.TYPE_CONFLICT, "the source has a folder here, the destination a link")
    return _SKIP


def directory_needs_metadata(source: DirectoryEntry, destination: DirectoryEntry, options: Options) -> bool:
    """Whether a folder that is on both sides has other times or attributes than its source."""
    if options.timestamps is Preservation.PRESERVE and source.write_time != destination.write_time:
        return True
    return attributes_differ(source, destination, options, COMPARED_ON_FOLDERS)


@dataclass(frozen=True, slots=True)
class DeleteLimit:
    """``maxDeletes``, parsed: a count, or a share of what the destination holds."""

    count: int | None
    percent: float | None

    @classmethod
    def parse(cls, value: str | int) -> Self:
        """From ``100``, ``"100"`` or ``"10%"``; ValueError for anything else."""
        text = str(value).strip()
        number = text.removesuffix("%")
        share = text.endswith("%")
        digits = number.replace(".", "", 1) if share else number
        if not digits.isascii() or not digits.isdigit():
            raise ValueError(f"maxDeletes: a count or a share such as 10% expected, found {value!r}")
        if share:
            percent = float(number)
            if percent > 100:  # noqa: PLR2004  # a hundred per cent is all
                raise ValueError(f"maxDeletes: at most 100% expected, found {value!r}")
            return cls(None, percent)
        return cls(int(number), None)

    def allows(self, deletes: int, listed: int) -> bool:
        """Whether ``deletes`` of the ``listed`` files and folders may go."""
        if self.count is not None:
            return deletes <= self.count
        return deletes * 100 <= (self.percent or 0.0) * listed


def removes(options: Options) -> bool:
    """Whether the destination's own files go."""
    return options.deleted_files is DeletedFiles.REMOVE
