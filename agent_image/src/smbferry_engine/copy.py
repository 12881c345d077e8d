"""Copying one file's content: read, hash, land, verify. Any failure leaves the final name as it was."""

from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3

from smbferry_engine.content import (
    OpenFile,
    SmallFile,
    open_file,
    read_small,
    single_frame_limit,
    stream,
)
from smbferry_engine.core.frames import BufferPool
from smbferry_engine.core.group import run_all
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.headway import Headway, Kept, KeptDiffersError
from smbferry_engine.holes import holes_of, is_sparse
from smbferry_engine.landing import (
    land_in_one_frame,
    metadata_of,
    mismatch,
    next_run_mends,
    take_back,
)
from smbferry_engine.paths import case_key, join, split
from smbferry_engine.plan import is_data_elsewhere
from smbferry_engine.recovery import is_transient
from smbferry_engine.room import expect_room
from smbferry_engine.run import Run
from smbferry_engine.temporary import Temporary, attributes_if_readonly
from smbferry_engine.torn import close_unchanged
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.status import NtStatus


@dataclass(frozen=True, slots=True)
class Copied:
    """A file that has its final name: size in bytes, BLAKE3, and what could not be set beside the content.

    The digest is empty where the parts of the file were checked each by itself.
    """

    size: int
    digest: bytes
    incomplete: FileError | None


