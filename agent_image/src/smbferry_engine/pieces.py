"""A large file that several agents gather: each writes its part of one temporary file, the last one lands it.

Nobody deletes the temporary but the last one, as others may be at work in it. What an agent says of its part is the
BLAKE3 of what it read from the source; the last one opens the temporary so that nobody else can write into it, reads
all of it back, and gives it its name only if every part is what was read. If anything is missing or differs, the file
is copied as any other, and goes on inside what is there.
"""

from smbferry_engine.content import OpenFile, open_file, stream
from smbferry_engine.copy import Copied, send
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.landing import metadata_of
from smbferry_engine.plan import is_data_elsewhere, version_of
from smbferry_engine.recovery import is_transient
from smbferry_engine.run import Run
from smbferry_engine.shard import Piece, key_of, whole
from smbferry_engine.temporary import Temporary, attributes_if_readonly
from smbferry_engine.torn import close_unchanged
from smbferry_engine.wire.directory import DirectoryEntry


async def gather_part(run: Run, path: str, source: DirectoryEntry, part: tuple[int, int]) -> None:
    """Copy the bytes of ``part`` into the file's temporary and note their digest; :class:`FileError` if it fails."""
    await run.large.enter()
    try:
        file = await open_file(run.source, path, itself=not is_data_elsewhere(source))
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
        run.large.leave()
    run.pieces.append(Piece(path, _version_of(source, file), *part, digest))


async def _gather(run: Run, path: str, source: DirectoryEntry, file: OpenFile, part: tuple[int, int]) -> bytes:
    temporary = await Temporary.create(run, path, source, keep=True, shared=True)
    run.temporaries.pop(temporary.path, None)  # the clean-up of an agent that is stopped would delete it
    run.shared.add(temporary.path)
    # Whether the destination still has it is seen when the file is landed, as of every piece.
    headway = run.headway_of(path, file.opened, temporary.kept_size, part[0])
    kept = headway.kept()
    temporary.settled(0, kept.through)
    counters = run.counters.bytes
    moved = 0

    def count(length: int) -> None:
        nonlocal moved
        moved += length
        counters.transferred += length

    try:
        digest = None
        if run.server_copy is not None:
            digest = await run.server_copy.fill_part(run, path, file, temporary, part=part, count=count)
        if digest is None:
            count(kept.through - part[0])
            digest = await send(run, file, temporary, headway, kept, end=part[1], count=count)
        if part[1] == source.size:
            await temporary.complete(source.size)
        await temporary.flush()
    except (FileError, EngineError) as error:
        counters.transferred -= moved
        if is_transient(error):
            await temporary.settle()
        headway.pause(temporary.through)
        raise
    finally:
        temporary.leave()
    return digest


async def land_gathered(
    run: Run, path: str, source: DirectoryEntry, destination: DirectoryEntry | None
) -> Copied | None:
    """Give a file its name that other agents have gathered whole; None where it is to be copied as any other."""
    if not run.gathered:
        return None
    some = run.gathered.get(key_of(path))
    if not some:
        return None
    file = await open_file(
        run.source,
        path,
        access=run.read_security_access,
        parts=run.security_parts,
        itself=not is_data_elsewhere(source),
    )
    try:
        _check_version(file, source)
        pieces = whole(some, _version_of(source, file), source.size)
        if not pieces:
            file.close()
            return None
        readonly = attributes_if_readonly(destination)
        return await _land(run, path, source, file, pieces, readonly=readonly)
    except (FileError, EngineError):
        file.close()
        raise


async def _land(
    run: Run, path: str, source: DirectoryEntry, file: OpenFile, pieces: list[Piece], *, readonly: int
) -> Copied | None:
    temporary = await Temporary.create(run, path, source, keep=True)
    try:
        if temporary.kept_size != source.size or not await _is_proved(run, temporary, pieces):
            temporary.leave()
            file.close()
            return None
        await close_unchanged(run, path, file, lambda: _digest_of(run, temporary))
        metadata = metadata_of(run, file.opened, file.descriptor)
        incomplete = await temporary.land(metadata, source.size, readonly=readonly)
    except (FileError, EngineError) as error:
        if is_transient(error):
            temporary.leave()
        else:
            await temporary.discard()
        raise
    run.counters.bytes.to_transfer -= source.size  # the agents that gathered it have counted its bytes
    return Copied(source.size, b"", incomplete)


async def _digest_of(run: Run, temporary: Temporary) -> bytes:
    """BLAKE3 of what was gathered."""
    back = await open_file(run.destination, temporary.path)
    try:
        return await stream(run.scheduler, back)
    finally:
        back.close()


async def _is_proved(run: Run, temporary: Temporary, pieces: list[Piece]) -> bool:
    """Whether each part of the temporary reads back as what was read from the source."""
    back = await open_file(run.destination, temporary.path)
    try:
        for piece in pieces:
            if await stream(run.scheduler, back, part=(piece.start, piece.end)) != piece.digest:
                return False
    finally:
        back.close()
    return True


def _version_of(source: DirectoryEntry, file: OpenFile) -> bytes:
    """What tells the file as it is from all that it was and will be: parts of two versions make no file."""
    return version_of(source) + file.opened.change_time.to_bytes(8, "big")


def _check_version(file: OpenFile, source: DirectoryEntry) -> None:
    if (file.opened.size, file.opened.write_time) != (source.size, source.write_time):
        raise FileError(FileReason.SOURCE_CHANGED, "its size or write time changed since it was listed")
