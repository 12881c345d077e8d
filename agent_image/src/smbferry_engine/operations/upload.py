"""Uploads a local file: creates folders, writes beside the final name, renames over it when complete."""

from typing import BinaryIO

from smbferry_engine.core.calls import (
    close_request,
    delete_request,
    flush_request,
    open_request,
    rename_request,
    write_request,
)
from smbferry_engine.errors import NO_ROOM, EngineError, FileError
from smbferry_engine.model import Endpoint
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.operations.sides import share_of
from smbferry_engine.paths import from_user, join, split, staging_names
from smbferry_engine.session.connect import connect_patiently
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.logoff import log_off
from smbferry_engine.share.access import WRITE_ACCESS
from smbferry_engine.share.replies import check, check_written
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CreateOption, Disposition, decode_create
from smbferry_words.reasons import ACCESS_DENIED, DESTINATION_FULL

_CHUNK = 1 << 20


def upload(endpoint: Endpoint, path: str, content: BinaryIO, *, control: Control = UNCONTROLLED) -> None:
    """Write ``content``, from its current position to its end, to ``path`` below the endpoint's path.

    Missing folders are created; an existing file is replaced atomically. Raises :class:`EngineError`.
    """
    try:
        target = from_user(path)
    except ValueError as error:
        raise EngineError(ACCESS_DENIED, f"{path}: {error}") from error
    side = connect_patiently(endpoint)
    try:

        def tick(_now: float) -> None:
            control.expect_wanted("run")

        Driver([side.channel], clock=control.clock).run(_put(share_of(side, endpoint), target, content), tick)
    except FileError as error:
        reason = DESTINATION_FULL if error.reason in NO_ROOM else ACCESS_DENIED
        raise EngineError(reason, f"writing {path}: {error.message}") from error
    finally:
        log_off(side.channel)


async def _put(share: Share, target: str, content: BinaryIO) -> None:
    parent, name = split(target)
    await _make_folders(share, parent)
    staging = join(parent, staging_names(name, b"")[0])
    await share.delete(staging, directory=False, readonly=True)
    (reply,) = await share.session.call(
        open_request(
            share.wire_path(staging),
            access=WRITE_ACCESS,
            disposition=Disposition.CREATE,
            options=CreateOption.NON_DIRECTORY_FILE,
        )
    )
    file_id = decode_create(check(reply, "creating the file").message).file_id
    try:
        await _write(share, file_id, content)
        replies = await share.session.call(
            flush_request(file_id), rename_request(share.wire_path(target), replace=True, file_id=file_id)
        )
        for reply in replies:
            check(reply, "renaming the file")
    except FileError:
        await share.session.call(delete_request(file_id), close_request(file_id))
        raise
    await share.session.call(close_request(file_id))


async def _make_folders(share: Share, path: str) -> None:
    if path:
        await _make_folders(share, split(path)[0])
        await share.make_directory(path)


async def _write(share: Share, file_id: bytes, content: BinaryIO) -> None:
    offset = 0
    while data := content.read(min(_CHUNK, share.session.write_limit())):
        (reply,) = await share.session.call(write_request(offset, data, file_id))
        check_written(reply, len(data))
        offset += len(data)