class FileCopy:
    """One attempt at one file. ``moved`` is how many bytes of it have been counted as transferred and written."""

    def __init__(self, run: Run, path: str, source: DirectoryEntry, destination: DirectoryEntry | None) -> None:
        self._run = run
        self._path = path
        self._source = source
        self._destination = destination
        self._read = 0
        self._moves = False

    async def run(self) -> Copied:
        """Copy; :class:`FileError` when this file can't be, with the counters of bytes as if it had not been tried."""
        try:
            if self._path in self._run.doomed:
                # The connection went while an earlier attempt took its file back.
                await take_back(self._run, self._path)
            run = self._run
            limit = min(single_frame_limit(run.source), single_frame_limit(run.destination, and_back=run.verifies_each))
            if self._source.size <= limit:
                copied = await self._copy_small()
                if copied is not None:
                    return copied
            return await self._copy_large()
        except (FileError, EngineError):
            self._run.counters.bytes.transferred -= self._read
            raise

    def _count_read(self, length: int) -> None:
        self._read += length
        self._run.counters.bytes.transferred += length

    async def _copy_small(self) -> Copied | None:
        """None when the file has outgrown one frame since it was listed."""
        run = self._run
        await run.limiter.take(self._source.size)
        file = await read_small(
            run.source,
            self._path,
            self._source.size,
            access=run.read_security_access,
            parts=run.security_parts,
            itself=not is_data_elsewhere(self._source),
            refuses_writers=True,
        )
        if file is None:
            return None
        self._count_read(len(file.data))
        incomplete = await self._land_small(file)
        return Copied(len(file.data), blake3(file.data).digest(), incomplete)

    async def _land_small(self, file: SmallFile) -> FileError | None:
        run = self._run
        if self._destination is None and next_run_mends(run):
            try:
                incomplete = await land_in_one_frame(run, self._path, file)
            except FileError as error:
                if error.status != NtStatus.OBJECT_NAME_COLLISION:
                    raise
                await self._refuse_another_name()
            else:
                run.counters.bytes.written += len(file.data)
                return incomplete
        temporary = await Temporary.create(run, self._path, self._source)
        try:
            await temporary.write(file.data)
            if run.verifies_each:
                sent, found = blake3(file.data).digest(), await temporary.read_back(len(file.data))
                if found != sent:
                    raise mismatch(sent, found)
            return await temporary.land(
                metadata_of(run, file.opened, file.descriptor), len(file.data), readonly=self._readonly
            )
        except (FileError, EngineError):
            await temporary.discard()
            raise

    async def _refuse_another_name(self) -> None:
        """Raise CaseCollision for a name that was not listed, where the server takes it for one that we tell apart.

        That one stays, whatever the options remove: it would be this one that went.
        """
        run, (folder, name) = self._run, split(self._path)
        found = await run.destination.look_up(self._path)
        if found is None or case_key(found.name) == case_key(name):
            return
        run.retained.add(join(folder, found.name))
        raise FileError(
            FileReason.CASE_COLLISION,
            f"expected the name to be free at the destination, got {found.name!r}, which its server takes for the same",
        )

    async def _copy_large(self) -> Copied:
        run = self._run
        await run.large.enter()
        self._moves = True
        try:
            file = await open_file(
                run.source,
                self._path,
                access=run.read_security_access,
                parts=run.security_parts,
                itself=not is_data_elsewhere(self._source),
            )
            try:
                return await self._gather_from_where_it_is(file)
            except (FileError, EngineError):
                file.close()
                raise
        finally:
            self._moved()

    def _moved(self) -> None:
        """Let the next large file begin: what is left to be done of this one holds no data."""
        if self._moves:
            self._moves = False
            self._run.large.leave()

    async def _gather_from_where_it_is(self, file: OpenFile) -> Copied:
        try:
            return await self._gather(file)
        except KeptDiffersError:
            # The server has lost, or somebody has changed, what this run wrote over an earlier session.
            self._run.counters.bytes.transferred -= self._read
            self._read = 0
            return await self._gather(file)

    async def _gather(self, file: OpenFile) -> Copied:
        run = self._run
        temporary = await Temporary.create(run, self._path, self._source, keep=True)
        try:
            if run.room.short and not is_sparse(file.opened.attributes):
                await expect_room(run.destination, self._path, file.opened.size - temporary.kept_size)
            run.room.gathering += 1
            try:
                return await self._fill_and_land(file, temporary)
            finally:
                run.room.gathering -= 1
        except (FileError, EngineError) as error:
            kept = self._run.headway.get((self._path, 0))
            if is_transient(error) and kept is not None:
                await temporary.settle()
                kept.pause(temporary.through)
            else:
                self._run.headway.pop((self._path, 0), None)
            if is_transient(error) or isinstance(error, KeptDiffersError):
                temporary.leave()
            else:
                await temporary.discard()
            raise

    async def _fill_and_land(self, file: OpenFile, temporary: Temporary) -> Copied:
        run, digest = self._run, None
        if run.server_copy is not None:
            digest = await run.server_copy.fill(run, self._path, file, temporary, self._count_read)
        if digest is None:
            digest = await self._move(file, temporary)
        self._moved()
        if self._destination is None:
            await self._refuse_another_name()
        metadata = metadata_of(run, file.opened, file.descriptor)
        incomplete = await temporary.land(metadata, file.opened.size, readonly=self._readonly)
        run.headway.pop((self._path, 0), None)
        return Copied(file.opened.size, digest, incomplete)

    async def _move(self, file: OpenFile, temporary: Temporary) -> bytes:
        """Read, hash and write all ranges, and read them back behind that where options say so; returns the digest."""
        run, size = self._run, file.opened.size
        headway = run.headway_of(self._path, file.opened, temporary.kept_size)
        kept = headway.kept()
        temporary.settled(0, kept.through)
        temporary.tell_of_flushes(headway.flushed)
        headway.remembers = run.connections_die
        self._count_read(kept.through)
        sent = found = b""

        async def send_all() -> None:
            nonlocal sent
            sent = await send(run, file, temporary, headway, kept, end=size, count=self._count_read)
            await temporary.complete(size)
            await close_unchanged(run, self._path, file, sent_digest)

        async def sent_digest() -> bytes:
            return sent

        async def check() -> None:
            nonlocal found
            if run.verifies_each:
                found = await temporary.read_back(size, headway)
            else:
                await temporary.check(headway)

        await run_all(run.scheduler, [send_all(), check()])
        if run.verifies_each and found != sent:
            raise mismatch(sent, found)
        return sent

    @property
    def _readonly(self) -> int:
        return attributes_if_readonly(self._destination)


async def send(
    run: Run,
    file: OpenFile,
    temporary: Temporary,
    headway: Headway,
    kept: Kept,
    *,
    end: int,
    count: Callable[[int], None],
) -> bytes:
    """Read on behind what was ``kept`` to before ``end`` and write it into the temporary; the digest of all of it.

    The digest (BLAKE3, 32 bytes) is of what was kept, too. ``count`` is told of each range's length once it is read.
    """
    await temporary.go_on(file.opened)
    holes = await holes_of(file)

    async def sink(buffer: bytearray, offset: int, length: int, pool: BufferPool) -> None:
        count(length)
        await temporary.write_in_place(buffer, offset, length, pool)

    return await stream(
        run.scheduler,
        file,
        sink=sink,
        before=run.limiter.before,
        limit=temporary.limit,
        part=(kept.through, end),
        begun=kept.hasher,
        hashed=lambda through, hasher: headway.hashed(through, hasher, temporary.through),
        in_hole=holes.cover,
    )
