"""The QUERY_INFOs for attachments, as parts of any compound (``plan/attachments``)."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from smbferry_engine.core.calls import Reply, Request, query_extended_attributes_request, query_streams_request
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, Attachments, Kinds, Lost, eas_of, streams_of
from smbferry_engine.share.replies import check
from smbferry_engine.wire.create import Access
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.extended_attributes import ExtendedAttribute, decode_extended_attributes
from smbferry_engine.wire.info import decode_query
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_engine.wire.streams import StreamEntry, decode_streams, is_content_only
from smbferry_words.run import NotCarriedKind

# Of a reply in a compound: enough for ten streams. Samba fills a buffer of the requested length with zeros first.
_IN_COMPOUND: Final = 2 * 1024
ONE_CREDIT: Final = 64 * 1024
READ_EA: Final = int(Access.READ_EA)
TOO_LONG: Final = frozenset({NtStatus.BUFFER_OVERFLOW, NtStatus.BUFFER_TOO_SMALL, NtStatus.INFO_LENGTH_MISMATCH})
_NO_EAS: Final = frozenset({NtStatus.NO_EAS_ON_FILE, NtStatus.EAS_NOT_SUPPORTED})
UNREADABLE_EAS: Final = frozenset({NtStatus.EA_CORRUPT_ERROR, NtStatus.EA_LIST_INCONSISTENT})


def access_for(wanted: Kinds) -> int:
    """Return the access right that reading takes beside those of content."""
    return READ_EA if wanted.eas else 0


@lru_cache
def requests_for(wanted: Kinds, limit: int = _IN_COMPOUND) -> tuple[Request, ...]:
    """Return the QUERY_INFOs, each for up to ``limit`` bytes. They are the same for each file, and made once."""
    streams = (query_streams_request(limit),) if wanted.streams else ()
    eas = (query_extended_attributes_request(limit),) if wanted.eas else ()
    return (*streams, *eas)


def attachments_in(wanted: Kinds, replies: Iterator[Reply]) -> Attachments | None:
    """Take the replies to :func:`requests_for`; returns None if a list is too long for a compound.

    Raises:
        FileError: the server refuses to say.
    """
    asked = [next(replies) for kind in wanted if kind]
    if len(asked) == 1 and wanted.streams and _has_content_only(asked[0]):
        return NO_ATTACHMENTS
    if any(reply.status in TOO_LONG for reply in asked):
        return None
    left = iter(asked)
    streams, lost = _streams(next(left)) if wanted.streams else ([], [])
    eas, lost_eas = _eas(next(left)) if wanted.eas else ([], [])
    return Attachments(tuple(streams), tuple(eas), (*lost, *lost_eas))


def _has_content_only(reply: Reply) -> bool:
    """Return whether the answer is that of nearly each file; any other one is decoded."""
    return reply.status == NtStatus.SUCCESS and is_content_only(reply.message)


def _streams(reply: Reply) -> tuple[list[StreamEntry], list[Lost]]:
    try:
        return streams_of(decode_streams(decode_query(check(reply, "listing the streams").message)))
    except WireError as error:
        return [], [Lost(NotCarriedKind.STREAM, "", f"the server's list of streams can't be read: {error}")]


def _eas(reply: Reply) -> tuple[list[ExtendedAttribute], list[Lost]]:
    kind = NotCarriedKind.EXTENDED_ATTRIBUTE
    if reply.status in _NO_EAS:
        return [], []
    if reply.status in UNREADABLE_EAS:
        return [], [Lost(kind, "", f"the list of extended attributes is damaged ({status_name(reply.status)})")]
    try:
        message = check(reply, "reading the extended attributes").message
        return eas_of(decode_extended_attributes(decode_query(message)))
    except WireError as error:
        return [], [Lost(kind, "", f"the list of extended attributes can't be read: {error}")]
