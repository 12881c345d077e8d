"""Reads the ranges of an open file, several in flight, hashes them in order and hands them to a sink."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from blake3 import blake3

from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.session import Session
from smbferry_engine.core.sizes import LARGEST
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.sync import Sequencer
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.reading import OpenFile
from smbferry_engine.share.replies import check
from smbferry_engine.wire.data import READ_DATA_OFFSET, WRITE_DATA_OFFSET, decode_read
from smbferry_engine.wire.status import NtStatus

ZEROS = bytes(LARGEST)
DEPTH = 8
# A large file begins with one range as large as the server takes. Samba's memory allocator (glibc's) returns memory for
# requests to the kernel, and faults it in again, until it has seen a larger request. After that, ranges cost the server
# a fifth less processor time.
_OPENING = LARGEST
_OPENING_FROM = 8 * _OPENING

Sink = Callable[[bytearray, int, int, BufferPool], Awaitable[None]]


class EndedEarlyError(FileError):
    """The file ends before the range that was to be read."""


async def stream(
    scheduler: Scheduler,
    file: OpenFile,
    *,
    sink: Sink | None = None,
    before: Callable[[int, int], Awaitable[None]] | None = None,
    limit: Callable[[int], int] | None = None,
    depth: int = DEPTH,
    part: tuple[int, int] | None = None,
    begun: blake3 | None = None,
    hashed: Callable[[int, blake3], None] | None = None,
    in_hole: Callable[[int, int], bool] | None = None,
) -> bytes:
    """Read an open file with ``depth`` ranges in flight; returns the BLAKE3 digest (32 bytes) of what was read.

    ``part``: half-open byte range (start, end); the whole file without it. ``begun`` is a BLAKE3 hash that continues
    with what is read; ``hashed(end, hash)`` is called after each range, in order. Ranges for which ``in_hole(offset,
    length)`` is true are taken as zeros without a READ.

    Each range's data lies at byte 112 of a buffer. ``sink(buffer, offset, length, pool)`` may write it in place and
    returns the buffer to ``pool``. ``before(offset, length)`` is awaited before each READ, to keep to a rate.
    ``limit(wanted)`` returns the most bytes that the sink can take now.
    """
    begin, end = part or (0, file.opened.size)
    hasher = blake3() if begun is None else begun.copy()
    mover = _Mover(file.session, file.opened.file_id, sink, Sequencer(begin), hasher, hashed)

    def most(wanted: int = 0) -> int:
        read = file.session.read_limit(wanted)
        return read if limit is None else min(read, limit(wanted))

    ranges = ranges_of(most, begin, end)

    async def strand() -> None:
        for offset, length in ranges:
            if in_hole is not None and in_hole(offset, length):
                await _move_zeros(mover, offset, length)
                continue
            if before is not None:
                await before(offset, length)
            await _move(mover, offset, length)

    strands = max(1, min(depth, -(-(end - begin) // most())))
    await run_all(scheduler, (strand() for _ in range(strands)))
    return mover.hasher.digest()


def ranges_of(most: Callable[[int], int], offset: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file; strands share them, each takes the next when it is free. ``most`` is the limit."""
    if end - offset >= _OPENING_FROM:
        length = most(_OPENING)
        yield offset, length
        offset += length
    while offset < end:
        length = min(most(0), end - offset)
        yield offset, length
        offset += length


@dataclass(frozen=True, slots=True)
class _Mover:
    """What the strands of one file share."""

    session: Session
    file_id: bytes
    sink: Sink | None
    order: Sequencer
    hasher: blake3
    hashed: Callable[[int, blake3], None] | None


async def _move(mover: _Mover, offset: int, length: int) -> None:
    """Read one range, hash it when its turn comes, hand it to the sink; after a short READ, read the rest."""
    session = mover.session
    end = offset + length
    while offset < end:
        (reply,) = await session.read(mover.file_id, offset, end - offset)
        if reply.status == NtStatus.END_OF_FILE:
            raise EndedEarlyError(FileReason.SOURCE_CHANGED, "expected the size that was listed, got a shorter file")
        message = check(reply, "reading the file").message
        start, got = decode_read(message, 0, len(message))
        if not 0 < got <= end - offset or reply.buffer is None:
            raise ProtocolError(f"expected 1 to {end - offset} bytes from READ, got {got}")
        data = memoryview(message)[start : start + got]
        await _hash(mover, offset, data)
        if mover.sink is not None:
            view = memoryview(reply.buffer)
            if start != READ_DATA_OFFSET:
                view[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + got] = bytes(data)
            await mover.sink(reply.buffer, offset, got, session.pool)
        else:
            session.pool.give_back(reply.buffer)
        offset += got


async def _move_zeros(mover: _Mover, offset: int, length: int) -> None:
    """Do the same for a range in a hole, without a READ."""
    await _hash(mover, offset, memoryview(ZEROS)[:length])
    if mover.sink is not None:
        buffer = mover.session.pool.take(length)
        buffer[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length] = memoryview(ZEROS)[:length]
        await mover.sink(buffer, offset, length, mover.session.pool)


async def _hash(mover: _Mover, offset: int, data: memoryview) -> None:
    end = offset + len(data)
    await mover.order.reach(offset)
    mover.hasher.update(data)
    if mover.hashed is not None:
        mover.hashed(end, mover.hasher)
    mover.order.passed(end)
