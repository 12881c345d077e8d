"""How a file comes to its final name, so that no final name ever holds partial data.

A new file that fits one frame is landed by one compound: CREATE that fails if the name exists, with the descriptor in
it so that nobody else than in the end can open the file meanwhile; access list, WRITE, FLUSH where options say so,
times, READ for verification, CLOSE. A client that dies leaves all of it or nothing; a compound that fails after its
CREATE is undone at once. Everything else is gathered under a temporary name beside it, verified, and renamed over. The
write time is set last, so a file that the server's own crash tore is seen as changed the next time; what can't have all
of its metadata gets a mark in its place (ADR 18). Where the next run would not look at what is there, small files are
gathered, too (ADR 17).
"""

from typing import NamedTuple, Self

from blake3 import blake3

from smbferry_engine.content import SmallFile
from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    flush_request,
    open_request,
    read_request,
    set_basic_request,
    set_security_request,
    sparse_request,
    write_request,
)
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.holes import is_sparse
from smbferry_engine.mark import mark_of
from smbferry_engine.model import OverwriteMode
from smbferry_engine.ownership import OWNER_REFUSALS, owner_refused
from smbferry_engine.plan import COPIED_ATTRIBUTES, NORMAL
from smbferry_engine.run import Run
from smbferry_engine.share import SET_ACCESS, check
from smbferry_engine.times import settable
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import decode_read, decode_write
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart
from smbferry_engine.wire.security import at_creation, is_whole_at_creation, only_for
from smbferry_engine.wire.status import NtStatus, status_name

WRITE_ACCESS = int(
    Access.WRITE_DATA
    | Access.APPEND_DATA
    | Access.READ_ATTRIBUTES
    | Access.WRITE_ATTRIBUTES
    | Access.DELETE
    | Access.SYNCHRONIZE
)
_FILE = int(CreateOption.NON_DIRECTORY_FILE)
_SHARE_READ = int(Sharing.READ)
_OPENING = "opening it to set its metadata"
_SETTING = "setting times and attributes"
_READ_DATA = int(Access.READ_DATA)
_WRITE_DAC = int(Access.WRITE_DAC)


class Metadata(NamedTuple):
    """What goes with the content: times (0 leaves one alone), attributes (0 leaves them), the raw descriptor.

    ``mark`` is the write time that says that something of it is missing.
    """

    creation_time: int
    access_time: int
    write_time: int
    attributes: int
    descriptor: bytes | None
    mark: int

    def marked(self) -> Self:
        """The same for a file that can't have all of it."""
        return self._replace(write_time=self.mark)


def metadata_of(run: Run, source: CreateReply | DirectoryEntry, descriptor: bytes | None = None) -> Metadata:
    """What the options want of ``source``'s metadata."""
    attributes = (source.attributes & COPIED_ATTRIBUTES or NORMAL) if run.keeps_attributes else 0
    mark = mark_of(source.write_time)
    if not run.keeps_times:
        return Metadata(0, 0, 0, attributes, descriptor, mark)
    return Metadata(
        settable(source.creation_time),
        settable(source.access_time),
        settable(source.write_time),
        attributes,
        descriptor,
        mark,
    )


async def what_stays_behind(run: Run, path: str, descriptor: bytes | None) -> FileError | None:
    """What of its descriptor a file at ``path`` can't have at the destination, known before it is made."""
    if descriptor is None:
        return None
    return await run.ownership.refusal(path, descriptor) or run.audit_refusal


