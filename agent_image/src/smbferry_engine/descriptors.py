"""Reading the security descriptor of a folder; a file's travels with its content (see ``content``)."""

from smbferry_engine.content import DESCRIPTOR_LIMIT
from smbferry_engine.core.calls import close_request, open_request, query_security_request
from smbferry_engine.share import LIST_ACCESS, Share, check
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query


async def folder_descriptor(share: Share, path: str, access: int, parts: int) -> bytes:
    """Owner, group and ``parts`` of a folder's raw descriptor; ``access`` is what it takes beside listing it."""
    replies = await share.lane.call(
        open_request(share.wire_path(path), access=LIST_ACCESS | access, options=CreateOption.DIRECTORY_FILE),
        query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT),
        close_request(),
    )
    check(replies[0], "opening the folder to read its security descriptor")
    return bytes(decode_query(check(replies[1], "reading the folder's security descriptor").message))
