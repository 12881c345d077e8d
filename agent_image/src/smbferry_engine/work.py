"""What happens to one file of the plan: compared where the plan could not tell, then copied or recorded."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from smbferry_engine.copy import Copied, FileCopy
from smbferry_engine.descriptors import file_descriptor
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.folders import Folder, child_done
from smbferry_engine.landing import apply_and_mark, metadata_of
from smbferry_engine.metadata import security_differences
from smbferry_engine.model import FileRecord
from smbferry_engine.paths import display
from smbferry_engine.pieces import gather_part, land_gathered
from smbferry_engine.plan import Action, decide_metadata, is_incomplete
from smbferry_engine.rename import TargetInUseError
from smbferry_engine.run import PhaseWord, Run
from smbferry_engine.times import settable
from smbferry_engine.verify import fingerprint_of
from smbferry_engine.wire.directory import DirectoryEntry

Kind = Literal["File", "Directory"]
T = TypeVar("T")

_PAUSES = (0.2, 0.6, 1.5)
_WORTH_ANOTHER_TRY = frozenset({FileReason.SHARING_VIOLATION, FileReason.SOURCE_CHANGED})


@dataclass(frozen=True, slots=True)
class FileItem:
    """A file that the walk found and the plan did not settle; ``part`` where only these bytes are to be gathered."""

    folder: Folder
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None
    action: Action
    part: tuple[int, int] | None = None


async def process(run: Run, item: FileItem) -> None:
    """Do what is to be done with one file; its failure is recorded, the run's failure is raised."""
    try:
        await _process(run, item)
    except _PutOffError:
        await _judge_room(run)
        return
    except FileError as error:
        _record(run, item, error)
        await _judge_room(run)
    await child_done(run, item.folder)


async def process_put_off(run: Run) -> None:
    """Try once more what found no room when everything else was under way: one at a time, the smallest first."""
    for item in run.room.second_pass():
        await process(run, item)


def _record(run: Run, item: FileItem, error: FileError) -> None:
    phase: PhaseWord = "Verify" if error.reason == FileReason.HASH_MISMATCH else "Transfer"
    run.fail(item.path, "File", phase, error)


async def _judge_room(run: Run) -> None:
    """The run ends where it has nothing to gain by going on."""
    try:
        await run.recovery.persist(lambda: run.room.judge(run.destination))
    except EngineError:
        for item, error in run.room.put_off:
            _record(run, item, error)
        raise


class _PutOffError(Exception):
    """The file found no room, and is tried once more later."""


async def _process(run: Run, item: FileItem) -> None:
    action, descriptor = item.action, None
    if action is Action.COMPARE:
        action, descriptor = await run.recovery.persist(lambda: _compare(run, item))
        if action is Action.SKIP:
            skip(run, item.path, item.source)
            return
        count_planned(run, action, item.source)
    if run.options.dry_run:
        return
    if run.options.unconfirmed and action is Action.REPLACE:
        hold_back_newer(run, item)
    if item.part is not None:
        part = item.part
        await _with_pauses(run, lambda: gather_part(run, item.path, item.source, part))
    elif action is Action.METADATA:
        await _set_metadata(run, item, descriptor)
    elif action is Action.COMPLETE:
        await _complete(run, item)
    else:
        try:
            await _copy(run, item)
        except FileError as error:
            if run.room.later(replace(item, action=Action.REPLACE), error):
                raise _PutOffError from error
            raise


def hold_back_newer(run: Run, item: FileItem) -> None:
    """Raise for a file that is newer at the destination: the mirror may be an old source over a new destination."""
    if item.destination is not None and item.destination.write_time > item.source.write_time:
        run.held_back += 1
        raise FileError(
            FileReason.MIRROR_NOT_CONFIRMED,
            "the file is newer at the destination, and nobody has confirmed this mirror; it stays as it is",
        )


def skip(run: Run, path: str, source: DirectoryEntry) -> None:
    """Count a file that stays as it is."""
    run.counters.files.skipped += 1
    run.record(path, "File", "Skipped", source.size)


