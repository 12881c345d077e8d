"""Conducts a run from its options to its result: connects both sides, does the work, cleans up."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.cleanup import clean_up
from smbferry_engine.files.server_copy import ServerCopy, judge
from smbferry_engine.model import Counters, Endpoint, Observer, Options, Result, SideName
from smbferry_engine.operations.control import Control
from smbferry_engine.operations.sides import Sides
from smbferry_engine.paths import overlaps
from smbferry_engine.plan.filters import Filters
from smbferry_engine.plan.limits import DeleteLimit
from smbferry_engine.run.context import RunContext, ServerCopier
from smbferry_engine.run.housekeeping import Housekeeping
from smbferry_engine.run.limiter import Limiter
from smbferry_engine.run.policy import Policy
from smbferry_engine.run.politeness import politely
from smbferry_engine.run.scope import Scope, WholeTree
from smbferry_engine.run.tally import Meter, Phases, Tally
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.endpoint import root_of
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.share import Share
from smbferry_engine.share.sid_translation import SidTranslator
from smbferry_engine.share.snapshots import expect_snapshot, may_be_gone
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import DeletedFiles, TransferMode
from smbferry_words.reasons import ENDPOINT_INVALID, OPTIONS_INVALID, RUN_CANCELLED, SAME_DESTINATION
from smbferry_words.run import Outcome, ServerSideState

Work = Callable[[RunContext], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a run: options, the filters in them, the observer, and the part of the tree."""

    options: Options
    filters: Filters
    observer: Observer
    scope: Scope


def conduct(
    source: Endpoint,
    destination: Endpoint,
    options: Options,
    observer: Observer,
    work: Work,
    *,
    control: Control,
    scope: Scope | None = None,
) -> Result:
    """Connect both sides and do ``work`` between them.

    Raises:
        EngineError: the run as a whole failed.
    """
    asked = Asked(options, check_options(source, destination, options), observer, scope or WholeTree())
    server_side = judge(source, destination, options.server_side_copy)
    sides = Sides(source, destination, observer.security)
    try:
        driver = Driver(sides.channels, clock=control.clock)
        observer.server_side(server_side)
        by_server = server_side.state is ServerSideState.READY
        server_copy = ServerCopy(source, destination, observer.server_side) if by_server else None
        counters = Counters()
        recovery = Recovery(driver.scheduler, counters, sides.broken, sides.restore)
        run = make_run(
            sides.shares,
            asked,
            control=control,
            scheduler=driver.scheduler,
            recovery=recovery,
            counters=counters,
            server_copy=server_copy,
        )
        ends: dict[SideName, Endpoint] = {"source": source, "destination": destination}
        return _drive(run, driver, politely(driver, options.politeness, ends, counters, work(run)), control)
    finally:
        sides.close()


def make_run(
    shares: list[Share],
    asked: Asked,
    *,
    control: Control,
    scheduler: Scheduler,
    recovery: Recovery,
    counters: Counters,
    server_copy: ServerCopier | None = None,
) -> RunContext:
    """Build the context of a run between two shares, however they are connected."""
    options, observer = asked.options, asked.observer
    source, destination = shares
    run = RunContext(
        source=source,
        destination=destination,
        policy=Policy.of(options, asked.filters, control.may_replace),
        housekeeping=Housekeeping(control.handover),
        tally=Tally(counters, observer, Phases(observer)),
        scope=asked.scope,
        scheduler=scheduler,
        limiter=Limiter(scheduler, control.limit(options)),
        recovery=recovery,
        server_copy=server_copy,
    )
    if run.policy.metadata.security_parts:
        run.tally.sids.domain = lambda: destination.ownership.domain
        source.translate = SidTranslator(options.sid_map, run.tally.translated)
    recovery.resumed = lambda: run.housekeeping.resume_points.amount
    if source.snapshot:
        recovery.refused = partial(_judge_refusal, run)
    return run


async def _judge_refusal(run: RunContext, error: FileError) -> None:
    """Raise :class:`EngineError` SnapshotGone if that is why a file failed: it is told once and not for each file."""
    if not may_be_gone(error):
        return
    await run.recovery.persist(lambda: expect_snapshot(run.source))
    if error.status == NtStatus.OBJECT_PATH_NOT_FOUND:
        # Samba 4.17 looks for the folder in the files as they are, even if the name in it is one of a snapshot.
        message = f"{error.message}; the snapshot is there, but its server finds no folder that was deleted since"
        raise FileError(error.reason, message, status=error.status) from error


def check_options(source: Endpoint, destination: Endpoint | None, options: Options) -> Filters:
    """Check what can be checked before anything is reached; returns the filters. Raises :class:`EngineError`."""
    if destination is None:
        return _filters(options)
    if source.share_key == destination.share_key and overlaps(root_of(source.path), root_of(destination.path)):
        raise EngineError(
            SAME_DESTINATION,
            f"expected two separate folders, got {source.path!r} and {destination.path!r} of one share",
        )
    if destination.snapshot is not None:
        raise EngineError(ENDPOINT_INVALID, "expected a destination that can be written to, got a snapshot")
    if options.deleted_files is DeletedFiles.REMOVE and options.transfer_mode is TransferMode.ALL:
        raise EngineError(OPTIONS_INVALID, "deletedFiles: Remove requires transferMode: Changed")
    try:
        DeleteLimit.parse(options.max_deletes)
    except ValueError as error:
        raise EngineError(OPTIONS_INVALID, str(error)) from error
    return _filters(options)


def _filters(options: Options) -> Filters:
    try:
        return Filters(options.include, options.exclude, options.selection)
    except ValueError as error:
        raise EngineError(OPTIONS_INVALID, str(error)) from error


def _drive(run: RunContext, driver: Driver, work: Coroutine[Any, Any, None], control: Control) -> Result:
    tally = run.tally
    meter = Meter(tally.counters)
    abandoned = control.abandoned or (lambda: run.scope.is_whole)

    def tick(now: float) -> None:
        control.expect_wanted("run")
        if meter.due(now):
            tally.observer.progress(tally.counters)

    try:
        driver.run(work, tick)
    except BaseException as error:
        stopped = isinstance(error, EngineError) and error.reason == RUN_CANCELLED.name
        if clean_up(run, driver, abandoned, told_to_stop=stopped):
            run.housekeeping.handover.leave(run.housekeeping.resume_points)
        tally.phases.fail_running()
        raise
    finally:
        tally.observer.progress(tally.counters)
    if run.housekeeping.opened():
        clean_up(run, driver, abandoned)
    outcome = Outcome.PARTIALLY_SUCCEEDED if tally.failures else Outcome.SUCCEEDED
    return Result(tally.counters, outcome, dict(tally.failures))
