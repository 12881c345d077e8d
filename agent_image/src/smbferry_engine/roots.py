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
from smbferry_engine.plan import DIRECTORY, REPARSE_POINT
from smbferry_engine.share import Share
from smbferry_engine.wire.create import Access, CreateReply


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
    if opened.attributes & REPARSE_POINT:
        raise EngineError(PATH_IS_REPARSE_POINT, f"the {where} is a link")
    if not opened.attributes & DIRECTORY:
        raise EngineError(PATH_NOT_FOUND, f"the {where} is a file")
    return opened


def check_writable(opened: CreateReply) -> None:
    """The destination's root must let the account create files; better said once than of every file."""
    if opened.maximal_access is not None and not opened.maximal_access & Access.WRITE_DATA:
        found = f"0x{opened.maximal_access:08x}"
        raise EngineError(
            ACCESS_DENIED, f"the right to create files in the destination folder expected, the account has {found}"
        )
