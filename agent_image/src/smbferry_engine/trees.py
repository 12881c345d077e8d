"""Comparing trees: names, kinds, hashes and metadata of everything, folder by folder, in bounded memory."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple

from smbferry_engine.core.group import run_all
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.descriptors import folder_descriptor
from smbferry_engine.entries import Entries, side_by_side
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.filters import Descent, Filters
from smbferry_engine.metadata import Compared, listed_differences, security_differences
from smbferry_engine.model import Options
from smbferry_engine.paths import join
from smbferry_engine.plan import DIRECTORY, REPARSE_POINT, Pairing, is_data_elsewhere, is_system_folder, pair
from smbferry_engine.roots import open_roots
from smbferry_engine.share import Share, Wanted
from smbferry_engine.verify import fingerprint_of
from smbferry_engine.wire.directory import DirectoryEntry

_AT_ONCE = 16
_FOLDERS_AT_ONCE = 4
_CONTENT_ONLY = Compared()
_DEFAULTS = Options()


class Where(Enum):
    """Which side has what differs."""

    SOURCE = "source"
    DESTINATION = "destination"
    BOTH = "both"


class Difference(NamedTuple):
    """One file or folder that is not the same on both sides, or could not be looked at; ``path`` from the root."""

    path: str
    kind: Literal["File", "Directory"]
    where: Where
    reason: str
    message: str


@dataclass(slots=True)
class Totals:
    """What both sides have, and how much of it was found to be the same; ``bytes`` of the source's files."""

    files: int = 0
    directories: int = 0
    bytes: int = 0
    same_files: int = 0
    same_directories: int = 0


async def once(operation: Callable[[], Awaitable[None]]) -> None:
    """Do something, and leave a connection that is lost meanwhile to be the end of it all."""
    await operation()


class _Pair(NamedTuple):
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry


class _Folder(NamedTuple):
    """A folder that is to be looked at, and whether each side opens the folder itself (see ``open_request``)."""

    path: str
    source_itself: bool = True
    destination_itself: bool = True


