"""What all coroutines of one run share: both sides, the options, the counts and what is still to be cleaned up."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from smbferry_engine.core.calls import Call
from smbferry_engine.core.sync import Gate
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import FileError
from smbferry_engine.extras import ExtrasLog
from smbferry_engine.filters import Filters
from smbferry_engine.headway import Headway
from smbferry_engine.model import (
    Counters,
    Durability,
    FileFailure,
    FileRecord,
    ItemCounters,
    Observer,
    Options,
    Preservation,
    SecurityDescriptors,
    VerifyMode,
)
from smbferry_engine.ownership import Ownership
from smbferry_engine.paths import display
from smbferry_engine.progress import Limiter, Phases
from smbferry_engine.recovery import Recovery
from smbferry_engine.room import Room
from smbferry_engine.shard import Piece, Shard
from smbferry_engine.share import Share
from smbferry_engine.wire.create import Access, CreateReply
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import SecurityPart

if TYPE_CHECKING:
    from smbferry_engine.folders import Folder
    from smbferry_engine.server_copy import ServerCopy
    from smbferry_engine.work import FileItem

PhaseWord = Literal["Prepare", "Transfer", "Verify", "Delete"]
ActionWord = Literal["Transferred", "Skipped", "Verified", "Deleted"]

LARGE_FILES_AT_ONCE = 2
_ASKED_AGAIN = 1.0  # seconds
# Plain integers: these are combined once per file, and IntFlag is slow at that.
_DACL, _SACL = int(SecurityPart.DACL), int(SecurityPart.SACL)
_READ_CONTROL = int(Access.READ_CONTROL)
_WRITE_DESCRIPTOR = int(Access.WRITE_DAC | Access.WRITE_OWNER)
_ACCESS_SYSTEM_SECURITY = int(Access.ACCESS_SYSTEM_SECURITY)


@dataclass(slots=True)
class Run:
    """The state of one transfer. Only the engine's one thread touches it.

    ``temporaries`` are the paths of files being gathered with the calls that opened them, ``landing`` the final names
    whose compound is on its way, ``doomed`` those found wanting and not deleted yet: what a run that is stopped must
    not leave half-done. ``left`` are, by final name and path, those that attempts at a file have left or passed over,
    with the calls that close what was left. ``audit_refusal`` is why audit lists are not copied, where they were asked
    for.

    ``held_back`` counts files that are newer at the destination and stay, as nobody has confirmed the mirror.

    ``headway`` is what there is of large files whose copying was cut short, by path and the part's first byte.

    ``may_replace`` is asked before anything at the destination is deleted or replaced, and waited for; what is new is
    copied meanwhile.
    ``replaced`` is what the destination has in place of something of another kind, and goes before that is copied:
    ``replacing_folders`` and ``replacing_files``.

    ``abandoned`` is asked where the run must stop: if somebody goes on with it, temporaries stay for that. ``shared``
    are temporaries that other agents write into, too: they go only if the run is abandoned as a whole.
    ``shard`` is the part of the tree that this agent copies, None for all of it; ``pieces`` are those of large files
    that it has gathered. Who finishes a run of several has in ``gathered``, by path, what they left. ``roots`` are both
    root folders as they were found.
    """

    source: Share
    destination: Share
    options: Options
    filters: Filters
    observer: Observer
    scheduler: Scheduler
    limiter: Limiter
    recovery: Recovery
    counters: Counters
    server_copy: "ServerCopy | None" = None  # there where the server may copy by itself
    failures: Counter[str] = field(default_factory=Counter)
    temporaries: dict[str, Call] = field(default_factory=dict)
    left: defaultdict[str, dict[str, list[Call]]] = field(default_factory=lambda: defaultdict(dict))
    landing: dict[str, Call] = field(default_factory=dict)
    doomed: set[str] = field(default_factory=set)
    phases: Phases = field(init=False)
    ownership: Ownership = field(init=False)
    extras: ExtrasLog = field(default_factory=ExtrasLog)
    retained: set[str] = field(default_factory=set)
    replaced: ExtrasLog = field(default_factory=ExtrasLog)
    replacing_folders: list["Folder"] = field(default_factory=list)
    replacing_files: list["FileItem"] = field(default_factory=list)
    source_incomplete: bool = False
    held_back: int = 0
    audit_refusal: FileError | None = None
    shard: Shard | None = None
    pieces: list[Piece] = field(default_factory=list)
    gathered: dict[str, list[Piece]] = field(default_factory=dict)
    headway: dict[tuple[str, int], Headway] = field(default_factory=dict)
    roots: tuple[DirectoryEntry, DirectoryEntry] | None = None
    shared: set[str] = field(default_factory=set)
    abandoned: Callable[[], bool] = lambda: True
    may_replace: Callable[[], bool] = lambda: True
    room: Room = field(default_factory=Room)
    large: Gate = field(default_factory=lambda: Gate(LARGE_FILES_AT_ONCE))

    def __post_init__(self) -> None:
        self.phases = Phases(self.observer)
        self.ownership = Ownership(self.destination)
        self.recovery.headway = lambda: sum(headway.amount for headway in self.headway.values())

    @property
    def connections_die(self) -> bool:
        """Whether a connection of this run has been lost: ranges are small, and what is done is made to last."""
        return self.source.lane.follows_a_death or self.destination.lane.follows_a_death

    async def still_wanted(self) -> None:
        """Return when something at the destination may be deleted or replaced."""
        while not self.may_replace():
            await self.scheduler.sleep(_ASKED_AGAIN)

    def owns(self, path: str) -> bool:
        """Whether a name is this agent's to count and to speak of."""
        return self.shard is None or self.shard.holds(path)

    @property
    def security_parts(self) -> int:
        """The parts of a descriptor that are copied beside owner and group, 0 for none."""
        if self.options.security_descriptors is SecurityDescriptors.NONE:
            return 0
        if self.options.security_descriptors is SecurityDescriptors.OWNER_DACL or self.audit_refusal is not None:
            return _DACL
        return _DACL | _SACL

    @property
    def read_security_access(self) -> int:
        """Access needed at the source to read a descriptor."""
        if not self.security_parts:
            return 0
        return _READ_CONTROL | self._sacl_access

    @property
    def write_security_access(self) -> int:
        """Access needed at the destination to set a descriptor."""
        if not self.security_parts:
            return 0
        return _WRITE_DESCRIPTOR | self._sacl_access

    @property
    def _sacl_access(self) -> int:
        return _ACCESS_SYSTEM_SECURITY if self.security_parts & _SACL else 0

    @property
    def verifies_each(self) -> bool:
        """Whether what was written is read back file by file."""
        return self.options.verify_mode is VerifyMode.ONLY_FILES_TRANSFERRED and not self.options.dry_run

    @property
    def verifies_trees(self) -> bool:
        """Whether both whole trees are read and compared at the end."""
        return self.options.verify_mode is VerifyMode.POINT_IN_TIME_CONSISTENT and not self.options.dry_run

    @property
    def flushes_each(self) -> bool:
        """Whether small files are on the server's disk, too, before they count as copied."""
        return self.options.durability is Durability.FLUSHED

    @property
    def keeps_times(self) -> bool:
        """Whether times are copied."""
        return self.options.timestamps is Preservation.PRESERVE

    @property
    def keeps_attributes(self) -> bool:
        """Whether attributes are copied."""
        return self.options.attributes is Preservation.PRESERVE

    def count(self, kind: Literal["File", "Directory"]) -> ItemCounters:
        """The counters of files, or of folders."""
        return self.counters.files if kind == "File" else self.counters.directories

    def fail(self, path: str, kind: Literal["File", "Directory"], phase: PhaseWord, error: FileError) -> None:
        """Record that one file or folder failed; the run goes on."""
        self.count(kind).failed += 1
        self.failures[error.reason] += 1
        self.room.failed(path, error)
        self.observer.failure(FileFailure(display(path), phase, error.reason, error.message))

    def miss(self, path: str, kind: Literal["File", "Directory"], error: FileError) -> None:
        """Record that something of the metadata of what is in place could not be set; the run goes on."""
        self.count(kind).incomplete += 1
        self.fail(path, kind, "Transfer", error)

    def headway_of(self, path: str, opened: CreateReply, kept_size: int, begin: int = 0) -> Headway:
        """What there is of a file, or of the part that begins there; new where that does not serve any more."""
        found = self.headway.get((path, begin))
        if found is None or not found.serves(opened, kept_size):
            found = self.headway[path, begin] = Headway(opened, begin)
        return found

    def record(
        self, path: str, kind: Literal["File", "Directory"], action: ActionWord, size: int, digest: str | None = None
    ) -> None:
        """Tell the observer that one file or folder is done."""
        self.observer.record(FileRecord(display(path), kind, action, size, digest))
