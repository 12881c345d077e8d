"""What the coroutines of one run share. Only the engine's one thread touches it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from smbferry_engine.core.session import Session
from smbferry_engine.model import ByteCounters
from smbferry_engine.run.housekeeping import Housekeeping
from smbferry_engine.run.limiter import Limiter
from smbferry_engine.run.policy import Policy
from smbferry_engine.run.scope import Scope
from smbferry_engine.run.tally import Tally
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.reconnect import Recovery
from smbferry_engine.share.reading import OpenFile
from smbferry_engine.share.share import Share


class CopyRanges(Protocol):
    """The ranges of the target of a server-side copy; ``kept_size`` is the file's length when it was opened."""

    session: Session
    file_id: bytes
    kept_size: int

    def settled(self, offset: int, length: int) -> None:
        """Record a range that the server has copied."""

    async def restart(self) -> None:
        """Empty the file."""

    async def complete(self, size: int) -> None:
        """Set the file's size after the last range."""


class CopyTarget(Protocol):
    """A file at the destination as the target of a server-side copy."""

    @property
    def ranges(self) -> CopyRanges:
        """Its ranges."""
        ...

    async def read_back(self, size: int) -> bytes:
        """Return the BLAKE3 of the file, read after the writes through another open."""
        ...


class ServerCopier(Protocol):
    """Lets the server copy content by itself."""

    async def fill(
        self, run: "RunContext", path: str, file: OpenFile, target: CopyTarget, count: Callable[[int], None]
    ) -> bytes | None:
        """Copy a whole file; returns its BLAKE3, empty where none was computed, None where it must be streamed."""
        ...

    async def fill_part(
        self,
        run: "RunContext",
        path: str,
        file: OpenFile,
        target: CopyTarget,
        *,
        part: tuple[int, int],
        count: Callable[[int], None],
    ) -> bytes | None:
        """Copy a half-open range of a file; returns its BLAKE3, None where it must be streamed."""
        ...


@dataclass(slots=True)
class RunContext:
    """Both sides of a run, its policy and scope, what it has done, and what it has left unfinished.

    ``server_copy`` is None if the server may not copy by itself.
    """

    source: Share
    destination: Share
    policy: Policy
    housekeeping: Housekeeping
    tally: Tally
    scope: Scope
    scheduler: Scheduler
    limiter: Limiter
    recovery: Recovery
    server_copy: ServerCopier | None = None

    def connections_die(self) -> bool:
        """Return whether this run has lost a connection: then ranges are small, and what is written is flushed."""
        return self.source.session.follows_a_death or self.destination.session.follows_a_death


@dataclass(frozen=True, slots=True)
class StagingArea:
    """The destination as staging files see it. ``connections_die``: whether the run has lost a connection."""

    scheduler: Scheduler
    share: Share
    policy: Policy
    housekeeping: Housekeeping
    counters: ByteCounters
    connections_die: Callable[[], bool]

    @classmethod
    def of(cls, run: RunContext) -> "StagingArea":
        """Return the staging area of a run."""
        return cls(
            run.scheduler,
            run.destination,
            run.policy,
            run.housekeeping,
            run.tally.counters.bytes,
            run.connections_die,
        )
