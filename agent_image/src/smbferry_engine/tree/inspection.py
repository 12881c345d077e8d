"""Compares what listings do not have of files that are the same by them, and corrects descriptors in place.

No listing has descriptors, streams or the values of extended attributes, so this takes a compound of CREATE, QUERY_INFO
and CLOSE for each file and side. Both sides' are in flight together, and those of many files. A file whose streams or
extended attributes differ is marked as incomplete (ADR 18) and completed like one that an earlier run has marked.
"""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.errors import FileError
from smbferry_engine.files.attachments import compared_kinds
from smbferry_engine.files.hard_links import Place, place_of
from smbferry_engine.plan.attachments import listed_alike
from smbferry_engine.plan.decide import Action, decide_metadata
from smbferry_engine.run.context import RunContext
from smbferry_engine.run.hard_links import Original, Version
from smbferry_engine.runtime.group import run_all
from smbferry_engine.share.mending import SeveralNamesError, compare_parts, mark_as_incomplete, mend
from smbferry_engine.share.metadata import Metadata, apply_metadata, metadata_of
from smbferry_engine.share.unlisted import Question
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import OWNER_AND_GROUP
from smbferry_words.options import HardLinks

FILES_AT_ONCE = 64
# Descriptors repeat: a tree has few distinct ones. Large ones are not kept; a hostile server may send any number.
_REMEMBERED = 2_048
_LARGEST_REMEMBERED = 8 * 1024


class Inspected(NamedTuple):
    """A file that is the same by its listings. ``destination`` is None if nothing that they have differs."""

    path: str
    source: DirectoryEntry
    destination: DirectoryEntry | None


class _Look(NamedTuple):
    """The source's descriptor if it was asked for, which of its parts differ at the destination, and whether streams or
    extended attributes do. ``names`` and ``numbers`` are as for :func:`~smbferry_engine.files.hard_links.place_of`.
    """

    descriptor: bytes | None
    parts: int
    attachments_differ: bool
    names: int = 1
    numbers: tuple[int, int] = (0, 0)


