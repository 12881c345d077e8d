"""Acts on the decision about each name of a folder: counts, queues, walks or refuses it."""

from typing import NamedTuple

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.paths import MAX_DEPTH, MAX_PATH_UNITS, SEPARATOR, join, units
from smbferry_engine.plan.decide import (
    Action,
    decide_directory,
    decide_file,
    decide_reparse_point,
    inspects,
    needs_respelling,
    only_time_is_rounded,
    unchanged,
)
from smbferry_engine.plan.filters import Descent
from smbferry_engine.plan.pairing import Pair, Pairing
from smbferry_engine.plan.system import is_system_folder
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.sync import Queue
from smbferry_engine.tree.frontier import Frontier
from smbferry_engine.tree.inspection import Inspected, Inspector
from smbferry_engine.tree.items import FileItem, Folder, LinkItem, kind_of
from smbferry_engine.tree.links import LinkCopier
from smbferry_engine.tree.removals import Removals
from smbferry_engine.wire.attributes import DIRECTORY, REPARSE_POINT, is_data_elsewhere, is_link, special_kind
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.run import NotCarriedKind


class _Pair(NamedTuple):
    """A name of the source with its counterpart; ``ancestors`` are the file ids of the folder and of those above it."""

    folder: Folder
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None
    ancestors: frozenset[int]


