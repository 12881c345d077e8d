"""Status of a run: state, phases, counters, evidence and failures. Written by the agent and the operator."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, JsonValue, WithJsonSchema

from smbferry_api.conditions import Condition
from smbferry_api.fields import Status, Time
from smbferry_api.limit_status import Limit
from smbferry_api.plan_status import PlanStatus
from smbferry_api.politeness import PolitenessStatus
from smbferry_api.queue_status import QueueStatus
from smbferry_api.sharing import ServingRun
from smbferry_api.sid_status import SidStatus
from smbferry_api.survey_status import SurveyStatus
from smbferry_api.undelivered import UndeliveredEvents
from smbferry_words.run import NotCarriedKind, Outcome, PhaseState, ServerSideState

MAX_LISTED_FAILURES: Final = 20
MAX_SHARD_FAILURES: Final = 3
MAX_LISTED_NOT_CARRIED: Final = 10
MAX_PARTIAL_FILES: Final = 8
MAX_SHARD_PARTIAL_FILES: Final = 4
ROUNDED_TIMES: Final = (
    "The destination rounds timestamps. Set options.modifyWindow to 2s, or options.compareBy to Checksum if it "
    "stores no timestamps."
)
"""The remedy for `ItemCounters.rounded_times`."""


class RunState(StrEnum):
    """State of a run: DataSync's states, plus PartiallySucceeded if some files failed."""

    QUEUED = "Queued"
    LAUNCHING = "Launching"
    PREPARING = "Preparing"
    TRANSFERRING = "Transferring"
    VERIFYING = "Verifying"
    SUCCEEDED = Outcome.SUCCEEDED.value
    PARTIALLY_SUCCEEDED = Outcome.PARTIALLY_SUCCEEDED.value
    FAILED = "Failed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """True if the state is final."""
        return self in ENDED


ENDED: Final = frozenset({RunState.SUCCEEDED, RunState.PARTIALLY_SUCCEEDED, RunState.FAILED, RunState.CANCELLED})


class Phase(Status):
    """State and duration of one phase."""

    state: Annotated[PhaseState, Field(description="State of the phase.")] = PhaseState.PENDING
    start_time: Annotated[Time | None, Field(description="Start time of the phase.")] = None
    duration: Annotated[str | None, Field(description="Duration of the phase, such as 12.3s.")] = None


class Phases(Status):
    """Phases of the run."""

    preflight: Phase | None = None
    prepare: Phase | None = None
    transfer: Phase | None = None
    verify: Phase | None = None
    delete: Phase | None = None


class ItemCounters(Status):
    """Counts of files or directories."""

    listed: Annotated[int, Field(description="Found at the source after filtering.")] = 0
    to_transfer: Annotated[int, Field(description="To be copied, as far as known.")] = 0
    transferred: Annotated[int, Field(description="Copied.")] = 0
    skipped: Annotated[int, Field(description="Not copied because they did not differ or because of an option.")] = 0
    links: Annotated[int, Field(description="Links that were skipped. Links are never followed.")] = 0
    system: Annotated[int, Field(description="System folders that were skipped, such as $RECYCLE.BIN.")] = 0
    rounded_times: Annotated[
        int,
        Field(
            description="To be copied again only because the destination rounds timestamps. Set "
            "options.modifyWindow to avoid this."
        ),
    ] = 0
    renamed: Annotated[
        int,
        Field(description="Renamed at the destination because only case differed. Also counted as copied or skipped."),
    ] = 0
    verified: Annotated[int, Field(description="Read back from the destination and found identical.")] = 0
    deleted: Annotated[int, Field(description="Deleted from the destination.")] = 0
    failed: Annotated[int, Field(description="Not copied, verified or deleted because of an error. See failures.")] = 0
    incomplete: Annotated[
        int,
        Field(
            description="Copied without their owner, access list or audit list. Also counted as failed, and retried "
            "by the next run."
        ),
    ] = 0


class ByteCounters(Status):
    """Bytes of file content."""

    to_transfer: Annotated[int, Field(description="To be copied, as far as known.")] = 0
    transferred: Annotated[int, Field(description="Read from the source.")] = 0
    written: Annotated[int, Field(description="Written to the destination.")] = 0
    server_side: Annotated[int, Field(description="Part of the written bytes that the server copied itself.")] = 0


class Counters(Status):
    """Counters of the run."""

    files: ItemCounters = ItemCounters()
    directories: ItemCounters = ItemCounters()
    bytes: ByteCounters = ByteCounters()
    bytes_per_second: Annotated[
        int | None, Field(description="Current rate in bytes per second, averaged over 10 s.")
    ] = None
    eta: Annotated[str | None, Field(description="Estimated remaining time, such as 3m20s.")] = None


class Progress(Status):
    """Counters in readable form, as shown by `kubectl get`."""

    percent: Annotated[str, Field(description="Progress, such as 42%.")] = ""
    files: Annotated[str, Field(description="Copied and total files, such as 1204/2018.")] = ""
    bytes: Annotated[str, Field(description="Copied and total bytes, such as 210 MiB/521 MiB.")] = ""
    rate: Annotated[str, Field(description="Current rate, such as 171 MiB/s.")] = ""
    not_carried: Annotated[str, Field(description="Number of items in notCarried, such as 1,204.")] = ""


class SideEvidence(Status):
    """Encryption and authentication used on one side of the transfer."""

    principal: Annotated[str | None, Field(description="Principal that opened the session.")] = None
    kvno: Annotated[int | None, Field(description="Key version that was used.")] = None
    ticket_enctype: Annotated[str | None, Field(description="Encryption type of the service ticket.")] = None
    dialect: Annotated[str | None, Field(description="SMB dialect.")] = None
    cipher: Annotated[str | None, Field(description="Cipher that encrypted every message.")] = None
    server: Annotated[str | None, Field(description="Server of the session; for a DFS path, its target.")] = None
    signing: Annotated[str | None, Field(description="Signing algorithm, and whether the server requires signing.")] = (
        None
    )
    keytab_fingerprint: Annotated[
        str | None,
        Field(
            description="Fingerprint of the keytab that was used; compare it with "
            "status.keytab.fingerprint of the identity."
        ),
    ] = None


class Evidence(Status):
    """Proof of encryption for each side."""

    source: SideEvidence | None = None
    destination: SideEvidence | None = None


class ServerSideStatus(Status):
    """Server-side copy of large files if source and destination are on one server."""

    state: Annotated[
        ServerSideState,
        Field(
            description="Ready: the server copies large files itself. Otherwise all content passes through the agent."
        ),
    ]
    message: Annotated[str, Field(description="Explanation of the state.")] = ""


class SourceSnapshotStatus(Status):
    """Version of the source that the run reads, if source.snapshot is not None."""

    time: Annotated[
        Time | None, Field(description="Time of the snapshot. Absent if the files are read as they are.")
    ] = None
    age: Annotated[str | None, Field(description="Age of the snapshot when it was chosen, such as 3h20m.")] = None
    message: Annotated[str, Field(max_length=1024, description="How it was chosen.")] = ""


class RetryStatus(Status):
    """Files that were in use, locked or written to, and are tried again before the run ends."""

    files: Annotated[int, Field(description="Number of files.")]
    attempt: Annotated[int, Field(description="Number of the next or current attempt.")]
    attempts: Annotated[int, Field(description="Maximum number of attempts.")]
    next_time: Annotated[
        Time | None, Field(description="Start time of the next attempt. Absent while the attempt is active.")
    ] = None
    message: Annotated[str, Field(max_length=256, description="What the run is waiting for.")] = ""


class FileFailure(Status):
    """A file that failed. Lone surrogates in the path are written as \\udXXX."""

    path: Annotated[str, Field(max_length=4096, description="Path relative to the root of the transfer.")]
    phase: Annotated[str, Field(description="Phase in which the file failed: Prepare, Transfer, Verify or Delete.")]
    reason: Annotated[str, Field(description="Reason in CamelCase. See the runbook page with the same name.")]
    message: Annotated[
        str, Field(max_length=1024, description="Description of the error: what was expected and what was found.")
    ] = ""


class NotCarried(Status):
    """Items of one kind that the destination did not get."""

    what: Annotated[str, Field(description=f"Kind of the items: {', '.join(NotCarriedKind)}.")]
    count: Annotated[int, Field(description="Number of items.")]
    reason: Annotated[str, Field(max_length=1024, description="Why the first of them did not arrive.")] = ""
    paths: Annotated[
        tuple[Annotated[str, Field(max_length=4096)], ...],
        Field(
            max_length=MAX_LISTED_NOT_CARRIED,
            description="First items. A stream is listed as path:name. The per-file report lists all.",
        ),
    ] = ()


class RunFailure(Status):
    """Why the whole run failed."""

    class_: Annotated[
        str, Field(alias="class", description="Class of the failure. It determines whether the run is retried.")
    ]
    reason: Annotated[str, Field(description="Reason in CamelCase. See the runbook page with the same name.")]
    message: Annotated[str, Field(description="Description of the error: what was expected and what was found.")]
    remedy: Annotated[str, Field(description="What to do.")] = ""


class RunEnding(Status):
    """Outcome of a run whose agents are still stopping."""

    state: Annotated[RunState, Field(description="Final state of the run.")]
    reason: Annotated[str, Field(description="Reason in CamelCase. See the runbook page with the same name.")]
    message: Annotated[str, Field(description="Description of the outcome and, if it failed, the remedy.")] = ""
    failure: RunFailure | None = None


class GatheredPiece(Status):
    """Part of a large file that one agent copied. The agent that finishes the run verifies and commits the file."""

    path: Annotated[str, Field(description="Path of the file relative to the root of the transfer.", max_length=4096)]
    version: Annotated[
        str, Field(description="Size, write time and change time of the source file, in hex.", max_length=64)
    ]
    start: Annotated[int, Field(description="Offset of the first byte.")]
    end: Annotated[int, Field(description="Offset after the last byte.")]
    digest: Annotated[str, Field(description="BLAKE3 hash of the data read from the source, in hex.", max_length=64)]


class ShardStatus(Status):
    """One agent of a run with several agents."""

    index: Annotated[int, Field(description="Completion index of the agent.")]
    state: Annotated[
        str, Field(description="State of the agent: Running, Succeeded, Failed, or Pending after a pause.")
    ]
    counters: Counters = Counters()
    failures: Annotated[
        tuple[FileFailure, ...],
        Field(max_length=MAX_SHARD_FAILURES, description="First files that the agent could not copy."),
    ] = ()
    not_carried: Annotated[
        tuple[NotCarried, ...],
        Field(max_length=len(NotCarriedKind), description="What the destination did not get from this agent."),
    ] = ()
    sids: SidStatus | None = None
    politeness: PolitenessStatus | None = None
    pieces: Annotated[
        tuple[GatheredPiece, ...],
        Field(max_length=2, description="Parts of files that the agent shares with other agents."),
    ] = ()
    partial_files: Annotated[
        tuple[GatheredPiece, ...],
        Field(max_length=MAX_SHARD_PARTIAL_FILES, description="As status.partialFiles, of this agent."),
    ] = ()


class CutStatus(Status):
    """Boundary between the parts of two agents."""

    path: Annotated[
        str, Field(description="Path of a folder or file relative to the root of the transfer.", max_length=4096)
    ]
    offset: Annotated[int, Field(description="Offset in the file in bytes.")] = 0


class SplitStatus(Status):
    """Split of the tree between agents."""

    cuts: Annotated[tuple[CutStatus, ...], Field(max_length=63, description="Boundaries in tree order.")] = ()


class ReportStatus(Status):
    """Location of the per-file report."""

    location: Annotated[str, Field(description="SmbLocation that contains the report.")]
    path: Annotated[str, Field(description="Path of the report in that location.")]
    sha256: Annotated[str, Field(description="SHA-256 of the records file, in hex.")]


class TransferRunStatus(Status):
    """Current state of the run."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status applies to.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="Conditions, each with a reason and, if unhealthy, a remedy.")
    ] = ()
    state: Annotated[RunState | None, Field(description="State of the run.")] = None
    start_time: Annotated[Time | None, Field(description="Time at which the first agent started.")] = None
    completion_time: Annotated[Time | None, Field(description="Time at which the run finished.")] = None
    duration: Annotated[
        str | None,
        Field(description="Duration of the run, such as 3m20s. While the run is active, the time since its start."),
    ] = None
    phases: Phases | None = None
    counters: Counters | None = None
    progress: Progress | None = None
    security: Evidence | None = None
    server_side_copy: ServerSideStatus | None = None
    source_snapshot: SourceSnapshotStatus | None = None
    retry: Annotated[
        RetryStatus | None, Field(description="Set while the run waits for files in use, or tries them again.")
    ] = None
    politeness: PolitenessStatus | None = None
    failures: Annotated[
        tuple[FileFailure, ...],
        Field(
            max_length=MAX_LISTED_FAILURES,
            description="First files that failed. The counters contain the total.",
        ),
    ] = ()
    not_carried: Annotated[
        tuple[NotCarried, ...],
        Field(
            max_length=len(NotCarriedKind),
            description="What the destination did not get, by kind: because of an option, or because its server "
            "cannot store it.",
        ),
    ] = ()
    sids: SidStatus | None = None
    failure: RunFailure | None = None
    split: SplitStatus | None = None
    shards: Annotated[
        tuple[ShardStatus, ...], Field(max_length=64, description="Agents of a run with several agents.")
    ] = ()
    report: ReportStatus | None = None
    partial_files: Annotated[
        tuple[GatheredPiece, ...],
        Field(
            max_length=MAX_PARTIAL_FILES,
            description="Large files that an agent had begun when it was stopped, so that the next one continues "
            "inside them.",
        ),
    ] = ()
    survey: Annotated[SurveyStatus | None, Field(description="Result of a survey.")] = None
    served_by: Annotated[
        ServingRun | None,
        Field(
            description="Run in the namespace of the task's shared SmbLocations whose agents do the work. This status "
            "is a copy of its status, as far as the locations' owner allows."
        ),
    ] = None
    plan: PlanStatus | None = None
    job_ref: Annotated[str | None, Field(description="Job of the run's agents.")] = None
    undelivered_events: UndeliveredEvents = ()
    attempts: Annotated[int, Field(description="Number of Jobs created so far.")] = 0
    ending: Annotated[
        RunEnding | None,
        Field(description="Outcome of the run, which becomes final when its last agent has stopped."),
    ] = None
    limit: Annotated[
        Limit | None,
        Field(
            description="Limit and windows that replace the snapshot's because the task, a location or the number of "
            "its active runs has changed during the run."
        ),
    ] = None
    queue: Annotated[
        QueueStatus | None,
        Field(description="Set while the run waits for a limit. Refreshed at intervals that grow with the position."),
    ] = None
    task: Annotated[
        dict[str, JsonValue] | None,
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        Field(
            description="Snapshot of the task that the run uses, for information. No Job and no mount is derived "
            "from it."
        ),
    ] = None
