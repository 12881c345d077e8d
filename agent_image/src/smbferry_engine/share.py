"""One side of a transfer as coroutines: list, open, make, delete; each a compound where the protocol allows."""

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    delete_request,
    list_request,
    open_request,
    set_basic_request,
)
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import status_error
from smbferry_engine.paths import join
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.directory import DirectoryEntry, decode_query_directory
from smbferry_engine.wire.status import NtStatus

_FIRST_PAGE = 64 * 1024
_PAGE = 512 * 1024
_MAX_ENTRIES = 5_000_000

# Plain integers: these are combined once per file, and IntFlag is slow at that.
READ_ACCESS = int(Access.READ_DATA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
LIST_ACCESS = READ_ACCESS
DELETE_ACCESS = int(Access.DELETE | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
SET_ACCESS = int(Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE)


def check(reply: Reply, doing: str) -> Reply:
    """The reply, if the server did what was asked; else the error for its status."""
    if reply.status != NtStatus.SUCCESS:
        raise status_error(reply.status, doing)
    return reply


class Share:
    """A lane and the root within its share. Paths given to it are relative to that root."""

    def __init__(self, lane: Lane, root: str) -> None:
        self.lane = lane
        self.root = root

    def wire_path(self, path: str) -> str:
        """From the share's root."""
        if not path:
            return self.root
        return join(self.root, path)

    async def open_root(self, *, query_maximal_access: bool = False) -> CreateReply:
        """Open and close the root folder; its reply says what it is and what may be done with it."""
        replies = await self.lane.call(
            open_request(
                self.root,
                access=LIST_ACCESS,
                query_maximal_access=query_maximal_access,
            ),
            close_request(),
        )
        return decode_create(check(replies[0], "opening the folder").message)

    async def list_directory(self, path: str, doing: str) -> list[DirectoryEntry]:
        """Every entry of a folder, ``.`` and ``..`` included; up to some hundred names take one round trip."""
        lane = self.lane
        first = lane.list_limit(_FIRST_PAGE)
        replies = await lane.call(
            open_request(self.wire_path(path), access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE),
            list_request(first),
            list_request(first),
        )
        file_id = decode_create(check(replies[0], doing).message).file_id
        try:
            entries: list[DirectoryEntry] = []
            more = _add_page(replies[1], entries, doing) and _add_page(replies[2], entries, doing)
            while more:
                (reply,) = await lane.call(list_request(lane.list_limit(_PAGE), file_id))
                more = _add_page(reply, entries, doing)
            return entries
        finally:
            lane.call(close_request(file_id))

    async def make_directory(self, path: str) -> None:
        """Create a folder; one that is there already is fine."""
        replies = await self.lane.call(
            open_request(
                self.wire_path(path),
                access=SET_ACCESS,
                disposition=Disposition.OPEN_IF,
                options=CreateOption.DIRECTORY_FILE,
            ),
            close_request(),
        )
        check(replies[0], "creating the folder")

    async def change(
        self, path: str, access: int, requests: tuple[Request, ...], doing: str, *, options: int = 0
    ) -> None:
        """Open, apply SET_INFO requests, close; the first refusal is raised."""
        replies = await self.lane.call(
            open_request(self.wire_path(path), access=access, options=options), *requests, close_request()
        )
        for reply in replies:
            check(reply, doing)

    async def delete(self, path: str, *, directory: bool, readonly: bool = False) -> None:
        """Delete a file, an empty folder or a link itself; one that is gone already is fine."""
        kind = CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE
        writable = (set_basic_request(attributes=_PLAIN_ATTRIBUTES),) if readonly else ()
        access = DELETE_ACCESS | (Access.WRITE_ATTRIBUTES if readonly else 0)
        replies = await self.lane.call(
            open_request(self.wire_path(path), access=access, options=kind),
            *writable,
            delete_request(),
            close_request(),
        )
        if replies[0].status in (NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.OBJECT_PATH_NOT_FOUND):
            return
        for reply in replies[:-1]:
            check(reply, "deleting")


_PLAIN_ATTRIBUTES = 0x80


def _add_page(reply: Reply, entries: list[DirectoryEntry], doing: str) -> bool:
    """Add a page of a listing; False when there are no more. A folder without end is a server's fault, not a tree."""
    if reply.status in (NtStatus.NO_MORE_FILES, NtStatus.NO_SUCH_FILE):
        return False
    before = len(entries)
    entries.extend(decode_query_directory(check(reply, doing).message))
    if len(entries) > _MAX_ENTRIES or len(entries) == before:
        raise ProtocolError(f"a listing that goes on and ends expected, found {len(entries)} entries so far")
    return True
