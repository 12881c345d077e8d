"""Lists folders (2.2.33): a short one in one compound, a long one page by page."""

from collections.abc import Sequence
from typing import NamedTuple

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    list_request,
    open_request,
    query_security_request,
)
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.session import Session
from smbferry_engine.errors import FileError
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, NO_KINDS, Attachments, Kinds
from smbferry_engine.share.access import DESCRIPTOR_LIMIT, LIST_ACCESS
from smbferry_engine.share.attached import access_for, attachments_in, requests_for
from smbferry_engine.share.entries import Entries
from smbferry_engine.share.replies import check
from smbferry_engine.wire.create import (
    DISK_ID_CONTEXT,
    CreateOption,
    decode_create,
)
from smbferry_engine.wire.directory import BOTH, FULL, PLAIN, EntryClass, decode_query_directory
from smbferry_engine.wire.info import OWNER_AND_GROUP, decode_query
from smbferry_engine.wire.status import NtStatus

# About two thousand names; few folders have more.
_FIRST_PAGE = 256 * 1024
LEAST_PAGE = 4 * 1024
_PAGE = 512 * 1024
_PAGED_LISTINGS = 64
_MAX_ENTRIES = 5_000_000
_REFUSED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.PRIVILEGE_NOT_HELD})


class Listing(NamedTuple):
    """A folder's entries and identity: a number that is unique on its server, 0 if the server returns none.

    ``descriptor`` is the folder's raw security descriptor, if requested, ``attachments`` are the folder's own, None if
    they did not fit; ``refusal`` is why they could not be read.
    """

    identity: int
    entries: Entries
    descriptor: bytes | None = None
    refusal: FileError | None = None
    attachments: Attachments | None = NO_ATTACHMENTS


class Wanted(NamedTuple):
    """What to read of a folder itself: ``parts`` of its descriptor beside owner and group, and ``attachments``;
    ``access`` are the rights that the descriptor takes.

    ``open_reparse_point`` is as for :func:`~smbferry_engine.core.calls.open_request`, of the folder. ``ea_sizes``: the
    entries say which files have extended attributes.
    """

    access: int = 0
    parts: int = 0
    open_reparse_point: bool = True
    attachments: Kinds = NO_KINDS
    ea_sizes: bool = False

    @property
    def is_empty(self) -> bool:
        """True if only the entries are wanted."""
        return not self.parts and not self.attachments

    def requests(self) -> list[Request]:
        """Return the QUERY_INFOs for it, if any."""
        asking = [query_security_request(self.parts | OWNER_AND_GROUP, DESCRIPTOR_LIMIT)] if self.parts else []
        return [*asking, *requests_for(self.attachments)] if self.attachments else asking


NOTHING_WANTED = Wanted()


class _Pages:
    """Collects the pages of a listing, up to a limit: a server must not list without end."""

    def __init__(self, entry_class: EntryClass, asked: "Asked") -> None:
        self.entry_class = entry_class
        self.entries = Entries()
        self._operation = asked.operation
        self._wanted = asked.wanted

    def add(self, reply: Reply) -> bool:
        """Add a page; returns False when there are no more."""
        if reply.status in NOT_LISTED:
            return False
        page = decode_query_directory(check(reply, self._operation).message, self.entry_class)
        self.entries.add(page)
        if len(self.entries) > _MAX_ENTRIES or not page:
            raise ProtocolError(f"expected a listing that ends, got {len(self.entries)} entries so far")
        return True

    def listing(self, disk_id: int, replies: Sequence[Reply]) -> Listing:
        """Return the listing of the folder with ``disk_id``; ``replies`` are those to :meth:`Wanted.requests`."""
        descriptor, left = None, iter(replies)
        if self._wanted.parts:
            message = check(next(left), "reading the folder's security descriptor").message
            descriptor = bytes(decode_query(message))
        found = attachments_in(self._wanted.attachments, left) if self._wanted.attachments else NO_ATTACHMENTS
        return Listing(disk_id or self.entries.own_id, self.entries, descriptor, attachments=found)


class Asked(NamedTuple):
    """A folder to list: its path from the share's root, the operation as messages name it, what to read, and the time
    of the snapshot to read it in (see :class:`~smbferry_engine.share.share.Share`).
    """

    wire_path: str
    operation: str
    wanted: Wanted
    snapshot: int = 0

    def open(self) -> Request:
        """Return the CREATE of the folder."""
        return open_request(
            self.wire_path,
            access=LIST_ACCESS | self.wanted.access | access_for(self.wanted.attachments),
            options=CreateOption.DIRECTORY_FILE,
            contexts=(DISK_ID_CONTEXT,),
            open_reparse_point=self.wanted.open_reparse_point,
            snapshot=self.snapshot,
        )