@dataclass(slots=True)
class Comparer:
    """Two sides, what is compared beside content, and who hears of each difference.

    ``persist`` repeats an operation whose connection was lost (see ``recovery``), ``options`` say whether the servers'
    own folders are looked at.
    """

    scheduler: Scheduler
    source: Share
    destination: Share
    filters: Filters
    differs: Callable[[Difference], None]
    metadata: Compared = _CONTENT_ONLY
    options: Options = _DEFAULTS
    persist: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]] = once
    totals: Totals = field(default_factory=Totals)

    async def run(self) -> None:
        """Compare from the root down; a folder's files are hashed together, its folders follow."""
        stack = [_Folder("")]
        if self.filters.descent("") is Descent.WHOLE:
            await self._root()
        while stack:
            batch = [stack.pop() for _ in range(min(_FOLDERS_AT_ONCE, len(stack)))]
            await run_all(self.scheduler, (self._folder(folder, stack) for folder in batch))

    async def _root(self) -> None:
        """The root folders themselves; one that can't be opened is told of when it can't be listed."""
        found: list[_Pair] = []

        async def both() -> None:
            found[:] = [_Pair("", *await open_roots(self.source, self.destination))]

        with contextlib.suppress(FileError):
            await self.persist(both)
        for root in found:
            self.totals.directories += 1
            if await self._agree(root, self._directory):
                self.totals.same_directories += 1

    async def _folder(self, folder: _Folder, stack: list[_Folder]) -> None:
        listings: list[Entries] = []
        path = folder.path

        async def both() -> None:
            listings.clear()
            asked = Wanted(itself=folder.source_itself)
            ours = self.source.listing(path, "listing the source folder", asked)
            listings.append((await ours).entries)
            asked = Wanted(itself=folder.destination_itself)
            theirs = self.destination.listing(path, "listing the destination folder", asked)
            listings.append((await theirs).entries)

        try:
            await self.persist(both)
        except FileError as error:
            self.differs(Difference(path, "Directory", Where.BOTH, error.reason, error.message))
            return
        for part in side_by_side(*listings):
            pairing = pair(*part)
            self._meet_single(path, pairing)
            shared = list(self._shared(path, pairing))
            queue = iter(shared)
            await run_all(self.scheduler, [self._each(queue, stack) for _ in range(min(_AT_ONCE, len(shared)))])

    def _meet_single(self, path: str, pairing: Pairing) -> None:
        """Names that have no counterpart, or may have none."""
        for entry, reason, message in pairing.refused:
            self._tell(join(path, entry.name), entry, Where.SOURCE, reason, message)
        for entry, reason, message in pairing.twins:
            self._tell(join(path, entry.name), entry, Where.DESTINATION, reason, message)
        for entry in pairing.only_destination:
            if self._wanted(join(path, entry.name), entry, self.destination):
                message = "the source does not have it"
                self._tell(join(path, entry.name), entry, Where.DESTINATION, FileReason.HASH_MISMATCH, message)

    def _shared(self, path: str, pairing: Pairing) -> Iterator[_Pair]:
        """What both sides have, of one kind."""
        for one, other in pairing.both:
            name = join(path, one.name)
            if one.attributes & REPARSE_POINT and not is_data_elsewhere(one):
                continue
            if not self._wanted(name, one, self.source):
                continue
            if other is None:
                message = "the destination does not have it"
                self._tell(name, one, Where.SOURCE, FileReason.HASH_MISMATCH, message)
            elif one.attributes & DIRECTORY != other.attributes & DIRECTORY:
                message = "one side has a file, the other a folder"
                self._tell(name, one, Where.BOTH, FileReason.TYPE_CONFLICT, message)
            else:
                yield _Pair(name, one, other)

    def _wanted(self, path: str, entry: DirectoryEntry, side: Share) -> bool:
        if entry.attributes & DIRECTORY:
            if is_system_folder(path, entry, side.root, self.filters, self.options):
                return False
            return self.filters.descent(path) is not Descent.NONE
        return self.filters.wants_file(path)

    def _tell(self, path: str, entry: DirectoryEntry, where: Where, reason: str, message: str) -> None:
        kind: Literal["File", "Directory"] = "Directory" if entry.attributes & DIRECTORY else "File"
        self.differs(Difference(path, kind, where, reason, message))

    async def _each(self, queue: Iterator[_Pair], stack: list[_Folder]) -> None:
        """Compare until there is nothing left; several of these share one iterator."""
        for one in queue:
            if one.source.attributes & DIRECTORY:
                itself = [not is_data_elsewhere(entry) for entry in (one.source, one.destination)]
                stack.append(_Folder(one.path, *itself))
                self.totals.directories += 1
                if await self._agree(one, self._directory):
                    self.totals.same_directories += 1
            else:
                self.totals.files += 1
                self.totals.bytes += one.source.size
                if await self._agree(one, self._file):
                    self.totals.same_files += 1

    async def _agree(self, one: _Pair, compare: Callable[[_Pair], Awaitable[None]]) -> bool:
        try:
            await self.persist(lambda: compare(one))
        except FileError as error:
            self._tell(one.path, one.source, Where.BOTH, error.reason, error.message)
            return False
        return True

    async def _file(self, one: _Pair) -> None:
        path, source, destination = one
        access, parts = self.metadata.access, self.metadata.parts
        ours = await fingerprint_of(self.scheduler, self.source, path, source, access=access, parts=parts)
        theirs = await fingerprint_of(self.scheduler, self.destination, path, destination, access=access, parts=parts)
        if ours.digest != theirs.digest:
            message = f"BLAKE3 {ours.digest.hex()} at the source, {theirs.digest.hex()} at the destination"
            raise FileError(FileReason.HASH_MISMATCH, message)
        self._compare_metadata(one, ours.descriptor, theirs.descriptor)

    async def _directory(self, one: _Pair) -> None:
        """A folder that only leads to something that is included keeps its own metadata."""
        if self.filters.descent(one.path) is not Descent.WHOLE:
            return
        ours = theirs = None
        if self.metadata.parts:
            access, parts = self.metadata.access, self.metadata.parts
            ours = await folder_descriptor(self.source, one.path, access, parts)
            theirs = await folder_descriptor(self.destination, one.path, access, parts)
        self._compare_metadata(one, ours, theirs)

    def _compare_metadata(self, one: _Pair, ours: bytes | None, theirs: bytes | None) -> None:
        found = listed_differences(one.source, one.destination, self.metadata)
        if one.source.name != one.destination.name:
            found.append(f"the destination spells it {one.destination.name!r}")
        if ours is not None and theirs is not None:
            found += security_differences(ours, theirs, self.metadata.parts)
        if found:
            raise FileError(FileReason.METADATA_MISMATCH, "; ".join(found))
