"""What becomes of each name of a folder, once both sides' entries are paired: counted, queued, walked or refused."""

from typing import NamedTuple

from smbferry_engine.core.sync import Queue
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.filters import Descent
from smbferry_engine.folders import Folder
from smbferry_engine.frontier import Frontier
from smbferry_engine.paths import MAX_DEPTH, MAX_PATH_UNITS, join, units
from smbferry_engine.plan import (
    DIRECTORY,
    REPARSE_POINT,
    Action,
    Pairing,
    decide_directory,
    decide_file,
    decide_reparse_point,
    is_data_elsewhere,
    is_link,
    is_system_folder,
    needs_respelling,
    only_time_is_rounded,
    removes,
    special_kind,
    unchanged,
)
from smbferry_engine.run import Run
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.work import FileItem, Kind, count_planned, leave_out, skip, skip_all


class _Pair(NamedTuple):
    """A name of the source with its counterpart, in a folder whose ancestors (by file id) include itself."""

    folder: Folder
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None
    ancestors: frozenset[int]


class Planner:
    """Takes paired names: files go into the queue, folders onto the frontier."""

    def __init__(self, run: Run, frontier: Frontier, queue: Queue[FileItem]) -> None:
        self._run = run
        self._frontier = frontier
        self._queue = queue

    async def plan(self, folder: Folder, pairing: Pairing, ancestors: frozenset[int]) -> None:
        """Go through the names of ``folder``; ``ancestors`` are the file ids of it and of those above it."""
        run = self._run
        for entry, reason, message in pairing.refused:
            self._refuse(folder, entry, FileError(reason, message))
        for entry, reason, message in pairing.twins:
            self._meet_twin(folder, entry, FileError(reason, message))
        pairs = pairing.both
        if run.filters.want_all and run.shard is None:
            same, pairs = unchanged(pairs, run.options)
            skip_all(run, folder.path, same)
        for source, destination in pairs:
            one = _Pair(folder, join(folder.path, source.name), source, destination, ancestors)
            if self._is_system_folder(one.path, source, run.source.root):
                self._leave_out_system_folder(one)
                continue
            if destination is not None and self._is_wanted(one.path, destination):
                run.count(kind_of(destination)).listed_destination += 1
                if needs_respelling(source, destination, run.options):
                    await self._respell(one, destination)
            if source.attributes & REPARSE_POINT and not is_data_elsewhere(source):
                self._meet_reparse_point(one)
            elif source.attributes & DIRECTORY:
                self._meet_folder(one)
            else:
                await self._meet_file(one)
        self._meet_extras(folder, pairing.only_destination)

    def _is_wanted(self, path: str, entry: DirectoryEntry) -> bool:
        if entry.attributes & DIRECTORY:
            return self._run.filters.descent(path) is Descent.WHOLE
        return self._run.filters.wants_file(path)

    def _refuse(self, folder: Folder, entry: DirectoryEntry, error: FileError) -> None:
        path = join(folder.path, entry.name)
        if self._is_wanted(path, entry) and self._run.owns(path):
            run = self._run
            run.count(kind_of(entry)).listed += 1
            run.fail(path, kind_of(entry), "Prepare", error)

    def _meet_twin(self, folder: Folder, entry: DirectoryEntry, error: FileError) -> None:
        """A name that only the destination tells from one of ours: not deleted, as another server may not do so."""
        path = join(folder.path, entry.name)
        if removes(self._run.options) and self._is_wanted(path, entry) and self._run.shard is None:
            self._run.count(kind_of(entry)).listed_destination += 1
            self._run.fail(path, kind_of(entry), "Delete", error)

    def _is_system_folder(self, path: str, entry: DirectoryEntry, root: str) -> bool:
        return is_system_folder(path, entry, root, self._run.filters, self._run.options)

    def _leave_out_system_folder(self, one: _Pair) -> None:
        if self._run.filters.descent(one.path) is not Descent.NONE and self._run.owns(one.path):
            leave_out(self._run, one.path, "Directory", "SystemFolder")

    async def _respell(self, one: _Pair, destination: DirectoryEntry) -> None:
        """Carry over a name of which only the case was changed."""
        run, kind = self._run, kind_of(one.source)
        if not run.owns(one.path):
            return
        run.count(kind).renamed += 1
        if run.options.dry_run:
            return
        old, attributes = join(one.folder.path, destination.name), destination.attributes
        await run.still_wanted()
        try:
            await run.recovery.persist(lambda: run.destination.rename(old, one.source.name, attributes=attributes))
        except FileError as error:
            run.count(kind).renamed -= 1
            run.fail(one.path, kind, "Transfer", error)
        one.folder.dirty = True

    def _meet_reparse_point(self, one: _Pair) -> None:
        run, kind = self._run, kind_of(one.source)
        if not self._is_wanted(one.path, one.source) or not run.owns(one.path):
            return
        decision = decide_reparse_point(one.source, run.options)
        if decision.reason is not None:
            run.count(kind).listed += 1
            run.fail(one.path, kind, "Prepare", FileError(decision.reason, decision.message))
            return
        leave_out(run, one.path, kind, "Link")
        if one.destination is not None and not is_link(one.destination):
            conflict = FileError(
                FileReason.TYPE_CONFLICT, "the source has a link here, the destination a file or folder"
            )
            self._meet_conflict(one, one.destination, conflict)

    def _meet_conflict(self, one: _Pair, destination: DirectoryEntry, conflict: FileError) -> bool:
        """What the destination has is of another kind: it goes where the options remove such, before what is there now
        is copied, else it stays and is named. Returns whether it goes.
        """
        run = self._run
        # A link whose tag its server does not tell may be a file after all.
        told = not is_link(one.source) or one.source.reparse_tag != 0
        if removes(run.options) and run.shard is None and told:
            self._remove_later(one.folder, [destination], replaced=True)
            return True
        if run.owns(one.path):
            run.fail(one.path, kind_of(one.source), "Prepare", conflict)
        return False

    def _meet_folder(self, one: _Pair) -> None:
        run, parent, path, destination = self._run, one.folder, one.path, one.destination
        descent = run.filters.descent(path)
        if descent is Descent.NONE or (run.shard is not None and not run.shard.meets(path)):
            return
        owned = run.owns(path)
        run.counters.directories.listed += owned
        error = self._folder_problem(path, parent.depth + 1)
        if error is not None:
            run.source_incomplete = True
            if owned:
                run.fail(path, "Directory", "Prepare", error)
            return
        decision = decide_directory(destination)
        goes = False
        if destination is not None and decision.reason is not None:
            goes = self._meet_conflict(one, destination, FileError(decision.reason, decision.message))
            if not goes:
                return
        parent.pending += 1
        there = None if goes else destination
        folder = Folder(path, parent, one.source, there, one.ancestors, parent.depth + 1, descent is Descent.WHOLE)
        if goes and not run.options.dry_run:
            run.replacing_folders.append(folder)
        else:
            self._frontier.push(folder)

    def _folder_problem(self, path: str, depth: int) -> FileError | None:
        root = max(len(self._run.source.root), len(self._run.destination.root))
        if depth > MAX_DEPTH or 2 * (len(path) + root) > MAX_PATH_UNITS < units(path) + 2 * root:
            return FileError(FileReason.NAME_NOT_REPRESENTABLE, "the folder lies deeper than a path can name")
        return None

    async def _meet_file(self, one: _Pair) -> None:
        run, folder, path, source, destination = self._run, one.folder, one.path, one.source, one.destination
        if not run.filters.wants_file(path):
            return
        whole = (0, source.size)
        part = whole if run.shard is None else run.shard.part(path, source.size)
        if part is None:
            return
        run.counters.files.listed += part[0] == 0
        decision = decide_file(source, destination, run.options)
        run.counters.files.rounded_times += part[0] == 0 and only_time_is_rounded(source, destination, decision)
        if part != whole and decision.action in (Action.CREATE, Action.REPLACE):
            run.counters.bytes.to_transfer += part[1] - part[0]
            folder.pending += 1
            await self._queue.put(FileItem(folder, path, source, destination, decision.action, part))
            return
        if part[0]:
            return  # whoever has the file's first byte deals with it
        if destination is not None and decision.reason is not None:
            if self._meet_conflict(one, destination, FileError(decision.reason, decision.message)):
                count_planned(run, Action.CREATE, source)
                folder.pending += 1
                item = FileItem(folder, path, source, None, Action.CREATE)
                if run.options.dry_run:
                    await self._queue.put(item)
                else:
                    run.replacing_files.append(item)
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
            if self._is_system_folder(path, entry, run.destination.root):
                continue
            if not self._is_wanted(path, entry):
                self._retain(folder)
                continue
            run.count(kind_of(entry)).listed_destination += 1
            removed.append(entry)
        self._remove_later(folder, removed, replaced=folder.replaced)

    def _remove_later(self, folder: Folder, entries: list[DirectoryEntry], replaced: bool) -> None:  # noqa: FBT001
        """Remember what goes from a folder of the destination, where the options remove it, and walk what lies below.

        ``replaced`` is what goes before the source's thing of the same name is copied, and all that lies in it.
        """
        run = self._run
        if not removes(run.options) or not entries:
            return
        for entry in entries:
            run.count(kind_of(entry)).to_delete += 1
            if entry.attributes & DIRECTORY and not is_link(entry) and special_kind(entry) is None:
                folder.pending += 1
                path = join(folder.path, entry.name)
                child = Folder(path, folder, None, entry, folder.ancestors, folder.depth + 1, replaced=replaced)
                self._frontier.push(child)
        log = run.replaced if replaced else run.extras
        log.add(folder.path, entries, folder.source if folder.selected else None)

    def _retain(self, folder: Folder | None) -> None:
        """Something in a folder that only the destination has is filtered out, so it and those above it stay."""
        while folder is not None and folder.only_destination:
            self._run.retained.add(folder.path)
            folder = folder.parent

    def meet_gone(self, folder: Folder) -> None:
        """A folder was deleted at the source since its parent was listed: it counts as if it had never been there."""
        folder.broken = True
        self._run.counters.directories.listed -= self._run.owns(folder.path)
        if folder.parent is not None and folder.destination is not None and self._run.shard is None:
            self._remove_later(folder.parent, [folder.destination], folder.parent.replaced)


def kind_of(entry: DirectoryEntry) -> Kind:
    """The word for it in reports and failures."""
    return "Directory" if entry.attributes & DIRECTORY else "File"
