"""Reading a file: whole in one compound when it is small, in ranges with several requests in flight when it is not."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.core.calls import Call, Request, close_request, open_request, query_security_request, read_request
from smbferry_engine.core.credits import CREDIT_BYTES
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.group import run_all
from smbferry_engine.core.lane import LARGEST, Lane
from smbferry_engine.core.sync import Turnstile
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.share import DESCRIPTOR_LIMIT, READ_ACCESS, Share, check
from smbferry_engine.wire.create import CloseReply, CreateOption, CreateReply, Disposition, decode_close, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import READ_DATA_OFFSET, WRITE_DATA_OFFSET, decode_read
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.status import NtStatus

ZEROS = bytes(LARGEST)
SINGLE_FRAME = 512 * 1024
DEPTH = 8
# A large file begins with one range as large as a server takes. Samba's memory allocator (glibc's) gives memory for
# requests back to the kernel, and faults it in again, until it has met a larger one: the ranges that follow then cost
# the server a fifth less processor time.
_OPENING = LARGEST
_OPENING_FROM = 8 * _OPENING
# What travels with the data of a small file, a credit each: CREATE, two SET_INFO at most, FLUSH, CLOSE; one to spare.
_BESIDE_DATA = 6
_TRIES = 3
_WITHOUT_WRITERS = int(Sharing.READ | Sharing.DELETE)
_WITH_EVERYBODY = int(Sharing.READ | Sharing.WRITE | Sharing.DELETE)
_READ_OPTIONS = int(CreateOption.NON_DIRECTORY_FILE | CreateOption.SEQUENTIAL_ONLY)

Sink = Callable[[bytearray, int, int, BufferPool], Awaitable[None]]


class EndedEarlyError(FileError):
    """The file has fewer bytes than were to be read."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file read in one compound: its content, what it was like, and its raw descriptor where that was asked for."""

    data: bytes
    opened: CreateReply
    descriptor: bytes | None


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file open for reading on ``lane``, and its raw descriptor where that was asked for."""

    lane: Lane
    opened: CreateReply
    descriptor: bytes | None
    itself: bool = True

    def close(self) -> None:
        """Close it without waiting for the reply."""
        self.lane.call(close_request(self.opened.file_id))


def single_frame_limit(share: Share, *, and_back: bool = False) -> int:
    """The largest file that travels in one compound on this side just now; ``and_back`` if it is written and read."""
    lane = share.lane
    left = max(0, lane.credits.total - _BESIDE_DATA) // (2 if and_back else 1) * CREDIT_BYTES
    return min(SINGLE_FRAME, lane.read_limit(), lane.write_limit(), left)


def changed(opened: CreateReply, closed: CloseReply) -> bool:
    """Whether a file was written to between CREATE and CLOSE, by its size and times, where the server tells.

    The change time moves with each write on Samba, where the write time moves once, 2 s after the first one.
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
    itself: bool = True,
    refuses_writers: bool = False,
) -> SmallFile | None:
    """Read a file of about ``size`` bytes whole; None when it has outgrown one frame.

    ``access`` and ``parts`` ask for its security descriptor too, ``itself`` is as for
    :func:`~smbferry_engine.core.calls.open_request`. With ``refuses_writers`` nobody can have it open for writing
    meanwhile; if somebody has, it is read twice, and the same content both times was there at one moment.
    :class:`FileError` SourceChanged when it was written to meanwhile.
    """
    asked = _Asked(share, path, access, parts, itself)
    for _ in range(_TRIES):
        read = await _read_once(asked, size, refuses_writers=refuses_writers)
        if read is None:
            read = await _read_twice(asked, size)
        if read.whole:
            return read.file
        size = read.size
        if size > single_frame_limit(share):
            return None
    raise FileError(FileReason.SOURCE_CHANGED, "the file was written to while it was read, three times in a row")


async def _read_twice(asked: "_Asked", size: int) -> "_Read":
    """Of a file that somebody has open for writing; whole if it was the same both times.

    Its times say nothing: Samba's CREATE gives those of a writer's first write, its CLOSE those of the last.
    """
    first, second = await _read_once(asked, size), await _read_once(asked, size)
    if first is None or second is None:
        raise FileError(FileReason.SHARING_VIOLATION, "reading the file: another program holds it open")
    whole = first.file.data == second.file.data and len(first.file.data) == second.size
    return first._replace(whole=whole, size=second.size)


class _Asked(NamedTuple):
    """What :func:`read_small` was asked."""

    share: Share
    path: str
    access: int
    parts: int
    itself: bool


class _Read(NamedTuple):
    """What one compound has read, whether that is a whole version of the file, and the file's size at the end."""

    file: SmallFile
    whole: bool
    size: int


async def _read_once(asked: _Asked, size: int, *, refuses_writers: bool = False) -> _Read | None:
    """None where somebody has it open for writing, which was to be refused."""
    doing = "reading the file"
    share, path, access, parts, itself = asked
    requests = [_open_for_reading(share, path, access, itself=itself, refuses_writers=refuses_writers)]
    if parts:
        requests.append(query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT))
    if size:
        requests.append(read_request(0, size))
    replies = iter(await share.lane.call(*requests, close_request(query_attributes=True)))
    reply = next(replies)
    if refuses_writers and reply.status == NtStatus.SHARING_VIOLATION:
        return None
    opened = decode_create(check(reply, doing).message)
    descriptor = bytes(decode_query(check(next(replies), "reading the security descriptor").message)) if parts else None
    data = b""
    if size:
        reply = next(replies)
        if reply.status != NtStatus.END_OF_FILE:
            start, length = decode_read(check(reply, doing).message, 0, len(reply.message))
            data = bytes(reply.message[start : start + length])
    closed = decode_close(check(next(replies), doing).message)
    whole = len(data) == opened.size and not changed(opened, closed)
    return _Read(SmallFile(data, opened, descriptor), whole, closed.size if closed.known else opened.size)


