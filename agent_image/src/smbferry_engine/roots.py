"""The folder that a side of a transfer is about: named by the endpoint, checked before anything is done in it."""

from smbferry_engine.connect import Connected
from smbferry_engine.errors import (
    ACCESS_DENIED,
    ENDPOINT_INVALID,
    PATH_IS_REPARSE_POINT,
    PATH_NOT_FOUND,
    EngineError,
    FileError,
    FileReason,
)
from smbferry_engine.model import Endpoint, SideName
from smbferry_engine.paths import display, from_user
from smbferry_engine.plan import DIRECTORY, HIDDEN, REPARSE_POINT, SYSTEM, is_data_elsewhere
from smbferry_engine.share import Share
from smbferry_engine.wire.create import Access, CreateReply
from smbferry_engine.wire.directory import DirectoryEntry


def root_of(endpoint: Endpoint) -> str:
    """The endpoint's path as the engine writes it; EndpointInvalid when it can't be one."""
    try:
        return from_user(endpoint.path)
    except ValueError as error:
        raise EngineError(ENDPOINT_INVALID, str(error)) from error


def share_of(side: Connected, endpoint: Endpoint) -> Share:
    """A connected side as the coroutines use it."""
    return Share(side.channel.lane, root_of(endpoint))


async def check_root(share: Share, side: SideName | None = None) -> CreateReply:
    """The root must be there, be a folder and not be a link; EngineError says which it is not.

    The reply carries what the account may do there (``maximal_access``).
    """
    where = f"{side} folder {display(share.root)}" if side else f"folder {display(share.root)}"
    try:
        opened = await share.open_root(query_maximal_access=True)
    except FileError as error:
        if error.reason == FileReason.FILE_VANISHED:
            raise EngineError(PATH_NOT_FOUND, f"the {where} expected, the share does not have it") from error
        raise EngineError(ACCESS_DENIED, f"the {where}: {error.message}") from error
    if opened.attributes & REPARSE_POINT and not await _is_data_elsewhere(share):
        raise EngineError(PATH_IS_REPARSE_POINT, f"the {where} is a link")
    if not opened.attributes & DIRECTORY:
        raise EngineError(PATH_NOT_FOUND, f"the {where} is a file")
    return opened


async def _is_data_elsewhere(share: Share) -> bool:
    """Whether a root that is a reparse point is a folder all the same, which the share is then told."""
    try:
        entry = await share.look_up("")
    except FileError:
        return False
    share.root_itself = entry is None or not is_data_elsewhere(entry)
    return not share.root_itself


async def check_writable(share: Share, opened: CreateReply) -> None:
    """The destination's root must let the account create files; better said once than of every file.

    ``opened`` tells what the access list grants. What the account may do beside that by a privilege is found by asking.
    """
    if opened.maximal_access is None or opened.maximal_access & Access.WRITE_DATA:
        return
    try:
        await share.open_root(access=Access.WRITE_DATA)
    except FileError as error:
        found = f"0x{opened.maximal_access:08x}"
        raise EngineError(
            ACCESS_DENIED, f"the right to create files in the destination folder expected, the account has {found}"
        ) from error


async def open_roots(source: Share, destination: Share) -> tuple[DirectoryEntry, DirectoryEntry]:
    """Both root folders as :func:`root_entries` has them; :class:`FileError` if one can't be opened."""
    return root_entries(source, await source.open_root(), destination, await destination.open_root())


def root_entries(
    source: Share, ours: CreateReply, destination: Share, theirs: CreateReply
) -> tuple[DirectoryEntry, DirectoryEntry]:
    """Both root folders as a listing of the folders above them would show them.

    The root of a volume is hidden and of the system by nature. So where one of them is the root of its share, these two
    attributes are the destination's.
    """
    kept = 0 if source.root and destination.root else HIDDEN | SYSTEM
    return _entry(ours, ours.attributes & ~kept | theirs.attributes & kept), _entry(theirs, theirs.attributes)


def _entry(opened: CreateReply, attributes: int) -> DirectoryEntry:
    times = (opened.creation_time, opened.access_time, opened.write_time, opened.change_time)
    return DirectoryEntry("", 0, attributes, *times, 0, opened.disk_id)
