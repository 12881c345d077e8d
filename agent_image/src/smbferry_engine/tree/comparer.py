"""Compares two trees by names, kinds, hashes and metadata, folder by folder, in bounded memory."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.fingerprint import fingerprint_of, stream_digests
from smbferry_engine.model import ItemKind
from smbferry_engine.paths import join
from smbferry_engine.plan.attachments import attachment_differences
from smbferry_engine.plan.compare import Compared, listed_differences, security_differences
from smbferry_engine.plan.filters import Descent, Filters
from smbferry_engine.plan.pairing import Pairing, pair
from smbferry_engine.plan.system import is_system_folder
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.descriptors import folder_descriptor
from smbferry_engine.share.entries import Entries, side_by_side
from smbferry_engine.share.listing import Wanted
from smbferry_engine.share.roots import open_roots
from smbferry_engine.share.share import Share
from smbferry_engine.tree.items import kind_of
from smbferry_engine.wire.attributes import DIRECTORY, REPARSE_POINT, is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.options import SystemFolders

_AT_ONCE = 16
_FOLDERS_AT_ONCE = 4
_CONTENT_ONLY = Compared()


class Where(Enum):
    """Which side has the file or folder that differs."""

    SOURCE = "source"
    DESTINATION = "destination"
    BOTH = "both"


class Difference(NamedTuple):
    """One file or folder that differs or could not be compared; ``path`` from the root."""

    path: str
    kind: ItemKind
    where: Where
    reason: str
    message: str


@dataclass(slots=True)
class Totals:
    """What both sides have, and how much of it is the same; ``bytes`` of the source's files."""

    files: int = 0
    directories: int = 0
    bytes: int = 0
    same_files: int = 0
    same_directories: int = 0


async def once(operation: Callable[[], Awaitable[None]]) -> None:
    """Run an operation without repeating it when a connection is lost."""
    await operation()


class _Pair(NamedTuple):
    path: str
    source: DirectoryEntry
    destination: DirectoryEntry


class _Folder(NamedTuple):
    """A folder to compare, and whether each side opens it as a reparse point (see ``open_request``)."""

    path: str
    source_reparse_point: bool = True
    destination_reparse_point: bool = True


