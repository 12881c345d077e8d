"""A local file put onto a share: folders made, content gathered beside the final name, renamed over it when whole."""

from collections.abc import Callable
from typing import BinaryIO

from smbferry_engine.connect import connect_patiently
from smbferry_engine.core.calls import (
    close_request,
    delete_request,
    flush_request,
    open_request,
    rename_request,
    write_request,
)
from smbferry_engine.errors import ACCESS_DENIED, CANCELLED, DESTINATION_FULL, NO_ROOM, EngineError, FileError
from smbferry_engine.landing import WRITE_ACCESS, check_written
from smbferry_engine.logoff import log_off
from smbferry_engine.model import Endpoint
from smbferry_engine.paths import from_user, join, split, temporary_names
from smbferry_engine.roots import share_of
from smbferry_engine.share import Share, check
from smbferry_engine.transport import Driver
from smbferry_engine.wire.create import CreateOption, Disposition, decode_create

_CHUNK = 1 << 20


def upload(endpoint: Endpoint, path: str, content: BinaryIO, *, cancelled: Callable[[], bool]) -> None:
    """Write ``content``, from where it stands to its end, to ``path`` below the endpoint's own path.

    Missing folders are made; a file of that name is replaced at once and whole. Raises :class:`EngineError`.
    """
    try:
        target = from_user(path)
    except ValueError as error:
        raise EngineError(ACCESS_DENIED, f"{path}: {error}") from error
    side = connect_patiently(endpoint)
    try:

        def tick(_now: float) -> None:
            if cancelled():
                raise EngineError(CANCELLED, "the run was cancelled")

        Driver([side.channel]).run(_put(share_of(side, endpoint), target, content), tick)
    except FileError as error:
        reason = DESTINATION_FULL if error.reason in NO_ROOM else ACCESS_DENIED
        raise EngineError(reason, f"writing {path}: {error.message}") from error
    finally:
        log_off(side.channel)


async def _put(share: Share, target: str, content: BinaryIO) -> None:
    parent, name = split(target)
    await _make_folders(share, parent)
    temporary = join(parent, temporary_names(name, b"")[0])
    await share.delete(temporary, directory=False, readonly=True)
    (reply,) = await share.lane.call(
        open_request(
            share.wire_path(temporary),
            access=WRITE_ACCESS,
            disposition=Disposition.CREATE,
            options=CreateOption.NON_DIRECTORY_FILE,
        )
    )
    file_id = decode_create(check(reply, "creating the file").message).file_id
    try:
        await _write(share, file_id, content)
        replies = await share.lane.call(
            flush_request(file_id), rename_request(share.wire_path(target), replace=True, file_id=file_id)
        )
        for reply in replies:
            check(reply, "giving the file its name")
    except FileError:
        await share.lane.call(delete_request(file_id), close_request(file_id))
        raise
    await share.lane.call(close_request(file_id))


async def _make_folders(share: Share, path: str) -> None:
    if path:
        await _make_folders(share, split(path)[0])
        await share.make_directory(path)


async def _write(share: Share, file_id: bytes, content: BinaryIO) -> None:
    offset = 0
    while data := content.read(min(_CHUNK, share.lane.write_limit())):
        (reply,) = await share.lane.call(write_request(offset, data, file_id))
        check_written(reply, len(data))
        offset += len(data)
