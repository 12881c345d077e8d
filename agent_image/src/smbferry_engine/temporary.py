"""A file being gathered beside its final name, and how the next attempt goes on inside it (I7).

The temporary's name is made of the final name and of the source's version (size and write time), so that the next
attempt or run at the same file finds it, and one at a changed file does not. Nothing else about it is believed: each
range that it holds is read back through an open of its own and compared with what was just read from the source, and
only what differs is written. So a file that the server's crash tore, one with holes where requests overtook each other,
and one that somebody else put there are mended, never trusted.
"""

import contextlib
from collections.abc import Callable
from typing import Self

from smbferry_engine.content import ZEROS, OpenFile, open_file
from smbferry_engine.core.calls import (
    Call,
    close_request,
    delete_request,
    flush_request,
    set_basic_request,
    set_size_request,
    sparse_request,
    write_request,
)
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.headway import Headway
from smbferry_engine.holes import is_sparse, takes_less_than_its_size
from smbferry_engine.landing import (
    Metadata,
    access_list_requests,
    check_access_list,
    check_written,
    judge_owner,
    next_run_mends,
    owner_requests,
)
from smbferry_engine.opening import open_temporary, wait_until_closed
from smbferry_engine.paths import join, split, temporary_names
from smbferry_engine.plan import NORMAL, READONLY, version_of
from smbferry_engine.readback import Frontier, check_kept, read_back
from smbferry_engine.rename import Landing, rename_over
from smbferry_engine.run import Run
from smbferry_engine.share import SET_ACCESS, check
from smbferry_engine.wire.create import CreateReply
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_read
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.status import NtStatus

_FLUSH_FROM = 1 << 20
# Ranges between two flushes where connections die.
_FLUSH_EVERY = 8
_DOING = "creating a temporary file"
_SHARED = Sharing.READ | Sharing.WRITE | Sharing.DELETE  # each has opened it to delete it, too


def attributes_if_readonly(entry: DirectoryEntry | None) -> int:
    """The attributes of what is to be replaced if it is read-only, 0 otherwise."""
    return entry.attributes if entry is not None and entry.attributes & READONLY else 0


