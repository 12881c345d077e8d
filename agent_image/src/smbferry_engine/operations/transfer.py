"""A transfer: walk and copy at the same time, verify, prune."""

from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.attachments import compared_kinds, copied_kinds
from smbferry_engine.files.hard_links import tell_missing_names
from smbferry_engine.model import Endpoint, Observer, Options, Result, SideName
from smbferry_engine.operations.conduct import conduct
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.paths import display
from smbferry_engine.plan.compare import Compared
from smbferry_engine.plan.filters import Descent
from smbferry_engine.run.context import RunContext
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.sync import Queue
from smbferry_engine.share.attachments import look_at_volume
from smbferry_engine.share.privileges import check_audit_privilege
from smbferry_engine.share.roots import check_root, check_writable, root_entries
from smbferry_engine.share.share import Share
from smbferry_engine.share.snapshots import expect_snapshot
from smbferry_engine.tree.approval import Approved
from smbferry_engine.tree.comparer import Comparer, Difference, Where
from smbferry_engine.tree.items import FileItem, Folder
from smbferry_engine.tree.links import copy_replacing_links
from smbferry_engine.tree.prune import judge, prune, replace
from smbferry_engine.tree.removals import Removals
from smbferry_engine.tree.walk import Walker
from smbferry_engine.tree.worker import Worker
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_words.reasons import ACCESS_DENIED
from smbferry_words.run import NotCarriedKind, PhaseName

FILES_IN_FLIGHT = 24
FOLDERS_IN_FLIGHT = 8
QUEUED_FILES = 5_000


def transfer(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    approved: Approved | None = None,
    control: Control = UNCONTROLLED,
) -> Result:
    """Bring ``destination`` to the state of ``source`` as ``options`` say.

    Args:
        approved: nothing else is deleted, and what else would be is reported; None for no such limit.

    Raises:
        EngineError: the run as a whole failed; failures of single files only make the outcome ``PartiallySucceeded``.
    """
    return conduct(source, destination, options, observer, partial(execute, approved=approved), control=control)


async def execute(run: RunContext, approved: Approved | None = None) -> None:
    """Do everything that follows the connection of both sides; :class:`EngineError` if the run as a whole fails."""
    try:
        await _execute(run, approved)
    finally:
        if run.policy.metadata.security_parts:
            tally = run.tally
            tally.sids.settle(tally.not_carried)
            tally.observer.sids(tally.sids.facts(run.policy.options.sid_map))


async def _execute(run: RunContext, approved: Approved | None) -> None:
    run.tally.phases.begin(PhaseName.PREPARE)
    roots = await check_roots(run)
    await check_audit_privilege(run.source, run.destination, run.policy.metadata)
    removals = Removals()
    await _walk_and_copy(run, roots, removals, approved)
    if run.policy.verifies_trees:
        await _verify_trees(run)
    await _expect_snapshot(run)
    if run.policy.removes:
        run.tally.phases.begin(PhaseName.DELETE)
        judge(run, removals)
        if not run.policy.options.dry_run:
            await prune(run, removals, approved)
        run.tally.phases.end(PhaseName.DELETE)
    else:
        run.tally.phases.skip(PhaseName.DELETE)


async def _expect_snapshot(run: RunContext) -> None:
    """Raise :class:`EngineError` SnapshotGone unless the source's snapshot, if it is read, was there until now.

    The listing of a snapshot that goes away may end early without an error: files would count as deleted.
    """
    if run.source.snapshot:
        await run.recovery.persist(lambda: expect_snapshot(run.source))


Roots = tuple[DirectoryEntry, DirectoryEntry]


async def check_roots(run: RunContext) -> Roots:
    """Check that both roots exist and the destination is writable; returns both as a listing would show them."""

    async def both() -> Roots:
        other = run.scheduler.spawn(check_root(run.destination, "destination"))
        ours = await check_root(run.source, "source")
        theirs = await other
        if not run.policy.options.dry_run:
            await check_writable(run.destination, theirs.maximal_access)
        await _look_at_volumes(run)
        return root_entries(run.source, ours, run.destination, theirs)

    # The session may end as early as this, if its ticket was about to end.
    return await run.recovery.persist(both)


