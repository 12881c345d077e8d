"""What a run reports: state, phases, counters, evidence and failures. Written by the agent and the operator."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, JsonValue, WithJsonSchema

from smbferry_api.conditions import Condition
from smbferry_api.fields import Status, Time

MAX_LISTED_FAILURES: Final = 20
MAX_SHARD_FAILURES: Final = 3
ROUNDED_TIMES: Final = (
    "The destination does not keep times as they are set: set options.modifyWindow to 2s,"
    " or options.compareBy to Checksum if it keeps none."
)
"""What to do about `ItemCounters.rounded_times`."""


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

    state: Annotated[PhaseState, Field(description="How far it is.")] = PhaseState.PENDING
    start_time: Annotated[Time | None, Field(description="When it began.")] = None
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

    listed: Annotated[int, Field(description="Found at the source, after the filters.")] = 0
    to_transfer: Annotated[int, Field(description="To be copied, as far as is known by now.")] = 0
    transferred: Annotated[int, Field(description="Copied.")] = 0
    skipped: Annotated[int, Field(description="Left as they were: nothing differed, or the options say so.")] = 0
    links: Annotated[int, Field(description="Links that were left out: they are never followed.")] = 0
    system: Annotated[
        int, Field(description="Folders of the server's own that were left out, such as $RECYCLE.BIN.")
    ] = 0
    rounded_times: Annotated[
        int,
        Field(description="To be copied again only because the destination rounds times: set options.modifyWindow."),
    ] = 0
    renamed: Annotated[
        int,
        Field(description="Renamed at the destination where only case differed; counted as copied or skipped, too."),
    ] = 0
    verified: Annotated[int, Field(description="Read back and found equal.")] = 0
    deleted: Annotated[int, Field(description="Removed from the destination.")] = 0
    failed: Annotated[int, Field(description="Not copied, verified or removed; failures says why.")] = 0
    incomplete: Annotated[
        int,
        Field(
            description="In place without all of their owner, access list or audit list; counted as failed, too, and "
            "tried again by the next run."
        ),
    ] = 0


class ByteCounters(Status):
    """Bytes of file content."""

    to_transfer: Annotated[int, Field(description="To be copied, as far as is known by now.")] = 0
    transferred: Annotated[int, Field(description="Read from the source.")] = 0
    written: Annotated[int, Field(description="Written to the destination.")] = 0
    server_side: Annotated[int, Field(description="How many of those written the server copied by itself.")] = 0


class Counters(Status):
    """How much was done."""

    files: ItemCounters = ItemCounters()
    directories: ItemCounters = ItemCounters()
    bytes: ByteCounters = ByteCounters()
    bytes_per_second: Annotated[int | None, Field(description="The rate of late.")] = None
    eta: Annotated[str | None, Field(description="Estimated time left, such as 3m20s.")] = None


class Progress(Status):
    """The counters as a person reads them at a glance; what `kubectl get` shows."""

    percent: Annotated[str, Field(description="Such as 42%.")] = ""
    files: Annotated[str, Field(description="Such as 1204/2018.")] = ""
    bytes: Annotated[str, Field(description="Such as 210 MiB/521 MiB.")] = ""
    rate: Annotated[str, Field(description="Such as 171 MiB/s.")] = ""


class SideEvidence(Status):
    """What protected one side of the transfer."""

    principal: Annotated[str | None, Field(description="Who the session was opened as.")] = None
    kvno: Annotated[int | None, Field(description="The key version that was used.")] = None
    ticket_enctype: Annotated[str | None, Field(description="The encryption type of the service ticket.")] = None
    dialect: Annotated[str | None, Field(description="The SMB dialect.")] = None
    cipher: Annotated[str | None, Field(description="The cipher of every frame.")] = None
    server: Annotated[str | None, Field(description="The server of the session: of a DFS path, its target.")] = None
    signing: Annotated[str | None, Field(description="The signing algorithm, and whether the server requires it.")] = (
        None
    )
    keytab_fingerprint: Annotated[
        str | None, Field(description="Which keytab was used: compare with status.keytab.fingerprint of the identity.")
    ] = None


class Evidence(Status):
    """The proof of encryption, per side."""

    source: SideEvidence | None = None
    destination: SideEvidence | None = None


class ServerSideState(StrEnum):
    """Whether the server copies large files by itself."""

    READY = "Ready"
    OFF = "Off"
    NOT_POSSIBLE = "NotPossible"
    REFUSED = "Refused"


class ServerSideStatus(Status):
    """Whether the server copies large files by itself, where source and destination are both on it."""

    state: Annotated[ServerSideState, Field(description="Ready: it does; else all content passes through the agent.")]
    message: Annotated[str, Field(description="Why.")] = ""


class FileFailure(Status):
    """One file that failed. Lone surrogates in the path are written as \\udXXX."""

    path: Annotated[str, Field(max_length=4096, description="From the root of the transfer.")]
    phase: Annotated[str, Field(description="Where it failed: Prepare, Transfer, Verify or Delete.")]
    reason: Annotated[str, Field(description="One word; the runbook has a page for it.")]
    message: Annotated[str, Field(max_length=1024, description="What was expected and what was found.")] = ""


class RunFailure(Status):
    """Why the whole run failed."""

    class_: Annotated[
        str, Field(alias="class", description="Whose matter it is; decides whether the run is tried again.")
    ]
    reason: Annotated[str, Field(description="One word; the runbook has a page for it.")]
    message: Annotated[str, Field(description="What was expected and what was found.")]
    remedy: Annotated[str, Field(description="What to do.")] = ""


class RunEnding(Status):
    """How a run will have ended once its last agent is gone."""

    state: Annotated[RunState, Field(description="The state to come.")]
    reason: Annotated[str, Field(description="One word; the runbook has a page for it.")]
    message: Annotated[str, Field(description="What was expected, what was found, and what to do.")] = ""
    failure: RunFailure | None = None


class GatheredPiece(Status):
    """Part of a large file, as one agent has gathered it; whoever finishes the run reads it back and lands the file."""

    path: Annotated[str, Field(description="The file, from the transfer's root.", max_length=4096)]
    version: Annotated[str, Field(description="The source's size, write time and change time, in hex.", max_length=64)]
    start: Annotated[int, Field(description="Its first byte.")]
    end: Annotated[int, Field(description="The byte behind its last.")]
    digest: Annotated[str, Field(description="BLAKE3 of what was read from the source, in hex.", max_length=64)]


class ShardStatus(Status):
    """One agent of a run that several share."""

    index: Annotated[int, Field(description="The agent's completion index.")]
    state: Annotated[str, Field(description="Running, Succeeded or Failed.")]
    counters: Counters = Counters()
    failures: Annotated[
        tuple[FileFailure, ...],
        Field(max_length=MAX_SHARD_FAILURES, description="The first files that it could not copy."),
    ] = ()
    pieces: Annotated[
        tuple[GatheredPiece, ...], Field(max_length=2, description="Of files that it shares with its neighbours.")
    ] = ()


class CutStatus(Status):
    """Where one agent's part of the tree ends and the next one's begins."""

    path: Annotated[str, Field(description="A folder or file, from the transfer's root.", max_length=4096)]
    offset: Annotated[int, Field(description="How many bytes into the file.")] = 0


class SplitStatus(Status):
    """How the tree is split between agents."""

    cuts: Annotated[tuple[CutStatus, ...], Field(max_length=63, description="In the order of the tree.")] = ()


class ReportStatus(Status):
    """Where the per-file report lies."""

    location: Annotated[str, Field(description="The SmbLocation that holds the report.")]
    path: Annotated[str, Field(description="Its path in that location.")]
    sha256: Annotated[str, Field(description="The hash of the file, in hex.")]


class RunSummary(Status):
    """A run, in a line."""

    name: Annotated[str, Field(description="The TransferRun's name.")]
    state: Annotated[RunState, Field(description="How it ended, or where it is.")]
    start_time: Annotated[Time | None, Field(description="When it began.")] = None
    completion_time: Annotated[Time | None, Field(description="When it ended.")] = None
    duration: Annotated[str | None, Field(description="Such as 3m20s.")] = None
    counters: Annotated[Counters | None, Field(description="What was done.")] = None


class Limit(Status):
    """What the task wants of a run that is under way already."""

    bytes_per_second: Annotated[str | None, Field(description="A quantity such as 4Mi; without it, no limit.")] = None


class TransferRunStatus(Status):
    """Where the run stands."""

    observed_generation: Annotated[
        int, Field(description="metadata.generation of the spec that this status is about.")
    ] = -1
    conditions: Annotated[
        tuple[Condition, ...], Field(description="What is so and what is not, each with a reason and what to do.")
    ] = ()
    state: Annotated[RunState | None, Field(description="Where the run is.")] = None
    start_time: Annotated[Time | None, Field(description="When its first agent began.")] = None
    completion_time: Annotated[Time | None, Field(description="When it ended.")] = None
    duration: Annotated[str | None, Field(description="Such as 3m20s; so far, while it goes on.")] = None
    phases: Phases | None = None
    counters: Counters | None = None
    progress: Progress | None = None
    security: Evidence | None = None
    server_side_copy: ServerSideStatus | None = None
    failures: Annotated[
        tuple[FileFailure, ...],
        Field(
            max_length=MAX_LISTED_FAILURES,
            description="The first files that failed; the counters hold how many in all.",
        ),
    ] = ()
    failure: RunFailure | None = None
    split: SplitStatus | None = None
    shards: Annotated[
        tuple[ShardStatus, ...], Field(max_length=64, description="Each agent of a run that several share.")
    ] = ()
    report: ReportStatus | None = None
    job_ref: Annotated[str | None, Field(description="The Job of its agents.")] = None
    attempts: Annotated[int, Field(description="How many Jobs it has taken so far.")] = 0
    ending: Annotated[
        RunEnding | None,
        Field(description="How the run ends as soon as its last agent has ended: until then nothing is final."),
    ] = None
    limit: Annotated[
        Limit | None,
        Field(description="In place of the snapshot's limit, once the task's was changed during the run."),
    ] = None
    task: Annotated[
        dict[str, JsonValue] | None,
        WithJsonSchema({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        Field(description="The snapshot that the run works by, for information: no Job and no mount follows from it."),
    ] = None
