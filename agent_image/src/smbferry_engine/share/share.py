"""One share as coroutines: list, open, create, rename, delete, each in one compound if possible."""

from collections.abc import Callable

from smbferry_engine.core.calls import (
    SHARE_ALL,
    Request,
    close_request,
    delete_request,
    list_request,
    open_request,
    rename_request,
    set_basic_request,
)
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.paths import join, split
from smbferry_engine.plan.attachments import NO_KINDS
from smbferry_engine.share.access import CHANGING_ACCESS, DELETE_ACCESS, LIST_ACCESS, SET_ACCESS
from smbferry_engine.share.listing import (
    LEAST_PAGE,
    NO_SUCH_CLASS,
    NOT_LISTED,
    NOTHING_WANTED,
    Asked,
    Lister,
    Listing,
    Wanted,
)
from smbferry_engine.share.ownership import Ownership
from smbferry_engine.share.replies import check
from smbferry_engine.wire.attributes import COPIED_ATTRIBUTES, DIRECTORY, NORMAL
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
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import INTERNAL_ERROR

# What happens to a raw descriptor as it is read: (path, descriptor) -> descriptor.
Translate = Callable[[str, bytes], bytes]
_NOT_THERE = frozenset({NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.OBJECT_PATH_NOT_FOUND, NtStatus.NO_SUCH_FILE})
_NOT_BELOW = frozenset({*_NOT_THERE, NtStatus.NOT_A_DIRECTORY})
_THERE_BUT_CLOSED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.SHARING_VIOLATION, NtStatus.DELETE_PENDING})


