"""An agent's knowledge of its run, in the form of the status. The engine writes it, the writer reads it; no IO."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from pydantic import BaseModel

from smbferry_agent.errors import AgentError
from smbferry_agent.report import words
from smbferry_agent.report.not_carried import NotCarriedTally
from smbferry_agent.report.politeness import politeness_status
from smbferry_agent.report.records import RecordFile
from smbferry_agent.report.samples import Samples
from smbferry_agent.report.sids import sid_status
from smbferry_agent.report.sinks import status_fields
from smbferry_api import run_status as api
from smbferry_api.plan_status import PlanStatus
from smbferry_api.reasons import REPORT_NOT_WRITTEN
from smbferry_api.sid_status import SidStatus
from smbferry_engine import (
    Counters,
    Evidence,
    FileFailure,
    FileRecord,
    ItemCounters,
    NotCarried,
    RetryFact,
    ServerSideFact,
    SideName,
    SidFacts,
)
from smbferry_words.run import PhaseState

_MAX_PATH: Final = 4096
_MAX_MESSAGE: Final = 1024
_MAX_RUN_MESSAGE: Final = 2048


class Changed(Protocol):
    """Receives notice of changes; `urgent` for those to write at once, such as a phase."""

    def __call__(self, *, urgent: bool) -> None:
        """Must not block."""


def _unheard(*, urgent: bool) -> None:
    """Ignores changes."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class RunReport:
    """The engine's Observer; it keeps the newest values.

    Attributes:
        changed: called on each change except failures of single files, which are written with the next progress.
        records: stores per-file records if the task wants them.
        samples: progress over time.
    """

    now: Callable[[], datetime] = _now
    changed: Changed = _unheard
    dry_run: bool = False
    records: RecordFile | None = None
    samples: Samples = field(default_factory=Samples)
    _began: datetime | None = None
    _status: api.TransferRunStatus = field(default_factory=api.TransferRunStatus)
    _failures: list[api.FileFailure] = field(default_factory=list)
    _partial_files: tuple[api.GatheredPiece, ...] = ()
    _not_carried: NotCarriedTally = field(default_factory=NotCarriedTally)
    _ended: bool = False
    _paused: bool = False
    _plan: PlanStatus | None = None
    _waits: bool = False

    def phase(self, name: str, state: str) -> None:
        """A phase has reached a state; its duration counts from the state Running."""
        before = self._phase(name) or api.Phase()
        moment = self.now()
        reached = PhaseState(state)
        if reached is PhaseState.RUNNING:
            after = api.Phase(state=reached, start_time=moment)
        else:
            took = (moment - before.start_time).total_seconds() if before.start_time else None
            after = api.Phase(
                state=reached,
                start_time=before.start_time,
                duration=words.duration(took) if took is not None else None,
            )
        self._set_phase(name, after)
        self.changed(urgent=True)

    def progress(self, counters: Counters) -> None:
        """The current counters."""
        self._set(counters=_counters(counters))
        if counters.politeness is not None:
            self._set(politeness=politeness_status(counters.politeness))
        moment = self.now()
        self._began = self._began or moment
        elapsed = (moment - self._began).total_seconds()
        self.samples.add(elapsed, counters.bytes.transferred, counters.files.transferred)
        self.changed(urgent=False)

    def failure(self, failure: FileFailure) -> None:
        """A file failed. The first failures are listed; the counters contain all."""
        if self.records is not None:
            self.records.failure(failure)
        if len(self._failures) < api.MAX_LISTED_FAILURES:
            self._failures.append(
                api.FileFailure(
                    path=failure.path[:_MAX_PATH],
                    phase=failure.phase,
                    reason=failure.reason,
                    message=failure.message[:_MAX_MESSAGE],
                )
            )

    def record(self, record: FileRecord) -> None:
        """A file is completed. The status does not list it."""
        if self.records is not None:
            self.records.record(record)

    def not_carried(self, item: NotCarried) -> None:
        """Something did not arrive. The status counts it, and lists the first of each kind."""
        if self.records is not None:
            self.records.not_carried(item)
        self._not_carried.add(item)

    def sids(self, facts: SidFacts) -> None:
        """The SIDs in the source's security descriptors."""
        found = sid_status(facts, self._sids_before())
        if found is not None:
            self._set(sids=found)
        self.changed(urgent=False)

    def _sids_before(self) -> Iterable[SidStatus]:
        """What other agents of the run have found."""
        return ()

    def outcome(self) -> api.RunState:
        """The state of a run that was not stopped."""
        if self._waits:
            return api.RunState.QUEUED
        return api.RunState.PARTIALLY_SUCCEEDED if self._failures else api.RunState.SUCCEEDED

    def delivered(self, written: api.ReportStatus) -> None:
        """The per-file report was written."""
        self._set(report=written)

    def undelivered(self, path: str, message: str) -> None:
        """The per-file report could not be written. Listed first, as the data itself is complete."""
        failure = api.FileFailure(
            path=path, phase="Report", reason=REPORT_NOT_WRITTEN.name, message=message[:_MAX_MESSAGE]
        )
        self._failures = [failure, *self._failures][: api.MAX_LISTED_FAILURES]

    def security(self, side: SideName, evidence: Evidence) -> None:
        """The protection of a side's session, in addition to its tickets."""
        self.tickets(
            side,
            principal=evidence.principal,
            dialect=evidence.dialect,
            cipher=evidence.cipher,
            signing=evidence.signing,
            server=evidence.server,
        )

    def server_side(self, fact: ServerSideFact) -> None:
        """Whether the server copies files on its side."""
        self._set(server_side_copy=api.ServerSideStatus(state=fact.state, message=fact.message))
        self.changed(urgent=True)

    def source_snapshot(self, recorded: api.SourceSnapshotStatus) -> None:
        """The snapshot that the source is read from, or why it is read as it is."""
        self._set(source_snapshot=recorded)
        self.changed(urgent=True)

    def retrying(self, fact: RetryFact | None) -> None:
        """Files in use wait to be tried again, or are tried again; None once no file waits any more."""
        retry = None
        if fact is not None:
            at = self.now() + timedelta(seconds=fact.seconds) if fact.seconds else None
            message = words.retry(fact.files, fact.attempt, fact.attempts, at)
            retry = api.RetryStatus(
                files=fact.files, attempt=fact.attempt, attempts=fact.attempts, next_time=at, message=message
            )
        self._set(retry=retry)
        self.changed(urgent=True)

    def tickets(self, side: str, **evidence: str | int | None) -> None:
        """Adds fields of SideEvidence for a side. The location of the report has no evidence in the status."""
        if side not in api.Evidence.model_fields:
            return
        known = self._status.security or api.Evidence()
        of_side = getattr(known, side) or api.SideEvidence()
        self._set(security=known.model_copy(update={side: of_side.model_copy(update=evidence)}))
        self.changed(urgent=True)

    def failed(self, error: AgentError) -> None:
        """The run failed as a whole, and with it the running phases."""
        failure = api.RunFailure(
            class_=error.failure_class.value,
            reason=error.reason.name,
            message=error.message[:_MAX_RUN_MESSAGE],
            remedy=error.reason.remedy,
        )
        self._set(failure=failure)
        for name, phase in self._status.phases or ():
            if phase is not None and phase.state is PhaseState.RUNNING:
                self.phase(name, PhaseState.FAILED)

    def paused(self) -> None:
        """A window has ended; another agent continues in the next one. The engine has reported its phases as failed."""
        for name, phase in self._status.phases or ():
            if phase is not None and phase.state in {PhaseState.RUNNING, PhaseState.FAILED}:
                self.phase(name, PhaseState.PENDING)
        self._paused = True
        if (counters := self._status.counters) is not None:  # nothing moves until then
            self._set(counters=counters.model_copy(update={"bytes_per_second": None, "eta": None}))

    def planned(self, plan: PlanStatus, *, waits: bool = False) -> None:
        """What the run would do. It is recorded in the status by itself; here it is for the report.

        Args:
            waits: the agent ends, and another one continues when a person has approved the plan.
        """
        self._plan, self._waits = plan, waits
        self.changed(urgent=True)

    def partial_files(self, files: Iterable[api.GatheredPiece]) -> None:
        """Large files that are begun, for the next agent if this one is stopped."""
        self._partial_files = tuple(files)[: api.MAX_PARTIAL_FILES]

    def end(self) -> None:
        """The run has ended; nothing changes any more."""
        self._ended = True
        self._set(retry=None)
        self.changed(urgent=True)

    def status(self) -> api.TransferRunStatus:
        """The agent's complete part of the status: server-side apply removes what is left out."""
        more: dict[str, object] = {}
        if left := self._not_carried.sums():
            more["not_carried"] = left
        if self._status.counters is not None:
            more["progress"] = words.progress(
                self._status.counters, left, ended=self._ended and not self._paused, dry_run=self.dry_run
            )
        if self._waits and self._status.counters is not None:
            more["progress"] = words.planned(self._status.counters)
        if self._partial_files:
            more["partial_files"] = self._partial_files
        if self._failures:
            more["failures"] = tuple(self._failures)
        return self._status.model_copy(update=more)

    def summary(self) -> dict[str, Any]:
        """What the report's summary says of the run."""
        plan = {} if self._plan is None else {"plan": status_fields(self._plan)}
        return {**status_fields(self.status()), **plan}

    def _set(self, **known: BaseModel | None) -> None:
        self._status = self._status.model_copy(update=known)

    def _phase(self, name: str) -> api.Phase | None:
        phase: api.Phase | None = getattr(self._status.phases or api.Phases(), name)
        return phase

    def _set_phase(self, name: str, phase: api.Phase) -> None:
        self._set(phases=(self._status.phases or api.Phases()).model_copy(update={name: phase}))


def _counters(counters: Counters) -> api.Counters:
    return api.Counters(
        files=_items(counters.files),
        directories=_items(counters.directories),
        bytes=api.ByteCounters(
            to_transfer=counters.bytes.to_transfer,
            transferred=counters.bytes.transferred,
            written=counters.bytes.written,
            server_side=counters.bytes.server_side,
        ),
        bytes_per_second=counters.bytes_per_second,
        eta=None if counters.eta_seconds is None else words.duration(counters.eta_seconds),
    )


def _items(items: ItemCounters) -> api.ItemCounters:
    return api.ItemCounters(
        listed=items.listed,
        to_transfer=items.to_transfer,
        transferred=items.transferred,
        skipped=items.skipped,
        links=items.links,
        system=items.system,
        rounded_times=items.rounded_times,
        renamed=items.renamed,
        verified=items.verified,
        deleted=items.deleted,
        failed=items.failed,
        incomplete=items.incomplete,
    )
