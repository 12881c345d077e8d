"""The values that a caller passes to the engine and gets from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

from smbferry_engine.sids import SidMap
from smbferry_engine.upcase import upcase
from smbferry_words.options import (
    CompareBy,
    DeletedFiles,
    Durability,
    ExtendedAttributes,
    FileAttribute,
    HardLinks,
    Links,
    OverwriteMode,
    Preservation,
    SecurityDescriptors,
    ServerSideCopy,
    Streams,
    SystemFolders,
    TransferMode,
    VerifyMode,
)
from smbferry_words.run import NotCarriedKind, Outcome, ServerSideState
from smbferry_words.smb import Cipher, Dialect

SideName = Literal["source", "destination"]
ItemKind = Literal["File", "Directory"]
FilePhase = Literal["Prepare", "Transfer", "Verify", "Delete"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a transfer.

    ``addresses`` are tried in order; ``server`` is the name in the UNC path. ``ccache`` (``FILE:...``) holds the
    caller's tickets for ``principal``, ``krb5_config`` is the path of the krb5.conf to use with them. ``path`` is
    inside the share, ``/`` separated. ``ciphers`` and ``dialects`` are in order of preference. ``fresh_ticket``
    replaces the ticket for a service principal in ``ccache`` by a new one, and returns whether it could; None if the
    caller can't do that. ``snapshot`` is the time of the server's snapshot to read from, None for the files as they
    are; nothing is ever written to a side with one.
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
    ciphers: tuple[str, ...] = (Cipher.AES_256_GCM.value, Cipher.AES_128_GCM.value)
    dialects: tuple[str, ...] = (Dialect.SMB_3_1_1.value,)
    fresh_ticket: Callable[[str], bool] | None = field(default=None, compare=False, repr=False)
    snapshot: datetime | None = None

    @property
    def server_key(self) -> tuple[str, int]:
        """Equal for endpoints of one server, as DNS compares names: case and a final dot are ignored."""
        return self.server.rstrip(".").lower(), self.port

    @property
    def share_key(self) -> tuple[str, int, str]:
        """Equal for endpoints of one share."""
        return (*self.server_key, upcase(self.share))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files are selected by what a listing says of them; None sets no limit.

    Sizes in bytes. ``written_from`` and ``written_until`` bound the write time (FILETIME). All bounds are inclusive.
    Files with any of the attributes ``without`` are left out. Folders and links have no such limits.
    """

    min_size: int | None = None
    max_size: int | None = None
    written_from: int | None = None
    written_until: int | None = None
    without: tuple[FileAttribute, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryLocked:
    """How often files that are in use are tried again after all others, and how many seconds apart; 0 for never."""

    attempts: int = 3
    interval: float = 60.0


@dataclass(frozen=True, slots=True)
class Politeness:
    """Give way when servers answer more slowly than ``latency_factor`` times their idle reply time (ADR 45).

    ``agents``: how many agents of the run measure the same servers.
    """

    latency_factor: float
    agents: int = 1


@dataclass(frozen=True, slots=True)
class Options:
    """How files are compared, copied, verified and deleted; ``bytes_per_second`` None is unlimited.

    ``max_deletes`` is a count, or a percentage of the destination's files and folders such as ``"10%"``. ``include``
    and ``exclude`` are patterns in DataSync's grammar. Times that differ by at most ``modify_window`` (in 100 ns) are
    the same. ``sid_map`` is applied to the source's security descriptors. With ``dry_run`` nothing is changed, and the
    counters are the same. ``unconfirmed`` is the word by which a person can confirm the mirror (ADR 20); until then
    nothing is deleted, and nothing that is newer at the destination is replaced.
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
    sid_map: SidMap = field(default_factory=SidMap)
    streams: Streams = Streams.COPY
    extended_attributes: ExtendedAttributes = ExtendedAttributes.COPY
    links: Links = Links.SKIP
    hard_links: HardLinks = HardLinks.COPY
    system_folders: SystemFolders = SystemFolders.SKIP
    modify_window: int = 0
    server_side_copy: ServerSideCopy = ServerSideCopy.AUTO
    durability: Durability = Durability.BUFFERED
    retry_locked: RetryLocked = RetryLocked()
    bytes_per_second: int | None = None
    politeness: Politeness | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selection: Selection = Selection()
    dry_run: bool = False
    unconfirmed: str = ""


@dataclass(slots=True)
class ItemCounters:
    """Counters of files, or of folders. ``listed`` are those of the source after filters.

    ``incomplete`` were copied without some of their metadata; they count as failed, too. ``links`` and ``system`` are
    links and the servers' own folders that the options leave out. ``renamed`` had a name that differed in case only;
    they are counted as transferred or skipped, too. ``rounded_times`` are files of the same size that were copied again
    only because the destination stores times less exactly.
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

    ``server_side`` is how many of the written bytes the server copied by itself.
    """

    to_transfer: int = 0
    transferred: int = 0
    written: int = 0
    server_side: int = 0


@dataclass(frozen=True, slots=True)
class PolitenessFact:
    """How a run gives way to others.

    ``idle`` and ``current`` are the reply times in seconds that 95 of 100 replies of the server on ``side`` did not
    exceed, while the run sent nothing and lately; None if neither server could be measured. ``share`` is the part of
    its usual requests that the run may have in flight, ``slowed`` for how many seconds it was below 1. ``unmeasured``
    are the sides whose replies can't be measured.
    """

    latency_factor: float
    side: SideName | None
    idle: float | None
    current: float | None
    share: float
    slowed: float
    unmeasured: tuple[SideName, ...] = ()


@dataclass(slots=True)
class Counters:
    """Progress: counters, rate, and estimated time left; ``politeness`` is None unless the options ask for it."""

    files: ItemCounters = field(default_factory=ItemCounters)
    directories: ItemCounters = field(default_factory=ItemCounters)
    bytes: ByteCounters = field(default_factory=ByteCounters)
    bytes_per_second: int | None = None
    eta_seconds: float | None = None
    politeness: PolitenessFact | None = None


@dataclass(frozen=True, slots=True)
class FileFailure:
    r"""One file or folder that failed; ``path`` from the transfer's root, lone surrogates written as ``\udXXX``."""

    path: str
    phase: FilePhase
    reason: str
    message: str


class FileRecord(NamedTuple):
    """What was done with one file or folder, for the report. ``digest`` is BLAKE3 in hex, if it was computed;
    ``left_out`` says why it is no part of the transfer, with LeftOut only.
    """

    path: str
    kind: ItemKind
    action: Literal["Transferred", "Skipped", "Verified", "Deleted", "LeftOut"]
    size: int
    digest: str | None = None
    left_out: Literal["Link", "SystemFolder"] | None = None


class NotCarried(NamedTuple):
    """Something of a file or folder that the destination did not get; ``reason`` is a sentence without a full stop.

    ``path`` is written as in :class:`FileFailure`; that of a stream is followed by ``:`` and its name.
    """

    path: str
    what: NotCarriedKind
    reason: str


class SidCount(NamedTuple):
    """In how many descriptors a rule has replaced ``old`` by ``new``; without a rule, how many have ``old``."""

    old: str
    new: str
    descriptors: int


@dataclass(frozen=True, slots=True)
class SidFacts:
    """What the run has found in the source's security descriptors, the largest counts first.

    ``unmapped`` are domains, and kinds of local accounts, that the map does not know: at most 1,000.
    """

    rules: tuple[SidCount, ...]
    unmapped: tuple[SidCount, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What protects one side's session, as negotiated. Sizes in bytes."""

    principal: str
    dialect: str
    cipher: str
    signing: str
    server: str
    share_encryption_required: bool
    max_read_size: int
    max_write_size: int


@dataclass(frozen=True, slots=True)
class ServerSideFact:
    """Whether the server copies large files by itself, and why."""

    state: ServerSideState
    message: str


@dataclass(frozen=True, slots=True)
class ChosenSnapshot:
    """The snapshot of the source that a run reads; ``time`` is None if it reads the files as they are.

    ``age`` is that of the snapshot when it was chosen, by the server's clock. ``message`` says how it was chosen.
    """

    time: datetime | None
    age: timedelta | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RetryFact:
    """Files that were in use, or changed while they were read, and are tried again after all others.

    ``attempt`` of ``attempts`` begins in ``seconds``, 0 once it has begun.
    """

    files: int
    attempt: int
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DfsTarget:
    """Where a DFS path leads; ``path`` is inside the share, ``/`` separated."""

    server: str
    port: int
    share: str
    path: str


@dataclass(frozen=True, slots=True)
class ShareFacts:
    """The result of a probe; ``maximal_access`` as a mask and as names, the server's clock in UTC.

    ``dfs_target`` is set if the path leads elsewhere; everything else is about the target then. ``server_guid``: as in
    :class:`smbferry_engine.session.connect.Connected`.
    """

    evidence: Evidence
    free_bytes: int
    total_bytes: int
    maximal_access: int
    maximal_access_names: tuple[str, ...]
    server_system_time: datetime
    dfs_target: DfsTarget | None = None
    server_guid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run. ``failures`` counts failures by reason; the observer was told of each."""

    counters: Counters
    outcome: Outcome
    failures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison. Paths are from the root; each tuple has at most 1,000, ``total_differences`` counts
    all.
    """

    equal: bool
    files: int
    directories: int
    bytes: int
    only_source: tuple[str, ...]
    only_destination: tuple[str, ...]
    different: tuple[str, ...]
    total_differences: int


class Observer(Protocol):
    """Receives the progress of a run. Its methods are called in the engine's thread and must not block for long."""

    def phase(self, name: str, state: str) -> None:
        """A phase (:class:`PhaseName`) has reached a state (:class:`PhaseState`)."""

    def progress(self, counters: Counters) -> None:
        """Called about once a second; the engine goes on changing the object."""

    def failure(self, failure: FileFailure) -> None:
        """A file failed; the run goes on."""

    def record(self, record: FileRecord) -> None:
        """A file or folder is done."""

    def not_carried(self, item: NotCarried) -> None:
        """Something did not arrive. Called for each item, also for one that counts as a failure."""

    def sids(self, facts: SidFacts) -> None:
        """What the source's security descriptors have: called once, at the end of a run that copies them."""

    def security(self, side: SideName, evidence: Evidence) -> None:
        """A side has a new session, with this evidence."""

    def server_side(self, fact: ServerSideFact) -> None:
        """Whether the server copies by itself: called when the run begins, and again if the server refuses."""

    def retrying(self, fact: RetryFact | None) -> None:
        """Files wait to be tried again, or are tried again; None once no file waits any more."""