def leave_out(run: Run, path: str, kind: Kind, why: Literal["Link", "SystemFolder"]) -> None:
    """Count a link, or a folder of the server's own, that the options leave out."""
    counters = run.count(kind)
    counters.listed += 1
    if why == "Link":
        counters.links += 1
    else:
        counters.system += 1
    run.observer.record(FileRecord(display(path), kind, "LeftOut", 0, left_out=why))


def skip_all(run: Run, folder: str, entries: list[DirectoryEntry]) -> None:
    """Count files of one folder that are the same on both sides."""
    files = run.counters.files
    files.listed += len(entries)
    files.listed_destination += len(entries)
    files.skipped += len(entries)
    record, above = run.observer.record, display(folder).rstrip("/")
    for entry in entries:
        record(FileRecord(f"{above}{display(entry.name)}", "File", "Skipped", entry.size))


def count_planned(run: Run, action: Action, source: DirectoryEntry) -> None:
    """Count a file that will be copied, or whose metadata will be set."""
    run.counters.files.to_transfer += 1
    if action not in (Action.METADATA, Action.COMPLETE):
        run.counters.bytes.to_transfer += source.size


async def _compare(run: Run, item: FileItem) -> tuple[Action, bytes | None]:
    """Same size: does the content agree, and the descriptor? With METADATA, the descriptor to set, if that differs."""
    if item.destination is None:
        return Action.CREATE, None
    access, parts = run.read_security_access, run.security_parts
    ours = await fingerprint_of(run.scheduler, run.source, item.path, item.source, access=access, parts=parts)
    theirs = await fingerprint_of(
        run.scheduler, run.destination, item.path, item.destination, access=access, parts=parts
    )
    if ours.digest != theirs.digest:
        return Action.REPLACE, None
    if is_incomplete(item.source, item.destination, run.options.modify_window):
        return Action.COMPLETE, None
    if ours.descriptor is not None and security_differences(ours.descriptor, theirs.descriptor or b"", parts):
        return Action.METADATA, ours.descriptor
    return decide_metadata(item.source, item.destination, run.options).action, None


async def _set_metadata(run: Run, item: FileItem, descriptor: bytes | None) -> None:
    metadata = metadata_of(run, item.source, descriptor)
    incomplete = await run.recovery.persist(lambda: apply_and_mark(run, item.path, metadata))
    run.counters.files.transferred += 1
    run.record(item.path, "File", "Transferred", 0)
    if incomplete is not None:
        run.miss(item.path, "File", incomplete)


async def _complete(run: Run, item: FileItem) -> None:
    """Give a file all of its metadata that an earlier run left without some of it, or say again what it lacks."""
    access, parts = run.read_security_access, run.security_parts

    async def attempt() -> FileError | None:
        descriptor = await file_descriptor(run.source, item.path, access, parts) if parts else None
        metadata = metadata_of(run, item.source, descriptor)
        # Where times are not copied, the source's stands in for one that is not known any more.
        return await apply_and_mark(run, item.path, metadata._replace(write_time=settable(item.source.write_time)))

    incomplete = await run.recovery.persist(attempt)
    if incomplete is not None:
        run.miss(item.path, "File", incomplete)
        return
    run.counters.files.transferred += 1
    run.record(item.path, "File", "Transferred", 0)


async def _copy(run: Run, item: FileItem) -> None:
    item.folder.dirty = True
    copied = await _with_pauses(run, lambda: _attempt(run, item))
    run.room.found(copied.size)
    run.counters.files.transferred += 1
    if run.verifies_each:
        run.counters.files.verified += 1
    run.record(item.path, "File", "Transferred", copied.size, copied.digest.hex() or None)
    if copied.incomplete is not None:
        run.miss(item.path, "File", copied.incomplete)


async def _attempt(run: Run, item: FileItem) -> Copied:
    landed = await land_gathered(run, item.path, item.source, item.destination)
    return landed or await FileCopy(run, item.path, item.source, item.destination).run()


async def _with_pauses(run: Run, attempt: Callable[[], Awaitable[T]]) -> T:
    """A file that is held open, or changes while it is read, gets a few more chances."""
    for pause in _PAUSES:
        try:
            return await run.recovery.persist(attempt)
        except FileError as error:
            if error.reason not in _WORTH_ANOTHER_TRY or isinstance(error, TargetInUseError):
                raise
            await run.scheduler.sleep(pause)
    return await run.recovery.persist(attempt)
