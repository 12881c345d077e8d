"""A large file: gathered range by range in a staging file, verified, and committed over its final name.

Any failure leaves the final name as it was.
"""

from collections.abc import Callable

from smbferry_engine.core.frames import BufferPool
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.attachments import Target, carry_file, copied_kinds
from smbferry_engine.files.commit import Copied
from smbferry_engine.files.hard_links import SourceFile, copy_once
from smbferry_engine.files.holes import holes_of, is_sparse
from smbferry_engine.files.pump import stream
from smbferry_engine.files.readback import mismatch
from smbferry_engine.files.small import refuse_another_name
from smbferry_engine.files.staging import StagingFile, attributes_if_readonly
from smbferry_engine.files.unchanged import close_unchanged
from smbferry_engine.plan.attachments import Lost, lacking_error
from smbferry_engine.run.context import RunContext, StagingArea
from smbferry_engine.run.resume import PrefixDiffersError, ResumePoint, VerifiedPrefix
from smbferry_engine.run.room import expect_room
from smbferry_engine.run.tally import ReadBytes
from smbferry_engine.runtime.group import run_all
from smbferry_engine.session.reconnect import is_transient
from smbferry_engine.share.metadata import metadata_of
from smbferry_engine.share.reading import OpenFile, open_file
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry


class LargeCopy:
    """One attempt at one large file."""

    def __init__(self, run: RunContext, path: str, source: DirectoryEntry, destination: DirectoryEntry | None) -> None:
        self._run = run
        self._path = path
        self._source = source
        self._destination = destination
        self._read = ReadBytes(run.tally.counters.bytes)
        self._has_place = False

    async def run(self) -> Copied:
        """Copy the file. Raises :class:`FileError` if that is impossible; the byte counters are then as before."""
        try:
            return await self._open_and_gather()
        except (FileError, EngineError):
            self._read.take_back()
            raise

    async def _open_and_gather(self) -> Copied:
        run = self._run
        await run.limiter.large_files.enter()
        self._has_place = True
        try:
            file = await open_for_copy(run, self._path, self._source)
            try:
                if file.names > 1:
                    return await self._copy_once(file)
                return await self._gather_or_restart(file)
            except (FileError, EngineError):
                file.close()
                raise
        finally:
            self._leave_place()

    def _leave_place(self) -> None:
        """Let the next large file begin: the rest of this one moves no data."""
        if self._has_place:
            self._has_place = False
            self._run.limiter.large_files.leave()

    async def _copy_once(self, file: OpenFile) -> Copied:
        """Copy a file with several names, or add this name to the copy that another one has."""
        source = SourceFile(self._path, file.opened, file.names, self._destination)
        copied = await copy_once(self._run, source, lambda: self._gather_or_restart(file))
        if copied.linked:
            file.close()
        return copied

    async def _gather_or_restart(self, file: OpenFile) -> Copied:
        try:
            return await self._gather(file)
        except PrefixDiffersError:
            # The server lost what this run wrote over an earlier session, or somebody changed it.
            self._read.take_back()
            return await self._gather(file)

    async def _gather(self, file: OpenFile) -> Copied:
        run = self._run
        staging = await StagingFile.create(StagingArea.of(run), self._path, self._source, keep=True)
        try:
            if run.tally.room.short and not is_sparse(file.opened.attributes):
                await expect_room(run.destination, self._path, file.opened.size - staging.ranges.kept_size)
            run.tally.room.gathering += 1
            try:
                return await self._fill_and_commit(file, staging)
            finally:
                run.tally.room.gathering -= 1
        except (FileError, EngineError) as error:
            await give_up(run, self._path, staging, error)
            raise

    async def _fill_and_commit(self, file: OpenFile, staging: StagingFile) -> Copied:
        run, digest = self._run, None
        if run.server_copy is not None:
            digest = await run.server_copy.fill(run, self._path, file, staging, self._read.add)
        if digest is None:
            digest = await self._move(file, staging)
        self._leave_place()
        if self._destination is None:
            await refuse_another_name(run.destination, self._path)
        incomplete, lost = await complete(run, self._path, file, staging, self._destination)
        run.housekeeping.resume_points.forget(self._path)
        run.housekeeping.handover.forget(self._path)
        return Copied(file.opened.size, digest, incomplete, lost)

    async def _move(self, file: OpenFile, staging: StagingFile) -> bytes:
        """Read, hash and write all ranges, and read them back if the options say so; returns the BLAKE3 digest."""
        run, size = self._run, file.opened.size
        points = run.housekeeping.resume_points
        resume_point = points.begin(self._path, file.opened, staging.ranges.kept_size)
        await take_over(run, self._path, file, staging, resume_point)
        kept = resume_point.kept()
        staging.ranges.settled(0, kept.through)
        staging.ranges.flusher.flushed = resume_point.flushed
        resume_point.remembers = run.connections_die()
        self._read.add(kept.through)
        sent = found = b""

        async def send_all() -> None:
            nonlocal sent
            sent = await send(run, file, staging, resume_point, kept, end=size, count=self._read.add)
            await staging.ranges.complete(size)
            await close_unchanged(run, self._path, file, sent_digest)

        async def sent_digest() -> bytes:
            return sent

        async def check() -> None:
            nonlocal found
            if run.policy.verifies_each:
                found = await staging.read_back(size, resume_point)
            else:
                await staging.check(resume_point)

        try:
            await run_all(run.scheduler, [send_all(), check()])
        finally:  # if this agent is stopped, the next one continues here
            resume_point.settle(staging.ranges.watermark.through)
        if run.policy.verifies_each and found != sent:
            raise mismatch(sent, found)
        return sent


