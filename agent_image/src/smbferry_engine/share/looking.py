"""Opens a file or folder as a copy would, to see what a listing does not show; reads no content."""

from typing import NamedTuple

from smbferry_engine.core.calls import (
    Reply,
    close_request,
    open_request,
    query_security_request,
    query_standard_request,
)
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.plan.attachments import Kinds
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, READ_ACCESS
from smbferry_engine.share.attached import attachments_in, requests_for
from smbferry_engine.share.replies import check, links_in
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import DIRECTORY, is_data_elsewhere
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart, decode_query
from smbferry_engine.wire.status import NtStatus
from smbferry_engine.wire.trustees import trustees_of

_ACCESS = READ_ACCESS | int(Access.READ_CONTROL)
_PARTS = OWNER_AND_GROUP | int(SecurityPart.DACL)
_OPENING = "opening it for reading"


class Looked(NamedTuple):
    """What was seen of a file or folder.

    ``refusal`` is why it could not be opened, None if it could. ``trustees`` are the SIDs that its descriptor names,
    ``streams`` whether it has alternate data streams.
    """

    refusal: FileError | None
    links: int = 1
    trustees: frozenset[str] = frozenset()
    streams: bool = False


async def look_at(share: Share, path: str, entry: DirectoryEntry) -> Looked | None:
    """Open a file or folder for reading, in one compound; None if it is gone or is now of another kind.

    Nothing is read of its content, so that what is on another tier stays there. A malformed descriptor names nobody.
    """
    directory = bool(entry.attributes & DIRECTORY)
    kinds = Kinds(streams=share.holds.streams)
    replies = await share.session.call(
        open_request(
            share.wire_path(path),
            access=_ACCESS,
            options=CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE,
            open_reparse_point=not is_data_elsewhere(entry),
        ),
        query_security_request(_PARTS, DESCRIPTOR_LIMIT),
        query_standard_request(),
        *requests_for(kinds),
        close_request(),
    )
    try:
        check(replies[0], _OPENING)
    except FileError as error:
        gone = error.reason in (FileReason.FILE_VANISHED, FileReason.TYPE_CONFLICT)
        return None if gone else Looked(error)
    has_streams = bool(kinds) and _has_streams(kinds, replies[3])
    links = 1 if directory else links_in(replies[2])
    return Looked(None, links, _trustees(replies[1]), has_streams)


def _has_streams(kinds: Kinds, reply: Reply) -> bool:
    try:
        found = attachments_in(kinds, iter((reply,)))
    except FileError:
        return False
    # A list that does not fit into the compound has many.
    return found is None or bool(found.streams or found.lost)


def _trustees(reply: Reply) -> frozenset[str]:
    if reply.status != NtStatus.SUCCESS:
        return frozenset()
    try:
        return trustees_of(decode_query(reply.message))
    except WireError:
        return frozenset()
