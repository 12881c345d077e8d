"""Server-side copy (MS-SMB2 3.3.5.15.6): where both sides are one server and one identity, content stays on it.

The server copies ranges between two open files of one session, so the source's share is connected once more on the
destination's session, and each large file is opened there. Everything else is as it is for a file that is streamed: the
temporary file beside the final name, the metadata, the rename. Since no stream passes through here that could be
hashed, verifying reads both files, through opens of their own and behind the copy, and compares their hashes.

A file that fits one frame is streamed all the same: two round trips read and land it, a copy on the server takes more.
So is one that is mostly holes, because the server would fill them.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from smbferry_engine.content import OpenFile, stream
from smbferry_engine.core.calls import (
    Reply,
    close_request,
    copy_chunks_request,
    open_request,
    query_standard_request,
    resume_key_request,
    tree_connect_request,
)
from smbferry_engine.core.group import run_all
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.landing import mismatch
from smbferry_engine.model import Endpoint, Options, ServerSideCopy, ServerSideFact, ServerSideState
from smbferry_engine.run import Run
from smbferry_engine.share import READ_ACCESS, check
from smbferry_engine.temporary import Temporary
from smbferry_engine.torn import WRITTEN, close_unchanged
from smbferry_engine.wire.create import CreateOption, decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.info import decode_standard
from smbferry_engine.wire.ioctl import Chunk, CopyReply, decode_copied, decode_resume_key
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_engine.wire.tree import decode_tree_connect

REQUESTS_IN_FLIGHT = 4
# What Windows and Samba take by default (3.3.3): chunks in a request, bytes in a chunk, bytes in a request.
DEFAULT_LIMITS = CopyReply(256, 1 << 20, 16 << 20)
# A file with less than this share of its size in blocks is mostly holes; one that is compressed rarely gets there.
_LEAST_ALLOCATED = 1 / 4
# A server that takes less than a page at a time would be asked for ever.
_LEAST_BYTES = 4096
_DOING = "copying on the server"

# What a server says that has no server-side copy, or none between these two files: streaming may still do it.
_REFUSED = frozenset(
    {
        NtStatus.NOT_SUPPORTED,
        NtStatus.NOT_IMPLEMENTED,
        NtStatus.INVALID_DEVICE_REQUEST,
        NtStatus.INVALID_PARAMETER,
        NtStatus.OBJECT_NAME_NOT_FOUND,
        NtStatus.ACCESS_DENIED,
    }
)


def judge(source: Endpoint, destination: Endpoint, options: Options) -> ServerSideFact:
    """Whether the server may copy by itself, from what is known before anything is reached.

    One session serves both shares, so both sides must want the same identity and the same protection of it.
    """
    if options.server_side_copy is ServerSideCopy.NEVER:
        return ServerSideFact(ServerSideState.OFF, "the option says Never")
    if source.server_key != destination.server_key:
        return ServerSideFact(ServerSideState.NOT_POSSIBLE, "source and destination are two servers")
    if source.principal != destination.principal:
        return ServerSideFact(ServerSideState.NOT_POSSIBLE, "source and destination are opened by two identities")
    if (source.ciphers, source.dialects) != (destination.ciphers, destination.dialects):
        return ServerSideFact(ServerSideState.NOT_POSSIBLE, "the two locations permit other ciphers or dialects")
    return ServerSideFact(ServerSideState.READY, "one server and one identity: it copies large files by itself")


class _RefusedError(Exception):
    """The server does not copy by itself; what was to be copied can be streamed."""


class _Source(NamedTuple):
    """The source file, open on the destination's session under the source share's tree."""

    lane: Lane
    tree_id: int
    file_id: bytes
    key: bytes
    mostly_holes: bool

    def close(self) -> None:
        """Close it without waiting for the reply."""
        self.lane.call(close_request(self.file_id), tree_id=self.tree_id)


_Work = Callable[[_Source, Callable[[int], None]], Awaitable[bytes]]


class ServerCopy:
    """Server-side copy within one run: the source share's trees, the server's limits, and whether it has refused."""

    def __init__(self, source: Endpoint, destination: Endpoint, tell: Callable[[ServerSideFact], None]) -> None:
        self._server = destination.server
        self._share = source.share
        self._same_share = source.share_key == destination.share_key
        self._tell = tell
        self._trees: WeakKeyDictionary[Lane, int] = WeakKeyDictionary()
        self._limits = DEFAULT_LIMITS
        self._refused = False

    async def fill(
        self, run: Run, path: str, file: OpenFile, temporary: Temporary, count: Callable[[int], None]
    ) -> bytes | None:
        """Have the server copy ``file`` (open on the source's own session too) into ``temporary``, then compare both.

        What an earlier attempt left in ``temporary`` is kept only where everything is compared afterwards, and copied
        again where it then differs. ``count(bytes)`` hears of what is there. Returns the content's BLAKE3 (32 bytes),
        empty where nothing was to be compared; None when the file must be streamed: the server refuses, now or before,
        or the file is mostly holes.
        """

        async def work(source: _Source, moved: Callable[[int], None]) -> bytes:
            try:
                return await self._fill(run, path, file, temporary, source=source, moved=moved)
            except _RefusedError:
                await temporary.restart()
                raise

        return await self._attempt(run, path, file, temporary, count=count, work=work)

    async def fill_part(
        self,
        run: Run,
        path: str,
        file: OpenFile,
        temporary: Temporary,
        *,
        part: tuple[int, int],
        count: Callable[[int], None],
    ) -> bytes | None:
        """Have the server copy a part of ``file`` into a ``temporary`` that others write into, too.

        Returns the BLAKE3 (32 bytes) of what the source has there, read meanwhile: whoever lands the file compares.
        None when the part must be streamed.
        """

        async def work(source: _Source, moved: Callable[[int], None]) -> bytes:
            digest = b""

            async def read() -> None:
                nonlocal digest
                digest = await stream(run.scheduler, file, part=part)

            await run_all(run.scheduler, [self._copy(run, temporary, source, part, moved), read()])
            return digest

        return await self._attempt(run, path, file, temporary, count=count, work=work)

    async def _attempt(
        self, run: Run, path: str, file: OpenFile, temporary: Temporary, *, count: Callable[[int], None], work: _Work
    ) -> bytes | None:
        """What ``work`` returns of the opened source; None where there is nothing for the server to do."""
        if self._refused:
            return None
        counted = 0

        def moved(length: int) -> None:
            nonlocal counted
            counted += length
            count(length)

        try:
            source = await self._open(run, path, temporary.lane, itself=file.itself)
            try:
                return None if source.mostly_holes else await work(source, moved)
            finally:
                source.close()
        except _RefusedError as refusal:
            count(-counted)
            if not self._refused:
                self._refused = True
                self._tell(ServerSideFact(ServerSideState.REFUSED, f"{refusal}; files are streamed instead"))
            return None

    async def _fill(
        self,
        run: Run,
        path: str,
        file: OpenFile,
        temporary: Temporary,
        *,
        source: _Source,
        moved: Callable[[int], None],
    ) -> bytes:
        size = file.opened.size
        kept = self._trusted_until(temporary.kept_size, size) if run.verifies_each else 0
        moved(kept)
        temporary.settled(0, kept)

        async def copy() -> None:
            await self._copy(run, temporary, source, (kept, size), moved)
            await temporary.complete(size)

        if not run.verifies_each:
            await copy()
            await close_unchanged(run, path, file, lambda: temporary.read_back(size))
            return b""
        digest, found = await _compare(run, file, temporary, copy())
        if found != digest and kept:
            # What an earlier attempt wrote is not what the source holds.
            digest, found = await _compare(
                run, file, temporary, self._copy(run, temporary, source, (0, kept), lambda _length: None)
            )

        async def sent() -> bytes:
            return digest

        # Before the verdict: one that was written to meanwhile is no fault of the server's.
        written = await close_unchanged(run, path, file, sent)
        if found != digest:
            raise FileError(FileReason.SOURCE_CHANGED, WRITTEN) if written else mismatch(digest, found)
        return digest

    def _trusted_until(self, kept: int, size: int) -> int:
        """Where an earlier attempt's content may have holes, because requests overtook each other when it ended."""
        return max(0, min(kept, size) - REQUESTS_IN_FLIGHT * self._limits.total_bytes)

    async def _open(self, run: Run, path: str, lane: Lane, *, itself: bool) -> _Source:
        tree_id = await self._tree(lane)
        replies = await lane.call(
            open_request(
                run.source.wire_path(path), access=READ_ACCESS, options=CreateOption.NON_DIRECTORY_FILE, itself=itself
            ),
            query_standard_request(),
            resume_key_request(),
            tree_id=tree_id,
        )
        file_id = decode_create(check(replies[0], "opening the file for a copy on the server").message).file_id
        try:
            standard = decode_standard(check(replies[1], "asking for the size on disk").message)
            key = decode_resume_key(_resume_key(replies[2]).message)
        except (EngineError, FileError, WireError, _RefusedError):
            lane.call(close_request(file_id), tree_id=tree_id)
            raise
        holes = standard.allocated < standard.size * _LEAST_ALLOCATED
        return _Source(lane, tree_id, file_id, key, holes)

    async def _tree(self, lane: Lane) -> int:
        """The source share's tree on the session of ``lane``, encrypted as everything on it is."""
        if self._same_share:
            return lane.facts.tree_id
        if lane not in self._trees:
            (reply,) = await lane.call(tree_connect_request(self._server, self._share), tree_id=0)
            if reply.status != NtStatus.SUCCESS:
                raise _RefusedError(
                    f"the source's share can't be opened on the destination's session ({status_name(reply.status)})"
                )
            self._trees[lane] = decode_tree_connect(reply.message).tree_id
        return self._trees[lane]

    async def _copy(
        self, run: Run, temporary: Temporary, source: _Source, span: tuple[int, int], moved: Callable[[int], None]
    ) -> None:
        ranges = self._ranges(run, *span)

        async def strand() -> None:
            for offset, end in ranges:
                await run.limiter.take(end - offset)
                await self._copy_range(run, temporary, source, (offset, end), moved)

        await run_all(run.scheduler, [strand() for _ in range(REQUESTS_IN_FLIGHT)])

    def _ranges(self, run: Run, start: int, end: int) -> Iterator[tuple[int, int]]:
        """One request's worth each; shared by the strands, each of which takes the next when it is free."""
        while start < end:
            chunks = self._chunks(start, min(end, start + run.limiter.piece(self._limits.total_bytes)))
            following = chunks[-1].source_offset + chunks[-1].length
            yield start, following
            start = following

    def _chunks(self, start: int, end: int) -> list[Chunk]:
        """As much of a range as one request may ask for."""
        most, each, total = self._limits
        end = min(end, start + total, start + most * each)
        return [Chunk(offset, offset, min(each, end - offset)) for offset in range(start, end, each)]

    async def _copy_range(
        self, run: Run, temporary: Temporary, source: _Source, span: tuple[int, int], moved: Callable[[int], None]
    ) -> None:
        offset, end = span
        while offset < end:
            chunks = self._chunks(offset, end)
            (reply,) = await source.lane.call(copy_chunks_request(temporary.file_id, source.key, chunks))
            if reply.status == NtStatus.INVALID_PARAMETER and self._learn(reply, chunks):
                continue
            if reply.status == NtStatus.INVALID_VIEW_SIZE:
                raise FileError(FileReason.SOURCE_CHANGED, "the file ended earlier than its size said")
            copied = decode_copied(check(_unless_refused(reply), _DOING).message)
            length = sum(chunk.length for chunk in chunks)
            if (copied.chunks, copied.total_bytes) != (len(chunks), length):
                raise FileError(
                    FileReason.FILE_FAILED, f"{_DOING}: {length} bytes asked for, it copied {copied.total_bytes}"
                )
            temporary.settled(offset, length)
            offset += length
            run.counters.bytes.written += length
            run.counters.bytes.server_side += length
            moved(length)

    def _learn(self, reply: Reply, chunks: list[Chunk]) -> bool:
        """Keep to the limits that a refusal tells (3.3.5.15.6.2); False when it was not for them."""
        try:
            told = decode_copied(reply.message)
        except WireError:
            return False  # an error without limits: it has a body of another kind
        if not told.chunks or min(told.chunk_bytes, told.total_bytes) < _LEAST_BYTES:
            return False
        most, each, total = (min(pair) for pair in zip(self._limits, told, strict=True))
        self._limits = CopyReply(most, min(each, total), total)
        length = sum(chunk.length for chunk in chunks)
        return len(chunks) > most or chunks[0].length > self._limits.chunk_bytes or length > total


def _resume_key(reply: Reply) -> Reply:
    """The reply that holds a resume key. Whatever a server says instead, the file can be streamed.

    Raises:
        _RefusedError: the server gives no key.
        EngineError: the session is gone.
    """
    try:
        return check(_unless_refused(reply), "asking for a resume key")
    except FileError as error:
        raise _RefusedError(f"the server does not copy by itself ({status_name(reply.status)})") from error


def _unless_refused(reply: Reply) -> Reply:
    if reply.status in _REFUSED:
        raise _RefusedError(f"the server does not copy by itself ({status_name(reply.status)})")
    return reply


async def _compare(
    run: Run, file: OpenFile, temporary: Temporary, copying: Coroutine[Any, None, None]
) -> tuple[bytes, bytes]:
    """BLAKE3 of the source and of what lies at the destination, both read while the server copies."""
    sent = found = b""

    async def read_source() -> None:
        nonlocal sent
        sent = await stream(run.scheduler, file)

    async def read_back() -> None:
        nonlocal found
        found = await temporary.read_back(file.opened.size)

    await run_all(run.scheduler, [copying, read_source(), read_back()])
    return sent, found