async def take_over(
    run: RunContext,
    path: str,
    file: OpenFile,
    staging: StagingFile,
    resume_point: ResumePoint,
    *,
    part: tuple[int, int] | None = None,
) -> None:
    """Continue where an earlier agent of the run stopped, if the staging file holds what that one has read.

    ``part``: half-open byte range (start, end); the whole file without it.
    """
    begin, end = part or (0, file.opened.size)
    piece = run.housekeeping.handover.of(path, file.opened, staging.ranges.kept_size, begin)
    if piece is None or piece.end > end or resume_point.through > begin:
        return
    prefix = await staging.prefix(begin, piece.end)
    if prefix.hasher.digest() == piece.digest:
        resume_point.adopt(prefix)
    else:
        run.housekeeping.handover.forget(path, begin)


async def complete(
    run: RunContext, path: str, file: OpenFile, staging: StagingFile, destination: DirectoryEntry | None
) -> tuple[FileError | None, tuple[Lost, ...]]:
    """Carry the attachments of a file whose content is gathered, and commit it; returns what it lacks."""
    target = Target(staging.path, fresh=staging.fresh)
    reparse = file.open_reparse_point
    lost = await carry_file(run, path, file.attachments, destination, target, open_reparse_point=reparse)
    lost += await staging.stored_as.lost()
    metadata = metadata_of(run.policy.metadata, file.opened, file.descriptor)
    readonly = attributes_if_readonly(destination)
    lacking = lacking_error(lost)
    return await staging.commit(metadata, file.opened.size, readonly=readonly, lacking=lacking), lost


async def open_for_copy(run: RunContext, path: str, source: DirectoryEntry) -> OpenFile:
    """Open a source file; reads its security descriptor if descriptors are copied, and its attachments."""
    metadata = run.policy.metadata
    return await open_file(
        run.source,
        path,
        access=metadata.read_access,
        parts=metadata.security_parts,
        attachments=copied_kinds(run, run.source),
        counts_names=True,
        open_reparse_point=not is_data_elsewhere(source),
    )


async def give_up(
    run: RunContext, path: str, staging: StagingFile, error: Exception, *, begin: int = 0, shared: bool = False
) -> None:
    """Keep what can be used of an attempt to gather a file, or its part from ``begin``, that failed with ``error``.

    If a new connection may be all that is missing, the resume point and the staging file stay for the next attempt. If
    the prefix was lost, only the staging file stays. Any other error removes both. A ``shared`` staging file is left by
    the caller in any case, because other agents may be writing into it.
    """
    points = run.housekeeping.resume_points
    point, transient = points.get(path, begin), is_transient(error)
    if point is not None and transient:
        await staging.settle()
    if point is not None and (transient or shared):
        point.pause(staging.ranges.watermark.through)
    else:
        points.forget(path, begin)
    if shared:
        return
    if transient or isinstance(error, PrefixDiffersError):
        staging.leave()
    else:
        await staging.discard()


async def send(
    run: RunContext,
    file: OpenFile,
    staging: StagingFile,
    resume_point: ResumePoint,
    kept: VerifiedPrefix,
    *,
    end: int,
    count: Callable[[int], None],
) -> bytes:
    """Read from the end of the ``kept`` prefix to before ``end`` and write that into the staging file.

    Returns the BLAKE3 (32 bytes) of all before ``end``, the prefix included. ``count(length)`` is called for each range
    that was read.
    """
    await staging.prepare(file.opened)
    holes, ranges = await holes_of(file), staging.ranges
    watermark = ranges.watermark

    async def sink(buffer: bytearray, offset: int, length: int, pool: BufferPool) -> None:
        count(length)
        await ranges.write_in_place(buffer, offset, length, pool)

    return await stream(
        run.scheduler,
        file,
        sink=sink,
        before=run.limiter.before,
        limit=ranges.limit,
        part=(kept.through, end),
        begun=kept.hasher,
        hashed=lambda through, hasher: resume_point.hashed(through, hasher, watermark.through),
        in_hole=holes.cover,
    )
