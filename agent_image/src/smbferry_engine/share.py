"""One side of a transfer as coroutines: list, open, make, delete; each a compound where the protocol allows."""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    delete_request,
    list_request,
    open_request,
    query_security_request,
    rename_request,
    set_basic_request,
)
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.lane import Lane
from smbferry_engine.entries import Entries
from smbferry_engine.errors import FileError, status_error
from smbferry_engine.paths import join, split
from smbferry_engine.plan import COPIED_ATTRIBUTES, DIRECTORY, NORMAL
from smbferry_engine.wire.create import (
    DISK_ID_CONTEXT,
    MAXIMAL_ACCESS_CONTEXT,
    Access,
    CreateOption,
    CreateReply,
    Disposition,
    decode_create,
)
from smbferry_engine.wire.directory import BOTH, FULL, PLAIN, DirectoryEntry, EntryClass, decode_query_directory
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.status import NtStatus

# Some two thousand names; few folders have more.
_FIRST_PAGE = 256 * 1024
_LEAST_PAGE = 4 * 1024
_PAGE = 512 * 1024
_PAGED_LISTINGS = 64
_MAX_ENTRIES = 5_000_000
DESCRIPTOR_LIMIT = 64 * 1024
_REFUSED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.PRIVILEGE_NOT_HELD})

# Plain integers: these are combined once per file, and IntFlag is slow at that.
READ_ACCESS = int(Access.READ_DATA | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
LIST_ACCESS = READ_ACCESS
DELETE_ACCESS = int(Access.DELETE | Access.READ_ATTRIBUTES | Access.SYNCHRONIZE)
_NOT_THERE = frozenset({NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.OBJECT_PATH_NOT_FOUND, NtStatus.NO_SUCH_FILE})
_NOT_BELOW = frozenset({*_NOT_THERE, NtStatus.NOT_A_DIRECTORY})
_NOT_LISTED = frozenset({NtStatus.NO_MORE_FILES, NtStatus.NO_SUCH_FILE})
_NO_SUCH_CLASS = frozenset(
    {
        NtStatus.INVALID_INFO_CLASS,
        NtStatus.NOT_SUPPORTED,
        NtStatus.NOT_IMPLEMENTED,
        NtStatus.INVALID_PARAMETER,
        NtStatus.INVALID_DEVICE_REQUEST,
    }
)
_THERE_BUT_CLOSED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.SHARING_VIOLATION, NtStatus.DELETE_PENDING})
SET_ACCESS = int(Access.READ_ATTRIBUTES | Access.WRITE_ATTRIBUTES | Access.SYNCHRONIZE)


def check(reply: Reply, doing: str) -> Reply:
    """The reply, if the server did what was asked; else the error for its status."""
    if reply.status != NtStatus.SUCCESS:
        raise status_error(reply.status, doing)
    return reply


class Listing(NamedTuple):
    """A folder's entries, and a number that no other folder of its server has; 0 where the server tells none.

    ``descriptor`` is the folder's own, raw, where it was asked for; ``refusal`` is why it could not be read.
    """

    identity: int
    entries: Entries
    descriptor: bytes | None = None
    refusal: FileError | None = None


class Wanted(NamedTuple):
    """What of a folder's descriptor is asked for: ``parts`` beside owner and group, ``access`` is what it takes.

    ``itself`` is as for :func:`~smbferry_engine.core.calls.open_request`, of the folder.
    """

    access: int = 0
    parts: int = 0
    itself: bool = True

    def requests(self) -> list[Request]:
        """QUERY_INFO for it, where it is asked for."""
        return [query_security_request(self.parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT)] if self.parts else []


NOTHING_WANTED = Wanted()


class _Pages:
    """Gathers a listing. A folder without end is a server's fault, not a tree."""

    def __init__(self, entry_class: EntryClass, doing: str) -> None:
        self.entry_class = entry_class
        self.entries = Entries()
        self._doing = doing

    def add(self, reply: Reply) -> bool:
        """Take a page; False when there are no more."""
        if reply.status in _NOT_LISTED:
            return False
        page = decode_query_directory(check(reply, self._doing).message, self.entry_class)
        self.entries.add(page)
        if len(self.entries) > _MAX_ENTRIES or not page:
            raise ProtocolError(f"a listing that goes on and ends expected, found {len(self.entries)} entries so far")
        return True

    def listing(self, opened: CreateReply, descriptors: Sequence[Reply]) -> Listing:
        """What was gathered, of the folder that ``opened`` tells of."""
        descriptor = None
        for reply in descriptors:
            descriptor = bytes(decode_query(check(reply, "reading the folder's security descriptor").message))
        return Listing(opened.disk_id or self.entries.own_id, self.entries, descriptor)


