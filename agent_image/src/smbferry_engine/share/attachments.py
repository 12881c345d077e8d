"""Reads the attachments of one file or folder, and finds out once whether a volume has any (``plan/attachments``)."""

from typing import Final

from smbferry_engine.core.calls import Reply, close_request, query_volume_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.plan.attachments import Attachments, Kinds, Lost
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.share.attached import (
    ONE_CREDIT,
    READ_EA,
    TOO_LONG,
    UNREADABLE_EAS,
    access_for,
    attachments_in,
    requests_for,
)
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption
from smbferry_engine.wire.info import decode_volume_flags
from smbferry_engine.wire.status import NtStatus
from smbferry_words.run import NotCarriedKind

_NAMED_STREAMS: Final = 0x00040000  # FILE_NAMED_STREAMS (MS-FSCC 2.5.1)
_READ_ATTRIBUTES: Final = int(Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_ANSWERS_FOR_EAS: Final = frozenset({NtStatus.SUCCESS, NtStatus.NO_EAS_ON_FILE, *TOO_LONG, *UNREADABLE_EAS})
_ANSWERS_FOR_STREAMS: Final = frozenset({NtStatus.SUCCESS, *TOO_LONG})
_NOT_PERMITTED: Final = (
    "extended attributes were not copied: expected the right to read those of the source folder (FILE_READ_EA, part of "
    "Read), got STATUS_ACCESS_DENIED. Grant it, or choose extendedAttributes: Ignore"
)


async def read_attachments(share: Share, path: str, wanted: Kinds, *, open_reparse_point: bool = True) -> Attachments:
    """Read the attachments of a file or folder through an open of their own, however long the lists are.

    Raises:
        FileError: the server refuses, or a list is longer than the largest reply.
    """
    if not wanted:
        return Attachments()
    session = share.session
    limits = (ONE_CREDIT, session.list_limit(session.facts.max_transact_size))
    for limit in limits:
        opened, *replies, _ = await session.call(
            share.open(
                path,
                access=_READ_ATTRIBUTES | access_for(wanted),
                open_reparse_point=open_reparse_point,
            ),
            *requests_for(wanted, limit),
            close_request(),
        )
        check(opened, "opening it to read its streams and extended attributes")
        found = attachments_in(wanted, iter(replies))
        if found is not None:
            return found
    whole = f"expected lists of at most {limits[-1]} bytes, got longer ones"
    kinds = (NotCarriedKind.STREAM, NotCarriedKind.EXTENDED_ATTRIBUTE)
    return Attachments(lost=tuple(Lost(kind, "", whole) for kind, asked in zip(kinds, wanted, strict=True) if asked))


async def look_at_volume(share: Share) -> FileError | None:
    """Find out what the volume of the share's root can hold; one round trip.

    Servers such as Samba hold extended attributes without FILE_SUPPORTS_EXTENDED_ATTRIBUTES, so the root is asked for
    its own. Returns why extended attributes can't be read there although the volume may hold some.
    """
    refusal = None
    replies = await _ask_root(share, READ_EA)
    if replies[0].status == NtStatus.ACCESS_DENIED:
        refusal = FileError(FileReason.EXTENDED_ATTRIBUTE_NOT_CARRIED, _NOT_PERMITTED, status=replies[0].status)
        replies = await _ask_root(share, 0)
    opened, volume, streams, eas, _ = replies
    check(opened, "opening the folder")
    flags = decode_volume_flags(volume.message) if volume.status == NtStatus.SUCCESS else 0
    share.holds = Kinds(
        bool(flags & _NAMED_STREAMS) and streams.status in _ANSWERS_FOR_STREAMS,
        refusal is not None or eas.status in _ANSWERS_FOR_EAS,
    )
    return refusal


async def _ask_root(share: Share, access: int) -> list[Reply]:
    return await share.session.call(
        share.open(
            "",
            access=LIST_ACCESS | access,
            options=CreateOption.DIRECTORY_FILE,
            open_reparse_point=share.root_open_reparse_point,
        ),
        query_volume_request(),
        *requests_for(Kinds(streams=True, eas=True)),
        close_request(),
    )