class Share:
    """A session and a root folder in its share. All paths are relative to that root.

    ``snapshot`` is the time of the server's snapshot that is read (in 100 ns since 1601), 0 for the files as they are.
    Listings begin with the ``entry_class`` (ADR 27).
    """

    def __init__(self, session: Session, root: str, snapshot: int = 0, entry_class: EntryClass = PLAIN) -> None:
        self.session = session
        self.root = root
        self.snapshot = snapshot
        self._lister = Lister(entry_class)
        self.ownership = Ownership(self)
        self.translate: Translate | None = None
        # What the volume can hold beside content; known after ``look_at_volume``.
        self.holds = NO_KINDS
        # False for a root that is a reparse point and a folder all the same (usually of a cloud).
        self.root_open_reparse_point = True

    def wire_path(self, path: str) -> str:
        """Return a path from the share's root; one that begins with a colon is a stream of the root."""
        if not path or path[0] == ":":
            return self.root + path
        return join(self.root, path)

    def translated(self, path: str, descriptor: bytes) -> bytes:
        """Return the descriptor of ``path`` as the run sees it."""
        return descriptor if self.translate is None else self.translate(path, descriptor)

    def open(
        self,
        path: str,
        *,
        access: int,
        disposition: int = Disposition.OPEN,
        options: int = 0,
        share: int = SHARE_ALL,
        contexts: tuple[bytes, ...] = (),
        descriptor: bytes | None = None,
        open_reparse_point: bool = True,
    ) -> Request:
        """Return the CREATE of a file or folder, in the share's snapshot if it has one.

        Whatever is opened at the source must be opened by this. The arguments are those of
        :func:`~smbferry_engine.core.calls.open_request`. Raises :class:`EngineError` for an open that could change a
        snapshot.
        """
        if self.snapshot and (access & CHANGING_ACCESS or disposition != Disposition.OPEN):
            raise EngineError(INTERNAL_ERROR, "expected to open a snapshot for reading only")
        return open_request(
            self.wire_path(path),
            access=access,
            disposition=disposition,
            options=options,
            share=share,
            contexts=contexts,
            descriptor=descriptor,
            open_reparse_point=open_reparse_point,
            snapshot=self.snapshot,
        )

    async def open_root(
        self, *, query_maximal_access: bool = False, query_disk_id: bool = False, access: int = 0
    ) -> CreateReply:
        """Open and close the root folder; returns the CREATE reply.

        ``access`` are rights to request beside listing.
        """
        contexts = ((MAXIMAL_ACCESS_CONTEXT, query_maximal_access), (DISK_ID_CONTEXT, query_disk_id))
        replies = await self.session.call(
            self.open(
                "",
                access=LIST_ACCESS | access,
                contexts=tuple(context for context, asked in contexts if asked),
            ),
            close_request(),
        )
        return decode_create(check(replies[0], "opening the folder").message)

    async def list_directory(self, path: str, operation: str) -> list[DirectoryEntry]:
        """Return every entry of a folder, ``.`` and ``..`` included."""
        return list((await self.listing(path, operation)).entries)

    async def listing(self, path: str, operation: str, wanted: Wanted = NOTHING_WANTED) -> Listing:
        """List a folder; ``wanted`` says what to read of its descriptor."""
        if not path and not self.root_open_reparse_point:
            wanted = wanted._replace(open_reparse_point=False)
        asked = Asked(self.wire_path(path), operation, wanted, self.snapshot)
        listing = await self._lister.listing(self.session, asked)
        if listing.descriptor is None or self.translate is None:
            return listing
        try:
            return listing._replace(descriptor=self.translate(path, listing.descriptor))
        except FileError as refusal:
            return listing._replace(descriptor=None, refusal=refusal)

    async def make_directory(self, path: str, descriptor: bytes | None = None) -> None:
        """Create a folder, with a raw security ``descriptor`` if given; no error if it exists."""
        replies = await self.session.call(
            self.open(
                path,
                access=SET_ACCESS,
                disposition=Disposition.OPEN_IF,
                options=CreateOption.DIRECTORY_FILE,
                descriptor=descriptor,
            ),
            close_request(),
        )
        check(replies[0], "creating the folder")

    async def change(
        self, path: str, access: int, requests: tuple[Request, ...], operation: str, *, options: int = 0
    ) -> None:
        """Open, send SET_INFO requests, close; raises the first refusal."""
        replies = await self.session.call(self.open(path, access=access, options=options), *requests, close_request())
        for reply in replies:
            check(reply, operation)

    async def attributes_of(self, path: str) -> int | None:
        """Return the current attributes (MS-FSCC 2.6) of ``path``, 0 if unreadable, None if it does not exist."""
        replies = await self.session.call(self.open(path, access=Access.READ_ATTRIBUTES), close_request())
        status = replies[0].status
        if status in _NOT_BELOW:
            return None
        if status in _THERE_BUT_CLOSED:
            return 0
        return decode_create(check(replies[0], "checking the source again").message).attributes

    async def look_up(self, path: str) -> DirectoryEntry | None:
        """Return the entry of one name, spelled as the server does and with its reparse tag; None if it does not exist.

        It may be spelled differently, if the server takes both names for the same.
        """
        folder, name = split(self.wire_path(path))
        opening = open_request(folder, access=LIST_ACCESS, options=CreateOption.DIRECTORY_FILE, snapshot=self.snapshot)
        for entry_class in (FULL, BOTH):
            replies = await self.session.call(
                opening, list_request(entry_class, LEAST_PAGE, name=name), close_request()
            )
            if replies[1].status in NOT_LISTED:
                return None
            if replies[1].status not in NO_SUCH_CLASS or entry_class is BOTH:
                found = decode_query_directory(check(replies[1], "looking up the name").message, entry_class)
                return found[0] if found else None
        return None

    async def rename(self, path: str, name: str, *, attributes: int) -> None:
        """Rename a file or folder within its folder; replaces nothing, no error if it does not exist.

        ``attributes`` (MS-FSCC 2.6) are restored: servers set ARCHIVE on what is renamed.
        """
        directory = bool(attributes & DIRECTORY)
        kind = CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE
        new = self.wire_path(join(split(path)[0], name))
        replies = await self.session.call(
            self.open(path, access=DELETE_ACCESS | Access.WRITE_ATTRIBUTES, options=kind),
            rename_request(new, replace=False),
            set_basic_request(attributes=attributes & COPIED_ATTRIBUTES or NORMAL),
            close_request(),
        )
        if replies[0].status == NtStatus.OBJECT_NAME_NOT_FOUND:
            return
        for reply in replies[:-1]:
            check(reply, "renaming it to the other case")

    async def delete(self, path: str, *, directory: bool, readonly: bool = False) -> None:
        """Delete a file, an empty folder or a link itself; no error if it does not exist."""
        kind = CreateOption.DIRECTORY_FILE if directory else CreateOption.NON_DIRECTORY_FILE
        writable = (set_basic_request(attributes=NORMAL),) if readonly else ()
        access = DELETE_ACCESS | (Access.WRITE_ATTRIBUTES if readonly else 0)
        replies = await self.session.call(
            self.open(path, access=access, options=kind),
            *writable,
            delete_request(),
            close_request(),
        )
        if replies[0].status in _NOT_THERE:
            return
        for reply in replies[:-1]:
            check(reply, "deleting")
