"""Large files that several agents gather: each writes its part of one staging file, the last one commits it.

Only the last agent deletes the staging file, because others may be writing into it. Each agent reports the BLAKE3 of
what it read from the source. The last one opens the staging file without sharing writes, reads it back, and commits it
only if every part matches. If anything is missing or differs, the file is copied like any other, and resumes inside the
staging file.
"""

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.files.commit import Copied
from smbferry_engine.files.gather import complete, give_up, open_for_copy, send, take_over
from smbferry_engine.files.hard_links import names_apart
from smbferry_engine.files.pump import stream
from smbferry_engine.files.staging import StagingFile
from smbferry_engine.files.unchanged import close_unchanged
from smbferry_engine.plan.shard import Piece, whole
from smbferry_engine.run.context import RunContext, StagingArea
from smbferry_engine.run.resume import version_of
from smbferry_engine.run.tally import ReadBytes
from smbferry_engine.share.reading import OpenFile, open_file
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry


async def gather_part(run: RunContext, path: str, source: DirectoryEntry, part: tuple[int, int]) -> None:
    """Copy the bytes of ``part`` (start, end) into the file's staging file and note their digest.

    Raises:
        FileError: the part can't be copied.
    """
    await run.limiter.large_files.enter()
    try:
        file = await open_file(run.source, path, open_reparse_point=not is_data_elsewhere(source))
        try:
            _check_version(file, source)
            digest = await _gather(run, path, source, file, part)

            async def gathered() -> bytes:
                return digest

            await close_unchanged(run, path, file, gathered, part=part)
        except (FileError, EngineError):
            file.close()
            raise
    finally:
        run.limiter.large_files.leave()
    run.scope.pieces.append(Piece(path, version_of(file.opened), *part, digest))


async def _gather(run: RunContext, path: str, source: DirectoryEntry, file: OpenFile, part: tuple[int, int]) -> bytes:
    staging = await StagingFile.create(StagingArea.of(run), path, source, keep=True, shared=True)
    # Whether the destination still has the prefix is verified when the file is committed, as for every piece.
    points = run.housekeeping.resume_points
    resume_point = points.begin(path, file.opened, staging.ranges.kept_size, part[0])
    read = ReadBytes(run.tally.counters.bytes)
    try:
        await take_over(run, path, file, staging, resume_point, part=part)
        kept = resume_point.kept()
        staging.ranges.settled(0, kept.through)
        digest = None
        if run.server_copy is not None:
            digest = await run.server_copy.fill_part(run, path, file, staging, part=part, count=read.add)
        if digest is None:
            read.add(kept.through - part[0])
            digest = await send(run, file, staging, resume_point, kept, end=part[1], count=read.add)
        if part[1] == source.size:
            await staging.ranges.complete(source.size)
        await staging.ranges.flusher.flush()
    except (FileError, EngineError) as error:
        read.take_back()
        await give_up(run, path, staging, error, begin=part[0], shared=True)
        raise
    finally:  # if this agent is stopped, the next one continues here
        resume_point.settle(staging.ranges.watermark.through)
        staging.leave()
    return digest


async def commit_gathered(
    run: RunContext, path: str, source: DirectoryEntry, destination: DirectoryEntry | None
) -> Copied | None:
    """Commit a file that other agents have gathered; returns None if it must be copied like any other."""
    some = run.scope.gathered(path)
    if not some:
        return None
    file = await open_for_copy(run, path, source)
    try:
        _check_version(file, source)
        pieces = whole(some, version_of(file.opened), source.size)
        if not pieces:
            file.close()
            return None
        return await _commit(run, path, source, file, pieces, destination=destination)
    except (FileError, EngineError):
        file.close()
        raise


async def _commit(
    run: RunContext,
    path: str,
    source: DirectoryEntry,
    file: OpenFile,
    pieces: list[Piece],
    *,
    destination: DirectoryEntry | None,
) -> Copied | None:
    staging = await StagingFile.create(StagingArea.of(run), path, source, keep=True)
    try:
        if staging.ranges.kept_size != source.size or not await _is_proved(run, staging, pieces):
            staging.leave()
            file.close()
            return None
        await close_unchanged(run, path, file, lambda: _digest_of(run, staging))
        incomplete, lost = await complete(run, path, file, staging, destination)
    except (FileError, EngineError) as error:
        await give_up(run, path, staging, error)
        raise
    run.tally.counters.bytes.to_transfer -= source.size  # the agents that gathered it have counted its bytes
    return Copied(source.size, b"", incomplete, (*lost, *names_apart(file.names)))


async def _digest_of(run: RunContext, staging: StagingFile) -> bytes:
    """Return the BLAKE3 of what was gathered."""
    back = await open_file(run.destination, staging.path)
    try:
        return await stream(run.scheduler, back)
    finally:
        back.close()


async def _is_proved(run: RunContext, staging: StagingFile, pieces: list[Piece]) -> bool:
    """Return whether each part of the staging file reads back as what was read from the source."""
    back = await open_file(run.destination, staging.path)
    try:
        for piece in pieces:
            if await stream(run.scheduler, back, part=(piece.start, piece.end)) != piece.digest:
                return False
    finally:
        back.close()
    return True


def _check_version(file: OpenFile, source: DirectoryEntry) -> None:
    if (file.opened.size, file.opened.write_time) != (source.size, source.write_time):
        raise FileError(FileReason.SOURCE_CHANGED, "expected the file as it was listed, got another size or write time")
