"""What an agent knows of its run, as the status tells it. Told by the engine, read by the writer; no IO, no threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from smbferry_agent.errors import AgentError
from smbferry_agent.report import words
from smbferry_agent.report.records import RecordFile
from smbferry_agent.report.samples import Samples
from smbferry_api import run_status as api
from smbferry_api.reasons import REPORT_NOT_WRITTEN
from smbferry_engine import Counters, Evidence, FileFailure, FileRecord, ItemCounters, ServerSideFact, SideName

_MAX_PATH: Final = 4096
_MAX_MESSAGE: Final = 1024
_MAX_RUN_MESSAGE: Final = 2048


class Changed(Protocol):
    """Who is told that there is something new; `urgent` when it should be seen at once (a phase, the evidence)."""

    def __call__(self, *, urgent: bool) -> None:
        """Must not block."""


def _unheard(*, urgent: bool) -> None:
    """Nobody is told."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class RunReport:
    """The engine's Observer that keeps the newest of everything.

    Attributes:
        changed: told of each change but single files' failures, which the next progress brings along.
        records: keeps what no status has room for, where the task wants it kept.
        samples: how far the run was when.
    """

    now: Callable[[], datetime] = _now
    changed: Changed = _unheard
    dry_run: bool = False
    records: RecordFile | None = None
    samples: Samples = field(default_factory=Samples)
    _began: datetime | None = None
    _phases: dict[str, api.Phase] = field(default_factory=dict)
    _counters: api.Counters | None = None
    _evidence: dict[str, api.SideEvidence] = field(default_factory=dict)
    _server_side: api.ServerSideStatus | None = None
    _failures: list[api.FileFailure] = field(default_factory=list)
    _failure: api.RunFailure | None = None
    _written: api.ReportStatus | None = None
    _ended: bool = False

    def phase(self, name: str, state: str) -> None:
        """A phase has reached a state; its duration counts from when it began to run."""
        before = self._phases.get(name, api.Phase())
        moment = self.now()
        reached = api.PhaseState(state)
        if reached is api.PhaseState.RUNNING:
            after = api.Phase(state=reached, start_time=moment)
        else:
            took = (moment - before.start_time).total_seconds() if before.start_time else None
            after = api.Phase(
                state=reached,
                start_time=before.start_time,
                duration=words.duration(took) if took is not None else None,
            )
        self._phases[name] = after
        self.changed(urgent=True)

    def progress(self, counters: Counters) -> None:
        """The counters as they stand."""
        self._counters = _counters(counters)
        moment = self.now()
        self._began = self._began or moment
        elapsed = (moment - self._began).total_seconds()
        self.samples.add(elapsed, counters.bytes.transferred, counters.files.transferred)
        self.changed(urgent=False)

    def failure(self, failure: FileFailure) -> None:
        """A file failed: the first are listed, all are in the counters."""
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
        """A file is done; the status lists none of these."""
        if self.records is not None:
            self.records.record(record)

    def outcome(self) -> api.RunState:
        """How a run ends that nothing stopped."""
        return api.RunState.PARTIALLY_SUCCEEDED if self._failures else api.RunState.SUCCEEDED

    def delivered(self, written: api.ReportStatus) -> None:
        """The per-file report lies where the task wants it."""
        self._written = written

    def undelivered(self, path: str, message: str) -> None:
        """The per-file report could not be written: said first, as the data is well."""
        failure = api.FileFailure(
            path=path, phase="Report", reason=REPORT_NOT_WRITTEN.name, message=message[:_MAX_MESSAGE]
        )
        self._failures = [failure, *self._failures][: api.MAX_LISTED_FAILURES]

    def security(self, side: SideName, evidence: Evidence) -> None:
        """What protects a side, beside what was known of its tickets."""
        self.tickets(
            side,
            principal=evidence.principal,
            dialect=evidence.dialect,
            cipher=evidence.cipher,
            signing=evidence.signing,
            server=evidence.server,
        )

    def server_side(self, fact: ServerSideFact) -> None:
        """Whether the server copies by itself."""
        self._server_side = api.ServerSideStatus(state=api.ServerSideState(fact.state), message=fact.message)
        self.changed(urgent=True)

    def tickets(self, side: str, **evidence: str | int | None) -> None:
        """Adds fields of SideEvidence for a side."""
        self._evidence[side] = self._evidence.get(side, api.SideEvidence()).model_copy(update=evidence)
        self.changed(urgent=True)

    def failed(self, error: AgentError) -> None:
        """The whole run failed; phases that were running failed with it."""
        self._failure = api.RunFailure(
            class_=error.failure_class.value,
            reason=error.reason.name,
            message=error.message[:_MAX_RUN_MESSAGE],
            remedy=error.reason.remedy,
        )
        for name, phase in list(self._phases.items()):
            if phase.state is api.PhaseState.RUNNING:
                self.phase(name, api.PhaseState.FAILED)

    def end(self) -> None:
        """Nothing more will change: what was transferred is all."""
        self._ended = True
        self.changed(urgent=True)

    def _progress(self) -> api.Progress | None:
        if self._counters is None:
            return None
        return words.progress(self._counters, ended=self._ended, dry_run=self.dry_run)

    def status(self) -> api.TransferRunStatus:
        """The agent's part of the status, whole: server-side apply drops what is left out."""
        status = api.TransferRunStatus(
            phases=api.Phases(**self._phases) if self._phases else None,
            counters=self._counters,
            progress=self._progress(),
            security=api.Evidence(**self._evidence) if self._evidence else None,
            server_side_copy=self._server_side,
            failure=self._failure,
            report=self._written,
        )
        return status.model_copy(update={"failures": tuple(self._failures)}) if self._failures else status


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