@dataclass(slots=True)
class Comparer:
    """Compares two sides and calls ``differs`` for each difference; ``metadata`` says what is compared beside content.

    ``persist`` repeats an operation whose connection was lost (see ``reconnect``). ``system_folders``: whether the
    servers' own folders are compared.
    """

    scheduler: Scheduler
    source: Share
    destination: Share
    filters: Filters
    differs: Callable[[Difference], None]
    metadata: Compared = _CONTENT_ONLY
    system_folders: SystemFolders = SystemFolders.SKIP
    persist: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]] = once
    totals: Totals = field(default_factory=Totals)

    async def run(self) -> None:
        """Compare from the root down: the files of a folder at once, then its folders."""
        stack = [_Folder("")]
        if self.filters.descent("") is Descent.WHOLE:
            await self._root()
        while stack:
            batch = [stack.pop() for _ in range(min(_FOLDERS_AT_ONCE, len(stack)))]
            await run_all(self.scheduler, (self._folder(folder, stack) for folder in batch))

    async def _root(self) -> None:
        """Compare the root folders themselves. One that can't be opened is reported when it is listed."""
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
            asked = Wanted(open_reparse_point=folder.source_reparse_point)
            ours = self.source.listing(path, "listing the source folder", asked)
            listings.append((await ours).entries)
            asked = Wanted(open_reparse_point=folder.destination_reparse_point)
            theirs = self.destination.listing(path, "listing the destination folder", asked)
            listings.append((await theirs).entries)

        try:
            await self.persist(both)
        except FileError as error:
            self.differs(Difference(path, "Directory", Where.BOTH, error.reason, error.message))
            return
        for part in side_by_side(*listings):
            pairing = pair(*part)
            self._report_unpaired(path, pairing)
            shared = list(self._shared(path, pairing))
            queue = iter(shared)
            await run_all(self.scheduler, [self._each(queue, stack) for _ in range(min(_AT_ONCE, len(shared)))])

    def _report_unpaired(self, path: str, pairing: Pairing) -> None:
        """Report names without a counterpart."""
        for entry, reason, message in pairing.refused:
            self._tell(join(path, entry.name), entry, Where.SOURCE, reason, message)
        for entry, reason, message in pairing.twins:
            self._tell(join(path, entry.name), entry, Where.DESTINATION, reason, message)
        for entry in pairing.only_destination:
            if self._wanted(join(path, entry.name), entry, self.destination):
                message = "the source does not have it"
                self._tell(join(path, entry.name), entry, Where.DESTINATION, FileReason.HASH_MISMATCH, message)

    def _shared(self, path: str, pairing: Pairing) -> Iterator[_Pair]:
        """Yield what both sides have and is of one kind."""
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
            if is_system_folder(path, entry, side.root, self.filters, self.system_folders):
                return False
            return self.filters.descent(path) is not Descent.NONE
        return self.filters.wants_file(path, entry)

    def _tell(self, path: str, entry: DirectoryEntry, where: Where, reason: str, message: str) -> None:
        kind = kind_of(entry)
        self.differs(Difference(path, kind, where, reason, message))

    async def _each(self, queue: Iterator[_Pair], stack: list[_Folder]) -> None:
        """Compare pairs from an iterator that several coroutines share."""
        for one in queue:
            if one.source.attributes & DIRECTORY:
                open_as = [not is_data_elsewhere(entry) for entry in (one.source, one.destination)]
                stack.append(_Folder(one.path, *open_as))
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
        access, parts, (kinds, kinds_there) = self.metadata.access, self.metadata.parts, self.metadata.attachments
        ours = await fingerprint_of(
            self.scheduler, self.source, path, source, access=access, parts=parts, attachments=kinds
        )
        theirs = await fingerprint_of(
            self.scheduler, self.destination, path, destination, access=access, parts=parts, attachments=kinds_there
        )
        if ours.digest != theirs.digest:
            message = f"BLAKE3 {ours.digest.hex()} at the source, {theirs.digest.hex()} at the destination"
            raise FileError(FileReason.HASH_MISMATCH, message)
        beside = attachment_differences(ours.attachments, theirs.attachments, (ours.streams, theirs.streams))
        self._compare_metadata(one, ours.descriptor, theirs.descriptor, beside)

    async def _directory(self, one: _Pair) -> None:
        """Compare the metadata of a folder, unless it only leads to something that is included."""
        if self.filters.descent(one.path) is not Descent.WHOLE:
            return
        ours = theirs = None
        if self.metadata.parts:
            access, parts = self.metadata.access, self.metadata.parts
            ours = await folder_descriptor(self.source, one.path, access, parts)
            theirs = await folder_descriptor(self.destination, one.path, access, parts)
        self._compare_metadata(one, ours, theirs, await self._directory_attachments(one))

    async def _directory_attachments(self, one: _Pair) -> list[str]:
        """Return the differences of a folder's streams and extended attributes, in words."""
        kinds, kinds_there = self.metadata.attachments
        if not kinds and not kinds_there:
            return []
        found = []
        for share, entry, asked in ((self.source, one.source, kinds), (self.destination, one.destination, kinds_there)):
            reparse = not is_data_elsewhere(entry)
            beside = await read_attachments(share, one.path, asked, open_reparse_point=reparse)
            digests = await stream_digests(self.scheduler, share, one.path, beside, open_reparse_point=reparse)
            found.append((beside, digests))
        (ours, our_digests), (theirs, their_digests) = found
        return attachment_differences(ours, theirs, (our_digests, their_digests))

    def _compare_metadata(self, one: _Pair, ours: bytes | None, theirs: bytes | None, beside: list[str]) -> None:
        found = beside + listed_differences(one.source, one.destination, self.metadata)
        if one.source.name != one.destination.name:
            found.append(f"spelled {one.destination.name!r} at the destination")
        if ours is not None and theirs is not None:
            found += security_differences(ours, theirs, self.metadata.parts)
        if found:
            raise FileError(FileReason.METADATA_MISMATCH, "; ".join(found))
