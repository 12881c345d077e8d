"""Deletes what the destination has and the source does not: last, after a complete listing, and within a limit.

The source is asked again before each deletion: a name that has come back since it was listed stays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from smbferry_engine.core.group import run_all
from smbferry_engine.errors import (
    MAX_DELETES_EXCEEDED,
    MIRROR_NOT_CONFIRMED,
    SOURCE_LISTING_INCOMPLETE,
    EngineError,
    FileError,
    FileReason,
)
from smbferry_engine.extras import Extra, ExtrasLog
from smbferry_engine.folders import child_done, restore_times
from smbferry_engine.paths import case_key, join
from smbferry_engine.plan import DIRECTORY, READONLY, REPARSE_POINT, DeleteLimit
from smbferry_engine.run import Run
from smbferry_engine.wire.directory import DirectoryEntry

DELETES_IN_FLIGHT = 16


def judge(run: Run) -> None:
    """Raise the guard that forbids deleting, if one does; nothing has been deleted then."""
    files, folders = run.counters.files, run.counters.directories
    deletes = files.to_delete + folders.to_delete - len(run.retained)
    if run.options.unconfirmed and (deletes > 0 or run.held_back):
        raise EngineError(
            MIRROR_NOT_CONFIRMED,
            f"{deletes} files and folders are only at the destination and {run.held_back} files are newer there;"
            f" nothing was deleted and these were not replaced. Confirm by the word {run.options.unconfirmed!r}",
        )
    if deletes <= 0:
        return
    if run.source_incomplete:
        raise EngineError(
            SOURCE_LISTING_INCOMPLETE,
            f"a complete listing of the source expected before {deletes} deletions, parts of it could not be listed",
        )
    listed = files.listed_destination + folders.listed_destination
    if not DeleteLimit.parse(run.options.max_deletes).allows(deletes, listed):
        raise EngineError(
            MAX_DELETES_EXCEEDED,
            f"at most {run.options.max_deletes} of {listed} files and folders to be deleted expected, "
            f"found {deletes}; nothing was deleted",
        )


async def prune(run: Run) -> None:
    """Delete what only the destination has, contents before their folders."""
    await _delete_all(run, run.extras, replaced=False)


async def replace(run: Run) -> None:
    """Delete what is in the way of something of another kind. What has to stay is named, and not copied over."""
    try:
        judge(run)
    except EngineError as refusal:
        await _give_way(run, lambda _path: True, f"what the destination has is of another kind: {refusal.message}")
        return
    stayed = {case_key(path) for path in await _delete_all(run, run.replaced, replaced=True)}
    await _give_way(run, lambda path: case_key(path) in stayed, "what the destination has is of another kind and stays")


async def _give_way(run: Run, stays: Callable[[str], bool], message: str) -> None:
    conflict = FileError(FileReason.TYPE_CONFLICT, message)
    for item in [item for item in run.replacing_files if stays(item.path)]:
        run.replacing_files.remove(item)
        run.fail(item.path, "File", "Prepare", conflict)
        await child_done(run, item.folder)
    for folder in [folder for folder in run.replacing_folders if stays(folder.path)]:
        run.replacing_folders.remove(folder)
        run.fail(folder.path, "Directory", "Prepare", conflict)
        await child_done(run, folder.parent)


async def _delete_all(run: Run, log: ExtrasLog, *, replaced: bool) -> list[str]:
    """Delete what was logged, and give a folder that loses something its own times back. Returns what stayed."""
    stayed: list[str] = []
    for extras in log.backwards():
        try:
            looks_again = await _may_have_come_back(run, extras.path, replaced=replaced)
        except FileError as error:
            run.fail(extras.path, "Directory", "Delete", error)
            stayed += [join(extras.path, entry.name) for entry in extras.entries]
            continue
        batch = _Batch(extras.path, iter(extras.entries), stayed, looks_again, replaced)
        await run_all(run.scheduler, [_delete_each(run, batch) for _ in range(DELETES_IN_FLIGHT)])
        if extras.folder is not None:
            await _restore_times(run, extras.path, extras.folder)
    return stayed if replaced else []


async def _may_have_come_back(run: Run, path: str, *, replaced: bool) -> bool:
    """Whether the source has a folder that something goes from: only then can a name be in it again."""
    if not path:
        return True
    found = await run.recovery.persist(lambda: run.source.attributes_of(path))
    if not found:
        return found is not None
    return bool(found & DIRECTORY) and not (replaced and found & REPARSE_POINT)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Names that go from one folder; ``stayed`` gets those that did not.

    With ``looks_again`` the source is asked for each before that.
    """

    path: str
    entries: Iterator[Extra]
    stayed: list[str]
    looks_again: bool
    replaced: bool


async def _delete_each(run: Run, batch: _Batch) -> None:
    """Delete entries until there are none; several of these share one iterator."""
    for entry in batch.entries:
        path = join(batch.path, entry.name)
        if path in run.retained or not await _delete(run, batch, path, entry):
            batch.stayed.append(path)


async def _delete(run: Run, batch: _Batch, path: str, entry: Extra) -> bool:
    directory, readonly = bool(entry.attributes & DIRECTORY), bool(entry.attributes & READONLY)
    kind: Literal["File", "Directory"] = "Directory" if directory else "File"
    await run.still_wanted()

    async def look_and_delete() -> None:
        if batch.looks_again:
            _refuse_what_came_back(await run.source.attributes_of(path), entry, replaced=batch.replaced)
        await run.destination.delete(path, directory=directory, readonly=readonly)

    try:
        await run.recovery.persist(look_and_delete)
    except FileError as error:
        run.fail(path, kind, "Delete", error)
        return False
    run.count(kind).deleted += 1
    run.record(path, kind, "Deleted", 0)
    return True


def _refuse_what_came_back(attributes: int | None, entry: Extra, *, replaced: bool) -> None:
    """Raise SourceChanged unless the source still has nothing of that name, or still something of another kind."""
    if attributes is None:
        return
    other_kind = attributes and (attributes ^ entry.attributes) & (DIRECTORY | REPARSE_POINT)
    if not (replaced and other_kind):
        raise FileError(
            FileReason.SOURCE_CHANGED,
            "expected the source to be as it was listed, got another thing of that name before the deletion; it stays",
        )


async def _restore_times(run: Run, path: str, source: DirectoryEntry) -> None:
    try:
        await run.recovery.persist(lambda: restore_times(run, path, source))
    except FileError as error:
        run.fail(path, "Directory", "Delete", error)
