"""Walks the source alone and counts what is in it: several folders at once, in bounded memory."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.model import Options
from smbferry_engine.paths import (
    MAX_DEPTH,
    MAX_PATH_UNITS,
    SEPARATOR,
    case_key,
    is_staging_name,
    join,
    name_problem,
    plain_keys,
    units,
)
from smbferry_engine.plan.census import Census, Item, Sightings
from smbferry_engine.plan.filters import Descent, Filters
from smbferry_engine.plan.sample import estimate
from smbferry_engine.plan.survey import DomainCount, Finding
from smbferry_engine.plan.system import is_system_folder
from smbferry_engine.run.tally import Tally
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.listing import Listing, Wanted
from smbferry_engine.share.looking import look_at
from smbferry_engine.share.share import Share
from smbferry_engine.tree.frontier import Frontier
from smbferry_engine.wire.attributes import DIRECTORY, REPARSE_POINT, is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.trustees import domain_of, is_local
from smbferry_words.reasons import ACCESS_DENIED
from smbferry_words.survey import Trait

FOLDERS_IN_FLIGHT: Final = 8
LOOKS_IN_FLIGHT: Final = 24
MOST_DOMAINS: Final = 64
_TRAIT_OF_FAILURE: Final = {
    FileReason.ACCESS_DENIED.value: Trait.DENIED_FOLDER,
    FileReason.DIRECTORY_LOOP.value: Trait.FOLDER_LOOP,
}
_TRAIT_OF_REFUSAL: Final = {
    FileReason.ACCESS_DENIED.value: Trait.DENIED,
    FileReason.SHARING_VIOLATION.value: Trait.LOCKED,
}


@dataclass(slots=True)
class _Branch:
    """Folders of one parent that are still to be listed; ``ancestors`` are the file ids of the parent and above.

    A folder is its name, and whether the server opens the content behind it. ``ahead`` is the next one.
    """

    parent: str
    folders: Iterator[tuple[str, bool]]
    ancestors: frozenset[int]
    ahead: tuple[str, bool] | None = None

    def advance(self) -> tuple[str, bool] | None:
        """Return the path of the next folder with its flag, None if there is none."""
        current, self.ahead = self.ahead, next(self.folders, None)
        return None if current is None else (join(self.parent, current[0]), current[1])


@dataclass(frozen=True, slots=True)
class Ground:
    """The source of a survey, and what is asked of it; ``tally`` shows progress."""

    source: Share
    options: Options
    filters: Filters
    scheduler: Scheduler
    recovery: Recovery
    tally: Tally


class Surveyor:
    """Counts one tree."""

    def __init__(self, ground: Ground, census: Census) -> None:
        self._ground = ground
        self._source = ground.source
        self._filters = ground.filters
        self._census = census
        self._frontier: Frontier[_Branch] = Frontier(())

    async def walk(self, root: DirectoryEntry) -> None:
        """List every folder. Raises :class:`EngineError` if the root can't be listed."""
        if self._filters.descent("") is Descent.WHOLE:
            self._census.add_folder("", root)
            self._ground.tally.counters.directories.listed += 1
        self._push(_Branch("", iter([("", not self._source.root_open_reparse_point)]), frozenset()))
        await run_all(self._ground.scheduler, [self._work() for _ in range(FOLDERS_IN_FLIGHT)])

    async def _work(self) -> None:
        while (branch := await self._frontier.take()) is not None:
            folder = branch.advance()
            if branch.ahead is not None:
                self._frontier.push(branch)
            if folder is not None:
                await self._survey(*folder, branch.ancestors)
            self._frontier.walked()

    def _push(self, branch: _Branch) -> None:
        branch.advance()
        if branch.ahead is not None:
            self._frontier.push(branch)

    async def _survey(self, path: str, elsewhere: bool, ancestors: frozenset[int]) -> None:  # noqa: FBT001
        try:
            listing = await self._ground.recovery.persist(lambda: self._list(path, ancestors, elsewhere=elsewhere))
        except FileError as error:
            if not path:
                raise EngineError(ACCESS_DENIED, f"the source's root folder: {error.message}") from error
            if error.reason != FileReason.FILE_VANISHED:
                self._census.found(_TRAIT_OF_FAILURE.get(error.reason, Trait.UNREADABLE), path)
            return
        above = ancestors | {listing.identity}
        if listing.entries.is_packed:
            # Only its packed form stays in memory: the names of its folders are unpacked as they are needed.
            for part in listing.entries.parts():
                self._count(path, part)
            self._push(_Branch(path, self._folders(path, listing.entries), above))
        else:
            counted = self._count(path, list(listing.entries))
            self._push(_Branch(path, iter(list(self._folders(path, counted))), above))

    async def _list(self, path: str, ancestors: frozenset[int], *, elsewhere: bool) -> Listing:
        wanted = Wanted(open_reparse_point=not elsewhere)
        listing = await self._source.listing(path, "listing the folder", wanted)
        if listing.identity and listing.identity in ancestors:
            raise FileError(FileReason.DIRECTORY_LOOP, "the folder is one of its own parents")
        return listing

    def _count(self, folder: str, entries: list[DirectoryEntry]) -> list[DirectoryEntry]:
        """Count the entries of a folder, or those of a part of it that has all names that are the same to SMB.

        Returns those whose names can be copied.
        """
        entries = self._without_odd_names(folder, entries)
        files: list[DirectoryEntry] = []
        listed = self._ground.tally.counters
        for entry in entries:
            if not entry.attributes & (DIRECTORY | REPARSE_POINT):
                files.append(entry)
            elif entry.attributes & REPARSE_POINT and not is_data_elsewhere(entry):
                self._count_link(join(folder, entry.name), entry)
            elif entry.attributes & DIRECTORY:
                self._count_folder(join(folder, entry.name), entry)
            else:
                files.append(entry)
        if not self._filters.want_all:
            files = [entry for entry in files if self._filters.wants_file(join(folder, entry.name), entry)]
        self._census.add_files(folder, files)
        listed.files.listed += len(files)
        listed.bytes.to_transfer += sum(entry.size for entry in files)
        return entries

    def _count_link(self, path: str, entry: DirectoryEntry) -> None:
        directory = bool(entry.attributes & DIRECTORY)
        if self._filters.descent(path) is Descent.WHOLE if directory else self._filters.wants_file(path, entry):
            self._census.add_link(path, entry)

    def _count_folder(self, path: str, entry: DirectoryEntry) -> None:
        descent = self._filters.descent(path)
        if descent is Descent.NONE:
            return
        if self._is_system(path, entry):
            self._census.found(Trait.SYSTEM_FOLDER, path)
        elif self._is_too_long(path):
            self._census.found(Trait.TOO_LONG_PATH, path)
        elif descent is Descent.WHOLE:
            self._census.add_folder(path, entry)
            self._ground.tally.counters.directories.listed += 1

    def _folders(self, folder: str, entries: Iterable[DirectoryEntry]) -> Iterator[tuple[str, bool]]:
        """Yield the names of the folders to list, and whether their content is behind a reparse point."""
        for entry in entries:
            if not entry.attributes & DIRECTORY or name_problem(entry.name):
                continue
            if entry.attributes & REPARSE_POINT and not is_data_elsewhere(entry):
                continue
            path = join(folder, entry.name)
            if self._filters.descent(path) is Descent.NONE or self._is_system(path, entry) or self._is_too_long(path):
                continue
            yield entry.name, is_data_elsewhere(entry)

    def _is_system(self, path: str, entry: DirectoryEntry) -> bool:
        system = self._ground.options.system_folders
        return is_system_folder(path, entry, self._source.root, self._filters, system)

    def _is_too_long(self, path: str) -> bool:
        return path.count(SEPARATOR) >= MAX_DEPTH or units(path) + 2 * len(self._source.root) > MAX_PATH_UNITS

    def _without_odd_names(self, folder: str, entries: list[DirectoryEntry]) -> list[DirectoryEntry]:
        """Count names that can't be copied; returns the entries that can."""
        found = [entry for entry in entries if entry.name not in (".", "..")]
        keys = plain_keys([entry.name for entry in found])
        if keys is not None and len(set(keys)) == len(keys):
            return found
        kept: dict[str, DirectoryEntry] = {}
        for entry in sorted(found, key=lambda entry: entry.name):
            path = join(folder, entry.name)
            if is_staging_name(entry.name):
                continue
            if name_problem(entry.name):
                self._census.found(Trait.REFUSED_NAME, path)
            elif case_key(entry.name) in kept:
                self._census.found(Trait.CASE_COLLISION, path)
            else:
                kept[case_key(entry.name)] = entry
        return list(kept.values())