class Lister:
    """Lists the folders of one share, with what it has learned of the server (ADR 27).

    Plain entries cost a server a quarter less than full ones. If they are not sufficient, the share is listed with full
    ones from then on: if a reparse point's tag must be known, or folders have no id but that of ``.``. An information
    class that the server does not support is not requested again.
    """

    def __init__(self, entry_class: EntryClass = PLAIN) -> None:
        self._entry_class = entry_class
        self._has_ea_sizes = True
        self._paged_listings = 0

    async def listing(self, session: Session, asked: Asked) -> Listing:
        """Return the folder's entries and identity; up to about two thousand names take one round trip."""
        while True:
            entry_class = self._entry_class
            if entry_class is PLAIN and asked.wanted.ea_sizes and self._has_ea_sizes:
                entry_class = FULL
            try:
                listing = await self._listing(session, asked, entry_class)
            except FileError as error:
                if error.status not in NO_SUCH_CLASS or entry_class is BOTH:
                    raise
                self._has_ea_sizes = self._has_ea_sizes and entry_class is not FULL
            else:
                if entry_class is not PLAIN or (listing.identity and not listing.entries.has_links):
                    return listing
            if self._entry_class is entry_class:  # another listing may have switched meanwhile
                self._entry_class = BOTH if entry_class is FULL else FULL

    async def _listing(self, session: Session, asked: Asked, entry_class: EntryClass) -> Listing:
        """List a folder, without its descriptor if the account may not read that."""
        try:
            return await self._listing_with(session, asked, entry_class)
        except FileError as error:
            if asked.wanted.is_empty or error.status not in _REFUSED:
                raise
            without = Wanted(open_reparse_point=asked.wanted.open_reparse_point)
            listing = await self._listing_with(session, asked._replace(wanted=without), entry_class)
            return listing._replace(refusal=error)

    async def _listing_with(self, session: Session, asked: Asked, entry_class: EntryClass) -> Listing:
        if self._paged_listings:
            self._paged_listings -= 1
            return await _list_by_pages(session, asked, entry_class)
        listing = await _list_at_once(session, asked, entry_class)
        if listing is None:
            # Its neighbors are likely to be as large; listing them twice would cost more than a separate CLOSE.
            self._paged_listings = _PAGED_LISTINGS
            listing = await _list_by_pages(session, asked, entry_class)
        return listing


async def _list_at_once(session: Session, asked: Asked, entry_class: EntryClass) -> Listing | None:
    """List in one compound from CREATE to CLOSE; returns None for a folder with more than one page."""
    page = list_request(entry_class, session.list_limit(_FIRST_PAGE))
    end = list_request(entry_class, LEAST_PAGE)
    asking = asked.wanted.requests()
    replies = await session.call(asked.open(), *asking, page, end, close_request())
    opened = decode_create(check(replies[0], asked.operation).message)
    pages = _Pages(entry_class, asked)
    first, second = replies[1 + len(asking) : -1]
    if pages.add(first) and pages.add(second):
        return None
    return pages.listing(opened.disk_id, replies[1 : 1 + len(asking)])


async def _list_by_pages(session: Session, asked: Asked, entry_class: EntryClass) -> Listing:
    page = list_request(entry_class, session.list_limit(_PAGE))
    opening, *descriptors, first = await session.call(asked.open(), *asked.wanted.requests(), page)
    opened = decode_create(check(opening, asked.operation).message)
    pages = _Pages(entry_class, asked)
    try:
        if pages.add(first):
            await _list_on(session, pages, opened.file_id)
    finally:
        session.call(close_request(opened.file_id))
    return pages.listing(opened.disk_id, descriptors)


async def _list_on(session: Session, pages: _Pages, file_id: bytes) -> None:
    """Read the pages after the first; the next one is always requested while one is decoded."""
    request = list_request(pages.entry_class, session.list_limit(_PAGE), file_id)
    ahead, more = session.call(request), True
    while more:
        under_way, ahead = ahead, session.call(request)
        (reply,) = await under_way
        more = pages.add(reply)
    # If a server does not process requests in order, the last page may be in the last reply.
    (reply,) = await ahead
    pages.add(reply)


NOT_LISTED = frozenset({NtStatus.NO_MORE_FILES, NtStatus.NO_SUCH_FILE})
NO_SUCH_CLASS = frozenset(
    {
        NtStatus.INVALID_INFO_CLASS,
        NtStatus.NOT_SUPPORTED,
        NtStatus.NOT_IMPLEMENTED,
        NtStatus.INVALID_PARAMETER,
        NtStatus.INVALID_DEVICE_REQUEST,
    }
)
