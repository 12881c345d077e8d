"""Deletes what the destination has and the source does not: last, after a complete listing, and within a limit."""

from typing import Literal

from smbferry_engine.errors import MAX_DELETES_EXCEEDED, SOURCE_LISTING_INCOMPLETE, EngineError, FileError
from smbferry_engine.folders import set_folder_metadata
from smbferry_engine.paths import join
from smbferry_engine.plan import DIRECTORY, READONLY, DeleteLimit
from smbferry_engine.run import Run


def judge(run: Run) -> None:
    """Raise the guard that forbids deleting, if one does; nothing has been deleted then."""
    files, folders = run.counters.files, run.counters.directories
    deletes = files.to_delete + folders.to_delete - len(run.retained)
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
    for extras in reversed(run.extras):
        for entry in extras.entries:
            await _delete(run, join(extras.path, entry.name), entry.attributes)
        if extras.parent is not None:
            try:
                await set_folder_metadata(run, extras.path, extras.parent)
            except FileError as error:
                run.fail(extras.path, "Directory", "Delete", error)


async def _delete(run: Run, path: str, attributes: int) -> None:
    if path in run.retained:
        return
    directory = bool(attributes & DIRECTORY)
    kind: Literal["File", "Directory"] = "Directory" if directory else "File"
    try:
        await run.destination.delete(path, directory=directory, readonly=bool(attributes & READONLY))
    except FileError as error:
        run.fail(path, kind, "Delete", error)
        return
    run.count(kind).deleted += 1
    run.record(path, kind, "Deleted", 0)
