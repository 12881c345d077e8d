"""What a transfer would do, found by listing both sides, for a person to approve; and what it may delete after that."""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from smbferry_engine.model import Endpoint, Observer, Options
from smbferry_engine.operations.conduct import conduct
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.operations.transfer import Roots, check_roots, each_file, root_folder
from smbferry_engine.paths import display
from smbferry_engine.plan.decide import Action
from smbferry_engine.plan.name_set import NameSet
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.descriptors import file_descriptor
from smbferry_engine.share.share import Share
from smbferry_engine.times import to_filetime
from smbferry_engine.tree.approval import Approved
from smbferry_engine.tree.folders import child_done
from smbferry_engine.tree.items import FileItem
from smbferry_engine.tree.prune import judge
from smbferry_engine.tree.removals import Removals
from smbferry_words.options import CompareBy
from smbferry_words.run import PhaseName

SHOWN: Final = 20
_CORRECTED: Final = frozenset({Action.METADATA, Action.COMPLETE})


@dataclass(slots=True)
class PlannedAmount:
    """Files and folders, the bytes of the files at the source, and the first names."""

    files: int = 0
    directories: int = 0
    bytes: int = 0
    paths: list[str] = field(default_factory=list)

    def add(self, path: str, size: int) -> None:
        """Count a file."""
        self.files += 1
        self.bytes += size
        if len(self.paths) < SHOWN:
            self.paths.append(display(path))


@dataclass(slots=True)
class Outline:
    """What a transfer would do, as listings of both sides show it.

    ``newer`` are those to be replaced, or compared by content, that are newer at the destination. ``changed`` of the
    files to be replaced have a source that has changed since a given time; they are not in ``replaced``. ``existing``
    counts what the destination has. ``failed`` could not be planned. ``source_id`` and ``destination_id`` identify the
    roots on their volumes, 0 if a server does not tell. ``deletions`` is the digest of all names to be deleted, and
    ``approved`` these names.
    """

    created: PlannedAmount = field(default_factory=PlannedAmount)
    replaced: PlannedAmount = field(default_factory=PlannedAmount)
    newer: PlannedAmount = field(default_factory=PlannedAmount)
    deleted: PlannedAmount = field(default_factory=PlannedAmount)
    changed: int = 0
    corrected: int = 0
    compared: int = 0
    existing: int = 0
    failed: int = 0
    source_id: int = 0
    destination_id: int = 0
    deletions: str = ""
    approved: Approved | None = None


def outline(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    since: datetime | None = None,
    control: Control = UNCONTROLLED,
) -> Outline:
    """Return what a transfer with these options would do. Nothing is written.

    If the options have a SID map, the descriptors that it applies to are read, so that its effect is counted.

    Args:
        since: when an earlier plan was made, by a clock that differs from the source server's by minutes at most.

    Raises:
        EngineError: as :func:`~smbferry_engine.operations.transfer.transfer` does, also if a guard forbids deletions.
    """
    found = Outline()

    async def look(run: RunContext) -> None:
        await plan_run(run, found, since=to_filetime(since) if since is not None else None)

    conduct(source, destination, options_of_plan(options), observer, look, control=control)
    return found


def options_of_plan(options: Options) -> Options:
    """Return the options under which nothing is changed and no content is read. The confirmation of a mirror is not
    needed for a plan.
    """
    compare_by = CompareBy.CHECKSUM if options.compare_by is CompareBy.CHECKSUM else CompareBy.SIZE_AND_TIME
    return replace(options, dry_run=True, unconfirmed="", compare_by=compare_by)


async def plan_run(run: RunContext, found: Outline, *, since: int | None = None) -> None:
    """Walk both trees and add what is found to ``found``; ``since`` is a FILETIME."""
    removals = Removals()

    async def tell(item: FileItem) -> None:
        _count(found, item, since)
        await _count_sids(run, item)
        await child_done(run, item.folder)

    run.tally.phases.begin(PhaseName.PREPARE)
    roots: Roots = await check_roots(run)
    found.source_id = await _identity_of(run, run.source)
    found.destination_id = await _identity_of(run, run.destination)
    await each_file(run, removals, tell, (root_folder(run, roots),))
    if run.policy.removes:
        judge(run, removals)
    files, folders = run.tally.counters.files, run.tally.counters.directories
    found.existing = files.listed_destination + folders.listed_destination
    found.failed = files.failed + folders.failed
    if run.policy.options.sid_map.rules and run.policy.metadata.security_parts:
        run.tally.observer.sids(run.tally.sids.facts(run.policy.options.sid_map))
    run.tally.phases.end_if_running(PhaseName.PREPARE)
    found.approved = Approved.of(removals)
    _count_deletions(found, found.approved)


async def _identity_of(run: RunContext, share: Share) -> int:
    """Return what identifies the root folder on its server and volume, 0 if the server does not tell."""
    opened = await run.recovery.persist(lambda: share.open_root(query_disk_id=True))
    return opened.disk_id


def _count(found: Outline, item: FileItem, since: int | None) -> None:
    size, path = item.source.size, item.path
    if item.action in _CORRECTED:
        found.corrected += 1
        return
    if item.action is Action.CREATE or item.destination is None:
        found.created.add(path, size)
        return
    if item.action is Action.COMPARE:
        found.compared += 1
    elif since is not None and max(item.source.write_time, item.source.change_time) >= since:
        found.changed += 1
    else:
        found.replaced.add(path, size)
    if item.destination.write_time > item.source.write_time:
        found.newer.add(path, size)


async def _count_sids(run: RunContext, item: FileItem) -> None:
    policy = run.policy.metadata
    if run.policy.options.sid_map.rules and policy.security_parts and item.action in (Action.CREATE, Action.REPLACE):
        access, parts = policy.read_access, policy.security_parts
        await run.recovery.persist(lambda: file_descriptor(run.source, item.path, access, parts))


def _count_deletions(found: Outline, approved: Approved) -> None:
    names, first = NameSet(), deque[str](maxlen=SHOWN)
    for path, directory in approved.names():
        names.add(path, directory=directory)
        found.deleted.files += not directory
        found.deleted.directories += directory
        first.append(path)
    found.deletions = names.digest
    found.deleted.paths = [display(path) for path in reversed(first)]
