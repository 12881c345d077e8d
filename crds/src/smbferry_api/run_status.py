"""What a run reports: state, phases, counters, evidence and failures. Written by the agent and the operator."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, JsonValue, WithJsonSchema

from smbferry_api.conditions import Condition
from smbferry_api.fields import Status, Time

MAX_LISTED_FAILURES: Final = 20


class RunState(StrEnum):
    """Where a run is; DataSync's states, with an end of its own for single files that failed."""

    QUEUED = "Queued"
    LAUNCHING = "Launching"
    PREPARING = "Preparing"
    TRANSFERRING = "Transferring"
    VERIFYING = "Verifying"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in ENDED


ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class PhaseName(StrEnum):
    """The parts of a run, in order."""

    PREFLIGHT = "preflight"
    PREPARE = "prepare"
    TRANSFER = "transfer"
    VERIFY = "verify"
    DELETE = "delete"


class PhaseState(StrEnum):
    """How far a phase is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Phase(Status):
    """One phase of a run."""

    state: PhaseState = PhaseState.PENDING
    start_time: Time | None = None
    duration: Annotated[str | None, Field(description="Such as 12.3s.")] = None


class Phases(Status):
    """All phases of a run."""

    preflight: Phase | None = None
    prepare: Phase | None = None
    transfer: Phase | None = None
    verify: Phase | None = None
    delete: Phase | None = None


class ItemCounters(Status):
    """Counts of files, or of directories."""

    listed: int = 0
    to_transfer: int = 0
    transferred: int = 0
    skipped: int = 0
    verified: int = 0
    deleted: int = 0
    failed: int = 0


class ByteCounters(Status):
    """Bytes of file content."""

    to_transfer: int = 0
    transferred: int = 0
    written: int = 0


class Counters(Status):
    """How much was done."""

    files: ItemCounters = ItemCounters()
    directories: ItemCounters = ItemCounters()
    bytes: ByteCounters = ByteCounters()
    bytes_per_second: int | None = None
    eta: Annotated[str | None, Field(description="Estimated time left, such as 3m20s.")] = None


class Progress(Status):
    """The counters as a person reads them at a glance; what `kubectl get` shows."""

    percent: str = ""
    files: str = ""
    bytes: str = ""
    rate: str = ""


class SideEvidence(Status):
    """What protected one side of the transfer."""

    principal: str | None = None
    kvno: int | None = None
    ticket_enctype: str | None = None
    dialect: str | None = None
    cipher: str | None = None
    signing: str | None = None
    secret_resource_version: str | None = None


class Evidence(Status):
    """The proof of encryption, per side."""

    source: SideEvidence | None = None
    destination: SideEvidence | None = None


class FileFailure(Status):
    """One file that failed. Lone surrogates in the path are written as \\udXXX."""

    path: Annotated[str, Field(max_length=4096)]
    phase: str
    reason: str
    message: Annotated[str, Field(max_length=1024)] = ""


class RunFailure(Status):
    """Why the whole run failed."""

    class_: Annotated[str, Field(alias="class")]
    reason: str
    message: str
    remedy: str = ""


class ShardStatus(Status):
    """One agent of a run that several share."""

    index: int
    state: str
    counters: Counters = Counters()


class ReportStatus(Status):
    """Where the per-file report lies."""

    location: str
    path: str
    sha256: str


class RunSummary(Status):
    """A run, in a line."""

    name: str
    state: RunState
    start_time: Time | None = None
    completion_time: Time | None = None
    duration: str | None = None
    counters: Counters | None = None


class Limit(Status):
    """What the task wants of a run that is under way already."""

    bytes_per_second: Annotated[str | None, Field(description="A quantity such as 4Mi; without it, no limit.")] = None


class TransferRunStatus(Status):
    """Where the run stands."""

    observed_generation: int = -1
    conditions: tuple[Condition, ...] = ()
    state: RunState | None = None
    start_time: Time | None = None
    completion_time: Time | None = None
    duration: str | None = None
    phases: Phases | None = None
    counters: Counters | None = None
    progress: Progress | None = None
    security: Evidence | None = None
    failures: Annotated[tuple[FileFailure, ...], Field(max_length=MAX_LISTED_FAILURES)] = ()
    failure: RunFailure | None = None
    shards: Annotated[tuple[ShardStatus, ...], Field(max_length=64)] = ()
    report: ReportStatus | None = None
    job_ref: str | None = None
    attempts: int = 0
    limit: Annotated[
        Limit | None,
        Field(description="In place of the snapshot's limit, once the task's was changed during the run."),
    ] = None
    task: Annotated[
        dict[str, JsonValue] | None,
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        Field(description="The snapshot of the task, for a run that a person made without spec.task."),
    ] = None
