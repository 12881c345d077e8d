"""What the engine is given and what it tells: plain values, no behaviour worth a test of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from smbferry_engine.upcase import upcase

SideName = Literal["source", "destination"]


class TransferMode(StrEnum):
    """Which files are copied: those that differ, or all."""

    CHANGED = "Changed"
    ALL = "All"


class CompareBy(StrEnum):
    """How a file is found to differ: by what listings tell, or by content and copied security descriptors."""

    SIZE_AND_TIME = "SizeAndTime"
    CHECKSUM = "Checksum"


class OverwriteMode(StrEnum):
    """Whether a file that is at the destination may be replaced."""

    ALWAYS = "Always"
    NEVER = "Never"


class DeletedFiles(StrEnum):
    """What becomes of destination files that the source does not have."""

    PRESERVE = "Preserve"
    REMOVE = "Remove"


class VerifyMode(StrEnum):
    """What is read back and compared: each copied file by hash, or whole trees with the metadata that is copied."""

    ONLY_FILES_TRANSFERRED = "OnlyFilesTransferred"
    POINT_IN_TIME_CONSISTENT = "PointInTimeConsistent"
    NONE = "None"


class SecurityDescriptors(StrEnum):
    """Which parts of a security descriptor are copied."""

    NONE = "None"
    OWNER_DACL = "OwnerDacl"
    OWNER_DACL_SACL = "OwnerDaclSacl"


class Preservation(StrEnum):
    """Whether a kind of metadata is carried over."""

    PRESERVE = "Preserve"
    NONE = "None"


class Symlinks(StrEnum):
    """What a link in the source means: it is never followed either way."""

    SKIP = "Skip"
    FAIL = "Fail"


class SystemFolders(StrEnum):
    """Whether folders that a server keeps for itself (recycle bin, snapshots) are part of the transfer."""

    SKIP = "Skip"
    COPY = "Copy"


class ServerSideCopy(StrEnum):
    """Whether a server that is both sides may copy large files by itself."""

    AUTO = "Auto"
    NEVER = "Never"


class Durability(StrEnum):
    """When a small file counts as copied: when the server has it in memory, or when it is on the server's disk."""

    BUFFERED = "Buffered"
    FLUSHED = "Flushed"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a transfer.

    ``addresses`` are tried in order; ``server`` is the name in the UNC path. ``ccache`` (``FILE:...``) holds the
    caller's tickets for ``principal``, ``krb5_config`` is the path of the krb5.conf to use with them.
    ``path`` is inside the share, ``/`` separated. ``ciphers`` and ``dialects`` are in order of preference.
    ``fresh_ticket`` puts a ticket that is issued now in place of the one for a service principal in ``ccache``, and
    says whether it could; None where the caller has no way to.
    """

    server: str
    port: int
    share: str
    path: str
    addresses: tuple[str, ...]
    service_principal: str
    principal: str
    ccache: str
    krb5_config: str
    ciphers: tuple[str, ...] = ("AES-256-GCM", "AES-128-GCM")
    dialects: tuple[str, ...] = ("3.1.1",)
    fresh_ticket: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)

    @property
    def server_key(self) -> tuple[str, int]:
        """Equal for endpoints of one server, as DNS compares names: case and a final dot count for nothing."""
        return self.server.rstrip(".").lower(), self.port

    @property
    def share_key(self) -> tuple[str, int, str]:
        """Equal for endpoints of one share."""
        return (*self.server_key, upcase(self.share))


@dataclass(frozen=True, slots=True)
class Options:
    """How files are compared, copied, verified and deleted; ``bytes_per_second`` None is unlimited.

    ``max_deletes`` is a count, or a share of the destination's files and folders such as ``"10%"``. ``include`` and
    ``exclude`` are patterns of DataSync's grammar. Times that differ by no more than ``modify_window`` (in 100 ns) are
    the same. With ``dry_run`` nothing is changed and the counts are the same. ``unconfirmed`` is the word by which a
    person confirms a mirror, where that is still wanted (ADR 20): nothing is deleted then, and nothing replaced that is
    newer at the destination.
    """

    transfer_mode: TransferMode = TransferMode.CHANGED
    compare_by: CompareBy = CompareBy.SIZE_AND_TIME
    overwrite_mode: OverwriteMode = OverwriteMode.ALWAYS
    deleted_files: DeletedFiles = DeletedFiles.PRESERVE
    max_deletes: str | int = "10%"
    verify_mode: VerifyMode = VerifyMode.ONLY_FILES_TRANSFERRED
    security_descriptors: SecurityDescriptors = SecurityDescriptors.OWNER_DACL
    timestamps: Preservation = Preservation.PRESERVE
    attributes: Preservation = Preservation.PRESERVE
    symlinks: Symlinks = Symlinks.SKIP
    system_folders: SystemFolders = SystemFolders.SKIP
    modify_window: int = 0
    server_side_copy: ServerSideCopy = ServerSideCopy.AUTO
    durability: Durability = Durability.BUFFERED
    bytes_per_second: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    dry_run: bool = False
    unconfirmed: str = ""


@dataclass(slots=True)
class ItemCounters:
    """Files, or folders. ``listed`` is what the source's listing held after filters.

    ``incomplete`` are those in place that lack something of their metadata; they count as failed, too.
    ``links`` and ``system`` are the links and the server's own folders that the options left out. ``renamed`` are those
    whose spelling was carried over where only case differed; they are counted as transferred or skipped, too.
    ``rounded_times`` are files of the same size that were to be copied again only because the destination keeps times
    less exactly than the source.
    """

    listed: int = 0
    listed_destination: int = 0
    to_transfer: int = 0
    transferred: int = 0
    skipped: int = 0
    links: int = 0
    system: int = 0
    rounded_times: int = 0
    renamed: int = 0
    verified: int = 0
    to_delete: int = 0
    deleted: int = 0
    failed: int = 0
    incomplete: int = 0


@dataclass(slots=True)
class ByteCounters:
    """Bytes of file content: read from the source, and written to the destination.

    ``server_side`` is how many of those written the server copied by itself.
    """

    to_transfer: int = 0
    transferred: int = 0
    written: int = 0
    server_side: int = 0


@dataclass(slots=True)
class Counters:
    """How much was done, how fast, and how long the rest may take."""

    files: ItemCounters = field(default_factory=ItemCounters)
    directories: ItemCounters = field(default_factory=ItemCounters)
    bytes: ByteCounters = field(default_factory=ByteCounters)
    bytes_per_second: int | None = None
    eta_seconds: float | None = None


class Phase(StrEnum):
    """The steps of a run, as observers hear of them."""

    PREPARE = "prepare"
    TRANSFER = "transfer"
    VERIFY = "verify"
    DELETE = "delete"


class PhaseState(StrEnum):
    """How far a step is."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


