"""Reads small files in one compound, and opens large ones for their ranges to be read."""

from dataclasses import dataclass
from typing import NamedTuple

from smbferry_engine.core.calls import (
    Call,
    Reply,
    Request,
    close_request,
    query_security_request,
    query_standard_request,
    read_request,
)
from smbferry_engine.core.credits import CREDIT_BYTES
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, NO_KINDS, Attachments, Kinds
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, READ_ACCESS
from smbferry_engine.share.attached import access_for, attachments_in, requests_for
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.replies import check, links_in
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CloseReply, CreateOption, CreateReply, Disposition, decode_close, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import decode_read
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.status import NtStatus

SINGLE_FRAME = 512 * 1024
# Requests beside the data of a small file, a credit each: CREATE, four QUERY_INFO or two SET_INFO and FLUSH at most,
# CLOSE; one spare.
_BESIDE_DATA = 7
_TRIES = 3
_WITHOUT_WRITERS = int(Sharing.READ | Sharing.DELETE)
_WITH_EVERYBODY = int(Sharing.READ | Sharing.WRITE | Sharing.DELETE)
_READ_OPTIONS = int(CreateOption.NON_DIRECTORY_FILE | CreateOption.SEQUENTIAL_ONLY)


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file that was read in one compound: content, CREATE reply, and raw descriptor and attachments if requested.

    ``names`` is how many it has; 1 if that was not requested, or the server does not say.
    """

    data: bytes
    opened: CreateReply
    descriptor: bytes | None
    attachments: Attachments
    names: int = 1


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open for reading on ``session``, and its raw descriptor and attachments if requested.

    ``names``: as for :class:`SmallFile`.
    """

    session: Session
    opened: CreateReply
    descriptor: bytes | None
    open_reparse_point: bool = True
    attachments: Attachments = NO_ATTACHMENTS
    names: int = 1

    def close(self) -> None:
        """Close it without waiting for the reply."""
        self.session.call(close_request(self.opened.file_id))


def single_frame_limit(share: Share, *, and_back: bool = False) -> int:
    """Return the size of the largest file that fits one compound now; ``and_back`` if it is written and read back."""
    session = share.session
    left = max(0, session.credits.total - _BESIDE_DATA) // (2 if and_back else 1) * CREDIT_BYTES
    return min(SINGLE_FRAME, session.read_limit(), session.write_limit(), left)


def changed(opened: CreateReply, closed: CloseReply) -> bool:
    """Return whether size or times show that a file was written to between CREATE and CLOSE.

    Samba updates the change time with each write, but the write time only once, 2 s after the first write.
    """
    before, after = (opened.size, opened.write_time, opened.change_time), (closed.size, closed.write_time)
    return closed.known and before != (*after, closed.change_time)


async def read_small(
    share: Share,
    path: str,
    size: int,
    *,
    access: int = 0,
    parts: int = 0,
    attachments: Kinds = NO_KINDS,
    counts_names: bool = False,
    open_reparse_point: bool = True,
    refuses_writers: bool = False,
) -> SmallFile | None:
    """Read a file of about ``size`` bytes; returns None if it no longer fits one frame.

    ``access`` and ``parts`` request its security descriptor, too, ``attachments`` those, and ``counts_names`` the
    number of its names; ``open_reparse_point`` is as for :func:`~smbferry_engine.core.calls.open_request`. With
    ``refuses_writers``, it is opened without sharing writes. If somebody has it open for writing, it is read twice:
    content that is the same twice existed at one moment.
    Raises :class:`FileError` SourceChanged if it was written to meanwhile.
    """
    asked = _Asked(share, path, access, parts, attachments, counts_names, open_reparse_point)
    for _ in range(_TRIES):
        read = await _read_once(asked, size, refuses_writers=refuses_writers)
        if read is None:
            read = await _read_twice(asked, size)
        if read.whole:
            return read.file
        size = read.size
        if size > single_frame_limit(share):
            return None
    raise FileError(
        FileReason.SOURCE_CHANGED,
        "expected the file unchanged while it was read, it was written to three times in a row",
    )


async def _read_twice(asked: "_Asked", size: int) -> "_Read":
    """Read a file twice that somebody has open for writing; it is whole if both are the same.

    Its times prove nothing: Samba's CREATE returns those of the writer's first write, its CLOSE those of the last.
    """
    first, second = await _read_once(asked, size), await _read_once(asked, size)
    if first is None or second is None:
        raise FileError(FileReason.SHARING_VIOLATION, "reading the file: another program holds it open")
    whole = first.file.data == second.file.data and len(first.file.data) == second.size
    return first._replace(whole=whole, size=second.size)


class _Asked(NamedTuple):
    """The arguments of :func:`read_small`."""

    share: Share
    path: str
    access: int
    parts: int
    attachments: Kinds
    counts_names: bool
    open_reparse_point: bool