class Share:
    """A lane and the root within its share. Paths given to it are relative to that root."""

    def __init__(self, lane: Lane, root: str) -> None:
        self.lane = lane
        self.root = root
        self._entry_class = PLAIN
        self._paged_listings = 0
        # False for a root that is itself a reparse point, and a folder all the same (in a cloud, as a rule).
        self.root_itself = True

    def wire_path(self, path: str) -> str:
        """From the share's root."""
        if not path:
            return self.root
        return join(self.root, path)

    async def open_root(self, *, query_maximal_access: bool = False, access: int = 0) -> CreateReply:
        """Open and close the root folder; its reply says what it is and what may be done with it.

        ``access`` is what is asked for beside listing it.
        """
        replies = await self.lane.call(
            open_request(
                self.root,
                access=LIST_ACCESS | access,
                contexts=(MAXIMAL_ACCESS_CONTEXT,) if query_maximal_access else (),
            ),
            close_request(),
        )
        return decode_create(check(replies[0], "opening the folder").message)

    async def list_directory(self, path: str, doing: str) -> list[DirectoryEntry]:
        """Every entry of a folder, ``.`` and ``..`` included."""
        return list((await self.listing(path, doing)).entries)

    async def listing(self, path: str, doing: str, wanted: Wanted = NOTHING_WANTED) -> Listing:
        """Every entry of a folder and the folder's identity; up to some two thousand names take one round trip.

        Plain entries cost a server a quarter less than full ones. Where they do not tell enough, a side is listed with
        full ones from then on: where a reparse point's tag must be known, or folders have no id but that of ``.``. A
        class that the server does not have is not asked for again (ADR 27).
        """
        if not path and not self.root_itself:
            wanted = wanted._replace(itself=False)
        while True:
            entry_class = self._entry_class
            try:
                listing = await self._listing(path, doing, entry_class, wanted)
            except FileError as error:
                if error.status not in _NO_SUCH_CLASS or entry_class is BOTH:
                    raise
            else:
                if entry_class is not PLAIN or (listing.identity and not listing.entries.has_links):
                    return listing
            if self._entry_class is entry_class:  # another listing may have found the same meanwhile
                self._entry_class = BOTH if entry_class is FULL else FULL

    async def _listing(self, path: str, doing: str, entry_class: EntryClass, wanted: Wanted) -> Listing:
        """A folder whose descriptor is kept from the account is listed without it."""
        try:
            return await self._listing_with(path, doing, entry_class, wanted)
        except FileError as error:
            if not wanted.parts or error.status not in _REFUSED:
                raise
            listing = await self._listing_with(path, doing, entry_class, Wanted(itself=wanted.itself))
            return listing._replace(refusal=error)

    async def _listing_with(self, path: str, doing: str, entry_class: EntryClass, wanted: Wanted) -> Listing:
        if self._paged_listings:
            self._paged_listings -= 1
            return await self._list_by_pages(path, doing, entry_class, wanted)
        listing = await self._list_at_once(path, doing, entry_class, wanted)
        if listing is None:
            # Its neighbours are likely to be as large; asking for them twice would cost more than a CLOSE of their own.
            self._paged_listings = _PAGED_LISTINGS
            listing = await self._list_by_pages(path, doing, entry_class, wanted)
        return listing

    async def _list_at_once(self, path: str, doing: str, entry_class: EntryClass, wanted: Wanted) -> Listing | None:
        """One compound from CREATE to CLOSE; None for a folder that has more than a page."""
        page = list_request(entry_class, self.lane.list_limit(_FIRST_PAGE))
        end = list_request(entry_class, _LEAST_PAGE)
        asking = wanted.requests()
        replies = await self.lane.call(self._open_folder(path, wanted), *asking, page, end, close_request())
        opened = decode_create(check(replies[0], doing).message)
        pages = _Pages(entry_class, doing)
        first, second = replies[1 + len(asking) : -1]
        if pages.add(first) and pages.add(second):
            return None
        return pages.listing(opened, replies[1 : 1 + len(asking)])

    async def _list_by_pages(self, path: str, doing: str, entry_class: EntryClass, wanted: Wanted) -> Listing:
        lane = self.lane
        page = list_request(entry_class, lane.list_limit(_PAGE))
        opening, *descriptors, first = await lane.call(self._open_folder(path, wanted), *wanted.requests(), page)
        opened = decode_create(check(opening, doing).message)
        pages = _Pages(entry_class, doing)
        try:
            if pages.add(first):
                await self._list_on(lane, pages, opened.file_id)
        finally:
            lane.call(close_request(opened.file_id))
        return pages.listing(opened, descriptors)

    def _open_folder(self, path: str, wanted: Wanted) -> Request:
        return open_request(
            self.wire_path(path),
            access=LIST_ACCESS | wanted.access,
            options=CreateOption.DIRECTORY_FILE,
            contexts=(DISK_ID_CONTEXT,),
            itself=wanted.itself,
        )

    @staticmethod
    async def _list_on(lane: Lane, pages: _Pages, file_id: bytes) -> None:
        """The pages behind the first, the next one always under way while one is decoded."""
        request = list_request(pages.entry_class, lane.list_limit(_PAGE), file_id)
        ahead, more = lane.call(request), True
        while more:
            under_way, ahead = ahead, lane.call(request)
            (reply,) = await under_way
            more = pages.add(reply)
        # Where a server does not keep to the order of the requests, the last page is in the last reply.
        (reply,) = await ahead
        pages.add(reply)

    async def make_directory(self, path: str, descriptor: bytes | None = None) -> None:
        """Create a folder, with a raw security ``descriptor`` from the beginning; one that is there already is fine."""
        replies = await self.lane.call(
            open_request(
                self.wire_path(path),
                access=SET_ACCESS,
                disposition=Disposition.OPEN_IF,
                options=CreateOption.DIRECTORY_FILE,
                descriptor=descriptor,
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

    async def attributes_of(self, path: str) -> int | None:
        """The attributes (MS-FSCC 2.6) of what has this name just now, 0 where they can't be read; None for nothing."""
        replies = await self.lane.call(
            open_request(self.wire_path(path), access=Access.READ_ATTRIBUTES), close_request()
        )
        status = replies[0].status
        if status in _NOT_BELOW:
            return None
        if status in _THERE_BUT_CLOSED:
            return 0
        return decode_create(check(replies[0], "looking at the source again").message).attributes

    async def look_up(self, path: str) -> DirectoryEntry | None:
        """The entry of one name in its folder's listing: spelled as the server does, with its tag; None for nothing.

        Names that the server takes for the same are found, too.
        """
        folder, name = split(self.wire_path(path))
        opening = open_request(folder, access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE)
        for entry_class in (FULL, BOTH):
            replies = await self.lane.call(opening, list_request(entry_class, _LEAST_PAGE, name=name), close_request())
            if replies[1].status in _NOT_LISTED:
                return None
            if replies[1].status not in _NO_SUCH_CLASS or entry_class is BOTH:
                found = decode_query_directory(check(replies[1], "looking for the name").message, entry_class)
                return found[0] if found else None
        return None

    async def rename(self, path: str, name: str, *, attributes: int) -> None:
        """Give a file or folder another name in its folder; nothing is replaced, and one that is gone is fine.

        ``attributes`` are those that it has (MS-FSCC 2.6): servers set ARCHIVE on what is renamed.
        """
        directory = bool(attributes & DIRECTORY)
        kind = CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE
        new = self.wire_path(join(split(path)[0], name))
        replies = await self.lane.call(
            open_request(self.wire_path(path), access=DELETE_ACCESS | Access.WRITE_ATTRIBUTES, options=kind),
            rename_request(new, replace=False),
            set_basic_request(attributes=attributes & COPIED_ATTRIBUTES or NORMAL),
            close_request(),
        )
        if replies[0].status == NtStatus.OBJECT_NAME_NOT_FOUND:
            return
        for reply in replies[:-1]:
            check(reply, "renaming it where only case differs")

    async def delete(self, path: str, *, directory: bool, readonly: bool = False) -> None:
        """Delete a file, an empty folder or a link itself; one that is gone already is fine."""
        kind = CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE
        writable = (set_basic_request(attributes=NORMAL),) if readonly else ()
        access = DELETE_ACCESS | (Access.WRITE_ATTRIBUTES if readonly else 0)
        replies = await self.lane.call(
            open_request(self.wire_path(path), access=access, options=kind),
            *writable,
            delete_request(),
            close_request(),
        )
        if replies[0].status in _NOT_THERE:
            return
        for reply in replies[:-1]:
            check(reply, "deleting")
