"""Deletes what only the destination has: last, after a complete listing, and within a limit.

The source is checked again before each deletion: a name that has reappeared stays.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.paths import case_key, join
from smbferry_engine.plan.limits import DeleteLimit
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.tree.approval import Approved
from smbferry_engine.tree.extras import Extra
from smbferry_engine.tree.folders import child_done, restore_times
from smbferry_engine.tree.items import kind_of
from smbferry_engine.tree.removals import Removals
from smbferry_engine.wire.attributes import DIRECTORY, READONLY, REPARSE_POINT
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.reasons import MAX_DELETES_EXCEEDED, MIRROR_NOT_CONFIRMED, SOURCE_LISTING_INCOMPLETE

DELETES_IN_FLIGHT = 16


def judge(run: RunContext, removals: Removals) -> None:
    """Raise :class:`EngineError` if a guard forbids the deletions; nothing has been deleted by then."""
    files, folders = run.tally.counters.files, run.tally.counters.directories
    deletes = files.to_delete + folders.to_delete - len(removals.retained)
    if run.policy.options.unconfirmed and (deletes > 0 or removals.held_back):
        raise EngineError(
            MIRROR_NOT_CONFIRMED,
            f"{deletes} files and folders are only at the destination and {removals.held_back} files are newer there;"
            " nothing was deleted, and the newer files were not replaced. Confirm with the word "
            f"{run.policy.options.unconfirmed!r}",
        )
    if deletes <= 0:
        return
    if removals.source_incomplete:
        raise EngineError(
            SOURCE_LISTING_INCOMPLETE,
            f"expected a complete listing of the source before {deletes} deletions, got one without some folders",
        )
    listed = files.listed_destination + folders.listed_destination
    if not DeleteLimit.parse(run.policy.options.max_deletes).allows(deletes, listed):
        raise EngineError(
            MAX_DELETES_EXCEEDED,
            f"expected to delete at most {run.policy.options.max_deletes} of {listed} files and folders, got "
            f"{deletes}; nothing was deleted",
        )


async def prune(run: RunContext, removals: Removals, approved: Approved | None) -> None:
    """Delete what only the destination has, the content of a folder before the folder; only what is ``approved``, if
    that is not None.
    """
    if approved is not None:
        approved.hold_back(run, removals)
    await _delete_all(run, removals, replaced=False)


async def replace(run: RunContext, removals: Removals, approved: Approved | None) -> None:
    """Delete entries that entries of another kind replace. What must stay is reported, and not replaced."""
    try:
        judge(run, removals)
        if approved is not None:
            approved.check_replaced(removals)
    except EngineError as refusal:
        await _give_way(
            run, removals, lambda _path: True, f"the destination has another kind of file: {refusal.message}"
        )
        return
    stayed = {case_key(path) for path in await _delete_all(run, removals, replaced=True)}
    await _give_way(
        run, removals, lambda path: case_key(path) in stayed, "the destination has another kind of file, which stays"
    )


async def _give_way(run: RunContext, removals: Removals, stays: Callable[[str], bool], message: str) -> None:
    conflict = FileError(FileReason.TYPE_CONFLICT, message)
    for item in [item for item in removals.files if stays(item.path)]:
        removals.files.remove(item)
        run.tally.fail(item.path, "File", "Prepare", conflict)
        await child_done(run, item.folder)
    for link in [link for link in removals.links if stays(link.path)]:
        removals.links.remove(link)
        run.tally.fail(link.path, kind_of(link.source), "Prepare", conflict)
        await child_done(run, link.folder)
    for folder in [folder for folder in removals.folders if stays(folder.path)]:
        removals.folders.remove(folder)
        run.tally.fail(folder.path, "Directory", "Prepare", conflict)
        await child_done(run, folder.parent)


async def _delete_all(run: RunContext, removals: Removals, *, replaced: bool) -> list[str]:
    """Delete what was scheduled, and restore the times of the folders. Returns the paths that stayed."""
    stayed: list[str] = []
    log = removals.replaced if replaced else removals.extras
    for extras in log.backwards():
        try:
            looks_again = await _may_have_come_back(run, extras.path, replaced=replaced)
        except FileError as error:
            run.tally.fail(extras.path, "Directory", "Delete", error)
            stayed += [join(extras.path, entry.name) for entry in extras.entries]
            continue
        batch = _Batch(extras.path, iter(extras.entries), removals.retained, stayed, looks_again, replaced)
        await run_all(run.scheduler, [_delete_each(run, batch) for _ in range(DELETES_IN_FLIGHT)])
        if extras.folder is not None:
            await _restore_times(run, extras.path, extras.folder)
    return stayed if replaced else []


async def _may_have_come_back(run: RunContext, path: str, *, replaced: bool) -> bool:
    """Return whether the source has the folder: only then can a deleted name have reappeared in it.

    In a snapshot nothing reappears.
    """
    if run.source.snapshot:
        return False
    if not path:
        return True
    found = await run.recovery.persist(lambda: run.source.attributes_of(path))
    if not found:
        return found is not None
    return bool(found & DIRECTORY) and not (replaced and found & REPARSE_POINT)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Names to delete from one folder, except for those ``retained``; the paths that stay are added to ``stayed``.

    With ``looks_again``, the source is checked before each deletion.
    """

    path: str
    entries: Iterator[Extra]
    retained: set[str]
    stayed: list[str]
    looks_again: bool
    replaced: bool


async def _delete_each(run: RunContext, batch: _Batch) -> None:
    """Delete entries from an iterator that several coroutines share."""
    for entry in batch.entries:
        path = join(batch.path, entry.name)
        if path in batch.retained or not await _delete(run, batch, path, entry):
            batch.stayed.append(path)


async def _delete(run: RunContext, batch: _Batch, path: str, entry: Extra) -> bool:
    directory, readonly = bool(entry.attributes & DIRECTORY), bool(entry.attributes & READONLY)
    kind = kind_of(entry)
    await run.policy.permission_to_replace(run.scheduler)

    async def look_and_delete() -> None:
        if batch.looks_again:
            _refuse_what_came_back(await run.source.attributes_of(path), entry, replaced=batch.replaced)
        await run.destination.delete(path, directory=directory, readonly=readonly)

    try:
        await run.recovery.persist(look_and_delete)
    except FileError as error:
        run.tally.fail(path, kind, "Delete", error)
        return False
    run.tally.count(kind).deleted += 1
    run.tally.record(path, kind, "Deleted", 0)
    return True


def _refuse_what_came_back(attributes: int | None, entry: Extra, *, replaced: bool) -> None:
    """Raise SourceChanged if the source has that name again; a replaced entry may be of another kind there."""
    if attributes is None:
        return
    other_kind = attributes and (attributes ^ entry.attributes) & (DIRECTORY | REPARSE_POINT)
    if not (replaced and other_kind):
        raise FileError(
            FileReason.SOURCE_CHANGED,
            "expected the source as it was listed, got something new of that name; the destination keeps it",
        )


async def _restore_times(run: RunContext, path: str, source: DirectoryEntry) -> None:
    try:
        await run.recovery.persist(lambda: restore_times(run, path, source))
    except FileError as error:
        run.tally.fail(path, "Directory", "Delete", error)
