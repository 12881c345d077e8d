"""Copies one named stream: a short one in one compound, a long one range by range, each read back if options say so.

It is written into a staging file, or into a file or folder whose metadata is set afterwards, so that nothing with a
partial stream counts as complete.
"""

from blake3 import blake3

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    delete_request,
    flush_request,
    open_request,
    read_request,
    set_size_request,
    write_request,
)
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.pump import stream as read_ranges
from smbferry_engine.files.ranges import FLUSH_FROM, RangeWriter
from smbferry_engine.files.readback import mismatch, read_back
from smbferry_engine.files.unchanged import close_unchanged
from smbferry_engine.plan.attachments import stream_path
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.share.access import DELETE_ACCESS
from smbferry_engine.share.reading import OpenFile, open_file, read_small, single_frame_limit
from smbferry_engine.share.replies import check, check_written
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import Access, CreateOption, Disposition, decode_create
from smbferry_engine.wire.data import decode_read
from smbferry_engine.wire.status import NtStatus
from smbferry_engine.wire.streams import StreamEntry

_FILE = int(CreateOption.NON_DIRECTORY_FILE)
# No DELETE: the staging file is open, and does not share it.
_ACCESS = int(Access.WRITE_DATA | Access.READ_DATA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_OPERATION = "creating the stream"
# Another try may help; anything else that the destination says to a stream is final.
_PASSING = frozenset({NtStatus.SHARING_VIOLATION, NtStatus.FILE_LOCK_CONFLICT, NtStatus.DELETE_PENDING})


class StreamRefusedError(Exception):
    """The destination does not store the stream."""

    def __init__(self, error: FileError) -> None:
        super().__init__(error.message)
        self.message = error.message


async def copy_stream(
    run: RunContext, origin: Share, path: str, entry: StreamEntry, target: str, *, open_reparse_point: bool
) -> None:
    """Copy a stream of the file or folder at ``path`` in ``origin`` to that at ``target`` in the destination.

    Raises:
        StreamRefusedError: the destination does not store it.
        FileError: it can't be read, changed meanwhile, or differs when it is read back.
    """
    source, goal = stream_path(path, entry.name), stream_path(target, entry.name)
    each = run.policy.verifies_each
    small = min(single_frame_limit(origin), single_frame_limit(run.destination, and_back=each))
    try:
        data = None
        if entry.size <= small:
            await run.limiter.take(entry.size)
            file = await read_small(
                origin, source, entry.size, open_reparse_point=open_reparse_point, refuses_writers=True
            )
            data = None if file is None else file.data
        if data is not None:
            await _write_small(run, goal, data)
            _count(run, len(data))
            return
        await run.limiter.large_files.enter()
        try:
            _count(run, await _copy_large(run, origin, source, goal, open_reparse_point=open_reparse_point))
        finally:
            run.limiter.large_files.leave()
    except FileError as error:
        if error.reason == FileReason.FILE_VANISHED:
            raise FileError(
                FileReason.SOURCE_CHANGED, f"expected the stream {entry.name!r} that was listed, got none"
            ) from error
        raise


def _count(run: RunContext, length: int) -> None:
    """Count the content of a stream: it is in no listing, so it becomes known when it is copied."""
    run.tally.counters.bytes.to_transfer += length
    run.tally.counters.bytes.transferred += length


async def _write_small(run: RunContext, goal: str, data: bytes) -> None:
    share = run.destination
    content = [write_request(0, data)] if data else []
    flush = [flush_request()] if run.policy.flushes_each else []
    back = [read_request(0, len(data))] if data and run.policy.verifies_each else []
    replies = iter(
        await share.session.call(
            _create(share, goal), *content, set_size_request(len(data)), *flush, *back, close_request()
        )
    )
    _take(next(replies), _OPERATION)
    for _ in content:
        _take_written(next(replies), len(data))
    _take(next(replies), "setting the stream's size")
    for _ in flush:
        _take(next(replies), "flushing the stream")
    for _ in back:
        message = check(next(replies), "reading the stream back").message
        start, length = decode_read(message, 0, len(message))
        if bytes(message[start : start + length]) != data:
            raise mismatch(blake3(data).digest(), blake3(message[start : start + length]).digest())
    run.tally.counters.bytes.written += len(data)


async def _copy_large(run: RunContext, origin: Share, source: str, goal: str, *, open_reparse_point: bool) -> int:
    """Copy range by range; returns how many bytes."""
    share = run.destination
    file = await open_file(origin, source, open_reparse_point=open_reparse_point)
    try:
        (reply,) = await share.session.call(_create(share, goal))
        writer = RangeWriter(share.session, decode_create(_take(reply, _OPERATION).message), run.tally.counters.bytes)
        try:
            await _fill(run, file, writer, source, goal)
        finally:
            closing = share.session.call(close_request(writer.file_id))
        await closing
    except BaseException:
        file.close()
        raise
    return file.opened.size


async def _fill(run: RunContext, file: OpenFile, writer: RangeWriter, source: str, goal: str) -> None:
    if writer.kept_size:
        await writer.restart()
    size, sent, found = file.opened.size, b"", b""

    async def sink(buffer: bytearray, offset: int, length: int, pool: BufferPool) -> None:
        try:
            await writer.write_in_place(buffer, offset, length, pool)
        except FileError as error:
            raise _refused(error) from error

    async def sent_digest() -> bytes:
        return sent

    async def send() -> None:
        nonlocal sent
        sent = await read_ranges(run.scheduler, file, sink=sink, before=run.limiter.before, limit=writer.limit)
        await writer.complete(size)
        await close_unchanged(run, source, file, sent_digest)
        if size >= FLUSH_FROM or run.policy.flushes_each:
            await writer.flusher.flush()

    async def check_back() -> None:
        nonlocal found
        if run.policy.verifies_each:
            found = await read_back(run.scheduler, run.destination, goal, size, writer.watermark)

    await run_all(run.scheduler, [send(), check_back()])
    if run.policy.verifies_each and found != sent:
        raise mismatch(sent, found)


def _create(share: Share, goal: str) -> Request:
    return open_request(share.wire_path(goal), access=_ACCESS, disposition=Disposition.OPEN_IF, options=_FILE)


def _take(reply: Reply, operation: str) -> Reply:
    try:
        return check(reply, operation)
    except FileError as error:
        raise _refused(error) from error


def _take_written(reply: Reply, length: int) -> None:
    try:
        check_written(reply, length)
    except FileError as error:
        raise _refused(error) from error


def _refused(error: FileError) -> Exception:
    return error if error.status in _PASSING else StreamRefusedError(error)


async def delete_stream(share: Share, path: str, name: str) -> None:
    """Delete a stream of the file or folder at ``path``. Raises :class:`FileError` if the server refuses."""
    await share.change(
        stream_path(path, name), DELETE_ACCESS, (delete_request(),), f"deleting the stream {name!r}", options=_FILE
    )
