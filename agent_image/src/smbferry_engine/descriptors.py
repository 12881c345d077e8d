"""Reading a security descriptor by itself; that of a file that is copied travels with its content (``content``)."""

from smbferry_engine.core.calls import close_request, open_request, query_security_request
from smbferry_engine.share import DESCRIPTOR_LIMIT, LIST_ACCESS, Share, check
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query


async def folder_descriptor(share: Share, path: str, access: int, parts: int) -> bytes:
    """Owner, group and ``parts`` of a folder's raw descriptor; ``access`` is what it takes beside listing it."""
    return await _descriptor(share, path, LIST_ACCESS | access, parts, CreateOption.DIRECTORY_FILE)


async def file_descriptor(share: Share, path: str, access: int, parts: int) -> bytes:
    """The same of a file, whose content is not wanted."""
    return await _descriptor(share, path, access, parts, CreateOption.NON_DIRECTORY_FILE)


async def _descriptor(share: Share, path: str, access: int, parts: int, options: int) -> bytes:
    replies = await share.lane.call(
        open_request(share.wire_path(path), access=access, options=options),
        query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT),
        close_request(),
    )
    check(replies[0], "opening it to read its security descriptor")
    return bytes(decode_query(check(replies[1], "reading its security descriptor").message))
