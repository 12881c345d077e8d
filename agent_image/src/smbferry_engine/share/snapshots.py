"""The snapshots of a server that a share belongs to, and whether the one that is read is still there (3.3.5.15.1)."""

from datetime import datetime
from typing import NamedTuple

from smbferry_engine.core.calls import Reply, close_request, open_request, snapshots_request
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.plan.snapshots import expect_listed, shown
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.times import to_datetime
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.snapshots import SnapshotArray, decode_snapshots
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.reasons import ACCESS_DENIED, PATH_NOT_FOUND, PROTOCOL_VIOLATION, SNAPSHOT_GONE

# More than a thousand tokens; Windows keeps at most 512 snapshots of a volume.
_FIRST_LIMIT = 64 * 1024
_LAST_LIMIT = 1024 * 1024
_OPERATION = "listing the server's snapshots"
# A server without snapshots. Samba answers INVALID_DEVICE_REQUEST without a module for them, OBJECT_NAME_NOT_FOUND
# where the module finds no folder of snapshots.
_NONE = frozenset(
    {
        NtStatus.NOT_SUPPORTED,
        NtStatus.NOT_IMPLEMENTED,
        NtStatus.INVALID_DEVICE_REQUEST,
        NtStatus.INVALID_PARAMETER,
        NtStatus.FS_DRIVER_REQUIRED,
        NtStatus.OBJECT_NAME_NOT_FOUND,
        NtStatus.OBJECT_PATH_NOT_FOUND,
        NtStatus.NOT_FOUND,
    }
)
# Errors of one file that also occur if the snapshot that it is read from goes away.
_SUSPICIOUS = frozenset(
    {FileReason.FILE_VANISHED, FileReason.FILE_FAILED, FileReason.TYPE_CONFLICT, FileReason.SOURCE_CHANGED}
)


class Snapshots(NamedTuple):
    """The times of the server's snapshots of a folder; if there are none, ``none`` says why."""

    times: tuple[datetime, ...]
    none: str = "the server has no snapshots of this folder"


async def list_snapshots(share: Share) -> Snapshots:
    """Return the snapshots of the share's root folder, which may exist in a snapshot only.

    Raises:
        EngineError: the folder can't be opened, the account may not list its snapshots, or the list is incomplete.
    """
    try:
        return await _list(share, share.root)
    except FileError as error:
        if error.reason == FileReason.FILE_VANISHED and share.root:
            return await _list_at_share(share)
        raise EngineError(ACCESS_DENIED, error.message) from error


async def _list_at_share(share: Share) -> Snapshots:
    try:
        return await _list(share, "")
    except FileError as error:
        raise EngineError(PATH_NOT_FOUND, error.message) from error


async def _list(share: Share, folder: str) -> Snapshots:
    found = None
    for limit in (_FIRST_LIMIT, _LAST_LIMIT):
        opened, reply, closed = await share.session.call(
            open_request(folder, access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE),
            snapshots_request(share.session.list_limit(limit)),
            close_request(),
        )
        check(opened, "opening the folder to list its snapshots")
        if reply.status in _NONE:
            return Snapshots((), f"the server lists no snapshots of this folder ({status_name(reply.status)})")
        if reply.status == NtStatus.BUFFER_TOO_SMALL:
            continue
        found = _decoded(reply)
        check(closed, _OPERATION)
        if len(found.times) >= found.total:
            return Snapshots(tuple(dict.fromkeys(found.times)))
    total = found.total if found is not None else "more"
    raise EngineError(
        PROTOCOL_VIOLATION, f"{_OPERATION}: expected all {total} within {_LAST_LIMIT} bytes, got some or none"
    )


def _decoded(reply: Reply) -> SnapshotArray:
    return decode_snapshots(check(reply, _OPERATION).message)


async def expect_listed_snapshot(share: Share) -> None:
    """Raise :class:`EngineError` SnapshotGone unless the server lists the snapshot that the share reads."""
    expect_listed(to_datetime(share.snapshot), *await list_snapshots(share))


async def expect_snapshot(share: Share) -> None:
    """Raise :class:`EngineError` SnapshotGone unless the snapshot is listed and the share's root opens in it."""
    await expect_listed_snapshot(share)
    try:
        await share.open_root()
    except FileError as error:
        raise EngineError(
            SNAPSHOT_GONE,
            f"expected the folder in the snapshot of {shown(to_datetime(share.snapshot))}, got none: {error.message}",
        ) from error


def may_be_gone(error: FileError) -> bool:
    """Return whether the failure of one file may be due to a snapshot that went away."""
    return error.reason in _SUSPICIOUS
