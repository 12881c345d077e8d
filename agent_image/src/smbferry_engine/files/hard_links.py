"""Files with several names (hard links): each name is copied as a file of its own, or becomes a name of one copy.

The first name of a file is copied like any other file. Further names are added to that copy, if the source's file is
still the version that was copied, and the destination still has that copy: a number that two files share, or a file
that somebody put in its place, must not give a name other content.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum, auto
from typing import Final, NamedTuple

from smbferry_engine.core.calls import close_request, link_request, open_request, query_internal_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.commit import Copied, TargetInUseError
from smbferry_engine.files.staging import attributes_if_readonly, remove_left
from smbferry_engine.plan.attachments import Lost
from smbferry_engine.plan.decide import finish_decides_by_listings
from smbferry_engine.plan.mark import is_mark_of
from smbferry_engine.run.context import RunContext, StagingArea
from smbferry_engine.run.hard_links import MOST_FILES, Original, Version
from smbferry_engine.share.access import SET_ACCESS
from smbferry_engine.share.metadata import set_old_attributes
from smbferry_engine.share.replies import check, number_in
from smbferry_engine.share.share import Share
from smbferry_engine.times import same_time
from smbferry_engine.wire.attributes import DIRECTORY, NORMAL, REPARSE_POINT
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, decode_create
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.options import HardLinks, Preservation
from smbferry_words.run import NotCarriedKind

_FILE: Final = int(CreateOption.NON_DIRECTORY_FILE)
_READ_ATTRIBUTES: Final = int(Access.READ_ATTRIBUTES)
_EACH: Final = "each is copied as a file of its own (options.hardLinks)"
# ReFS has numbers of 128 bits and may answer one of these (MS-FSCC 2.1.9).
_NO_NUMBER: Final = frozenset({0, (1 << 64) - 1})


class SourceFile(NamedTuple):
    """A file of the source that was opened: its reply, how many names it has, its counterpart at the destination, and
    the BLAKE3 of its content if it was read.
    """

    path: str
    opened: CreateReply
    names: int
    destination: DirectoryEntry | None
    digest: bytes = b""

    @property
    def version(self) -> Version:
        """What all its names have in common."""
        opened = self.opened
        return Version(opened.size, opened.write_time, opened.change_time)


class LeftToFinishError(FileError):
    """A file with several names, which the agent that finishes the run copies: others may meet its other names."""

    def __init__(self) -> None:
        super().__init__(FileReason.FILE_FAILED, "the file has several names, and is copied when the run is finished")


async def copy_once(run: RunContext, file: SourceFile, copy: Callable[[], Awaitable[Copied]]) -> Copied:
    """Copy a file with several names, or add this one to the copy of another name if the options say so.

    Raises:
        FileError: as ``copy``; the name is in use.
    """
    number, why_not = await _identify(run, file)
    if why_not:
        return _told(await copy(), file, why_not)
    table = run.housekeeping.hard_links
    original = await table.claim(number, file.names, file.path)
    if original is None:
        return await _copy_first(run, number, file, copy)
    problem = await _link(run, original, file)
    if problem:
        return _told(await copy(), file, f"this one became a file of its own: {problem}")
    table.linked(number)
    await remove_left(StagingArea.of(run), file.path)
    run.tally.counters.bytes.to_transfer -= file.opened.size
    return Copied(0, original.digest, original.incomplete, original.lost, linked=True)


async def _identify(run: RunContext, file: SourceFile) -> tuple[int, str]:
    """Return the number of the file, and why its names can't stay together; empty if they can."""
    if run.policy.options.hard_links is HardLinks.COPY:
        return 0, _EACH
    if not run.scope.is_whole:
        if finish_decides_by_listings(run.policy.options):
            raise LeftToFinishError
        return 0, "several agents copy them, so each becomes a file of its own"
    number = await _number_of(run.source, file.path)
    if number in _NO_NUMBER:
        return 0, "the server does not say which file it is, so each becomes a file of its own"
    if not run.housekeeping.hard_links.has_room(number):
        return 0, f"a run preserves those of at most {MOST_FILES:,} files"
    return number, ""


async def _copy_first(run: RunContext, number: int, file: SourceFile, copy: Callable[[], Awaitable[Copied]]) -> Copied:
    table = run.housekeeping.hard_links
    try:
        copied = await copy()
    except BaseException:
        table.release(number)
        raise
    table.settle(number, Original(file.path, file.version, file.digest, copied.incomplete, copied.lost))
    return copied


class Place(Enum):
    """Where the copy of a file is that is the same at the destination.

    FIRST: no other name was met before; the caller must settle or release it. TOGETHER: it is the copy of the other
    names, too. APART: they have another copy. ALONE: its names can't be told.
    """

    FIRST = auto()
    TOGETHER = auto()
    APART = auto()
    ALONE = auto()


