"""Verification that keeps up with the writing: each range is read back behind its write, through another open."""

from smbferry_engine.content import EndedEarlyError, OpenFile, open_file, stream
from smbferry_engine.core.calls import query_standard_request
from smbferry_engine.core.tasks import Scheduler, Signal
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.headway import NOTHING, Headway, Kept, KeptDiffersError
from smbferry_engine.share import Share, check
from smbferry_engine.wire.info import decode_standard

_DEPTH = 4


class Frontier:
    """How far a file is as it shall be, without a gap and so that it can be read; ``extent`` is its length at first."""

    def __init__(self, extent: int) -> None:
        self._extent = extent
        self._through = 0
        self._apart: dict[int, int] = {}
        self._waiting: list[tuple[int, Signal[None]]] = []
        self.completed: Signal[None] = Signal()

    def settled(self, offset: int, length: int, *, hole: bool = False) -> None:
        """A range is as it shall be. A ``hole`` was left out: it can be read when the file reaches beyond it."""
        end = offset + length
        if not hole:
            self._extent = max(self._extent, end)
        self._apart[offset] = end
        while self._through in self._apart:
            self._through = self._apart.pop(self._through)
        self._wake()

    def complete(self, size: int) -> None:
        """Nothing of the content is missing any more, and the file has its ``size``."""
        self._extent = size
        self._wake()
        self.completed.resolve(None)

    @property
    def through(self) -> int:
        """Before which byte all can be read as it shall be."""
        return min(self._through, self._extent)

    async def reach(self, offset: int, length: int) -> None:
        """Wait until a range, and everything before it, can be read as it shall be."""
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
    scheduler: Scheduler, share: Share, path: str, size: int, frontier: Frontier, *, headway: Headway | None = None
) -> bytes:
    """BLAKE3 (32 bytes) of what the file at ``path`` holds when ``frontier`` is complete.

    Raises:
        KeptDiffersError: it does not begin with what there is in ``headway``.
        FileError: HashMismatch, when it is shorter or longer than ``size``; any refusal of the server.
    """
    kept = headway.kept() if headway is not None else NOTHING
    file = await open_file(share, path)
    try:
        if headway is not None:
            await _check_kept(scheduler, file, headway, kept)
        found = await stream(
            scheduler,
            file,
            part=(kept.through, size),
            before=frontier.reach,
            depth=_DEPTH,
            begun=kept.hasher,
            hashed=headway.read_back if headway is not None and headway.remembers else None,
        )
        await frontier.completed
        (reply,) = await file.lane.call(query_standard_request(file.opened.file_id))
        held = decode_standard(check(reply, "asking for the file's size").message).size
    except EndedEarlyError as error:
        raise FileError(
            FileReason.HASH_MISMATCH, f"{size} bytes were sent, fewer could be read back; it was not kept"
        ) from error
    finally:
        file.close()
    if held != size:
        raise FileError(FileReason.HASH_MISMATCH, f"{size} bytes were sent, the file has {held}; it was not kept")
    return found


async def check_kept(scheduler: Scheduler, share: Share, path: str, headway: Headway) -> None:
    """The file at ``path`` begins with what there is in ``headway``, or :class:`KeptDiffersError`."""
    kept = headway.kept()
    if not kept.through:
        return
    file = await open_file(share, path)
    try:
        await _check_kept(scheduler, file, headway, kept)
    finally:
        file.close()


async def _check_kept(scheduler: Scheduler, file: OpenFile, headway: Headway, kept: Kept) -> None:
    proved = headway.proved()
    try:
        found = await stream(
            scheduler,
            file,
            part=(proved.through, kept.through),
            depth=_DEPTH,
            begun=proved.hasher,
            hashed=headway.read_back if headway.remembers else None,
        )
    except EndedEarlyError as error:
        raise KeptDiffersError(kept.through) from error
    if found != kept.hasher.digest():
        raise KeptDiffersError(kept.through)