class Planner:
    """Puts files into the queue and folders onto the frontier."""

    def __init__(
        self, run: RunContext, removals: Removals, frontier: Frontier[Folder], queue: Queue[FileItem], links: LinkCopier
    ) -> None:
        self._run = run
        self._removals = removals
        self._frontier = frontier
        self._queue = queue
        self._inspector = Inspector(run)
        self._links = links

    async def plan(self, folder: Folder, pairing: Pairing, ancestors: frozenset[int]) -> None:
        """Plan the names of ``folder``; ``ancestors`` are the file ids of it and of those above it."""
        run = self._run
        for entry, reason, message in pairing.refused:
            self._refuse(folder, entry, FileError(reason, message))
        for entry, reason, message in pairing.twins:
            self._report_twin(folder, entry, FileError(reason, message))
        pairs = await self._pass_unchanged(folder, pairing.both)
        inspected: list[Inspected] = []
        links: list[LinkItem] = []
        for source, destination in pairs:
            one = _Pair(folder, join(folder.path, source.name), source, destination, ancestors)
            if self._is_system_folder(one.path, source, run.source.root):
                self._leave_out_system_folder(one)
                continue
            if destination is not None and self._is_wanted_pair(one.path, source, destination):
                run.tally.count(kind_of(destination)).listed_destination += 1
                if needs_respelling(source, destination, run.policy.options):
                    await self._respell(one, destination)
            if source.attributes & REPARSE_POINT and not is_data_elsewhere(source):
                self._plan_reparse_point(one, links)
            elif source.attributes & DIRECTORY:
                self._plan_folder(one)
            else:
                await self._plan_file(one, inspected)
        await self._inspect(folder, inspected)
        if links:
            await self._links.copy(links)
        self._plan_extras(folder, pairing.only_destination)

    async def _pass_unchanged(self, folder: Folder, pairs: list[Pair]) -> list[Pair]:
        """Skip or inspect the files whose listings do not differ; returns the remaining pairs."""
        run = self._run
        if not (run.policy.filters.want_all and run.scope.is_whole):
            return pairs
        same, left = unchanged(pairs, run.policy.options)
        if inspects(run.policy.options):
            run.tally.find_all(same)
            await self._inspect(folder, [Inspected(join(folder.path, one.name), one, None) for one in same])
        else:
            run.tally.skip_all(folder.path, same)
        return left

    async def _inspect(self, folder: Folder, files: list[Inspected]) -> None:
        """Inspect files; what the inspector can't correct is queued."""
        for (path, source, destination), action in await self._inspector.inspect(files) if files else ():
            self._run.tally.plan(action, source.size)
            folder.pending += 1
            # Where nothing in the listings differs, the source's entry says the same as the destination's.
            await self._queue.put(FileItem(folder, path, source, destination or source, action))

    def _is_wanted(self, path: str, entry: DirectoryEntry) -> bool:
        if entry.attributes & DIRECTORY:
            return self._run.policy.filters.descent(path) is Descent.WHOLE
        return self._run.policy.filters.wants_file(path, entry)

    def _is_wanted_pair(self, path: str, source: DirectoryEntry, destination: DirectoryEntry) -> bool:
        """Return whether the destination's counterpart of a name is the run's to replace: the source's entry decides
        where both are of one kind.
        """
        same_kind = not (source.attributes ^ destination.attributes) & DIRECTORY
        return self._is_wanted(path, source if same_kind else destination)

    def _refuse(self, folder: Folder, entry: DirectoryEntry, error: FileError) -> None:
        path = join(folder.path, entry.name)
        if self._is_wanted(path, entry) and self._run.scope.holds(path):
            run = self._run
            run.tally.count(kind_of(entry)).listed += 1
            run.tally.fail(path, kind_of(entry), "Prepare", error)

    def _report_twin(self, folder: Folder, entry: DirectoryEntry, error: FileError) -> None:
        """Report a name that differs from one of the source's in case only; it is not deleted."""
        path = join(folder.path, entry.name)
        if self._run.policy.removes and self._is_wanted(path, entry) and self._run.scope.is_whole:
            self._run.tally.count(kind_of(entry)).listed_destination += 1
            self._run.tally.fail(path, kind_of(entry), "Delete", error)

    def _is_system_folder(self, path: str, entry: DirectoryEntry, root: str) -> bool:
        return is_system_folder(path, entry, root, self._run.policy.filters, self._run.policy.options.system_folders)

    def _leave_out_system_folder(self, one: _Pair) -> None:
        if self._run.policy.filters.descent(one.path) is not Descent.NONE and self._run.scope.holds(one.path):
            self._run.tally.leave_out(one.path, "Directory", "SystemFolder")

    async def _respell(self, one: _Pair, destination: DirectoryEntry) -> None:
        """Rename at the destination where only the case of a name was changed."""
        run, kind = self._run, kind_of(one.source)
        if not run.scope.holds(one.path):
            return
        run.tally.count(kind).renamed += 1
        if run.policy.options.dry_run:
            return
        old, attributes = join(one.folder.path, destination.name), destination.attributes
        await run.policy.permission_to_replace(run.scheduler)
        try:
            await run.recovery.persist(lambda: run.destination.rename(old, one.source.name, attributes=attributes))
        except FileError as error:
            run.tally.count(kind).renamed -= 1
            run.tally.fail(one.path, kind, "Transfer", error)
        one.folder.dirty = True

    def _plan_reparse_point(self, one: _Pair, links: list[LinkItem]) -> None:
        """Count or report a link; one that is copied as a link goes to ``links``."""
        run, kind = self._run, kind_of(one.source)
        if not self._is_wanted(one.path, one.source) or not run.scope.holds(one.path):
            return
        decision = decide_reparse_point(one.source, run.policy.options.links)
        if decision.action is Action.CREATE:
            self._plan_link(one, links)
            return
        if decision.reason is not None:
            run.tally.count(kind).listed += 1
            if is_link(one.source):
                run.tally.not_carried(one.path, NotCarriedKind.LINK, decision.message)
            run.tally.fail(one.path, kind, "Prepare", FileError(decision.reason, decision.message))
            return
        run.tally.leave_out(one.path, kind, "Link")
        if one.destination is not None and not is_link(one.destination):
            conflict = FileError(
                FileReason.TYPE_CONFLICT, "the source has a link here, the destination a file or folder"
            )
            self._plan_conflict(one, one.destination, conflict)

    def _plan_link(self, one: _Pair, links: list[LinkItem]) -> None:
        """Plan a link that is copied as a link, unless something else of its name stays at the destination."""
        self._run.tally.count(kind_of(one.source)).listed += 1
        item = LinkItem(one.folder, one.path, one.source, one.destination)
        if one.destination is None or _are_links_alike(one.source, one.destination):
            links.append(item)
            return
        conflict = FileError(
            FileReason.TYPE_CONFLICT, "the source has a link here, the destination another kind of file"
        )
        if not self._plan_conflict(one, one.destination, conflict):
            return
        item = item._replace(destination=None)
        if self._run.policy.options.dry_run:
            links.append(item)
        else:
            one.folder.pending += 1
            self._removals.links.append(item)

    def _plan_conflict(self, one: _Pair, destination: DirectoryEntry, conflict: FileError) -> bool:
        """Plan for an entry of another kind at the destination: schedule its removal if the options allow that, report
        a failure otherwise. Returns whether it will be removed.
        """
        run = self._run
        # If the server does not report the link's tag, it may be a file.
        told = not is_link(one.source) or one.source.reparse_tag != 0
        if run.policy.removes and run.scope.is_whole and told and self._is_wanted(one.path, destination):
            self._remove_later(one.folder, [destination], replaced=True)
            return True
        if run.scope.holds(one.path):
            run.tally.fail(one.path, kind_of(one.source), "Prepare", conflict)
        return False

    def _plan_folder(self, one: _Pair) -> None:
        run, parent, path, destination = self._run, one.folder, one.path, one.destination
        descent = run.policy.filters.descent(path)
        if descent is Descent.NONE or not run.scope.meets(path):
            return
        owned = run.scope.holds(path)
        run.tally.counters.directories.listed += owned
        error = self._folder_problem(path)
        if error is not None:
            self._removals.source_incomplete = True
            if owned:
                run.tally.fail(path, "Directory", "Prepare", error)
            return
        decision = decide_directory(destination)
        goes = False
        if destination is not None and decision.reason is not None:
            goes = self._plan_conflict(one, destination, FileError(decision.reason, decision.message))
            if not goes:
                return
        parent.pending += 1
        there = None if goes else destination
        folder = Folder(path, parent, one.source, there, one.ancestors, settles=descent is Descent.WHOLE)
        if goes and not run.policy.options.dry_run:
            self._removals.folders.append(folder)
        else:
            self._frontier.push(folder)

    def _folder_problem(self, path: str) -> FileError | None:
        root = max(len(self._run.source.root), len(self._run.destination.root))
        if path.count(SEPARATOR) >= MAX_DEPTH or 2 * (len(path) + root) > MAX_PATH_UNITS < units(path) + 2 * root:
            return FileError(FileReason.NAME_NOT_REPRESENTABLE, "the path of the folder is too long for SMB")
        return None

    async def _plan_file(self, one: _Pair, inspected: list[Inspected]) -> None:
        """Queue or skip a file; one whose descriptors decide goes to ``inspected``."""
        run, folder, path, source, destination = self._run, one.folder, one.path, one.source, one.destination
        if not run.policy.filters.wants_file(path, source):
            return
        part = run.scope.part(path, source.size)
        if part is None:
            return
        run.tally.counters.files.listed += part[0] == 0
        decision = decide_file(source, destination, run.policy.options)
        run.tally.counters.files.rounded_times += part[0] == 0 and only_time_is_rounded(source, destination, decision)
        if part != (0, source.size) and decision.action in (Action.CREATE, Action.REPLACE):
            run.tally.counters.bytes.to_transfer += part[1] - part[0]
            folder.pending += 1
            await self._queue.put(FileItem(folder, path, source, destination, decision.action, part))
            return
        if part[0]:
            return  # the agent that has the file's first byte deals with it
        if destination is not None and decision.reason is not None:
            if self._plan_conflict(one, destination, FileError(decision.reason, decision.message)):
                run.tally.plan(Action.CREATE, source.size)
                folder.pending += 1
                item = FileItem(folder, path, source, None, Action.CREATE)
                if run.policy.options.dry_run:
                    await self._queue.put(item)
                else:
                    self._removals.files.append(item)
        elif decision.action is Action.INSPECT:
            inspected.append(Inspected(path, source, destination))
        elif decision.action is Action.SKIP:
            run.tally.skip(path, source.size)
        else:
            if decision.action is not Action.COMPARE:
                run.tally.plan(decision.action, source.size)
            folder.pending += 1
            await self._queue.put(FileItem(folder, path, source, destination, decision.action))

    def _plan_extras(self, folder: Folder, entries: list[DirectoryEntry]) -> None:
        """Count what only the destination has, and schedule its removal if the options say so."""
        run = self._run
        if not run.scope.is_whole:
            return
        removed = []
        for entry in entries:
            path = join(folder.path, entry.name)
            if self._is_system_folder(path, entry, run.destination.root):
                continue
            if not self._is_wanted(path, entry):
                self._retain(folder)
                continue
            run.tally.count(kind_of(entry)).listed_destination += 1
            removed.append(entry)
        self._remove_later(folder, removed, replaced=folder.replaced)

    def _remove_later(self, folder: Folder, entries: list[DirectoryEntry], replaced: bool) -> None:  # noqa: FBT001
        """Schedule the removal of entries from a folder of the destination, if the options say so, and walk what is
        below them.

        ``replaced``: they are removed before the source's entries of the same names are copied.
        """
        run = self._run
        if not run.policy.removes or not entries:
            return
        for entry in entries:
            run.tally.count(kind_of(entry)).to_delete += 1
            if entry.attributes & DIRECTORY and not is_link(entry) and special_kind(entry) is None:
                folder.pending += 1
                path = join(folder.path, entry.name)
                child = Folder(path, folder, None, entry, folder.ancestors, replaced=replaced)
                self._frontier.push(child)
        log = self._removals.replaced if replaced else self._removals.extras
        log.add(folder.path, entries, folder.source if folder.settles else None)

    def _retain(self, folder: Folder | None) -> None:
        """Keep a folder that only the destination has, and those above it: something in it is filtered out."""
        while folder is not None and folder.only_destination:
            self._removals.retained.add(folder.path)
            folder = folder.parent

    def drop_gone(self, folder: Folder) -> None:
        """Treat a folder that was deleted at the source after its parent was listed as if it had never existed."""
        folder.settles = False
        self._run.tally.counters.directories.listed -= self._run.scope.holds(folder.path)
        if folder.parent is not None and folder.destination is not None and self._run.scope.is_whole:
            self._remove_later(folder.parent, [folder.destination], folder.parent.replaced)


def _are_links_alike(source: DirectoryEntry, destination: DirectoryEntry) -> bool:
    """Return whether the destination has a link, too, and both are files or both are folders when not followed."""
    return is_link(destination) and not (source.attributes ^ destination.attributes) & DIRECTORY
