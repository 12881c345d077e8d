"""Reads the security descriptor of a file or folder alone (with its attachments: ``unlisted``)."""

from smbferry_engine.core.calls import close_request, query_security_request
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, LIST_ACCESS
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query


async def folder_descriptor(share: Share, path: str, access: int, parts: int) -> bytes:
    """Return owner, group and ``parts`` of a folder's raw descriptor; ``access`` are the rights that this takes."""
    return await _descriptor(share, path, LIST_ACCESS | access, parts, CreateOption.DIRECTORY_FILE)


async def file_descriptor(share: Share, path: str, access: int, parts: int) -> bytes:
    """Return owner, group and ``parts`` of a file's raw descriptor; ``access`` are the rights that this takes."""
    return await _descriptor(share, path, access, parts, CreateOption.NON_DIRECTORY_FILE)


async def _descriptor(share: Share, path: str, access: int, parts: int, options: int) -> bytes:
    opened, queried, _ = await share.session.call(
        share.open(path, access=access, options=options),
        query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT),
        close_request(),
    )
    check(opened, "opening it to read its security descriptor")
    raw = bytes(decode_query(check(queried, "reading its security descriptor").message))
    return share.translated(path, raw)