@dataclass(slots=True)
class Looks:
    """What was seen of the sample."""

    sampled: int = 0
    sightings: dict[Trait, Sightings] = field(default_factory=dict)
    domains: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def found(self, trait: Trait, path: str) -> None:
        """Count a file or folder with a trait."""
        self.sightings.setdefault(trait, Sightings()).add(path)

    def name(self, path: str, sids: frozenset[str], account: str) -> None:
        """Count the domains of the accounts that a descriptor names.

        ``account`` is the SID of the destination's account, whose domain the destination knows; empty if unknown.
        """
        by_domain = {domain: sid for sid in sorted(sids) if (domain := domain_of(sid)) is not None}
        for domain, sid in by_domain.items():
            if domain in self.domains or len(self.domains) < MOST_DOMAINS:
                self.domains[domain] += 1
                self.examples.setdefault(domain, sid)
        if any(is_local(sid) for sid in sids):
            self.found(Trait.LOCAL_SID, path)
        if (own := domain_of(account)) is not None and by_domain.keys() - {own}:
            self.found(Trait.FOREIGN_SID, path)


async def look_at_all(ground: Ground, items: list[Item], account: str) -> Looks:
    """Open every file and folder of a sample, many at once. ``account``: as for :meth:`Looks.name`."""
    looks, queue = Looks(), iter(items)

    async def look() -> None:
        for item in queue:
            seen = await ground.recovery.persist(partial(look_at, ground.source, item.path, item.entry))
            if seen is None:
                continue
            looks.sampled += 1
            if seen.refusal is not None:
                looks.found(_TRAIT_OF_REFUSAL.get(seen.refusal.reason, Trait.UNREADABLE), item.path)
            if seen.links > 1:
                looks.found(Trait.HARD_LINK, item.path)
            if seen.streams:
                looks.found(Trait.STREAM, item.path)
            looks.name(item.path, seen.trustees, account)

    await run_all(ground.scheduler, [look() for _ in range(LOOKS_IN_FLIGHT)])
    return looks


def findings_of(census: Census, looks: Looks) -> tuple[Finding, ...]:
    """Return what listings and sample show, in the order of :class:`Trait`; what only the sample shows is estimated."""
    listed, population = census.sightings(), census.files + census.directories
    found: list[Finding] = []
    for trait in Trait:
        exact, seen = listed.get(trait), looks.sightings.get(trait)
        paths = [*(exact.paths if exact else ()), *(seen.paths if seen else ())]
        if exact is None and seen is None:
            continue
        count, at_most = exact.count if exact else 0, None
        if seen is not None:
            guess = estimate(seen.count, looks.sampled, population)
            at_most = count + guess.at_most if looks.sampled < population else None
            count += guess.likely
        found.append(Finding(trait, count, at_most, tuple(paths)))
    return tuple(found)


def domains_of(looks: Looks) -> tuple[DomainCount, ...]:
    """Return the domains of the accounts that the sample names, the most frequent first."""
    return tuple(DomainCount(domain, count, looks.examples[domain]) for domain, count in looks.domains.most_common())