def basic_requests(metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """SET_INFO for times and attributes, where any are wanted."""
    if not (metadata.attributes or metadata.write_time or metadata.creation_time or metadata.access_time):
        return []
    return [
        set_basic_request(
            creation=metadata.creation_time,
            access=metadata.access_time,
            write=metadata.write_time,
            attributes=metadata.attributes,
            file_id=file_id,
        )
    ]


def access_list_requests(run: Run, metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """SET_INFO for the access lists."""
    if metadata.descriptor is None:
        return []
    return [set_security_request(run.security_parts, metadata.descriptor, file_id)]


def owner_requests(metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """SET_INFO for owner and group, apart from the lists: these may need a privilege that those do not."""
    if metadata.descriptor is None:
        return []
    return [set_security_request(OWNER_AND_GROUP, metadata.descriptor, file_id)]


def check_access_list(reply: Reply) -> None:
    """The access lists were set, or :class:`FileError`: without its own list a file may be open to more people."""
    if reply.status in OWNER_REFUSALS:
        raise FileError(
            FileReason.SECURITY_NOT_PERMITTED,
            f"setting the access list: expected the right to, got {status_name(reply.status)}; the file was not "
            "copied, as more people might read it than at the source. Grant the account Full Control at the "
            "destination, or choose securityDescriptors: None",
            status=reply.status,
        )
    check(reply, "setting the access list")


def judge_owner(reply: Reply) -> FileError | None:
    """Why owner and group were not set; other refusals than for want of a right are raised."""
    if reply.status in OWNER_REFUSALS:
        return owner_refused(reply.status)
    check(reply, "setting the owner")
    return None


async def apply_metadata(run: Run, path: str, metadata: Metadata, options: int) -> FileError | None:
    """Set ``metadata`` on a file or folder that is in place, in one compound; returns why it has not its owner.

    Raises:
        FileError: what else was refused.
    """
    security = [*access_list_requests(run, metadata), *owner_requests(metadata)]
    basic = basic_requests(metadata)
    if not security and not basic:
        return None
    request = _open_to_set(run, path, metadata, options)
    replies = await run.destination.lane.call(request, *security, *basic, close_request())
    check(replies[0], _OPENING)
    incomplete = _judge_security(replies[1 : 1 + len(security)])
    for reply in replies[1 + len(security) :]:
        check(reply, _SETTING)
    return incomplete


async def apply_and_mark(run: Run, path: str, metadata: Metadata) -> FileError | None:
    """Set ``metadata`` on a file that is in place, its times last; returns what it can't have, for which it is marked.

    Raises:
        FileError: what else was refused; the times are as they were.
    """
    if metadata.descriptor is None:
        return await apply_metadata(run, path, metadata, _FILE)
    lane = run.destination.lane
    request = _open_to_set(run, path, metadata, _FILE)
    replies = await lane.call(request, *access_list_requests(run, metadata), *owner_requests(metadata))
    opened = decode_create(check(replies[0], _OPENING).message)
    try:
        incomplete = _judge_security(replies[1:]) or run.audit_refusal
        chosen = metadata if incomplete is None else metadata.marked()
        for setting in basic_requests(chosen, opened.file_id):
            (reply,) = await lane.call(setting)
            check(reply, _SETTING)
    finally:
        lane.call(close_request(opened.file_id))
    return incomplete


def _open_to_set(run: Run, path: str, metadata: Metadata, options: int) -> Request:
    access = SET_ACCESS | (run.write_security_access if metadata.descriptor is not None else 0)
    return open_request(run.destination.wire_path(path), access=access, options=options)


def _judge_security(replies: list[Reply]) -> FileError | None:
    if not replies:
        return None
    access_lists, owner = replies
    check_access_list(access_lists)
    return judge_owner(owner)


def next_run_mends(run: Run) -> bool:
    """Whether the next run looks at what this one left under a final name, should the server have died meanwhile."""
    return run.options.overwrite_mode is not OverwriteMode.NEVER


async def land_in_one_frame(run: Run, path: str, file: SmallFile) -> FileError | None:
    """Create the final name with all that belongs to it, in one compound that reads it back where options say so.

    Returns what could not be set beside the content. :class:`FileError` with status OBJECT_NAME_COLLISION when the name
    exists after all; any other failure has been undone.
    """
    incomplete = await what_stays_behind(run, path, file.descriptor)
    metadata = metadata_of(run, file.opened, file.descriptor)
    if incomplete is not None:
        metadata = metadata.marked()
    given, security = _descriptor_of_new(run, metadata, owner=incomplete is None or incomplete is run.audit_refusal)
    content = [write_request(0, file.data)] if file.data else []
    flush = [flush_request()] if run.flushes_each else []
    basic = basic_requests(metadata)
    back = [read_request(0, len(file.data))] if content and run.verifies_each else []
    last = [sparse_request()] if is_sparse(file.opened.attributes) else []
    run.landing[path] = call = run.destination.lane.call(
        _create(run, path, given, read=bool(back)), *security, *content, *flush, *basic, *back, *last, close_request()
    )
    replies = iter(await call)
    created = next(replies)
    if created.status != NtStatus.SUCCESS:
        del run.landing[path]
        if given is not None and created.status in OWNER_REFUSALS:
            await _remove_empty(run, path)
    check(created, "creating the file")
    try:
        for _ in security:
            check_access_list(next(replies))
        for _ in content:
            check_written(next(replies), len(file.data))
        for _ in flush:
            check(next(replies), "flushing the file")
        for _ in basic:
            check(next(replies), _SETTING)
        for _ in back:
            _check_read_back(next(replies), file.data)
    except (FileError, EngineError):
        await take_back(run, path)
        raise
    del run.landing[path]
    return incomplete


def _descriptor_of_new(run: Run, metadata: Metadata, *, owner: bool) -> tuple[bytes | None, list[Request]]:
    """The descriptor that a file is made with, and what is still to be set of it before there is any content."""
    if metadata.descriptor is None:
        return None, []
    given = at_creation(metadata.descriptor, owner=owner)
    if run.security_parts == SecurityPart.DACL and is_whole_at_creation(metadata.descriptor):
        return given, []
    return given, access_list_requests(run, metadata)


def _check_read_back(reply: Reply, data: bytes) -> None:
    message = check(reply, "reading the file back").message
    start, length = decode_read(message, 0, len(message))
    if bytes(message[start : start + length]) != data:
        raise mismatch(blake3(data).digest(), blake3(message[start : start + length]).digest())


async def _remove_empty(run: Run, path: str) -> None:
    """A server may make a file, refuse its descriptor, and leave it there with nothing in it."""
    (reply,) = await run.destination.lane.call(
        open_request(run.destination.wire_path(path), access=SET_ACCESS, options=_FILE)
    )
    if reply.status != NtStatus.SUCCESS:
        return
    opened = decode_create(reply.message)
    await run.destination.lane.call(close_request(opened.file_id))
    if not opened.size:
        await take_back(run, path)


async def take_back(run: Run, path: str) -> None:
    """Delete a final name that was found wanting; if the run is stopped first, its clean-up does."""
    run.doomed.add(path)
    run.landing.pop(path, None)
    await run.still_wanted()
    try:
        await run.destination.delete(path, directory=False, readonly=True)
    except FileError as error:
        if error.status != NtStatus.ACCESS_DENIED or not run.security_parts:
            raise
        # Its own access list shuts the account out, which is its owner if nobody else could be: that may set the list.
        private = set_security_request(SecurityPart.DACL, only_for(await run.ownership.own(path)))
        await run.destination.change(path, _WRITE_DAC, (private,), "opening up what does not stay", options=_FILE)
        await run.destination.delete(path, directory=False, readonly=True)
    run.doomed.discard(path)


def _create(run: Run, path: str, descriptor: bytes | None, *, read: bool) -> Request:
    return open_request(
        run.destination.wire_path(path),
        access=WRITE_ACCESS | run.write_security_access | (_READ_DATA if read else 0),
        disposition=Disposition.CREATE,
        options=_FILE,
        share=_SHARE_READ,
        descriptor=descriptor,
    )


def check_written(reply: Reply, length: int) -> None:
    """The server took all ``length`` bytes of a WRITE, or :class:`FileError`."""
    count = decode_write(check(reply, "writing the file").message)
    if count != length:
        raise FileError(FileReason.FILE_FAILED, f"writing the file: {length} bytes sent, the server took {count}")


def mismatch(sent: bytes, read: bytes) -> FileError:
    """What was read back is not what was sent."""
    return FileError(
        FileReason.HASH_MISMATCH, f"BLAKE3 {sent.hex()} was sent, {read.hex() or 'more'} was read back; it was not kept"
    )
