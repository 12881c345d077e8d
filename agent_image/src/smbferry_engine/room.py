"""No room at the destination: what concerns one file, and when the run has nothing to gain by going on.

A full disk may be one of several below the transfer's root, and a quota binds one folder or one account. A large file
that is too large takes all room while it is gathered, and gives it back. So a file that finds no room is put off, tried
once more when everything else is done, small ones first, and fails by its path; the run goes on. It ends only when many
in a row have found none, and the server says that neither the folder of the last one nor the root has any.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smbferry_engine.core.calls import close_request, open_request, query_size_request
from smbferry_engine.errors import DESTINATION_FULL, NO_ROOM, EngineError, FileError, FileReason
from smbferry_engine.paths import display, split
from smbferry_engine.share import LIST_ACCESS, Share, check
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.info import decode_size

if TYPE_CHECKING:
    from smbferry_engine.work import FileItem

IN_A_ROW = 64
# Less than this, in bytes, is no room: a file system keeps some to itself.
LEAST_ROOM = 1 << 20
_NAMED = 3
# More than this many are not put off: they fail at once.
_MOST_PUT_OFF = 10_000


@dataclass(slots=True)
class Room:
    """What has found no room since something last did; ``short`` once anything has.

    ``put_off`` are files to try once more, with why; ``last`` when that is now. ``gathering`` is how many large files
    are being written: what they take may be given back.
    """

    short: bool = False
    last: bool = False
    in_a_row: int = 0
    gathering: int = 0
    paths: deque[str] = field(default_factory=lambda: deque(maxlen=_NAMED))
    put_off: "list[tuple[FileItem, FileError]]" = field(default_factory=list)

    def later(self, item: "FileItem", error: FileError) -> bool:
        """Put a file off, if it found no room and may be tried again."""
        if error.reason not in NO_ROOM or self.last or len(self.put_off) >= _MOST_PUT_OFF:
            return False
        self.put_off.append((item, error))
        self.failed(item.path, error)
        return True

    def failed(self, path: str, error: FileError) -> None:
        """A file or folder has failed, for this reason or another."""
        if error.reason in NO_ROOM:
            self.short = True
            self.in_a_row += 1
            self.paths.append(path)

    def found(self, size: int) -> None:
        """A file of so many bytes is in place."""
        if size:
            self.in_a_row = 0

    def second_pass(self) -> "list[FileItem]":
        """What was put off, in the order in which it is tried again."""
        self.last, items, self.put_off = True, [item for item, _ in self.put_off], []
        return sorted(items, key=lambda item: item.source.size)

    async def judge(self, share: Share) -> None:
        """:class:`EngineError` DestinationFull when there is nothing to gain by going on."""
        if self.in_a_row < IN_A_ROW or self.gathering:
            return
        self.in_a_row = 0  # ask the server again only after as many more
        folders = {"", split(self.paths[-1])[0]}
        free = max([await free_bytes(share, folder) for folder in sorted(folders)])
        if free < LEAST_ROOM:
            last = ", ".join(display(path) for path in self.paths)
            raise EngineError(
                DESTINATION_FULL,
                f"expected room for the files that are left, got none for {IN_A_ROW} in a row and {free} bytes free; "
                f"the last of them are {last}",
            )


async def free_bytes(share: Share, folder: str) -> int:
    """How many bytes the account may still use in a folder (MS-FSCC 2.5.4); 0 where the server does not say."""
    request = open_request(share.wire_path(folder), access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE)
    _, told, _ = await share.lane.call(request, query_size_request(), close_request())
    try:
        return decode_size(check(told, "asking for free space").message).free
    except FileError:
        return 0


async def expect_room(share: Share, path: str, size: int) -> None:
    """:class:`FileError` DestinationFull unless the folder of ``path`` has room for ``size`` more bytes."""
    free = await free_bytes(share, split(path)[0])
    if size > free:
        raise FileError(FileReason.DESTINATION_FULL, f"expected room for {size} bytes in its folder, got {free}")
