"""The walk: folder by folder, both sides at once, several folders in flight; only what is under way is in memory.

Folders are taken last in, first out, so that what waits is bounded by depth times breadth and not by the tree. Each one
is listed on both sides (or made at the destination), paired and planned; files go into a bounded queue.
"""

from collections.abc import Iterable
from typing import Literal

from smbferry_engine.core.sync import Queue
from smbferry_engine.core.tasks import Signal, Task
from smbferry_engine.entries import Entries, side_by_side
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.filters import Descent
from smbferry_engine.folders import Folder, child_done, make
from smbferry_engine.paths import MAX_DEPTH, MAX_PATH_UNITS, join
from smbferry_engine.plan import (
    DIRECTORY,
    Action,
    Pairing,
    decide_directory,
    decide_file,
    decide_reparse_point,
    is_link,
    pair,
    removes,
    unchanged,
    unfinished,
)
from smbferry_engine.run import Run
from smbferry_engine.share import NOTHING_WANTED, Listing, Wanted
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.work import FileItem, count_planned, skip, skip_all


class Frontier:
    """Folders that are still to be walked; tells walkers when none is left and none is under way."""

    def __init__(self, root: Folder) -> None:
        self._stack = [root]
        self._active = 0
        self._waiting: list[Signal[None]] = []

    def push(self, folder: Folder) -> None:
        """Add a folder."""
        self._stack.append(folder)
        self._wake()

    async def take(self) -> Folder | None:
        """The newest folder; None when the walk is over. Each one taken must be told :meth:`walked`."""
        while not self._stack:
            if not self._active:
                return None
            change: Signal[None] = Signal()
            self._waiting.append(change)
            await change
        self._active += 1
        return self._stack.pop()

    def walked(self) -> None:
        """A folder that was taken is done."""
        self._active -= 1
        if not self._active:
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            change.resolve(None)