async def _look_at_volumes(run: RunContext) -> None:
    """Find out once which attachments both volumes can hold, so that nothing is asked where there can be none."""
    other = run.scheduler.spawn(_look(run.destination, "destination"))
    refusal = await _look(run.source, "source")
    await other
    if refusal is not None and copied_kinds(run, run.source).eas:
        run.source.holds = run.source.holds._replace(eas=False)
        if not run.scope.holds(""):
            return
        run.tally.not_carried("", NotCarriedKind.EXTENDED_ATTRIBUTE, refusal.message)
        run.tally.miss("", "Directory", refusal)


async def _look(share: Share, side: SideName) -> FileError | None:
    try:
        return await look_at_volume(share)
    except FileError as error:
        if share.snapshot:
            await expect_snapshot(share)
        raise EngineError(ACCESS_DENIED, f"the {side} folder {display(share.root)}: {error.message}") from error


async def _walk_and_copy(run: RunContext, roots: Roots, removals: Removals, approved: Approved | None) -> None:
    run.tally.phases.begin(PhaseName.TRANSFER)
    if run.policy.verifies_each:
        run.tally.phases.begin(PhaseName.VERIFY)
    elif not run.policy.verifies_trees:
        run.tally.phases.skip(PhaseName.VERIFY)
    worker = Worker(run, removals)
    try:
        await each_file(run, removals, worker.process, (root_folder(run, roots),))
        await worker.process_put_off()
        if removals.files or removals.folders or removals.links:
            await _expect_snapshot(run)
            await replace(run, removals, approved)
            await copy_replacing_links(run, removals)
            await each_file(run, removals, worker.process, removals.folders, removals.files)
            await worker.process_put_off()
        await worker.process_in_use()
        tell_missing_names(run)
    except EngineError:
        worker.give_up()
        raise
    run.tally.phases.end(PhaseName.TRANSFER)
    if run.policy.verifies_each:
        run.tally.phases.end(PhaseName.VERIFY)


async def each_file(
    run: RunContext,
    removals: Removals,
    handle: Callable[[FileItem], Coroutine[Any, Any, None]],
    folders: Iterable[Folder],
    files: Iterable[FileItem] = (),
) -> None:
    """Walk trees and handle each file; the phase Prepare ends with the first walk.

    ``folders`` are where the walk begins; ``files`` are handled in addition.
    """
    queue: Queue[FileItem] = Queue(QUEUED_FILES)
    walker = Walker(run, removals, folders, queue)

    async def walk() -> None:
        for item in files:
            await queue.put(item)
        await run_all(run.scheduler, [walker.run() for _ in range(FOLDERS_IN_FLIGHT)])
        queue.close()
        run.tally.phases.end_if_running(PhaseName.PREPARE)

    async def work() -> None:
        while (item := await queue.get()) is not None:
            await handle(item)

    tasks: list[Coroutine[Any, None, None]] = [walk(), *(work() for _ in range(FILES_IN_FLIGHT))]
    try:
        await run_all(run.scheduler, tasks)
    except FileError as error:
        raise EngineError(ACCESS_DENIED, f"the transfer's root folder: {error.message}") from error


def root_folder(run: RunContext, roots: Roots) -> Folder:
    """Return the transfer's root, which is counted and settled like any other folder if the filters select it."""
    selected = run.policy.filters.descent("") is Descent.WHOLE
    if selected and run.scope.holds(""):
        run.tally.counters.directories.listed += 1
    return Folder("", None, *roots, frozenset(), settles=selected)


async def _verify_trees(run: RunContext) -> None:
    """Compare both whole trees, with metadata, after everything has been copied.

    What only the destination has is no difference: it is pruned later.
    """
    run.tally.phases.begin(PhaseName.VERIFY)

    def differs(found: Difference) -> None:
        if found.where is not Where.DESTINATION:
            run.tally.fail(found.path, found.kind, "Verify", FileError(found.reason, found.message))

    policy = run.policy.metadata
    comparer = Comparer(
        run.scheduler,
        run.source,
        run.destination,
        run.policy.filters,
        differs,
        metadata=Compared(
            policy.times,
            policy.attributes,
            policy.security_parts,
            policy.read_access,
            run.policy.options.modify_window,
            compared_kinds(run),
        ),
        system_folders=run.policy.options.system_folders,
        persist=run.recovery.persist,
    )
    run.tally.sids.counting = False
    await comparer.run()
    run.tally.counters.files.verified += comparer.totals.same_files
    run.tally.counters.directories.verified += comparer.totals.same_directories
    run.tally.phases.end(PhaseName.VERIFY)
