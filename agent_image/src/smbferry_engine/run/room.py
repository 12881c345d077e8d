"""No space at the destination: which files it affects, and when the run ends because of it.

A full disk may be one of several below the transfer's root, and a quota applies to one folder or account. A file that
is too large takes all space while it is gathered, and frees it again. So a file that finds no space is tried once more
after all others, the smallest first, and then fails; the run goes on. The run ends only if many files in a row found no
space, and the server reports none for the folder of the last one and for the root.
"""

from collections import deque
from dataclasses import dataclass, field

from smbferry_engine.core.calls import close_request, open_request, query_size_request
from smbferry_engine.errors import NO_ROOM, EngineError, FileError, FileReason
from smbferry_engine.paths import display, split
from smbferry_engine.share.access import LIST_ACCESS
from smbferry_engine.share.replies import check
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.info import decode_size
from smbferry_words.reasons import DESTINATION_FULL

IN_A_ROW = 64
# Less than this, in bytes, counts as no space: file systems reserve some.
LEAST_ROOM = 1 << 20
_NAMED = 3


@dataclass(slots=True)
class Room:
    """Counts files in a row that found no space; ``short`` is set once any has.

    ``gathering`` is how many large files are being written: they may free their space again.
    """

    short: bool = False
    in_a_row: int = 0
    gathering: int = 0
    paths: deque[str] = field(default_factory=lambda: deque(maxlen=_NAMED))

    def failed(self, path: str, error: FileError) -> None:
        """Record that a file or folder failed, for any reason."""
        if error.reason in NO_ROOM:
            self.short = True
            self.in_a_row += 1
            self.paths.append(path)

    def found(self, size: int) -> None:
        """Record that a file of ``size`` bytes was committed."""
        if size:
            self.in_a_row = 0

    async def judge(self, share: Share) -> None:
        """Raise :class:`EngineError` DestinationFull if there is no space for any further file."""
        if self.in_a_row < IN_A_ROW or self.gathering:
            return
        self.in_a_row = 0  # ask the server again after as many more
        folders = {"", split(self.paths[-1])[0]}
        free = max([await free_bytes(share, folder) for folder in sorted(folders)])
        if free < LEAST_ROOM:
            last = ", ".join(display(path) for path in self.paths)
            raise EngineError(
                DESTINATION_FULL,
                f"expected space for the remaining files, got none for {IN_A_ROW} in a row and {free} bytes free; "
                f"the last of them are {last}",
            )


async def free_bytes(share: Share, folder: str) -> int:
    """Return how many bytes the account may still use in a folder (MS-FSCC 2.5.4); 0 where the server does not say."""
    request = open_request(share.wire_path(folder), access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE)
    _, told, _ = await share.session.call(request, query_size_request(), close_request())
    try:
        return decode_size(check(told, "querying free space").message).free
    except FileError:
        return 0


async def expect_room(share: Share, path: str, size: int) -> None:
    """Raise :class:`FileError` DestinationFull unless the folder of ``path`` has space for ``size`` more bytes."""
    free = await free_bytes(share, split(path)[0])
    if size > free:
        raise FileError(FileReason.DESTINATION_FULL, f"expected space for {size} bytes in its folder, got {free}")
