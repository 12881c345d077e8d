"""Comparing trees: names, kinds and hashes of everything, folder by folder, in bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from smbferry_engine.core.group import run_all
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import FileError
from smbferry_engine.filters import Descent, Filters
from smbferry_engine.paths import join
from smbferry_engine.plan import DIRECTORY, is_link, pair
from smbferry_engine.share import Share
from smbferry_engine.verify import digest_of
from smbferry_engine.wire.directory import DirectoryEntry

_FILES_AT_ONCE = 16
_FOLDERS_AT_ONCE = 4
_MISSING_AT_DESTINATION = "the destination does not have it"

Report = Callable[[str, str], None]


@dataclass(slots=True)
class Totals:
    """What was compared and found the same or not: counts, and bytes of the source's files."""

    files: int = 0
    directories: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Comparer:
    """Two sides and who hears of differences: ``missing``, ``surplus`` and ``differs`` get a path and a message."""

    scheduler: Scheduler
    source: Share
    destination: Share
    filters: Filters
    missing: Report
    surplus: Report
    differs: Report
    totals: Totals = field(default_factory=Totals)

    async def run(self) -> None:
        """Compare from the root down; a folder's files are hashed together, its folders follow."""
        stack = [""]
        while stack:
            batch = [stack.pop() for _ in range(min(_FOLDERS_AT_ONCE, len(stack)))]
            await run_all(self.scheduler, (self._folder(path, stack) for path in batch))

    async def _folder(self, path: str, stack: list[str]) -> None:
        try:
            ours = await self.source.list_directory(path, "listing the source folder")
            theirs = await self.destination.list_directory(path, "listing the destination folder")
        except FileError as error:
            self.differs(path, error.message)
            return
        pairing = pair(ours, theirs)
        for entry, _, message in pairing.refused:
            self.differs(join(path, entry.name), message)
        for entry in pairing.only_destination:
            if self._wanted(join(path, entry.name), entry):
                self.surplus(join(path, entry.name), "the source does not have it")
        files: list[tuple[str, DirectoryEntry, DirectoryEntry]] = []
        for one, other in pairing.both:
            name = join(path, one.name)
            if is_link(one) or not self._wanted(name, one):
                continue
            if other is None:
                self.missing(name, _MISSING_AT_DESTINATION)
            elif one.attributes & DIRECTORY != other.attributes & DIRECTORY:
                self.differs(name, "one side has a file, the other a folder")
            elif one.attributes & DIRECTORY:
                self.totals.directories += 1
                stack.append(name)
            else:
                files.append((name, one, other))
        queue = iter(files)
        await run_all(self.scheduler, [self._files(queue) for _ in range(min(_FILES_AT_ONCE, len(files)))])

    def _wanted(self, path: str, entry: DirectoryEntry) -> bool:
        if entry.attributes & DIRECTORY:
            return self.filters.descent(path) is not Descent.NONE
        return self.filters.wants_file(path)

    async def _files(self, queue: Iterator[tuple[str, DirectoryEntry, DirectoryEntry]]) -> None:
        """Compare files until there are none; several of these share one iterator."""
        for path, one, other in queue:
            await self._file(path, one, other)

    async def _file(self, path: str, one: DirectoryEntry, other: DirectoryEntry) -> None:
        try:
            if one.name != other.name:
                self.differs(path, f"the destination spells it {other.name!r}")
                return
            ours = await digest_of(self.scheduler, self.source, path, one)
            theirs = await digest_of(self.scheduler, self.destination, path, other)
        except FileError as error:
            self.differs(path, error.message)
            return
        self.totals.files += 1
        self.totals.bytes += one.size
        if ours != theirs:
            self.differs(path, f"BLAKE3 {ours.hex()} at the source, {theirs.hex()} at the destination")


async def compare_trees(
    scheduler: Scheduler, source: Share, destination: Share, filters: Filters, differs: Report
) -> Totals:
    """Compare everything that the source has with the destination; ``differs(path, message)`` hears what is not there
    or not the same. What only the destination has is no difference here.
    """
    comparer = Comparer(scheduler, source, destination, filters, differs, lambda _path, _message: None, differs)
    await comparer.run()
    return comparer.totals
