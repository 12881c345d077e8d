"""Deletes what the destination has and the source does not: last, after a complete listing, and within a limit."""

from collections.abc import Iterator
from typing import Literal

from smbferry_engine.core.group import run_all
from smbferry_engine.errors import (
    MAX_DELETES_EXCEEDED,
    MIRROR_NOT_CONFIRMED,
    SOURCE_LISTING_INCOMPLETE,
    EngineError,
    FileError,
)
from smbferry_engine.extras import Extra
from smbferry_engine.folders import restore_times
from smbferry_engine.paths import join
from smbferry_engine.plan import DIRECTORY, READONLY, DeleteLimit
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
    """Delete, contents before their folders; a folder that loses something gets its own times back."""
    for extras in run.extras.backwards():
        entries = iter(extras.entries)
        await run_all(run.scheduler, [_delete_each(run, extras.path, entries) for _ in range(DELETES_IN_FLIGHT)])
        if extras.folder is not None:
            await _restore_times(run, extras.path, extras.folder)


async def _delete_each(run: Run, folder: str, entries: Iterator[Extra]) -> None:
    """Delete entries until there are none; several of these share one iterator."""
    for entry in entries:
        path = join(folder, entry.name)
        if path not in run.retained:
            await _delete(run, path, entry)


async def _delete(run: Run, path: str, entry: Extra) -> None:
    directory, readonly = bool(entry.attributes & DIRECTORY), bool(entry.attributes & READONLY)
    kind: Literal["File", "Directory"] = "Directory" if directory else "File"
    await run.still_wanted()
    try:
        await run.recovery.persist(lambda: run.destination.delete(path, directory=directory, readonly=readonly))
    except FileError as error:
        run.fail(path, kind, "Delete", error)
        return
    run.count(kind).deleted += 1
    run.record(path, kind, "Deleted", 0)


async def _restore_times(run: Run, path: str, source: DirectoryEntry) -> None:
    try:
        await run.recovery.persist(lambda: restore_times(run, path, source))
    except FileError as error:
        run.fail(path, "Directory", "Delete", error)
