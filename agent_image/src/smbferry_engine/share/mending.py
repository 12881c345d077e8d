"""Corrects the metadata of a file in place: what differs is set through one handle and read back.

No content is read or written, and nothing is renamed. A handle that only sets metadata conflicts with no sharing mode
(MS-FSA 2.1.5.1.2.2), so a file is corrected while other programs have it open. A file with several names is left as it
is: another of them may be outside of the transfer.
"""

from typing import Final

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    query_security_request,
    query_standard_request,
    set_basic_request,
    set_security_request,
)
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.plan.compare import differing_parts
from smbferry_engine.plan.mark import mark_of
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, SET_ACCESS
from smbferry_engine.share.metadata import Metadata, basic_requests
from smbferry_engine.share.ownership import OWNER_REFUSALS, owner_refused
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption, decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart, decode_query, decode_standard
from smbferry_engine.wire.status import status_name

_OPENING = "opening it to set its metadata"
_SETTING = "setting its security descriptor"
_LISTS: Final = int(SecurityPart.DACL | SecurityPart.SACL)
_BASE: Final = int(Access.READ_ATTRIBUTES | Access.READ_CONTROL | Access.SYNCHRONIZE)


class SeveralNamesError(FileError):
    """The file has other names, which may be outside of the transfer: what is set would show there, too."""

    def __init__(self, links: int) -> None:
        super().__init__(FileReason.FILE_FAILED, f"{_SETTING}: expected a file with one name, got {links} hard links")


async def mend(share: Share, path: str, metadata: Metadata, parts: int) -> FileError | None:
    """Set ``parts`` (SECURITY_INFORMATION) of the descriptor of an existing file, and times and attributes that
    ``metadata`` has.

    If the account may not set owner or group, the file is marked (ADR 18), and the reason is returned.

    Raises:
        FileError: SecurityNotPermitted, the account may not set the access lists; MetadataMismatch, the server took
            the descriptor and returns another one; any other refusal. SeveralNamesError: nothing was changed.
    """
    descriptor, session = metadata.descriptor or b"", share.session
    opening, standard = await session.call(_open(share, path, metadata, parts), query_standard_request())
    _check_opened(opening)
    opened = decode_create(opening.message)
    try:
        _check_one_name(standard)
        set_at_once = [some for some in (parts & _LISTS, parts & OWNER_AND_GROUP) if some]
        replies = await session.call(
            *(set_security_request(some, descriptor, opened.file_id) for some in set_at_once),
            query_security_request(parts, DESCRIPTOR_LIMIT, opened.file_id),
        )
        incomplete = None
        for some, reply in zip(set_at_once, replies, strict=False):
            if some & OWNER_AND_GROUP and reply.status in OWNER_REFUSALS:
                incomplete, parts = owner_refused(reply.status), parts & ~OWNER_AND_GROUP
            else:
                check(reply, _SETTING)
        found = bytes(decode_query(check(replies[-1], "reading its security descriptor back").message))
        _check_read_back(descriptor, found, parts)
        for request in basic_requests(metadata if incomplete is None else metadata.marked(), opened.file_id):
            (reply,) = await session.call(request)
            check(reply, "setting times and attributes")
    finally:
        session.call(close_request(opened.file_id))
    return incomplete


async def mark_as_incomplete(share: Share, path: str, write_time: int) -> None:
    """Mark an existing file as the incomplete copy of one that was last written at ``write_time`` (ADR 18).

    Raises:
        SeveralNamesError: nothing was changed.
        FileError: it was refused.
    """
    session = share.session
    opening, standard = await session.call(_open_to_mark(share, path), query_standard_request())
    opened = decode_create(check(opening, _OPENING).message)
    try:
        _check_one_name(standard)
        (reply,) = await session.call(set_basic_request(write=mark_of(write_time), file_id=opened.file_id))
        check(reply, "setting its times")
    finally:
        session.call(close_request(opened.file_id))


def _open_to_mark(share: Share, path: str) -> Request:
    return open_request(share.wire_path(path), access=SET_ACCESS, options=CreateOption.NON_DIRECTORY_FILE)


def _check_one_name(standard: Reply) -> None:
    links = decode_standard(check(standard, "querying the number of links").message).links
    if links > 1:
        raise SeveralNamesError(links)


def _open(share: Share, path: str, metadata: Metadata, parts: int) -> Request:
    """Open with the rights that the change takes, and no other: an account may have some of them only."""
    access = _BASE
    if parts & SecurityPart.DACL:
        access |= Access.WRITE_DAC
    if parts & SecurityPart.SACL:
        access |= Access.ACCESS_SYSTEM_SECURITY
    if parts & OWNER_AND_GROUP:
        access |= Access.WRITE_OWNER
    if parts & OWNER_AND_GROUP or basic_requests(metadata):
        access |= Access.WRITE_ATTRIBUTES
    return open_request(share.wire_path(path), access=int(access), options=CreateOption.NON_DIRECTORY_FILE)


def _check_opened(reply: Reply) -> None:
    if reply.status in OWNER_REFUSALS:
        raise FileError(
            FileReason.SECURITY_NOT_PERMITTED,
            f"{_SETTING}: expected the right to set it, got {status_name(reply.status)}; the file keeps its old one. "
            "Grant the account Full Control at the destination, or choose securityDescriptors: None",
            status=reply.status,
        )
    check(reply, _OPENING)


def compare_parts(one: bytes, other: bytes, parts: int, *, auto_inherited: bool = True) -> int:
    """As :func:`~smbferry_engine.plan.compare.differing_parts`; a malformed descriptor concerns its file alone.

    Raises:
        FileError: FileFailed, one of them is malformed.
    """
    try:
        return differing_parts(one, other, parts, auto_inherited=auto_inherited)
    except WireError as error:
        raise FileError(FileReason.FILE_FAILED, f"comparing its security descriptors: {error}") from error


def _check_read_back(expected: bytes, found: bytes, parts: int) -> None:
    differing = compare_parts(expected, found, parts, auto_inherited=False)
    if differing:
        names = ", ".join((part.name or "").lower() for part in SecurityPart if part & differing)
        raise FileError(
            FileReason.METADATA_MISMATCH,
            f"{_SETTING}: expected it as it was set, got another one when read back ({names}): the server changed it",
        )