def _open_for_reading(share: Share, path: str, access: int, *, itself: bool, refuses_writers: bool = False) -> Request:
    return open_request(
        share.wire_path(path),
        access=READ_ACCESS | access,
        disposition=Disposition.OPEN,
        options=_READ_OPTIONS,
        share=_WITHOUT_WRITERS if refuses_writers else _WITH_EVERYBODY,
        itself=itself,
    )


async def has_writer(share: Share, path: str, *, itself: bool) -> bool:
    """Whether somebody has the file open for writing, by an open that lasts for one compound and refuses writers."""
    opened, _ = await share.lane.call(
        _open_for_reading(share, path, 0, itself=itself, refuses_writers=True), close_request()
    )
    if opened.status == NtStatus.SHARING_VIOLATION:
        return True
    check(opened, "asking whether another program writes to it")
    return False


async def open_file(share: Share, path: str, *, access: int = 0, parts: int = 0, itself: bool = True) -> OpenFile:
    """Open a file for reading, and read its security descriptor where ``parts`` asks for it.

    ``itself`` is as for :func:`~smbferry_engine.core.calls.open_request`.
    """
    requests = [_open_for_reading(share, path, access, itself=itself)]
    if parts:
        requests.append(query_security_request(parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT))
    lane = share.lane
    call = lane.call(*requests)
    try:
        replies = await call
    except GeneratorExit:
        call.when_done(lambda: _close_unwanted(lane, call))
        raise
    opened = decode_create(check(replies[0], "opening the file").message)
    if not parts:
        return OpenFile(lane, opened, None, itself)
    try:
        descriptor = bytes(decode_query(check(replies[1], "reading the security descriptor").message))
        return OpenFile(lane, opened, descriptor, itself)
    except FileError:
        lane.call(close_request(opened.file_id))
        raise


def _close_unwanted(lane: Lane, call: Call) -> None:
    """Whoever asked for this file was stopped before it was open: close it, so that it can be deleted."""
    if call.error is None:
        opened = call.result()[0]
        if opened.status == NtStatus.SUCCESS:
            lane.call(close_request(decode_create(opened.message).file_id))


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

    ``part`` is from which byte to before which; without it the whole file is read. ``begun`` is a hash that goes on
    with what is read, ``hashed(end, hash)`` is told of it after each range, in their order. Ranges of which
    ``in_hole(offset, length)`` are zeros that nobody is asked for.

    Each range's data lies at 112 of a buffer that ``sink(buffer, offset, length, pool)`` may write elsewhere in place,
    and sees to it that ``pool`` gets it back. ``before(offset, length)`` is awaited before each range is asked for: the
    place to keep to a rate. ``limit(wanted)`` is the most that the sink can take just now.
    """
    begin, end = part or (0, file.opened.size)
    hasher = blake3() if begun is None else begun.copy()
    mover = _Mover(file.lane, file.opened.file_id, sink, Turnstile(begin), hasher, hashed)

    def most(wanted: int = 0) -> int:
        read = file.lane.read_limit(wanted)
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
    """The ranges of a file, shared by the strands: each takes the next when it is free. ``most`` is as for a lane."""
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

    lane: Lane
    file_id: bytes
    sink: Sink | None
    order: Turnstile
    hasher: blake3
    hashed: Callable[[int, blake3], None] | None


async def _move(mover: _Mover, offset: int, length: int) -> None:
    """Read one range, hash it when its turn comes, hand it on; a short read is followed by another for the rest."""
    lane = mover.lane
    end = offset + length
    while offset < end:
        (reply,) = await lane.read(mover.file_id, offset, end - offset)
        if reply.status == NtStatus.END_OF_FILE:
            raise EndedEarlyError(FileReason.SOURCE_CHANGED, "the file ended earlier than its size said")
        message = check(reply, "reading the file").message
        start, got = decode_read(message, 0, len(message))
        if not 0 < got <= end - offset or reply.buffer is None:
            raise ProtocolError(f"1 to {end - offset} bytes from a read expected, found {got}")
        data = memoryview(message)[start : start + got]
        await _hash(mover, offset, data)
        if mover.sink is not None:
            view = memoryview(reply.buffer)
            if start != READ_DATA_OFFSET:
                view[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + got] = bytes(data)
            await mover.sink(reply.buffer, offset, got, lane.pool)
        else:
            lane.pool.give_back(reply.buffer)
        offset += got


async def _move_zeros(mover: _Mover, offset: int, length: int) -> None:
    """The same for a range of a hole."""
    await _hash(mover, offset, memoryview(ZEROS)[:length])
    if mover.sink is not None:
        buffer = mover.lane.pool.take(length)
        buffer[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length] = memoryview(ZEROS)[:length]
        await mover.sink(buffer, offset, length, mover.lane.pool)


async def _hash(mover: _Mover, offset: int, data: memoryview) -> None:
    end = offset + len(data)
    await mover.order.reach(offset)
    mover.hasher.update(data)
    if mover.hashed is not None:
        mover.hashed(end, mover.hasher)
    mover.order.passed(end)