class Temporary:
    """An open temporary file; :meth:`land` gives it its final name, :meth:`discard` removes it, :meth:`leave` does not.

    Writing one takes :meth:`write` for a small file; for a large one :meth:`go_on`, :meth:`write_in_place` for every
    range and :meth:`complete`. :meth:`read_back` may begin before all that.
    """

    def __init__(self, run: Run, source: DirectoryEntry, path: str, opened: CreateReply, final: str) -> None:
        self._run = run
        self._lane = run.destination.lane
        self._file_id = opened.file_id
        self._final = final
        self._kept_size = opened.size
        self._frontier = Frontier(opened.size)
        self._kept: OpenFile | None = None
        self._sparse = is_sparse(source.attributes)
        self._leaves_zeros = False
        self._has_holes = False
        self._flushing: Call | None = None
        self._writes: set[Call] = set()
        self._flushed = 0
        self._told_of_flushes: Callable[[int], None] = lambda _through: None
        self.path = path
        if self._sparse:
            # A server that can leaves room free for what is not written. One that can't gives zeros, which is as good.
            self._lane.call(sparse_request(self._file_id))

    @classmethod
    async def create(
        cls, run: Run, final: str, source: DirectoryEntry, *, keep: bool = False, shared: bool = False
    ) -> Self:
        """Open the temporary file for ``final``; with ``keep``, what an earlier attempt has gathered stays in it.

        ``shared`` lets other agents write into it at the same time, each its own part. A second and third name are
        tried when a dead client's open still holds the first.
        """
        parent, name = split(final)
        held: FileError | None = None
        for temporary in temporary_names(name, version_of(source)):
            path = join(parent, temporary)
            await wait_until_closed(run, final, path)
            try:
                opened = await open_temporary(run, final, path, keep=keep, sharing=_SHARED if shared else Sharing.READ)
            except FileError as error:
                run.temporaries.pop(path, None)
                if error.status != NtStatus.SHARING_VIOLATION:
                    raise
                held = error
                run.left[final].setdefault(path, [])
            else:
                return cls(run, source, path, opened, final)
        raise held or FileError("FileFailed", _DOING)

    @property
    def lane(self) -> Lane:
        """The lane that it is open on."""
        return self._lane

    @property
    def file_id(self) -> bytes:
        """What the server knows its open by."""
        return self._file_id

    @property
    def kept_size(self) -> int:
        """How long it was when it was opened, in bytes."""
        return self._kept_size

    @property
    def through(self) -> int:
        """Before which byte all is there, or was said to be by :meth:`settled`."""
        return self._frontier.through

    def tell_of_flushes(self, told: Callable[[int], None]) -> None:
        """``told(through)`` is called when all before a byte is on the server's disk."""
        self._told_of_flushes = told

    def settled(self, offset: int, length: int) -> None:
        """The server has put a range there by itself, or it is kept as it is: :meth:`read_back` may read it."""
        self._frontier.settled(offset, length)

    async def restart(self) -> None:
        """Forget what is in it."""
        (reply,) = await self._lane.call(set_size_request(0, self._file_id))
        check(reply, "emptying the temporary file")
        self._kept_size = 0
        self._frontier = Frontier(0)

    async def go_on(self, source: CreateReply) -> None:
        """Get ready for the ranges of ``source``, and to compare what is there already."""
        self._leaves_zeros = takes_less_than_its_size(source)
        if self._kept_size:
            self._kept = await open_file(self._run.destination, self.path)

    def limit(self, wanted: int = 0) -> int:
        """The most bytes that :meth:`write_in_place` can take just now; ``wanted`` as for a lane's limits."""
        most = self._lane.write_limit(wanted)
        return min(most, self._lane.read_limit(wanted)) if self._kept is not None else most

    async def write(self, data: bytes) -> None:
        """Write the whole content of a small file."""
        if data:
            (reply,) = await self._lane.call(write_request(0, data, self._file_id))
            check_written(reply, len(data))
            self._run.counters.bytes.written += len(data)
            self._frontier.settled(0, len(data))
        self._frontier.complete(len(data))

    async def write_in_place(self, buffer: bytearray, offset: int, length: int, pool: BufferPool) -> None:
        """Write a range that lies in ``buffer`` as :func:`~smbferry_engine.content.stream` hands it on, if need be.

        What is there already is not sent. Nor are zeros where nothing was ever written, for that reads as zeros, unless
        they take up room at the source.
        """
        if offset >= self._kept_size:
            if self._leaves_zeros and ZEROS.startswith(
                memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length]
            ):
                self._has_holes = True
                pool.give_back(buffer)
                self._frontier.settled(offset, length, hole=True)
                return
        elif await self._holds(buffer, offset, length):
            pool.give_back(buffer)
            self._frontier.settled(offset, length)
            return
        call = self._lane.write_in_place(buffer, self._file_id, offset, length, pool)
        self._writes.add(call)
        call.when_done(lambda: self._answered(call, offset, length))
        (reply,) = await call
        check_written(reply, length)

    def _answered(self, call: Call, offset: int, length: int) -> None:
        """A write has its reply: it counts, whether or not the attempt that sent it still waits."""
        self._writes.discard(call)
        with contextlib.suppress(FileError, EngineError):  # told to whoever waits
            check_written(call.result()[0], length)
            self._run.counters.bytes.written += length
            self._frontier.settled(offset, length)
            self._flush_now_and_then()

    def _flush_now_and_then(self) -> None:
        """Where connections die, what was written is made to last, so that it is read back only once."""
        through = self._frontier.through
        if self._lane.follows_a_death and through - self._flushed >= _FLUSH_EVERY * self._lane.write_limit():
            self._flushed = through
            self._flush_through(self._lane.call(flush_request(self._file_id)), through)

    def _flush_through(self, call: Call, through: int) -> None:
        def flushed() -> None:
            if call.error is None and call.result()[0].status == NtStatus.SUCCESS:
                self._told_of_flushes(through)

        call.when_done(flushed)

    async def settle(self) -> None:
        """Wait for the writes that are under way where the attempt has ended, so that what they wrote counts."""
        for call in list(self._writes):
            with contextlib.suppress(EngineError):
                await call
        if self._lane.usable and self._run.connections_die:
            call = self._lane.call(flush_request(self._file_id))
            self._flush_through(call, self.through)
            with contextlib.suppress(EngineError):
                await call

    async def _holds(self, buffer: bytearray, offset: int, length: int) -> bool:
        """Whether the temporary file has these very bytes, read through another open than the one that writes."""
        if self._kept is None or offset + length > self._kept_size:
            return False
        lane = self._kept.lane
        (reply,) = await lane.read(self._kept.opened.file_id, offset, length)
        if reply.status == NtStatus.END_OF_FILE:
            return False
        message = check(reply, "reading back what an earlier attempt wrote").message
        start, got = decode_read(message, 0, len(message))
        found = memoryview(message)[start : start + got]
        same = got == length and buffer.startswith(found, WRITE_DATA_OFFSET, WRITE_DATA_OFFSET + length)
        found.release()
        if reply.buffer is not None:
            lane.pool.give_back(reply.buffer)
        return same

    async def complete(self, size: int) -> None:
        """All ranges are there: cut off what lies behind them, and give a hole at the end its size."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        if self._has_holes or self._kept_size > size:
            (reply,) = await self._lane.call(set_size_request(size, self._file_id))
            check(reply, "setting the file's size")
        self._frontier.complete(size)
        if size >= _FLUSH_FROM:
            # Waited for in :meth:`land`: the rest of the reading back need not wait for the disk.
            self._flushing = self._lane.call(flush_request(self._file_id))
            self._flush_through(self._flushing, size)

    async def read_back(self, size: int, headway: Headway | None = None) -> bytes:
        """BLAKE3 of the file, read behind the writes through another open.

        Raises:
            KeptDiffersError: it does not begin with what there is in ``headway``.
            FileError: HashMismatch if it has another size; any refusal of the server.
        """
        run = self._run
        return await read_back(run.scheduler, run.destination, self.path, size, self._frontier, headway=headway)

    async def check(self, headway: Headway) -> None:
        """It begins with what there is in ``headway``, or :class:`KeptDiffersError`."""
        await check_kept(self._run.scheduler, self._run.destination, self.path, headway)

    async def land(self, metadata: Metadata, size: int, *, readonly: int) -> FileError | None:
        """Set the descriptor, rename over the final name, set times last; before that, if no later run would mend them.

        ``readonly`` are the attributes of the file of that name, if it is read-only; it has them again if it stays.
        Returns what could not be set.
        """
        run = self._run
        await run.still_wanted()
        lane = self._lane
        if size >= _FLUSH_FROM or run.flushes_each:
            await self.flush()
        incomplete = await self._set_descriptor(metadata)
        if incomplete is not None:
            metadata = metadata.marked()
        landing = Landing(lane, self.path, self._final, metadata, not next_run_mends(run), self._sparse)
        if readonly:
            await self._set_old(NORMAL)
        try:
            await rename_over(run, landing, self._file_id)
        except FileError:
            if readonly:
                with contextlib.suppress(FileError):
                    await self._set_old(readonly)
            raise
        await self._remove_others()
        return incomplete

    async def _set_old(self, attributes: int) -> None:
        request = set_basic_request(attributes=attributes)
        await self._run.destination.change(self._final, SET_ACCESS, (request,), "changing the old file's attributes")

    async def _set_descriptor(self, metadata: Metadata) -> FileError | None:
        """Give it the descriptor that it ends with: until now it was open to nobody but the account.

        Returns what could not be set of it.
        """
        if metadata.descriptor is None:
            return None
        lists = access_list_requests(self._run, metadata, self._file_id)
        access_list, owner = await self._lane.call(*lists, *owner_requests(metadata, self._file_id))
        check_access_list(access_list)
        return judge_owner(owner) or self._run.audit_refusal

    async def _remove_others(self) -> None:
        """The names that this and earlier attempts did not end with.

        By now the server has noticed that a dead client is dead, as a rule; else the next run removes its file.
        """
        for path in self._run.left.pop(self._final, {}).keys() - {self.path}:
            with contextlib.suppress(FileError, EngineError):
                await self._run.destination.delete(path, directory=False, readonly=True)

    async def discard(self) -> None:
        """Delete it, whether its handle is still open or not; what can't be deleted now is when the run ends."""
        self._stop_comparing()
        with contextlib.suppress(FileError, EngineError):
            replies = await self._lane.call(delete_request(self._file_id), close_request())
            if replies[0].status != NtStatus.SUCCESS:
                await self._run.destination.delete(self.path, directory=False, readonly=True)
            self._run.temporaries.pop(self.path, None)
        await self._remove_others()

    async def flush(self) -> None:
        """Have what was written on the server's disk."""
        (flushed,) = await (self._flushing or self._lane.call(flush_request(self._file_id)))
        check(flushed, "flushing the file")

    def leave(self) -> None:
        """Close it and leave it for the next attempt, which goes on inside it."""
        self._stop_comparing()
        closing = self._lane.call(close_request(self._file_id))
        self._run.left[self._final].setdefault(self.path, []).append(closing)
        self._run.temporaries.pop(self.path, None)

    def _stop_comparing(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
