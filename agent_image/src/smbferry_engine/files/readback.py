"""Reads a file back while it is written: each range after its write, through another open."""

import contextlib

from blake3 import blake3

from smbferry_engine.core.calls import query_standard_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.pump import EndedEarlyError, stream
from smbferry_engine.run.resume import NOTHING, PrefixDiffersError, ResumePoint, VerifiedPrefix
from smbferry_engine.runtime.tasks import Scheduler, Signal
from smbferry_engine.share.reading import OpenFile, open_file
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.info import decode_standard

_DEPTH = 4


class Watermark:
    """How far a file is complete and readable without a gap; ``extent`` is its length when it was opened."""

    def __init__(self, extent: int) -> None:
        self._extent = extent
        self._through = 0
        self._apart: dict[int, int] = {}
        self._waiting: list[tuple[int, Signal[None]]] = []
        self.completed: Signal[None] = Signal()

    def settled(self, offset: int, length: int, *, hole: bool = False) -> None:
        """Record a complete range. A ``hole`` was not written: it can be read once the file extends beyond it."""
        end = offset + length
        if not hole:
            self._extent = max(self._extent, end)
        self._apart[offset] = end
        while self._through in self._apart:
            self._through = self._apart.pop(self._through)
        self._wake()

    def complete(self, size: int) -> None:
        """Record that the content is complete and the file has its ``size``."""
        self._extent = size
        self._wake()
        self.completed.resolve(None)

    @property
    def through(self) -> int:
        """The offset before which the file is complete and readable."""
        return min(self._through, self._extent)

    async def reach(self, offset: int, length: int) -> None:
        """Wait until a range, and everything before it, is complete and readable."""
        end = offset + length
        if end > self.through:
            arrival: Signal[None] = Signal()
            self._waiting.append((end, arrival))
            await arrival

    def _wake(self) -> None:
        reached = self.through
        ready = [arrival for end, arrival in self._waiting if end <= reached]
        self._waiting = [waiter for waiter in self._waiting if waiter[0] > reached]
        for arrival in ready:
            arrival.resolve(None)


async def read_back(
    scheduler: Scheduler,
    share: Share,
    path: str,
    size: int,
    watermark: Watermark,
    *,
    resume_point: ResumePoint | None = None,
) -> bytes:
    """Return the BLAKE3 (32 bytes) of the file at ``path`` once ``watermark`` is complete.

    Raises:
        PrefixDiffersError: the file does not begin with the prefix of ``resume_point``. FileError: HashMismatch, when
        it is shorter or longer than ``size``; any refusal of the server.
    """
    kept = resume_point.kept() if resume_point is not None else NOTHING
    file = await open_file(share, path)
    try:
        if resume_point is not None:
            await _check_kept(scheduler, file, resume_point, kept)
        found = await stream(
            scheduler,
            file,
            part=(kept.through, size),
            before=watermark.reach,
            depth=_DEPTH,
            begun=kept.hasher,
            hashed=resume_point.read_back if resume_point is not None and resume_point.remembers else None,
        )
        await watermark.completed
        (reply,) = await file.session.call(query_standard_request(file.opened.file_id))
        held = decode_standard(check(reply, "querying the file's size").message).size
    except EndedEarlyError as error:
        raise FileError(
            FileReason.HASH_MISMATCH,
            f"expected the {size} bytes that were sent, got fewer when read back; the file was not kept",
        ) from error
    finally:
        file.close()
    if held != size:
        raise FileError(
            FileReason.HASH_MISMATCH, f"expected the {size} bytes that were sent, got a file of {held}; it was not kept"
        )
    return found


async def read_prefix(scheduler: Scheduler, share: Share, path: str, part: tuple[int, int]) -> VerifiedPrefix:
    """Return how far ``part`` (start, end) of the file at ``path`` can be read, with the BLAKE3 of that."""
    last = NOTHING

    def hashed(end: int, hasher: blake3) -> None:
        nonlocal last
        last = VerifiedPrefix(end, hasher)

    file = await open_file(share, path)
    try:
        with contextlib.suppress(EndedEarlyError):
            await stream(scheduler, file, part=part, depth=_DEPTH, hashed=hashed)
    finally:
        file.close()
    return VerifiedPrefix(last.through, last.hasher.copy())


async def check_kept(scheduler: Scheduler, share: Share, path: str, resume_point: ResumePoint) -> None:
    """Raise :class:`PrefixDiffersError` unless the file at ``path`` begins with the prefix of ``resume_point``."""
    kept = resume_point.kept()
    if not kept.through:
        return
    file = await open_file(share, path)
    try:
        await _check_kept(scheduler, file, resume_point, kept)
    finally:
        file.close()


async def _check_kept(scheduler: Scheduler, file: OpenFile, resume_point: ResumePoint, kept: VerifiedPrefix) -> None:
    proved = resume_point.proved()
    try:
        found = await stream(
            scheduler,
            file,
            part=(proved.through, kept.through),
            depth=_DEPTH,
            begun=proved.hasher,
            hashed=resume_point.read_back if resume_point.remembers else None,
        )
    except EndedEarlyError as error:
        raise PrefixDiffersError(kept.through) from error
    if found != kept.hasher.digest():
        raise PrefixDiffersError(kept.through)


def mismatch(sent: bytes, read: bytes) -> FileError:
    """Return the error for content that was read back and is not what was sent."""
    return FileError(
        FileReason.HASH_MISMATCH,
        f"expected BLAKE3 {sent.hex()} as sent, got {read.hex() or 'more'} when read back; the file was not kept",
    )
