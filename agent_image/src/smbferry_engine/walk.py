"""The walk: folder by folder, both sides at once, several folders in flight; only what is under way is in memory.

Folders are taken last in, first out, so that what waits is bounded by depth times breadth and not by the tree. Each one
is listed on both sides (or made at the destination), paired and planned; files go into a bounded queue.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from smbferry_engine.core.sync import Queue
from smbferry_engine.core.tasks import Task
from smbferry_engine.entries import Entries, side_by_side
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.folders import Folder, child_done, make
from smbferry_engine.frontier import Frontier
from smbferry_engine.meet import Planner, kind_of
from smbferry_engine.paths import case_key, join, split
from smbferry_engine.plan import DIRECTORY, Pairing, is_data_elsewhere, pair, unfinished
from smbferry_engine.run import Run
from smbferry_engine.share import NOTHING_WANTED, Listing, Wanted
from smbferry_engine.work import FileItem

if TYPE_CHECKING:
    from smbferry_engine.wire.directory import DirectoryEntry


class _GoneError(FileError):
    """A folder is not at the source any more."""


class Walker:
    """Walks both trees of a run into a queue of files. Any number of :meth:`run` coroutines share the work."""

    def __init__(self, run: Run, roots: Iterable[Folder], queue: Queue[FileItem]) -> None:
        self._run = run
        self._frontier = Frontier(roots)
        self._planner = Planner(run, self._frontier, queue)

    async def run(self) -> None:
        """Take folders until there are none."""
        while (folder := await self._frontier.take()) is not None:
            await self._walk(folder)
            self._frontier.walked()

    async def _walk(self, folder: Folder) -> None:
        try:
            ours, theirs = await self._run.recovery.persist(lambda: self._list(folder))
        except _GoneError:
            self._planner.meet_gone(folder)
        except FileError as error:
            self._give_up(folder, error)
        else:
            await self._go_through(folder, ours, theirs)
        await child_done(self._run, folder)

    async def _go_through(self, folder: Folder, ours: Listing, theirs: Entries) -> None:
        """Clean up and plan. A long folder is planned part by part, once its temporary files are dealt with."""
        ancestors = folder.ancestors | {ours.identity}
        if ours.entries.is_packed or theirs.is_packed:
            if theirs.may_have_temporaries:
                await self._clean_up(folder, (pair(*part) for part in side_by_side(ours.entries, theirs)))
            for part in side_by_side(ours.entries, theirs):
                await self._planner.plan(folder, pair(*part), ancestors)
        else:
            pairing = pair(ours.entries, theirs)
            if pairing.leftovers:
                await self._clean_up(folder, [pairing])
            await self._planner.plan(folder, pairing, ancestors)

    async def _list(self, folder: Folder) -> tuple[Listing, Entries]:
        """Both sides' entries; the two round trips overlap."""
        run = self._run
        wanted = Wanted(run.read_security_access, run.security_parts) if folder.selected else NOTHING_WANTED
        theirs = None
        if not folder.is_new:
            itself = folder.destination is None or not is_data_elsewhere(folder.destination)
            asked = wanted._replace(itself=itself)
            theirs = run.scheduler.spawn(run.destination.listing(folder.path, "listing the destination folder", asked))
        made = None
        if folder.is_new and not run.options.dry_run:
            made = run.scheduler.spawn(make(run, folder))
        try:
            ours = Listing(0, Entries())
            if not folder.only_destination:
                itself = folder.source is None or not is_data_elsewhere(folder.source)
                asked = wanted._replace(itself=itself)
                ours = await run.source.listing(folder.path, "listing the source folder", asked)
                await self._refuse_loop(folder, ours.identity, made)
        except FileError as error:
            if await self._is_gone(folder, error):
                if made is not None:
                    await made
                    await run.destination.delete(folder.path, directory=True)
                raise _GoneError(error.reason, error.message) from error
            run.source_incomplete = True
            raise
        if made is not None:
            await made
            if folder.parent is not None:
                folder.parent.dirty = True
        folder.descriptor, folder.refusal = ours.descriptor, ours.refusal
        if theirs is None:
            return ours, Entries()
        listed = await theirs
        folder.descriptor_found = listed.descriptor
        folder.refusal = folder.refusal or listed.refusal
        return ours, listed.entries

    async def _is_gone(self, folder: Folder, error: FileError) -> bool:
        """Whether a folder that can't be found is not in its parent's listing any more, or that one is gone, too."""
        if error.reason not in (FileReason.FILE_VANISHED, FileReason.TYPE_CONFLICT) or folder.parent is None:
            return False
        try:
            around = (await self._run.source.listing(folder.parent.path, "listing the source folder again")).entries
        except FileError as again:
            return await self._is_gone(folder.parent, again)
        key = case_key(split(folder.path)[1])
        return not any(entry.attributes & DIRECTORY and case_key(entry.name) == key for entry in around)

    async def _refuse_loop(self, folder: Folder, identity: int, made: Task[None] | None) -> None:
        """Raise for a folder that is one of those above it; what was made for it meanwhile does not stay."""
        if not identity or identity not in folder.ancestors:
            return
        if made is not None:
            await made
            await self._run.destination.delete(folder.path, directory=True)
        raise FileError(FileReason.DIRECTORY_LOOP, "the folder is one of those that it lies in (a link to them?)")

    def _give_up(self, folder: Folder, error: FileError) -> None:
        folder.broken = True
        if folder.parent is None:
            raise error
        if error.reason != FileReason.DIRECTORY_LOOP or self._run.owns(folder.path):
            self._run.fail(folder.path, "Directory", "Prepare", error)

    async def _clean_up(self, folder: Folder, pairings: Iterable[Pairing]) -> None:
        """Temporary files of an earlier attempt, but for those that the copy of their file goes on in.

        Whoever wrote them is gone, for a destination has one writer; where several agents share the work of one, the
        last one cleans up.
        """
        if self._run.options.dry_run or self._run.shard is not None:
            return
        wanted = self._run.filters.wants_file
        leftovers: list[DirectoryEntry] = []
        kept: set[str] = set()
        for pairing in pairings:
            leftovers += pairing.leftovers
            for name, temporaries in unfinished(pairing, self._run.options):
                if wanted(join(folder.path, name)):
                    kept.update(temporaries)
        for entry in leftovers:
            path = join(folder.path, entry.name)
            if path not in self._run.temporaries and entry.name not in kept:
                try:
                    await self._remove(path, directory=bool(entry.attributes & DIRECTORY))
                    folder.dirty = True
                except FileError as error:
                    # A dead client's open that the server has not noticed: the next run removes it.
                    if error.reason != FileReason.SHARING_VIOLATION:
                        self._run.fail(path, kind_of(entry), "Prepare", error)

    async def _remove(self, path: str, *, directory: bool) -> None:
        run = self._run
        await run.still_wanted()
        await run.recovery.persist(lambda: run.destination.delete(path, directory=directory, readonly=True))
