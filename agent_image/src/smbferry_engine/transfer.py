"""One run from end to end: both sides up, walk and copy at once, verify, prune; nothing half-done stays."""

import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from smbferry_engine.cleanup import clean_up
from smbferry_engine.core.group import run_all
from smbferry_engine.core.sync import Queue
from smbferry_engine.errors import (
    ACCESS_DENIED,
    CANCELLED,
    OPTIONS_INVALID,
    SAME_DESTINATION,
    EngineError,
    FileError,
)
from smbferry_engine.filters import Descent, Filters
from smbferry_engine.folders import Folder
from smbferry_engine.metadata import Compared
from smbferry_engine.model import (
    Counters,
    DeletedFiles,
    Endpoint,
    Observer,
    Options,
    Outcome,
    Phase,
    Result,
    ServerSideState,
    TransferMode,
)
from smbferry_engine.paths import overlaps
from smbferry_engine.plan import DeleteLimit, removes
from smbferry_engine.privileges import check_audit_privilege
from smbferry_engine.progress import Limiter, Meter
from smbferry_engine.prune import judge, prune, replace
from smbferry_engine.recovery import Recovery
from smbferry_engine.roots import check_root, check_writable, root_entries, root_of
from smbferry_engine.run import Run
from smbferry_engine.server_copy import ServerCopy
from smbferry_engine.server_copy import judge as judge_server_side
from smbferry_engine.sides import Sides
from smbferry_engine.transport import Driver
from smbferry_engine.trees import Comparer, Difference, Where
from smbferry_engine.walk import Walker
from smbferry_engine.work import FileItem, process, process_put_off

FILES_IN_FLIGHT = 24
FOLDERS_IN_FLIGHT = 8
QUEUED_FILES = 5_000


def transfer(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    *,
    cancelled: Callable[[], bool],
    abandoned: Callable[[], bool] = lambda: True,
    may_replace: Callable[[], bool] = lambda: True,
    clock: Callable[[], float] = time.monotonic,
    bytes_per_second: Callable[[], int | None] | None = None,
) -> Result:
    """Bring ``destination`` to the state of ``source`` as ``options`` say.

    ``cancelled`` is asked a few times a second, and ``abandoned`` once it was true: where somebody goes on with the
    run, temporary files stay. ``may_replace`` is asked before each file at the destination is deleted or replaced, and
    waited for. ``bytes_per_second``, where given, is asked for the limit, in place of the option.
    Raises :class:`EngineError` when the run as a whole fails; single files only make the outcome
    ``PartiallySucceeded``.
    """

    def work(run: Run) -> Coroutine[Any, Any, None]:
        run.abandoned, run.may_replace = abandoned, may_replace
        return execute(run)

    return conduct(
        source,
        destination,
        options,
        observer,
        work,
        cancelled=cancelled,
        clock=clock,
        bytes_per_second=bytes_per_second,
    )


def conduct(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    work: Callable[[Run], Coroutine[Any, Any, None]],
    *,
    cancelled: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    bytes_per_second: Callable[[], int | None] | None = None,
) -> Result:
    """Connect both sides and do ``work`` between them, as :func:`transfer` does the whole of a run."""
    filters = check_options(source, destination, options)
    server_side = judge_server_side(source, destination, options)
    sides = Sides(source, destination, observer.security)
    try:
        driver = Driver(sides.channels, clock=clock)
        counters = Counters()
        observer.server_side(server_side)
        by_server = server_side.state is ServerSideState.READY
        run = Run(
            source=sides.shares[0],
            destination=sides.shares[1],
            options=options,
            filters=filters,
            observer=observer,
            scheduler=driver.scheduler,
            limiter=Limiter(driver.scheduler, bytes_per_second or (lambda: options.bytes_per_second)),
            recovery=Recovery(driver.scheduler, counters, sides.broken, sides.restore),
            counters=counters,
            server_copy=ServerCopy(source, destination, observer.server_side) if by_server else None,
        )
        return _drive(run, driver, work(run), cancelled)
    finally:
        sides.close()


def check_options(source: Endpoint, destination: Endpoint, options: Options) -> Filters:
    """Everything about a run that can be judged before anything is reached."""
    if source.share_key == destination.share_key and overlaps(root_of(source), root_of(destination)):
        raise EngineError(
            SAME_DESTINATION, f"two folders apart expected, found {source.path!r} and {destination.path!r} of one share"
        )
    if options.deleted_files is DeletedFiles.REMOVE and options.transfer_mode is TransferMode.ALL:
        raise EngineError(OPTIONS_INVALID, "deletedFiles Remove needs transferMode Changed")
    try:
        DeleteLimit.parse(options.max_deletes)
        return Filters(options.include, options.exclude)
    except ValueError as error:
        raise EngineError(OPTIONS_INVALID, str(error)) from error