class _Read(NamedTuple):
    """The result of one compound: the file, whether it is a whole version, and its size at the end."""

    file: SmallFile
    whole: bool
    size: int


async def _read_once(asked: _Asked, size: int, *, refuses_writers: bool = False) -> _Read | None:
    """Read in one compound; returns None if writers were to be refused and somebody has it open for writing."""
    operation = "reading the file"
    share, path, access, parts, attachments, counts_names, open_reparse_point = asked
    requests = [
        _open_for_reading(
            share,
            path,
            access | access_for(attachments),
            open_reparse_point=open_reparse_point,
            refuses_writers=refuses_writers,
        )
    ]
    if parts:
        requests.append(query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT))
    if attachments:
        requests += requests_for(attachments)
    if counts_names:
        requests.append(query_standard_request())
    if size:
        requests.append(read_request(0, size))
    replies = iter(await share.session.call(*requests, close_request(query_attributes=True)))
    reply = next(replies)
    if refuses_writers and reply.status == NtStatus.SHARING_VIOLATION:
        return None
    opened = decode_create(check(reply, operation).message)
    descriptor = _descriptor(share, path, next(replies)) if parts else None
    beside: Attachments | None = NO_ATTACHMENTS
    if attachments:
        beside = attachments_in(attachments, replies)
    names = links_in(next(replies)) if counts_names else 1
    data = b""
    if size:
        reply = next(replies)
        if reply.status != NtStatus.END_OF_FILE:
            start, length = decode_read(check(reply, operation).message, 0, len(reply.message))
            data = bytes(reply.message[start : start + length])
    closed = decode_close(check(next(replies), operation).message)
    whole = len(data) == opened.size and not changed(opened, closed)
    if beside is None:
        beside = await read_attachments(share, path, attachments, open_reparse_point=open_reparse_point)
    return _Read(
        SmallFile(data, opened, descriptor, beside, names), whole, closed.size if closed.known else opened.size
    )


def _descriptor(share: Share, path: str, reply: Reply) -> bytes:
    raw = bytes(decode_query(check(reply, "reading the security descriptor").message))
    return share.translated(path, raw)


def _open_for_reading(
    share: Share, path: str, access: int, *, open_reparse_point: bool, refuses_writers: bool = False
) -> Request:
    return share.open(
        path,
        access=READ_ACCESS | access,
        disposition=Disposition.OPEN,
        options=_READ_OPTIONS,
        share=_WITHOUT_WRITERS if refuses_writers else _WITH_EVERYBODY,
        open_reparse_point=open_reparse_point,
    )


async def has_writer(share: Share, path: str, *, open_reparse_point: bool) -> bool:
    """Return whether somebody has the file open for writing: try to open it without sharing writes."""
    opened, _ = await share.session.call(
        _open_for_reading(share, path, 0, open_reparse_point=open_reparse_point, refuses_writers=True), close_request()
    )
    if opened.status == NtStatus.SHARING_VIOLATION:
        return True
    check(opened, "checking whether another program writes to it")
    return False


async def open_file(
    share: Share,
    path: str,
    *,
    access: int = 0,
    parts: int = 0,
    attachments: Kinds = NO_KINDS,
    counts_names: bool = False,
    open_reparse_point: bool = True,
) -> OpenFile:
    """Open a file for reading; read its security descriptor if ``parts`` says so, its ``attachments``, and the number
    of its names if ``counts_names``.

    ``open_reparse_point`` is as for :func:`~smbferry_engine.core.calls.open_request`.
    """
    right = access | access_for(attachments)
    requests = [_open_for_reading(share, path, right, open_reparse_point=open_reparse_point)]
    if parts:
        requests.append(query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT))
    requests += requests_for(attachments)
    if counts_names:
        requests.append(query_standard_request())
    session = share.session
    call = session.call(*requests)
    try:
        replies = await call
    except GeneratorExit:
        call.when_done(lambda: _close_unwanted(session, call))
        raise
    opened = decode_create(check(replies[0], "opening the file").message)
    try:
        left = iter(replies[1:])
        descriptor = _descriptor(share, path, next(left)) if parts else None
        beside = attachments_in(attachments, left)
        names = links_in(next(left)) if counts_names else 1
        if beside is None:
            beside = await read_attachments(share, path, attachments, open_reparse_point=open_reparse_point)
        return OpenFile(session, opened, descriptor, open_reparse_point, beside, names)
    except (FileError, EngineError, GeneratorExit):
        session.call(close_request(opened.file_id))
        raise


def _close_unwanted(session: Session, call: Call) -> None:
    """Close a file whose opener was stopped before the reply came."""
    if call.error is None:
        opened = call.result()[0]
        if opened.status == NtStatus.SUCCESS:
            session.call(close_request(decode_create(opened.message).file_id))
