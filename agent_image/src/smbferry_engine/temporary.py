"""A file being gathered beside its final name, and how the next attempt goes on inside it (I7).

The temporary's name is made of the final name and of the source's version (size and write time), so that the next
attempt or run at the same file finds it, and one at a changed file does not. Nothing else about it is believed: each
range that it holds is read back through an open of its own and compared with what was just read from the source, and
only what differs is written. So a file that the server's crash tore, one with holes where requests overtook each other,
and one that somebody else put there are mended, never trusted.
"""

import contextlib
from typing import Self

from smbferry_engine.content import ZEROS, OpenFile, open_file
from smbferry_engine.core.calls import (
    Call,
    Reply,
    Request,
    close_request,
    delete_request,
    flush_request,
    open_request,
    query_security_request,
    query_standard_request,
    set_basic_request,
    set_size_request,
    sparse_request,
    write_request,
)
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.headway import NOTHING, Kept
from smbferry_engine.landing import (
    WRITE_ACCESS,
    Metadata,
    access_list_requests,
    check_access_list,
    check_written,
    judge_owner,
    next_run_mends,
    owner_requests,
)
from smbferry_engine.paths import join, split, temporary_names
from smbferry_engine.plan import DIRECTORY, NORMAL, REPARSE_POINT, version_of
from smbferry_engine.readback import Frontier, check_kept, read_back
from smbferry_engine.rename import Landing, rename_over
from smbferry_engine.run import Run
from smbferry_engine.share import DESCRIPTOR_LIMIT, SET_ACCESS, check
from smbferry_engine.wire.create import CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_read
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart, decode_query, decode_standard
from smbferry_engine.wire.security import decode_security_descriptor, only_for, owner_and_group
from smbferry_engine.wire.status import NtStatus

_FLUSH_FROM = 1 << 20
_DOING = "creating a temporary file"
_SHARED = Sharing.READ | Sharing.WRITE | Sharing.DELETE  # each has opened it to delete it, too


class Temporary:
    """An open temporary file; :meth:`land` gives it its final name, :meth:`discard` removes it, :meth:`leave` does not.

    Writing one takes :meth:`write` for a small file; for a large one :meth:`go_on`, :meth:`write_in_place` for every
    range and :meth:`complete`. :meth:`read_back` may begin before all that.
    """

    def __init__(self, run: Run, lane: Lane, path: str, opened: CreateReply, final: str) -> None:
        self._run = run
        self._lane = lane
        self._file_id = opened.file_id
        self._final = final
        self._kept_size = opened.size
        self._frontier = Frontier(opened.size)
        self._kept: OpenFile | None = None
        self._has_holes = False
        self._flushing: Call | None = None
        self.path = path

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
            await _closed(run, final, path)
            try:
                opened = await _open(run, path, keep=keep, sharing=_SHARED if shared else Sharing.READ)
            except FileError as error:
                run.temporaries.pop(path, None)
                if error.status != NtStatus.SHARING_VIOLATION:
                    raise
                held = error
                run.left[final].setdefault(path, [])
            else:
                return cls(run, run.destination.lane, path, opened, final)
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

    def settled(self, offset: int, length: int) -> None:
        """The server has put a range there by itself, or it is kept as it is: :meth:`read_back` may read it."""
        self._frontier.settled(offset, length)

    async def restart(self) -> None:
        """Forget what is in it."""
        (reply,) = await self._lane.call(set_size_request(0, self._file_id))
        check(reply, "emptying the temporary file")
        self._kept_size = 0
        self._frontier = Frontier(0)

    async def go_on(self) -> None:
        """Get ready to compare what is there already; nothing to do for a file that is empty."""
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

        Zeros are not sent where nothing was ever written, for that reads as zeros; nor is what is there already.
        """
        if offset >= self._kept_size:
            if ZEROS.startswith(memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length]):
                self._leave_hole()
                pool.give_back(buffer)
                self._frontier.settled(offset, length, hole=True)
                return
        elif await self._holds(buffer, offset, length):
            pool.give_back(buffer)
            self._frontier.settled(offset, length)
            return
        (reply,) = await self._lane.write_in_place(buffer, self._file_id, offset, length, pool)
        check_written(reply, length)
        self._run.counters.bytes.written += length
        self._frontier.settled(offset, length)

    def _leave_hole(self) -> None:
        """There will be one: a server that can leaves its room free. One that can't gives zeros, which is as good."""
        if not self._has_holes:
            self._has_holes = True
            self._lane.call(sparse_request(self._file_id))

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

    async def read_back(self, size: int, kept: Kept = NOTHING) -> bytes:
        """BLAKE3 of the file, read behind the writes through another open.

        Raises:
            KeptDiffersError: it does not begin with what was ``kept``.
            FileError: HashMismatch if it has another size; any refusal of the server.
        """
        return await read_back(self._run.scheduler, self._run.destination, self.path, size, self._frontier, kept=kept)

    async def check(self, kept: Kept) -> None:
        """It begins with what was ``kept``, or :class:`KeptDiffersError`."""
        await check_kept(self._run.scheduler, self._run.destination, self.path, kept)

    async def land(self, metadata: Metadata, size: int, *, over_readonly: bool) -> FileError | None:
        """Set the descriptor, rename over the final name, set times last; before that, if no later run would mend them.

        Returns what could not be set.
        """
        run = self._run
        await run.still_wanted()
        if over_readonly:
            await run.destination.change(
                self._final, SET_ACCESS, (set_basic_request(attributes=NORMAL),), "making the old file writable"
            )
        lane = self._lane
        if size >= _FLUSH_FROM or run.flushes_each:
            await self.flush()
        incomplete = await self._set_descriptor(metadata)
        if incomplete is not None:
            metadata = metadata.marked()
        landing = Landing(lane, self.path, self._final, metadata, metadata_first=not next_run_mends(run))
        await rename_over(run, landing, self._file_id)
        await self._remove_others()
        return incomplete

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