def _drive(run: Run, driver: Driver, work: Coroutine[Any, Any, None], cancelled: Callable[[], bool]) -> Result:
    meter = Meter(run.counters)

    def tick(now: float) -> None:
        if cancelled():
            raise EngineError(CANCELLED, "the run was cancelled")
        if meter.due(now):
            run.observer.progress(run.counters)

    try:
        driver.run(work, tick)
    except BaseException as error:
        clean_up(run, driver, told_to_stop=isinstance(error, EngineError) and error.reason == CANCELLED.name)
        run.phases.fail_running()
        raise
    finally:
        run.observer.progress(run.counters)
    if run.temporaries:
        clean_up(run, driver)
    outcome = Outcome.PARTIALLY_SUCCEEDED if run.failures else Outcome.SUCCEEDED
    return Result(run.counters, outcome, dict(run.failures))


async def execute(run: Run) -> None:
    """Everything that a run does once both sides are up; :class:`EngineError` when it fails as a whole."""
    run.phases.begin(Phase.PREPARE)
    await check_roots(run)
    await check_audit_privilege(run)
    await _walk_and_copy(run)
    if run.verifies_trees:
        await _verify_trees(run)
    if removes(run.options):
        run.phases.begin(Phase.DELETE)
        judge(run)
        if not run.options.dry_run:
            await prune(run)
        run.phases.end(Phase.DELETE)
    else:
        run.phases.skip(Phase.DELETE)


async def check_roots(run: Run) -> None:
    """Both folders are there, and the destination's may be written to."""

    async def both() -> None:
        other = run.scheduler.spawn(check_root(run.destination, "destination"))
        ours = await check_root(run.source, "source")
        theirs = await other
        if not run.options.dry_run:
            await check_writable(run.destination, theirs)
        run.roots = root_entries(run.source, ours, run.destination, theirs)

    # A session may end here as well as later: a slow start with a ticket that was nearly over.
    await run.recovery.persist(both)


async def _walk_and_copy(run: Run) -> None:
    run.phases.begin(Phase.TRANSFER)
    if run.verifies_each:
        run.phases.begin(Phase.VERIFY)
    elif not run.verifies_trees:
        run.phases.skip(Phase.VERIFY)
    await each_file(run, process)
    if run.replacing_files or run.replacing_folders:
        await replace(run)
        await each_file(run, process, run.replacing_folders, run.replacing_files)
    run.phases.end(Phase.TRANSFER)
    if run.verifies_each:
        run.phases.end(Phase.VERIFY)


async def each_file(
    run: Run,
    handle: Callable[[Run, FileItem], Coroutine[Any, Any, None]],
    folders: Iterable[Folder] | None = None,
    files: Iterable[FileItem] = (),
) -> None:
    """Walkers fill a queue while workers empty it; the walk's end is the end of the phase Prepare.

    ``folders`` are where the walk begins, the root unless told otherwise; ``files`` are there already.
    """
    queue: Queue[FileItem] = Queue(QUEUED_FILES)
    walker = Walker(run, (_root_folder(run),) if folders is None else folders, queue)

    async def walk() -> None:
        for item in files:
            await queue.put(item)
        await run_all(run.scheduler, [walker.run() for _ in range(FOLDERS_IN_FLIGHT)])
        queue.close()
        if folders is None:
            run.phases.end(Phase.PREPARE)

    async def work() -> None:
        while (item := await queue.get()) is not None:
            await handle(run, item)

    tasks: list[Coroutine[Any, None, None]] = [walk(), *(work() for _ in range(FILES_IN_FLIGHT))]
    try:
        await run_all(run.scheduler, tasks)
        await process_put_off(run)
    except FileError as error:
        raise EngineError(ACCESS_DENIED, f"the transfer's root folder: {error.message}") from error


def _root_folder(run: Run) -> Folder:
    """The transfer's root, which counts and is finished as any other folder; not if it only leads to what is wanted."""
    ours, theirs = run.roots or (None, None)
    selected = run.filters.descent("") is Descent.WHOLE
    if selected and run.owns(""):
        run.counters.directories.listed += 1
    return Folder("", None, ours, theirs, frozenset(), 0, selected)


async def _verify_trees(run: Run) -> None:
    """Read both whole trees and compare them, metadata too, after everything has been copied.

    What only the destination has is no difference: the prune is still to come.
    """
    run.phases.begin(Phase.VERIFY)

    def differs(found: Difference) -> None:
        if found.where is not Where.DESTINATION:
            run.fail(found.path, found.kind, "Verify", FileError(found.reason, found.message))

    comparer = Comparer(
        run.scheduler,
        run.source,
        run.destination,
        run.filters,
        differs,
        metadata=Compared(
            run.keeps_times,
            run.keeps_attributes,
            run.security_parts,
            run.read_security_access,
            run.options.modify_window,
        ),
        options=run.options,
        persist=run.recovery.persist,
    )
    await comparer.run()
    run.counters.files.verified += comparer.totals.same_files
    run.counters.directories.verified += comparer.totals.same_directories
    run.phases.end(Phase.VERIFY)
