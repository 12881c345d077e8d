"""The walk: lists both sides folder by folder, several folders at once, in bounded memory.

Folders are taken last in, first out, so that memory depends on depth and breadth, not on the size of the tree. Each
folder is listed on both sides (or created at the destination), paired and planned; files go into a bounded queue.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.attachments import compared_kinds, copied_kinds
from smbferry_engine.paths import case_key, join, split
from smbferry_engine.plan.attachments import NO_KINDS
from smbferry_engine.plan.decide import unfinished
from smbferry_engine.plan.pairing import Pairing, pair
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.sync import Queue
from smbferry_engine.runtime.tasks import Task
from smbferry_engine.share.entries import Entries, side_by_side
from smbferry_engine.share.listing import NOTHING_WANTED, Listing, Wanted
from smbferry_engine.share.scratch import remove_scratch
from smbferry_engine.tree.folders import child_done, make
from smbferry_engine.tree.frontier import Frontier
from smbferry_engine.tree.items import FileItem, Folder, kind_of
from smbferry_engine.tree.links import LinkCopier
from smbferry_engine.tree.planner import Planner
from smbferry_engine.tree.removals import Removals
from smbferry_engine.wire.attributes import DIRECTORY, is_data_elsewhere

if TYPE_CHECKING:
    from smbferry_engine.wire.directory import DirectoryEntry


class _GoneError(FileError):
    """A folder no longer exists at the source."""


class Walker:
    """Walks both trees of a run and fills a queue of files. Any number of :meth:`run` coroutines share the work."""

    def __init__(self, run: RunContext, removals: Removals, roots: Iterable[Folder], queue: Queue[FileItem]) -> None:
        self._run = run
        self._removals = removals
        self._frontier: Frontier[Folder] = Frontier(roots)
        self._planner = Planner(run, removals, self._frontier, queue, LinkCopier(run, removals))

    async def run(self) -> None:
        """Take folders until there are none."""
        while (folder := await self._frontier.take()) is not None:
            await self._walk(folder)
            self._frontier.walked()

    async def _walk(self, folder: Folder) -> None:
        try:
            ours, theirs = await self._run.recovery.persist(lambda: self._list(folder))
        except _GoneError:
            self._planner.drop_gone(folder)
        except FileError as error:
            self._give_up(folder, error)
        else:
            await self._go_through(folder, ours, theirs)
        await child_done(self._run, folder)

    async def _go_through(self, folder: Folder, ours: Listing, theirs: Entries) -> None:
        """Clean up and plan. A long folder is planned part by part, after its staging files were cleaned up."""
        ancestors = folder.ancestors | {ours.identity}
        if ours.entries.is_packed or theirs.is_packed:
            if theirs.may_have_staging_files:
                await self._clean_up(folder, (pair(*part) for part in side_by_side(ours.entries, theirs)))
            for part in side_by_side(ours.entries, theirs):
                await self._planner.plan(folder, pair(*part), ancestors)
        else:
            pairing = pair(ours.entries, theirs)
            if pairing.leftovers:
                await self._clean_up(folder, [pairing])
            await self._planner.plan(folder, pairing, ancestors)

    async def _list(self, folder: Folder) -> tuple[Listing, Entries]:
        """List both sides; the two round trips overlap."""
        run = self._run
        # If several agents share a run, the last one sets the metadata of folders.
        wanted = (
            Wanted(run.policy.metadata.read_access, run.policy.metadata.security_parts)
            if folder.settles and run.scope.is_whole
            else NOTHING_WANTED
        )
        own, their_own = compared_kinds(run) if folder.settles else (NO_KINDS, NO_KINDS)
        theirs = None
        if not folder.is_new:
            open_reparse_point = folder.destination is None or not is_data_elsewhere(folder.destination)
            asked = wanted._replace(open_reparse_point=open_reparse_point, attachments=their_own)
            theirs = run.scheduler.spawn(run.destination.listing(folder.path, "listing the destination folder", asked))
        made = None
        if folder.is_new and not run.policy.options.dry_run:
            made = run.scheduler.spawn(make(run, folder))
        try:
            ours = Listing(0, Entries())
            if not folder.only_destination:
                open_reparse_point = folder.source is None or not is_data_elsewhere(folder.source)
                asked = wanted._replace(
                    open_reparse_point=open_reparse_point,
                    attachments=own,
                    # What costs least: only a folder of which all files are copied is listed with their EaSize.
                    ea_sizes=folder.is_new and copied_kinds(run, run.source).eas,
                )
                ours = await run.source.listing(folder.path, "listing the source folder", asked)
                await self._refuse_loop(folder, ours.identity, made)
        except FileError as error:
            if await self._is_gone(folder, error):
                if made is not None:
                    await made
                    await run.destination.delete(folder.path, directory=True)
                raise _GoneError(error.reason, error.message) from error
            self._removals.source_incomplete = True
            raise
        if made is not None:
            await made
            if folder.parent is not None:
                folder.parent.dirty = True
        security = folder.security
        security.source, security.refusal = ours.descriptor, ours.refusal
        security.attachments = ours.attachments
        if theirs is None:
            return ours, Entries()
        listed = await theirs
        security.destination, security.attachments_there = listed.descriptor, listed.attachments
        security.refusal = security.refusal or listed.refusal
        return ours, listed.entries

    async def _is_gone(self, folder: Folder, error: FileError) -> bool:
        """Return whether a missing folder is no longer in its parent's listing, or its parent is missing, too."""
        if error.reason not in (FileReason.FILE_VANISHED, FileReason.TYPE_CONFLICT) or folder.parent is None:
            return False
        try:
            around = (await self._run.source.listing(folder.parent.path, "listing the source folder again")).entries
        except FileError as again:
            return await self._is_gone(folder.parent, again)
        key = case_key(split(folder.path)[1])
        return not any(entry.attributes & DIRECTORY and case_key(entry.name) == key for entry in around)

    async def _refuse_loop(self, folder: Folder, identity: int, made: Task[None] | None) -> None:
        """Raise DirectoryLoop for a folder that is one of those above it; what was created for it is deleted."""
        if not identity or identity not in folder.ancestors:
            return
        if made is not None:
            await made
            await self._run.destination.delete(folder.path, directory=True)
        raise FileError(FileReason.DIRECTORY_LOOP, "the folder is one of its own parents (a link to them?)")

    def _give_up(self, folder: Folder, error: FileError) -> None:
        folder.settles = False
        if folder.parent is None:
            raise error
        if error.reason != FileReason.DIRECTORY_LOOP or self._run.scope.holds(folder.path):
            self._run.tally.fail(folder.path, "Directory", "Prepare", error)

    async def _clean_up(self, folder: Folder, pairings: Iterable[Pairing]) -> None:
        """Delete staging files of earlier attempts, except for those that will be resumed.

        Nobody writes to them any more, because a destination has one writer. If several agents share a run, the last
        one cleans up.
        """
        if self._run.policy.options.dry_run or not self._run.scope.is_whole:
            return
        wanted = self._run.policy.filters.wants_file
        leftovers: list[DirectoryEntry] = []
        kept: set[str] = set()
        for pairing in pairings:
            leftovers += pairing.leftovers
            for source, staging_files in unfinished(pairing, self._run.policy.options):
                if wanted(join(folder.path, source.name), source):
                    kept.update(staging_files)
        for entry in leftovers:
            path = join(folder.path, entry.name)
            if not self._run.housekeeping.is_open(path) and entry.name not in kept:
                try:
                    await self._remove(path, directory=bool(entry.attributes & DIRECTORY))
                    folder.dirty = True
                except FileError as error:
                    # A dead client still holds it open: the next run deletes it.
                    if error.reason != FileReason.SHARING_VIOLATION:
                        self._run.tally.fail(path, kind_of(entry), "Prepare", error)

    async def _remove(self, path: str, *, directory: bool) -> None:
        run = self._run
        await run.policy.permission_to_replace(run.scheduler)
        if directory:
            await run.recovery.persist(lambda: remove_scratch(run.scheduler, run.destination, path))
        else:
            await run.recovery.persist(lambda: run.destination.delete(path, directory=False, readonly=True))