async def _closed(run: Run, final: str, path: str) -> None:
    """Wait until what earlier attempts of this run had open there is closed.

    A server may finish the writes that are under way before it closes a file (Samba does), and meanwhile look at what
    was sent later: it would find the file in use.
    """
    for closing in run.left.get(final, {}).get(path, ()):
        with contextlib.suppress(EngineError):  # the connection is gone: then it is up to the server
            await closing


async def _open(run: Run, path: str, *, keep: bool, sharing: Sharing) -> CreateReply:
    """Open ``path`` for writing: made anew, or as it is if it is kept and is ours to write into.

    Where descriptors are copied it is open to nobody but the account before there is any content.
    """
    private = only_for(await run.ownership.own(path)) if run.security_parts else None
    (reply, *_) = await _call(run, path, Disposition.CREATE, sharing, private)
    if reply.status == NtStatus.OBJECT_NAME_COLLISION:
        found = await _open_kept(run, path, sharing) if keep else None
        if found is not None:
            return found
        await run.destination.delete(path, directory=False, readonly=True)
        (reply, *_) = await _call(run, path, Disposition.CREATE, sharing, private)
    return decode_create(check(reply, _DOING).message)


async def _open_kept(run: Run, path: str, sharing: Sharing) -> CreateReply | None:
    """What is there, if it is a plain file with this one name: what is written into a hard link shows elsewhere too.

    None also if it may not be opened, or if others may: whoever planted it would read what is added.
    """
    asking = [query_standard_request()]
    if run.security_parts:
        asking.append(query_security_request(OWNER_AND_GROUP | SecurityPart.DACL, DESCRIPTOR_LIMIT))
    replies = await _call(run, path, Disposition.OPEN, sharing, None, *asking)
    if replies[0].status == NtStatus.ACCESS_DENIED:
        return None
    opened = decode_create(check(replies[0], _DOING).message)
    standard = decode_standard(check(replies[1], "asking for the number of links").message)
    is_plain = standard.links == 1 and not opened.attributes & (DIRECTORY | REPARSE_POINT)
    if is_plain and (not run.security_parts or await _is_private(run, path, replies[2])):
        return opened
    await run.destination.lane.call(close_request(opened.file_id))
    return None


async def _is_private(run: Run, path: str, reply: Reply) -> bool:
    """Whether the account owns it and nobody else may open it."""
    found = bytes(decode_query(check(reply, "asking whose it is").message))
    own = await run.ownership.own(path)
    expected = decode_security_descriptor(only_for(own)).dacl
    return owner_and_group(found)[0] == own and decode_security_descriptor(found).dacl == expected


async def _call(
    run: Run, path: str, disposition: Disposition, sharing: Sharing, private: bytes | None, *requests: Request
) -> list[Reply]:
    request = open_request(
        run.destination.wire_path(path),
        access=WRITE_ACCESS | run.write_security_access | run.read_security_access,
        disposition=disposition,
        options=CreateOption.NON_DIRECTORY_FILE,
        share=sharing,
        descriptor=private,
    )
    run.temporaries[path] = call = run.destination.lane.call(request, *requests)
    replies = await call
    if replies[0].status != NtStatus.SUCCESS:
        del run.temporaries[path]
    return replies
