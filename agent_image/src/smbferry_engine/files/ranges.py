"""Writes the ranges of a file into its staging file, and sends only what is not there already."""

import contextlib
from typing import TYPE_CHECKING

from smbferry_engine.core.calls import Call, flush_request, set_size_request, write_request
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.holes import takes_less_than_its_size
from smbferry_engine.files.pump import ZEROS
from smbferry_engine.files.readback import Watermark
from smbferry_engine.model import ByteCounters
from smbferry_engine.share.reading import OpenFile, open_file
from smbferry_engine.share.replies import check, check_written
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CreateReply
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_read
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH_FROM = 1 << 20
# Ranges between two FLUSHes where connections die.
_FLUSH_EVERY = 8


class Flusher:
    """Flushes one open file, and reports how much of it is on the server's disk."""

    def __init__(self, session: Session, file_id: bytes) -> None:
        self._session = session
        self._file_id = file_id
        self._flushed = 0
        self._last: Call | None = None
        self.flushed: Callable[[int], None] = lambda _through: None

    def begin(self, through: int) -> Call:
        """Send a FLUSH; ``flushed(through)`` is called once all before that byte is on the disk."""
        call = self._session.call(flush_request(self._file_id))

        def done() -> None:
            if call.error is None and call.result()[0].status == NtStatus.SUCCESS:
                self.flushed(through)

        call.when_done(done)
        return call

    def begin_last(self, size: int) -> None:
        """Send the FLUSH of a file that is complete; :meth:`flush` waits for it."""
        self._last = self.begin(size)

    def now_and_then(self, through: int) -> None:
        """Where connections die, flush every few ranges, so that they are read back only once."""
        session = self._session
        if session.follows_a_death and through - self._flushed >= _FLUSH_EVERY * session.write_limit():
            self._flushed = through
            self.begin(through)

    async def flush(self) -> None:
        """Wait until what was written is on the server's disk."""
        (flushed,) = await (self._last or self._session.call(flush_request(self._file_id)))
        check(flushed, "flushing the file")


class RangeWriter:
    """The ranges of one open staging file: :meth:`prepare`, :meth:`write_in_place` for each of them, :meth:`complete`.

    ``kept_size`` is how long the file was when it was opened; ``watermark`` tells how far it can be read back.
    """

    def __init__(self, session: Session, opened: CreateReply, counters: ByteCounters) -> None:
        self.session = session
        self.file_id = opened.file_id
        self.kept_size = opened.size
        self.watermark = Watermark(opened.size)
        self.flusher = Flusher(session, opened.file_id)
        self._counters = counters
        self._kept: OpenFile | None = None
        self._leaves_zeros = False
        self._has_holes = False
        self._writes: set[Call] = set()

    def settled(self, offset: int, length: int) -> None:
        """Record a range that the server copied, or that is kept as it is: it may be read back."""
        self.watermark.settled(offset, length)

    async def restart(self) -> None:
        """Empty the file."""
        (reply,) = await self.session.call(set_size_request(0, self.file_id))
        check(reply, "emptying the temporary file")
        self.kept_size = 0
        self.watermark = Watermark(0)

    async def prepare(self, share: Share, path: str, source: CreateReply) -> None:
        """Prepare for the ranges of ``source``; opens the file at ``path`` to compare what it holds already."""
        self._leaves_zeros = takes_less_than_its_size(source)
        if self.kept_size:
            self._kept = await open_file(share, path)

    def limit(self, wanted: int = 0) -> int:
        """Return the most bytes that :meth:`write_in_place` can take now; ``wanted`` is as for a session's limits."""
        most = self.session.write_limit(wanted)
        return min(most, self.session.read_limit(wanted)) if self._kept is not None else most

    async def write(self, data: bytes) -> None:
        """Write the whole content of a small file."""
        if data:
            (reply,) = await self.session.call(write_request(0, data, self.file_id))
            check_written(reply, len(data))
            self._counters.written += len(data)
            self.watermark.settled(0, len(data))
        self.watermark.complete(len(data))

    async def write_in_place(self, buffer: bytearray, offset: int, length: int, pool: BufferPool) -> None:
        """Write a range that :func:`~smbferry_engine.files.pump.stream` hands over in ``buffer``.

        A range that the file holds already is not sent. Zeros beyond the file's end are not sent either, unless they
        take space at the source.
        """
        if offset >= self.kept_size:
            if self._leaves_zeros and ZEROS.startswith(
                memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length]
            ):
                self._has_holes = True
                pool.give_back(buffer)
                self.watermark.settled(offset, length, hole=True)
                return
        elif await self._holds(buffer, offset, length):
            pool.give_back(buffer)
            self.watermark.settled(offset, length)
            return
        call = self.session.write_in_place(buffer, self.file_id, offset, length, pool)
        self._writes.add(call)
        call.when_done(lambda: self._answered(call, offset, length))
        (reply,) = await call
        check_written(reply, length)

    def _answered(self, call: Call, offset: int, length: int) -> None:
        """Count a write that was answered, even if the attempt that sent it has ended."""
        self._writes.discard(call)
        with contextlib.suppress(FileError, EngineError, WireError):  # raised in the coroutine that waits
            check_written(call.result()[0], length)
            self._counters.written += length
            self.watermark.settled(offset, length)
            self.flusher.now_and_then(self.watermark.through)

    async def settle(self, *, flush: bool) -> None:
        """Wait for pending writes after the attempt has ended, so that they count."""
        for call in list(self._writes):
            with contextlib.suppress(EngineError):
                await call
        if self.session.usable and flush:
            with contextlib.suppress(EngineError):
                await self.flusher.begin(self.watermark.through)

    async def _holds(self, buffer: bytearray, offset: int, length: int) -> bool:
        """Return whether the file holds these bytes already, read through another open than the one that writes."""
        if self._kept is None or offset + length > self.kept_size:
            return False
        session = self._kept.session
        (reply,) = await session.read(self._kept.opened.file_id, offset, length)
        if reply.status == NtStatus.END_OF_FILE:
            return False
        message = check(reply, "reading back what an earlier attempt wrote").message
        start, got = decode_read(message, 0, len(message))
        found = memoryview(message)[start : start + got]
        same = got == length and buffer.startswith(found, WRITE_DATA_OFFSET, WRITE_DATA_OFFSET + length)
        found.release()
        if reply.buffer is not None:
            session.pool.give_back(reply.buffer)
        return same

    async def complete(self, size: int) -> None:
        """Set the file's size after the last range: cut off what lies beyond it, or extend a hole at the end."""
        self.stop_comparing()
        if self._has_holes or self.kept_size > size:
            (reply,) = await self.session.call(set_size_request(size, self.file_id))
            check(reply, "setting the file's size")
        self.watermark.complete(size)
        if size >= FLUSH_FROM:
            # The commit waits for it; reading back need not wait for the disk.
            self.flusher.begin_last(size)

    def stop_comparing(self) -> None:
        """Close what :meth:`prepare` has opened."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
