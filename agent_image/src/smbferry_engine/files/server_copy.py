"""Server-side copy (MS-SMB2 3.3.5.15.6): where both sides are one server and one identity, it copies the content.

The server copies ranges between two open files of one session, so the source's share is connected once more on the
destination's session, and each large file is opened there. Everything else is as it is for a file that is streamed: the
staging file beside the final name, the metadata, the rename. Since no stream passes through here that could be hashed,
verifying reads both files, through opens of their own and behind the copy, and compares their hashes.

A file that fits one frame is streamed all the same: two round trips read and commit it, a copy on the server takes
more. So is a file that consists mostly of holes, because the server would fill them.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from smbferry_engine.core.calls import (
    Reply,
    close_request,
    copy_chunks_request,
    query_standard_request,
    resume_key_request,
    tree_connect_request,
)
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.files.pump import stream
from smbferry_engine.files.readback import mismatch
from smbferry_engine.files.unchanged import WRITTEN, close_unchanged
from smbferry_engine.model import Endpoint, ServerSideFact
from smbferry_engine.run.context import CopyTarget, RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.share.access import READ_ACCESS
from smbferry_engine.share.reading import OpenFile
from smbferry_engine.share.replies import check
from smbferry_engine.wire.create import CreateOption, decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.info import decode_standard
from smbferry_engine.wire.ioctl import Chunk, CopyReply, decode_copied, decode_resume_key
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_engine.wire.tree import decode_tree_connect
from smbferry_words.options import ServerSideCopy
from smbferry_words.run import ServerSideState

REQUESTS_IN_FLIGHT = 4
# What Windows and Samba take by default (3.3.3): chunks in a request, bytes in a chunk, bytes in a request.
DEFAULT_LIMITS = CopyReply(256, 1 << 20, 16 << 20)
# A file with less than this share of its size in blocks is mostly holes; one that is compressed rarely gets there.
_LEAST_ALLOCATED = 1 / 4
# Smaller limits than this would need requests without end.
_LEAST_BYTES = 4096
_OPERATION = "server-side copy"

# The server has no server-side copy, or none between these two files; streaming may still work.
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


def judge(source: Endpoint, destination: Endpoint, option: ServerSideCopy) -> ServerSideFact:
    """Decide from the endpoints and options whether the server may copy by itself.

    One session serves both shares, so both endpoints must have the same identity, ciphers and dialects.
    """
    if option is ServerSideCopy.NEVER:
        return ServerSideFact(ServerSideState.OFF, "the option is Never")
    if source.server_key != destination.server_key:
        return ServerSideFact(ServerSideState.NOT_POSSIBLE, "source and destination are different servers")
    if source.principal != destination.principal:
        return ServerSideFact(ServerSideState.NOT_POSSIBLE, "source and destination use different identities")
    if (source.ciphers, source.dialects) != (destination.ciphers, destination.dialects):
        return ServerSideFact(
            ServerSideState.NOT_POSSIBLE, "source and destination permit different ciphers or dialects"
        )
    return ServerSideFact(ServerSideState.READY, "one server and one identity: it copies large files by itself")


class _RefusedError(Exception):
    """The server does not copy this by itself; it can be streamed."""


class _Source(NamedTuple):
    """The source file, opened on the destination's session under the source share's tree."""

    session: Session
    tree_id: int
    file_id: bytes
    key: bytes
    mostly_holes: bool

    def close(self) -> None:
        """Close it without waiting for the reply."""
        self.session.call(close_request(self.file_id), tree_id=self.tree_id)


_Work = Callable[[_Source, Callable[[int], None]], Awaitable[bytes]]


class ServerCopy:
    """Server-side copy in one run: the source share's tree on each session, the server's limits, whether it has
    refused.
    """

    def __init__(self, source: Endpoint, destination: Endpoint, tell: Callable[[ServerSideFact], None]) -> None:
        self._server = destination.server
        self._share = source.share
        self._same_share = source.share_key == destination.share_key
        self._tell = tell
        self._trees: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._limits = DEFAULT_LIMITS
        self._refused = False

    async def fill(
        self, run: RunContext, path: str, file: OpenFile, target: CopyTarget, count: Callable[[int], None]
    ) -> bytes | None:
        """Have the server copy ``file`` (open on the source's own session too) into ``target``, then compare both.

        What an earlier attempt left in ``target`` is kept only if everything is compared afterwards; if it differs, it
        is copied again. ``count(length)`` is called for each range that is there. Returns the BLAKE3 (32 bytes), empty
        if nothing was compared; None if the file must be streamed, because the server refuses or the file consists
        mostly of holes.
        """

        async def work(source: _Source, moved: Callable[[int], None]) -> bytes:
            try:
                return await self._fill(run, path, file, target, source=source, moved=moved)
            except _RefusedError:
                await target.ranges.restart()
                raise

        return await self._attempt(run, path, file, target, count=count, work=work)

    async def fill_part(
        self,
        run: RunContext,
        path: str,
        file: OpenFile,
        target: CopyTarget,
        *,
        part: tuple[int, int],
        count: Callable[[int], None],
    ) -> bytes | None:
        """Have the server copy a part of ``file`` into a ``target`` that others write into, too.

        Returns the BLAKE3 (32 bytes) of that part of the source, read meanwhile; whoever commits the file compares it.
        None when the part must be streamed.
        """

        async def work(source: _Source, moved: Callable[[int], None]) -> bytes:
            digest = b""

            async def read() -> None:
                nonlocal digest
                digest = await stream(run.scheduler, file, part=part)

            await run_all(run.scheduler, [self._copy(run, target, source, part, moved), read()])
            return digest

        return await self._attempt(run, path, file, target, count=count, work=work)

    async def _attempt(
        self,
        run: RunContext,
        path: str,
        file: OpenFile,
        target: CopyTarget,
        *,
        count: Callable[[int], None],
        work: _Work,
    ) -> bytes | None:
        """Open the source and do ``work``; returns its result, None where there is nothing for the server to do."""
        if self._refused:
            return None
        counted = 0

        def moved(length: int) -> None:
            nonlocal counted
            counted += length
            count(length)

        try:
            source = await self._open(run, path, target.ranges.session, open_reparse_point=file.open_reparse_point)
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
        run: RunContext,
        path: str,
        file: OpenFile,
        target: CopyTarget,
        *,
        source: _Source,
        moved: Callable[[int], None],
    ) -> bytes:
        size = file.opened.size
        kept = self._trusted_until(target.ranges.kept_size, size) if run.policy.verifies_each else 0
        moved(kept)
        target.ranges.settled(0, kept)

        async def copy() -> None:
            await self._copy(run, target, source, (kept, size), moved)
            await target.ranges.complete(size)

        if not run.policy.verifies_each:
            await copy()
            await close_unchanged(run, path, file, lambda: target.read_back(size))
            return b""
        digest, found = await _compare(run, file, target, copy())
        if found != digest and kept:
            # What an earlier attempt wrote differs from the source.
            digest, found = await _compare(
                run, file, target, self._copy(run, target, source, (0, kept), lambda _length: None)
            )

        async def sent() -> bytes:
            return digest

        # First: if somebody wrote to the file meanwhile, a mismatch is not the server's fault.
        written = await close_unchanged(run, path, file, sent)
        if found != digest:
            raise FileError(FileReason.SOURCE_CHANGED, WRITTEN) if written else mismatch(digest, found)
        return digest

    def _trusted_until(self, kept: int, size: int) -> int:
        """Return where earlier content may begin to have holes, because requests overtook each other."""
        return max(0, min(kept, size) - REQUESTS_IN_FLIGHT * self._limits.total_bytes)

    async def _open(self, run: RunContext, path: str, session: Session, *, open_reparse_point: bool) -> _Source:
        tree_id = await self._tree(session)
        replies = await session.call(
            run.source.open(
                path,
                access=READ_ACCESS,
                options=CreateOption.NON_DIRECTORY_FILE,
                open_reparse_point=open_reparse_point,
            ),
            query_standard_request(),
            resume_key_request(),
            tree_id=tree_id,
        )
        file_id = decode_create(check(replies[0], "opening the file for a server-side copy").message).file_id
        try:
            standard = decode_standard(check(replies[1], "querying the size on disk").message)
            key = decode_resume_key(_resume_key(replies[2]).message)
        except (EngineError, FileError, WireError, _RefusedError):
            session.call(close_request(file_id), tree_id=tree_id)
            raise
        holes = standard.allocated < standard.size * _LEAST_ALLOCATED
        return _Source(session, tree_id, file_id, key, holes)

    async def _tree(self, session: Session) -> int:
        """Return the source share's tree on ``session``, encrypted as everything on it is."""
        if self._same_share:
            return session.facts.tree_id
        if session not in self._trees:
            (reply,) = await session.call(tree_connect_request(self._server, self._share), tree_id=0)
            if reply.status != NtStatus.SUCCESS:
                raise _RefusedError(
                    f"the source's share can't be opened on the destination's session ({status_name(reply.status)})"
                )
            self._trees[session] = decode_tree_connect(reply.message).tree_id
        return self._trees[session]

    async def _copy(
        self,
        run: RunContext,
        target: CopyTarget,
        source: _Source,
        span: tuple[int, int],
        moved: Callable[[int], None],
    ) -> None:
        ranges = self._ranges(run, *span)

        async def strand() -> None:
            for offset, end in ranges:
                await run.limiter.take(end - offset)
                await self._copy_range(run, target, source, (offset, end), moved)

        await run_all(run.scheduler, [strand() for _ in range(REQUESTS_IN_FLIGHT)])

    def _ranges(self, run: RunContext, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of one request each; the strands share them, each takes the next when it is free."""
        while start < end:
            chunks = self._chunks(start, min(end, start + run.limiter.piece(self._limits.total_bytes)))
            following = chunks[-1].source_offset + chunks[-1].length
            yield start, following
            start = following

    def _chunks(self, start: int, end: int) -> list[Chunk]:
        """Return the chunks of as much of a range as one request may ask for."""
        most, each, total = self._limits
        end = min(end, start + total, start + most * each)
        return [Chunk(offset, offset, min(each, end - offset)) for offset in range(start, end, each)]

    async def _copy_range(
        self,
        run: RunContext,
        target: CopyTarget,
        source: _Source,
        span: tuple[int, int],
        moved: Callable[[int], None],
    ) -> None:
        offset, end = span
        while offset < end:
            chunks = self._chunks(offset, end)
            (reply,) = await source.session.call(copy_chunks_request(target.ranges.file_id, source.key, chunks))
            if reply.status == NtStatus.INVALID_PARAMETER and self._learn(reply, chunks):
                continue
            if reply.status == NtStatus.INVALID_VIEW_SIZE:
                raise FileError(FileReason.SOURCE_CHANGED, "expected the size that was listed, got a shorter file")
            copied = decode_copied(check(_unless_refused(reply), _OPERATION).message)
            length = sum(chunk.length for chunk in chunks)
            if (copied.chunks, copied.total_bytes) != (len(chunks), length):
                raise FileError(
                    FileReason.FILE_FAILED, f"{_OPERATION}: expected {length} bytes, got {copied.total_bytes}"
                )
            target.ranges.settled(offset, length)
            offset += length
            run.tally.counters.bytes.written += length
            run.tally.counters.bytes.server_side += length
            moved(length)

    def _learn(self, reply: Reply, chunks: list[Chunk]) -> bool:
        """Adopt the limits that a refusal names (3.3.5.15.6.2); returns False if the request kept to them already."""
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
    """Return the reply that holds a resume key.

    Raises:
        _RefusedError: the server gives no key.
        EngineError: the session is gone.
    """
    try:
        return check(_unless_refused(reply), "requesting a resume key")
    except FileError as error:
        raise _RefusedError(f"the server does not support server-side copy ({status_name(reply.status)})") from error


def _unless_refused(reply: Reply) -> Reply:
    if reply.status in _REFUSED:
        raise _RefusedError(f"the server does not support server-side copy ({status_name(reply.status)})")
    return reply


async def _compare(
    run: RunContext, file: OpenFile, target: CopyTarget, copying: Coroutine[Any, None, None]
) -> tuple[bytes, bytes]:
    """Return the BLAKE3 of the source and of the destination, both read while the server copies."""
    sent = found = b""

    async def read_source() -> None:
        nonlocal sent
        sent = await stream(run.scheduler, file)

    async def read_back() -> None:
        nonlocal found
        found = await target.read_back(file.opened.size)

    await run_all(run.scheduler, [copying, read_source(), read_back()])
    return sent, found