@dataclass(frozen=True, slots=True)
class FileFailure:
    r"""One file or folder that failed; ``path`` from the transfer's root, lone surrogates written as ``\udXXX``."""

    path: str
    phase: Literal["Prepare", "Transfer", "Verify", "Delete"]
    reason: str
    message: str


class FileRecord(NamedTuple):
    """What was done with one file or folder, for the report. ``digest`` is BLAKE3 in hex, where it was computed;
    ``left_out`` why it is no part of the transfer, with LeftOut only.
    """

    path: str
    kind: Literal["File", "Directory"]
    action: Literal["Transferred", "Skipped", "Verified", "Deleted", "LeftOut"]
    size: int
    digest: str | None = None
    left_out: Literal["Link", "SystemFolder"] | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What protects one side: agreed in the handshake and held for the whole session. Sizes in bytes."""

    principal: str
    dialect: str
    cipher: str
    signing: str
    server: str
    share_encryption_required: bool
    max_read_size: int
    max_write_size: int


class ServerSideState(StrEnum):
    """Whether the server copies large files by itself."""

    READY = "Ready"
    OFF = "Off"
    NOT_POSSIBLE = "NotPossible"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class ServerSideFact:
    """Whether the server copies large files by itself, and why."""

    state: ServerSideState
    message: str


@dataclass(frozen=True, slots=True)
class DfsTarget:
    """Where a DFS path leads; ``path`` is inside the share, ``/`` separated."""

    server: str
    port: int
    share: str
    path: str


@dataclass(frozen=True, slots=True)
class ShareFacts:
    """What a probe found: ``maximal_access`` as a mask and in words, the server's clock in UTC.

    ``dfs_target`` only where the path leads elsewhere; then everything else is about that. ``server_guid``: as in
    :class:`smbferry_engine.connect.Connected`.
    """

    evidence: Evidence
    free_bytes: int
    total_bytes: int
    maximal_access: int
    maximal_access_names: tuple[str, ...]
    server_system_time: datetime
    dfs_target: DfsTarget | None = None
    server_guid: UUID | None = None


class Outcome(StrEnum):
    """How a run that was not stopped ended."""

    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run. ``failures`` counts per reason; each was told to the observer when it happened."""

    counters: Counters
    outcome: Outcome
    failures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two trees compared both ways. Paths from the root; each tuple holds at most the first 1,000, ``total`` all."""

    equal: bool
    files: int
    directories: int
    bytes: int
    only_source: tuple[str, ...]
    only_destination: tuple[str, ...]
    different: tuple[str, ...]
    total_differences: int


class Observer(Protocol):
    """Who is told how a run goes. Calls come from the engine's thread and must not block for long."""

    def phase(self, name: str, state: str) -> None:
        """A step (see :class:`Phase`) has reached a state (see :class:`PhaseState`)."""

    def progress(self, counters: Counters) -> None:
        """About once a second; the object is the engine's own and changes later."""

    def failure(self, failure: FileFailure) -> None:
        """A file failed; the run goes on."""

    def record(self, record: FileRecord) -> None:
        """A file or folder is done."""

    def security(self, side: SideName, evidence: Evidence) -> None:
        """A side's session is up, and this protects it."""

    def server_side(self, fact: ServerSideFact) -> None:
        """Whether the server copies by itself: told when the run begins, and again if the server refuses."""