class Inspector:
    """Inspects files of one run."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._differing: dict[tuple[bytes, bytes], int] = {}

    async def inspect(self, files: Sequence[Inspected]) -> list[tuple[Inspected, Action]]:
        """Inspect files, many at once. Failures of files are recorded, the failure of the run is raised.

        Returns the files with more to do than setting metadata: REPLACE or COMPLETE, which are not counted yet.
        """
        queue = iter(files)
        left: list[tuple[Inspected, Action]] = []

        async def some() -> None:
            for file in queue:
                try:
                    action = await self._inspect(file)
                except FileError as error:
                    self._run.tally.fail(file.path, "File", "Transfer", error)
                else:
                    if action is not None:
                        left.append((file, action))

        await run_all(self._run.scheduler, [some() for _ in range(min(FILES_AT_ONCE, len(files)))])
        return left

    async def _inspect(self, file: Inspected) -> Action | None:
        """Return what is left to do with the file."""
        run = self._run
        look = await run.recovery.persist(lambda: self._look(file))
        if look.names <= 1:
            return await self._act(file, look)
        version = _version(file.source)
        place = await run.recovery.persist(lambda: place_of(run, file.path, version, look.names, look.numbers))
        if place is Place.APART:
            return Action.REPLACE
        act = self._act_as_first if place is Place.FIRST else self._act
        return await act(file, look)

    async def _act_as_first(self, file: Inspected, look: "_Look") -> Action | None:
        """Act while other names of the file wait until it is known whether this copy is the one that they share."""
        table, number = self._run.housekeeping.hard_links, look.numbers[0]
        try:
            action = await self._act(file, look)
        except BaseException:
            table.release(number)
            raise
        if action is None:
            table.settle(number, Original(file.path, _version(file.source), b""))
        else:
            table.release(number)
        return action

    async def _act(self, file: Inspected, look: "_Look") -> Action | None:
        try:
            if look.attachments_differ:
                await self._mark(file)
                return Action.COMPLETE
            await self._correct(file, look)
        except SeveralNamesError:
            # The copy gets a name of its own; the others stay as they are.
            return Action.REPLACE
        return None

    async def _mark(self, file: Inspected) -> None:
        run, (path, source, _) = self._run, file
        if not run.policy.options.dry_run:
            await run.policy.permission_to_replace(run.scheduler)
            await run.recovery.persist(lambda: mark_as_incomplete(run.destination, path, source.write_time))

    async def _correct(self, file: Inspected, look: _Look) -> None:
        run, (path, source, _) = self._run, file
        basic = self._basic_differs(file)
        incomplete = run.policy.metadata.audit_refusal
        if look.parts or basic:
            run.tally.plan(Action.METADATA, source.size)
            if run.policy.options.dry_run:
                return
            metadata = _metadata(run, source, look, basic=basic)
            await run.policy.permission_to_replace(run.scheduler)
            try:
                incomplete = await run.recovery.persist(lambda: _set(run, path, metadata, look.parts)) or incomplete
            except SeveralNamesError:
                run.tally.unplan(Action.METADATA, source.size)
                raise
            run.tally.counters.files.transferred += 1
            run.tally.record(path, "File", "Transferred", 0)
        elif incomplete is None:
            run.tally.skip(path, source.size)
        if incomplete is not None:
            run.tally.miss(path, "File", incomplete)

    def _basic_differs(self, file: Inspected) -> bool:
        """Return whether times or attributes differ, as far as the options copy them."""
        if file.destination is None:
            return False
        return decide_metadata(file.source, file.destination, self._run.policy.options).action is Action.METADATA

    async def _look(self, file: Inspected) -> _Look:
        """Ask both sides, at the same time."""
        run, policy = self._run, self._run.policy.metadata
        kinds = compared_kinds(run)
        names = run.policy.options.hard_links is HardLinks.PRESERVE and run.scope.is_whole
        if not policy.security_parts and not kinds[0] and not names:
            return _Look(None, 0, attachments_differ=False)
        ours, theirs = (
            Question(share, file.path, policy.read_access, policy.security_parts, asked, names, reparse)
            for share, asked, reparse in zip((run.source, run.destination), kinds, _reparse_points(file), strict=True)
        )
        calls = ours.ask(), theirs.ask()
        one, other = await ours.answer(await calls[0]), await theirs.answer(await calls[1])
        lost = any(lost.fails for lost in one.attachments.lost)
        parts = 0 if one.descriptor is None else self._compare(one.descriptor, other.descriptor or b"")
        differ = lost or not listed_alike(one.attachments, other.attachments)
        return _Look(one.descriptor, parts, differ, one.names, (one.number, other.number))

    def _compare(self, one: bytes, other: bytes) -> int:
        if one == other:
            return 0
        key, parts = (one, other), self._run.policy.metadata.security_parts | OWNER_AND_GROUP
        if len(one) + len(other) > _LARGEST_REMEMBERED:
            return compare_parts(one, other, parts)
        if key not in self._differing:
            if len(self._differing) >= _REMEMBERED:
                self._differing.clear()
            self._differing[key] = compare_parts(one, other, parts)
        return self._differing[key]


def _version(source: DirectoryEntry) -> Version:
    return Version(source.size, source.write_time, source.change_time)


def _reparse_points(file: Inspected) -> tuple[bool, bool]:
    """Return for each side whether the file is opened as a reparse point if it is one."""
    source, destination = file.source, file.destination or file.source
    return not is_data_elsewhere(source), not is_data_elsewhere(destination)


def _metadata(run: RunContext, source: DirectoryEntry, look: _Look, *, basic: bool) -> Metadata:
    """Return what is to be set, and nothing that is the same already."""
    metadata = metadata_of(run.policy.metadata, source, look.descriptor if look.parts else None)
    return metadata if basic else Metadata(0, 0, 0, 0, metadata.descriptor, metadata.mark)


async def _set(run: RunContext, path: str, metadata: Metadata, parts: int) -> FileError | None:
    if parts:
        return await mend(run.destination, path, metadata, parts)
    return await apply_metadata(run.destination, run.policy.metadata, path, metadata, CreateOption.NON_DIRECTORY_FILE)
