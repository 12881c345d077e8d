"""The root folder of a side, checked before anything is done in it."""

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.model import SideName
from smbferry_engine.paths import display
from smbferry_engine.plan.snapshots import shown
from smbferry_engine.share.share import Share
from smbferry_engine.share.snapshots import expect_listed_snapshot
from smbferry_engine.times import to_datetime
from smbferry_engine.wire.attributes import DIRECTORY, HIDDEN, REPARSE_POINT, SYSTEM, is_data_elsewhere
from smbferry_engine.wire.create import Access, CreateReply
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.reasons import ACCESS_DENIED, PATH_IS_REPARSE_POINT, PATH_NOT_FOUND


async def check_root(share: Share, side: SideName | None = None) -> CreateReply:
    """Check that the root exists, is a folder and is no link; raises :class:`EngineError` otherwise.

    Returns the CREATE reply, whose ``maximal_access`` says what the account may do there.
    """
    where = f"{side} folder {display(share.root)}" if side else f"folder {display(share.root)}"
    try:
        opened = await share.open_root(query_maximal_access=True)
    except FileError as error:
        if error.reason == FileReason.FILE_VANISHED:
            within = "the share"
            if share.snapshot:
                await expect_listed_snapshot(share)
                within = f"the snapshot of {shown(to_datetime(share.snapshot))}"
            raise EngineError(PATH_NOT_FOUND, f"expected the {where}, got none in {within}") from error
        raise EngineError(ACCESS_DENIED, f"the {where}: {error.message}") from error
    if opened.attributes & REPARSE_POINT and not await _is_data_elsewhere(share):
        raise EngineError(PATH_IS_REPARSE_POINT, f"expected the {where}, got a link")
    if not opened.attributes & DIRECTORY:
        raise EngineError(PATH_NOT_FOUND, f"expected the {where}, got a file")
    return opened


async def _is_data_elsewhere(share: Share) -> bool:
    """Return whether a root that is a reparse point is a folder all the same, and note that in the share."""
    try:
        entry = await share.look_up("")
    except FileError:
        return False
    share.root_open_reparse_point = entry is None or not is_data_elsewhere(entry)
    return not share.root_open_reparse_point


async def check_writable(share: Share, maximal_access: int | None) -> None:
    """Check that the account may create files in the destination's root; raises :class:`EngineError` otherwise.

    ``maximal_access`` says what the access list grants (2.2.14.2.5). What a privilege grants in addition is found out
    by trying.
    """
    if maximal_access is None or maximal_access & Access.WRITE_DATA:
        return
    try:
        await share.open_root(access=Access.WRITE_DATA)
    except FileError as error:
        found = f"0x{maximal_access:08x}"
        raise EngineError(
            ACCESS_DENIED, f"expected the right to create files in the destination folder, got {found}"
        ) from error


async def open_roots(source: Share, destination: Share) -> tuple[DirectoryEntry, DirectoryEntry]:
    """Open both roots and return their entries; raises :class:`FileError` if one can't be opened."""
    return root_entries(source, await source.open_root(), destination, await destination.open_root())


def root_entries(
    source: Share, ours: CreateReply, destination: Share, theirs: CreateReply
) -> tuple[DirectoryEntry, DirectoryEntry]:
    """Return both roots as entries of a listing.

    The root of a volume is always hidden and system. So if either is the root of its share, these two attributes are
    taken from the destination.
    """
    kept = 0 if source.root and destination.root else HIDDEN | SYSTEM
    return _entry(ours, ours.attributes & ~kept | theirs.attributes & kept), _entry(theirs, theirs.attributes)


def root_entry(opened: CreateReply) -> DirectoryEntry:
    """Return a root as an entry of a listing."""
    return _entry(opened, opened.attributes)


def _entry(opened: CreateReply, attributes: int) -> DirectoryEntry:
    times = (opened.creation_time, opened.access_time, opened.write_time, opened.change_time)
    return DirectoryEntry("", 0, attributes, *times, 0, opened.disk_id)