async def place_of(run: RunContext, path: str, seen: Version, names: int, numbers: tuple[int, int]) -> Place:
    """Return where the copy of a file is. ``seen`` is its version at the source, ``numbers`` are those of its source
    and of its copy.
    """
    table, (number, there) = run.housekeeping.hard_links, numbers
    if number in _NO_NUMBER or there in _NO_NUMBER or not table.has_room(number):
        return Place.ALONE
    original = await table.claim(number, names, path)
    if original is None:
        return Place.FIRST
    if original.version != seen:
        return Place.ALONE
    if there != await _number_of(run.destination, original.path):
        return Place.APART
    table.linked(number)
    return Place.TOGETHER


def tell_missing_names(run: RunContext) -> None:
    """Report the files of which the run met some names but not all."""
    for path, names, copied in run.housekeeping.hard_links.without_all_names():
        reason = f"the file has {names} names at the source, and this run met {copied} of them"
        run.tally.not_carried(path, NotCarriedKind.HARD_LINK, reason)


def names_apart(names: int, why_not: str = _EACH) -> tuple[Lost, ...]:
    """Return what is reported of a file with ``names`` names that became a file of its own; nothing for one name."""
    if names <= 1:
        return ()
    return (Lost(NotCarriedKind.HARD_LINK, "", f"the file has {names} names, and {why_not}", fails=False),)


def _told(copied: Copied, file: SourceFile, why_not: str) -> Copied:
    return replace(copied, lost=(*copied.lost, *names_apart(file.names, why_not)))


async def _number_of(share: Share, path: str) -> int:
    opened, internal, _ = await share.session.call(
        share.open(path, access=_READ_ATTRIBUTES, options=_FILE), query_internal_request(), close_request()
    )
    check(opened, "opening it to read its number")
    return number_in(internal)


async def _is_linked(run: RunContext, opened: CreateReply, path: str) -> bool:
    """Return whether ``path`` is a name of the open file already."""
    share = run.destination
    (internal,) = await share.session.call(query_internal_request(opened.file_id))
    number = number_in(internal)
    return number not in _NO_NUMBER and number == await _number_of(share, path)


async def _link(run: RunContext, original: Original, file: SourceFile) -> str:
    """Give the copy of ``original`` the name of ``file``; returns why that is impossible, empty if it was done.

    Raises:
        TargetInUseError: another program has the old file of that name open.
    """
    digests = {digest for digest in (original.digest, file.digest) if digest}
    if original.version != file.version or len(digests) > 1:
        return "it was changed after its other name was copied"
    share = run.destination
    if file.destination is not None:
        await run.policy.permission_to_replace(run.scheduler)
    (opening,) = await share.session.call(
        open_request(share.wire_path(original.path), access=SET_ACCESS, options=_FILE)
    )
    if opening.status != NtStatus.SUCCESS:
        return f"opening its copy: {status_name(opening.status)}"
    opened = decode_create(opening.message)
    try:
        if not _is_copy(run, opened, file):
            return "its copy was replaced meanwhile"
        return await _add_name(run, opened, file)
    finally:
        share.session.call(close_request(opened.file_id))


def _is_copy(run: RunContext, opened: CreateReply, file: SourceFile) -> bool:
    options, time = run.policy.options, file.opened.write_time
    if opened.size != file.opened.size or opened.attributes & (DIRECTORY | REPARSE_POINT):
        return False
    if options.timestamps is not Preservation.PRESERVE or not run.policy.repairs:
        return True
    window = options.modify_window
    return same_time(time, opened.write_time, window) or is_mark_of(time, opened.write_time, window)


async def _add_name(run: RunContext, opened: CreateReply, file: SourceFile) -> str:
    share, there = run.destination, file.destination
    readonly = attributes_if_readonly(there)
    if readonly:
        await set_old_attributes(share, file.path, NORMAL)
    request = link_request(share.wire_path(file.path), replace=there is not None, file_id=opened.file_id)
    (reply,) = await share.session.call(request)
    if reply.status == NtStatus.SUCCESS or (
        # The connection was lost before the server's answer to an earlier attempt.
        reply.status == NtStatus.OBJECT_NAME_COLLISION and await _is_linked(run, opened, file.path)
    ):
        return ""
    if readonly:
        await set_old_attributes(share, file.path, readonly)
    if reply.status == NtStatus.SHARING_VIOLATION:
        raise TargetInUseError(reply.status)
    return f"the destination's server refused to add a name: {status_name(reply.status)}"