class Walker:
    """Walks both trees of a run into a queue of files. Any number of :meth:`run` coroutines share the work."""

    def __init__(self, run: Run, root: Folder, queue: Queue[FileItem]) -> None:
        self._run = run
        self._frontier = Frontier(root)
        self._queue = queue

    async def run(self) -> None:
        """Take folders until there are none."""
        while (folder := await self._frontier.take()) is not None:
            await self._walk(folder)
            self._frontier.walked()

    async def _walk(self, folder: Folder) -> None:
        try:
            ours, theirs = await self._run.recovery.persist(lambda: self._list(folder))
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
                await self._plan(folder, pair(*part), ancestors)
        else:
            pairing = pair(ours.entries, theirs)
            if pairing.leftovers:
                await self._clean_up(folder, [pairing])
            await self._plan(folder, pairing, ancestors)

    async def _list(self, folder: Folder) -> tuple[Listing, Entries]:
        """Both sides' entries; the two round trips overlap."""
        run = self._run
        wanted = Wanted(run.read_security_access, run.security_parts) if folder.selected else NOTHING_WANTED
        theirs = None
        if not folder.is_new:
            theirs = run.scheduler.spawn(run.destination.listing(folder.path, "listing the destination folder", wanted))
        made = None
        if folder.is_new and not run.options.dry_run:
            made = run.scheduler.spawn(make(run, folder))
        try:
            ours = Listing(0, Entries())
            if not folder.only_destination:
                ours = await run.source.listing(folder.path, "listing the source folder", wanted)
                await self._refuse_loop(folder, ours.identity, made)
        except FileError:
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
                        self._run.fail(path, _kind(entry), "Prepare", error)

    async def _remove(self, path: str, *, directory: bool) -> None:
        run = self._run
        await run.still_wanted()
        await run.recovery.persist(lambda: run.destination.delete(path, directory=directory, readonly=True))

    async def _plan(self, folder: Folder, pairing: Pairing, ancestors: frozenset[int]) -> None:
        run = self._run
        for entry, reason, message in pairing.refused:
            self._refuse(folder, entry, FileError(reason, message))
        pairs = pairing.both
        if run.filters.want_all and run.shard is None:
            same, pairs = unchanged(pairs, run.options)
            skip_all(run, folder.path, same)
        for source, destination in pairs:
            path = join(folder.path, source.name)
            if destination is not None and self._is_wanted(path, destination):
                run.count(_kind(destination)).listed_destination += 1
            if is_link(source):
                self._meet_reparse_point(path, source)
            elif source.attributes & DIRECTORY:
                self._meet_folder(folder, path, source, destination, ancestors)
            else:
                await self._meet_file(folder, path, source, destination)
        self._meet_extras(folder, pairing.only_destination)

    def _is_wanted(self, path: str, entry: DirectoryEntry) -> bool:
        if entry.attributes & DIRECTORY:
            return self._run.filters.descent(path) is Descent.WHOLE
        return self._run.filters.wants_file(path)

    def _refuse(self, folder: Folder, entry: DirectoryEntry, error: FileError) -> None:
        path = join(folder.path, entry.name)
        if self._is_wanted(path, entry) and self._run.owns(path):
            run = self._run
            run.count(_kind(entry)).listed += 1
            run.fail(path, _kind(entry), "Prepare", error)

    def _meet_reparse_point(self, path: str, source: DirectoryEntry) -> None:
        if not self._is_wanted(path, source) or not self._run.owns(path):
            return
        run, kind = self._run, _kind(source)
        run.count(kind).listed += 1
        decision = decide_reparse_point(run.options)
        if decision.reason is not None:
            run.fail(path, kind, "Prepare", FileError(decision.reason, decision.message))
        else:
            run.count(kind).skipped += 1
            run.record(path, kind, "Skipped", 0)

    def _meet_folder(
        self,
        parent: Folder,
        path: str,
        source: DirectoryEntry,
        destination: DirectoryEntry | None,
        ancestors: frozenset[int],
    ) -> None:
        run = self._run
        descent = run.filters.descent(path)
        if descent is Descent.NONE or (run.shard is not None and not run.shard.meets(path)):
            return
        owned = run.owns(path)
        run.counters.directories.listed += owned
        error = self._folder_problem(path, parent.depth + 1)
        decision = decide_directory(destination)
        if error is None and decision.reason is not None:
            error = FileError(decision.reason, decision.message)
        if error is not None:
            run.source_incomplete = True
            if owned:
                run.fail(path, "Directory", "Prepare", error)
            return
        parent.pending += 1
        selected = descent is Descent.WHOLE
        self._frontier.push(Folder(path, parent, source, destination, ancestors, parent.depth + 1, selected))

    @staticmethod
    def _folder_problem(path: str, depth: int) -> FileError | None:
        if depth > MAX_DEPTH or len(path) > MAX_PATH_UNITS:
            return FileError(FileReason.NAME_NOT_REPRESENTABLE, "the folder lies deeper than a path can name")
        return None

    async def _meet_file(
        self, folder: Folder, path: str, source: DirectoryEntry, destination: DirectoryEntry | None
    ) -> None:
        run = self._run
        if not run.filters.wants_file(path):
            return
        whole = (0, source.size)
        part = whole if run.shard is None else run.shard.part(path, source.size)
        if part is None:
            return
        run.counters.files.listed += part[0] == 0
        decision = decide_file(source, destination, run.options)
        if part != whole and decision.action in (Action.CREATE, Action.REPLACE):
            run.counters.bytes.to_transfer += part[1] - part[0]
            folder.pending += 1
            await self._queue.put(FileItem(folder, path, source, destination, decision.action, part))
            return
        if part[0]:
            return  # whoever has the file's first byte deals with it
        if decision.reason is not None:
            run.fail(path, "File", "Prepare", FileError(decision.reason, decision.message))
        elif decision.action is Action.SKIP:
            skip(run, path, source)
        else:
            if decision.action is not Action.COMPARE:
                count_planned(run, decision.action, source)
            folder.pending += 1
            await self._queue.put(FileItem(folder, path, source, destination, decision.action))

    def _meet_extras(self, folder: Folder, entries: list[DirectoryEntry]) -> None:
        """What only the destination has: counted, and kept for the prune where the options remove it."""
        run = self._run
        if run.shard is not None:
            return
        removed = []
        for entry in entries:
            path = join(folder.path, entry.name)
            if not self._is_wanted(path, entry):
                self._retain(folder)
                continue
            run.count(_kind(entry)).listed_destination += 1
            if not removes(run.options):
                continue
            removed.append(entry)
            run.count(_kind(entry)).to_delete += 1
            if entry.attributes & DIRECTORY and not is_link(entry):
                folder.pending += 1
                child = Folder(path, folder, None, entry, folder.ancestors, folder.depth + 1)
                self._frontier.push(child)
        if removed:
            run.extras.add(folder.path, removed, folder.source if folder.selected else None)

    def _retain(self, folder: Folder | None) -> None:
        """Something in a folder that only the destination has is filtered out, so it and those above it stay."""
        while folder is not None and folder.only_destination:
            self._run.retained.add(folder.path)
            folder = folder.parent


def _kind(entry: DirectoryEntry) -> Literal["File", "Directory"]:
    return "Directory" if entry.attributes & DIRECTORY else "File"
