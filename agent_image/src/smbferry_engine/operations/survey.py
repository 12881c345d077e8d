"""Looks through a source and tells what a migration will meet. Nothing is written at the source.

At the destination nothing is written either, unless the forecast is to be one of copying: then a sample is copied into
a private folder there, and deleted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.cleanup import run_clean_up
from smbferry_engine.files.server_copy import ServerCopy, judge
from smbferry_engine.model import (
    Counters,
    Endpoint,
    Evidence,
    FileFailure,
    FileRecord,
    NotCarried,
    Observer,
    Options,
    RetryFact,
    RetryLocked,
    ServerSideFact,
    SideName,
    SidFacts,
)
from smbferry_engine.operations.conduct import Asked, check_options, make_run
from smbferry_engine.operations.control import UNCONTROLLED, Control
from smbferry_engine.operations.sides import Sides
from smbferry_engine.paths import SEPARATOR, display
from smbferry_engine.plan.census import Census
from smbferry_engine.plan.forecast import Measured, Whole, forecast
from smbferry_engine.plan.survey import Survey
from smbferry_engine.run.context import RunContext, ServerCopier
from smbferry_engine.run.politeness import politely
from smbferry_engine.run.scope import WholeTree
from smbferry_engine.run.tally import Meter, Phases, Tally
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.endpoint import root_of
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.attachments import look_at_volume
from smbferry_engine.share.roots import check_root, check_writable, root_entry
from smbferry_engine.share.scratch import make_scratch, remove_scratch
from smbferry_engine.share.share import Share
from smbferry_engine.sids import sid_text
from smbferry_engine.times import to_filetime
from smbferry_engine.tree.measure import measure
from smbferry_engine.tree.surveyor import Ground, Surveyor, domains_of, findings_of, look_at_all
from smbferry_engine.wire.directory import FULL
from smbferry_words.options import DeletedFiles, Preservation, VerifyMode
from smbferry_words.reasons import ACCESS_DENIED
from smbferry_words.run import PhaseName, ServerSideState
from smbferry_words.survey import Basis


@dataclass(slots=True)
class Site:
    """What a survey works with. ``shares`` are the source, and the destination if samples are copied.

    ``scratch`` is the folder in the destination's root that samples are copied into, empty while there is none.
    ``account`` is the SID of the destination's account, empty while it is not known.
    """

    shares: list[Share]
    asked: Asked
    control: Control
    scheduler: Scheduler
    recovery: Recovery
    counters: Counters
    census: Census
    server_copy: ServerCopier | None = None
    scratch: str = ""
    account: str = ""


def survey_source(
    source: Endpoint,
    destination: Endpoint | None,
    options: Options,
    observer: Observer,
    *,
    control: Control = UNCONTROLLED,
    base: str = "",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Survey:
    """Look through ``source`` as a run with ``options`` would, and forecast such runs.

    With a ``destination``, a sample is copied into a private folder there and deleted, and the forecast is one of
    copying instead of reading. A folder that can't be deleted is reported to the observer as a failure; the next run to
    the destination deletes it. ``base`` is the destination's path, ``/`` separated, which counts for the length of
    paths.

    Raises:
        EngineError: the survey as a whole failed.
    """
    filters = check_options(source, destination, options)
    sides = Sides(source, destination, observer.security)
    # Only full entries hold the tags of links and the sizes of extended attributes.
    sides.shares[0] = Share(sides.channels[0].session, root_of(source.path), sides.shares[0].snapshot, FULL)
    try:
        driver, counters = Driver(sides.channels, clock=control.clock), Counters()
        site = Site(
            shares=sides.shares,
            asked=Asked(options, filters, observer, WholeTree()),
            control=control,
            scheduler=driver.scheduler,
            recovery=Recovery(driver.scheduler, counters, sides.broken, sides.restore),
            counters=counters,
            census=Census(to_filetime(now()), root_of(base)),
            server_copy=_server_copy(source, destination, options),
        )
        ends: dict[SideName, Endpoint] = {"source": source}
        if destination is not None:
            ends["destination"] = destination
        return _drive(site, driver, ends)
    finally:
        sides.close()


def _server_copy(source: Endpoint, destination: Endpoint | None, options: Options) -> ServerCopy | None:
    """Let the server copy samples by itself where it would do so in a run."""
    if destination is None:
        return None
    ready = judge(source, destination, options.server_side_copy).state is ServerSideState.READY
    return ServerCopy(source, destination, lambda _fact: None) if ready else None


def _drive(site: Site, driver: Driver, ends: dict[SideName, Endpoint]) -> Survey:
    observer, phases, meter = site.asked.observer, Phases(site.asked.observer), Meter(site.counters)

    def tick(now: float) -> None:
        site.control.expect_wanted("survey")
        if meter.due(now):
            observer.progress(site.counters)

    try:
        work = look_through(site, phases)
        return driver.run(politely(driver, site.asked.options.politeness, ends, site.counters, work), tick)
    except BaseException:
        _clean_up(site, driver)
        phases.fail_running()
        raise
    finally:
        observer.progress(site.counters)


def _clean_up(site: Site, driver: Driver) -> None:
    """Delete the samples of a survey that was stopped, in bounded time; the next run deletes what stays."""
    if not site.scratch or site.shares[1].session.failure is not None:
        return
    run_clean_up(driver, site.shares, _remove(site))


async def look_through(site: Site, phases: Phases) -> Survey:
    """Do everything that follows the connection."""
    asked, census, source = site.asked, site.census, site.shares[0]
    phases.begin(PhaseName.PREPARE)
    root = await site.recovery.persist(lambda: check_root(source, "source"))
    await site.recovery.persist(lambda: look_at_volume(source))
    if len(site.shares) > 1:
        await site.recovery.persist(lambda: _check_destination(site))
    ground = Ground(
        source,
        asked.options,
        asked.filters,
        site.scheduler,
        site.recovery,
        Tally(site.counters, asked.observer, phases),
    )
    started = site.scheduler.now
    await Surveyor(ground, census).walk(root_entry(root))
    listed_seconds = site.scheduler.now - started
    phases.end(PhaseName.PREPARE)
    phases.begin(PhaseName.TRANSFER)
    measured = await (_measure_copying(site) if len(site.shares) > 1 else _measure_reading(site))
    looks = await look_at_all(ground, census.samples.looked_at.items(), site.account)
    phases.end(PhaseName.TRANSFER)
    phases.skip(PhaseName.VERIFY)
    phases.skip(PhaseName.DELETE)
    whole = Whole(census.directories, census.amounts(), census.daily(), listed_seconds)
    return Survey(
        tree=census.tree(),
        findings=findings_of(census, looks),
        tags=census.tags(),
        domains=domains_of(looks),
        sampled=looks.sampled,
        listed_seconds=listed_seconds,
        forecast=forecast(measured, whole, bytes_per_second=site.control.limit(asked.options)()),
    )


async def _check_destination(site: Site) -> None:
    opened = await check_root(site.shares[1], "destination")
    await check_writable(site.shares[1], opened.maximal_access)


async def _measure_reading(site: Site) -> Measured:
    source = site.shares[0]
    return await measure(lambda: _new_run(site, source, source), site.census.samples, Basis.READ)


async def _measure_copying(site: Site) -> Measured:
    source, destination = site.shares
    try:
        scratch = await site.recovery.persist(lambda: make_scratch(site.scheduler, destination))
    except FileError as error:
        raise EngineError(ACCESS_DENIED, f"creating a folder in the destination: {error.message}") from error
    site.scratch, site.account = scratch.folder, sid_text(scratch.account) if scratch.account else ""
    site.shares[1] = scratch  # where a new session is put after a reconnection
    measured = await measure(lambda: _new_run(site, source, scratch), site.census.samples, Basis.COPY)
    try:
        await site.recovery.persist(lambda: _remove(site))
    except FileError as error:
        path = display(site.scratch)
        site.asked.observer.failure(FileFailure(path, "Delete", error.reason, error.message))
    site.scratch = ""
    return measured


async def _remove(site: Site) -> None:
    scratch = site.shares[1]
    root = scratch.root.removesuffix(site.scratch).removesuffix(SEPARATOR)
    await remove_scratch(site.scheduler, Share(scratch.session, root), site.scratch)


def _new_run(site: Site, source: Share, destination: Share) -> RunContext:
    """Return a run for one sample: it counts for itself, continues nothing, waits for no file, and sets no attributes
    that would prevent deletion.
    """
    options = replace(
        site.asked.options,
        attributes=Preservation.NONE,
        deleted_files=DeletedFiles.PRESERVE,
        retry_locked=RetryLocked(attempts=0),
    )
    if options.verify_mode is VerifyMode.POINT_IN_TIME_CONSISTENT:
        # Both trees would be read at the end. Reading the copy back is half of that.
        options = replace(options, verify_mode=VerifyMode.ONLY_FILES_TRANSFERRED)
    return make_run(
        [source, destination],
        Asked(options, site.asked.filters, _Unheard(), WholeTree()),
        control=replace(site.control, handover=None),
        scheduler=site.scheduler,
        recovery=site.recovery,
        counters=Counters(),
        server_copy=site.server_copy,
    )


class _Unheard:
    """The observer of samples: what happens to them is nobody's concern."""

    def phase(self, name: str, state: str) -> None:
        """Ignore a phase."""

    def progress(self, counters: Counters) -> None:
        """Ignore counters."""

    def failure(self, failure: FileFailure) -> None:
        """Ignore a failure: the sample is smaller by one file."""

    def record(self, record: FileRecord) -> None:
        """Ignore a record."""

    def security(self, side: SideName, evidence: Evidence) -> None:
        """Ignore a session."""

    def server_side(self, fact: ServerSideFact) -> None:
        """Ignore a fact."""

    def retrying(self, fact: RetryFact | None) -> None:
        """Ignore files in use."""

    def not_carried(self, item: NotCarried) -> None:
        """Ignore what the destination does not get."""

    def sids(self, facts: SidFacts) -> None:
        """Ignore SIDs."""
