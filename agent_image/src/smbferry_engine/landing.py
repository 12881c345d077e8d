"""How a file comes to its final name, so that no final name ever holds partial data.

A new file that fits one frame is landed by one compound: CREATE that fails if the name exists, WRITE, descriptor,
times, CLOSE. A client that dies leaves all of it or nothing; a compound that fails after its CREATE is undone at once.
Everything else is gathered under a temporary name beside it, verified, and renamed over. The write time is set last, so
a file that the server's own crash tore is seen as changed the next time.
"""

import contextlib
from dataclasses import dataclass
from typing import Self

from blake3 import blake3

from smbferry_engine.content import SmallFile, open_file, read_small, stream
from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    delete_request,
    flush_request,
    open_request,
    rename_request,
    set_basic_request,
    set_security_request,
    set_size_request,
    write_request,
)
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.paths import join, split, temporary_name
from smbferry_engine.plan import COPIED_ATTRIBUTES, NORMAL
from smbferry_engine.run import Run
from smbferry_engine.share import SET_ACCESS, check
from smbferry_engine.times import settable
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, decode_write
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.status import NtStatus

_WRITE_ACCESS = int(
    Access.WRITE_DATA
    | Access.APPEND_DATA
    | Access.READ_ATTRIBUTES
    | Access.WRITE_ATTRIBUTES
    | Access.DELETE
    | Access.SYNCHRONIZE
)
_FLUSH_FROM = 1 << 20
_TEMPORARY_ATTEMPTS = 3
_ZEROS = bytes(4 << 20)
_NOT_PERMITTED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.INVALID_OWNER, NtStatus.PRIVILEGE_NOT_HELD})


@dataclass(frozen=True, slots=True)
class Metadata:
    """What goes with the content: times (0 leaves one alone), attributes (0 leaves them), the raw descriptor."""

    creation_time: int
    access_time: int
    write_time: int
    attributes: int
    descriptor: bytes | None


def metadata_of(run: Run, source: CreateReply | DirectoryEntry, descriptor: bytes | None = None) -> Metadata:
    """What the options want of ``source``'s metadata."""
    attributes = (source.attributes & COPIED_ATTRIBUTES or NORMAL) if run.keeps_attributes else 0
    if not run.keeps_times:
        return Metadata(0, 0, 0, attributes, descriptor)
    return Metadata(
        settable(source.creation_time),
        settable(source.access_time),
        settable(source.write_time),
        attributes,
        descriptor,
    )


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


def security_requests(run: Run, metadata: Metadata, file_id: bytes = RELATED_FILE_ID) -> list[Request]:
    """SET_INFO for the access lists, then for owner and group apart: these may need a privilege that those do not."""
    if metadata.descriptor is None:
        return []
    return [
        set_security_request(run.security_parts, metadata.descriptor, file_id),
        set_security_request(SecurityPart.OWNER | SecurityPart.GROUP, metadata.descriptor, file_id),
    ]


def judge_security(replies: list[Reply]) -> FileError | None:
    """The failure to record when the content is in place but its descriptor is not; other refusals are raised."""
    if not replies:
        return None
    access_lists, owner = replies
    if access_lists.status in _NOT_PERMITTED:
        return FileError(
            FileReason.SECURITY_NOT_PERMITTED,
            "the content was copied, its access list was not: the account may not set it. "
            "Grant it Full Control at the destination, or choose securityDescriptors: None",
            status=access_lists.status,
        )
    check(access_lists, "setting the access list")
    if owner.status in _NOT_PERMITTED:
        return FileError(
            FileReason.OWNER_NOT_PERMITTED,
            "content and access list were copied, the owner was not: the account may not set it. Grant it "
            "SeRestorePrivilege at the destination (Backup Operators have it), or choose securityDescriptors: None",
            status=owner.status,
        )
    check(owner, "setting the owner")
    return None


async def land_in_one_frame(run: Run, path: str, file: SmallFile) -> FileError | None:
    """Create the final name with all that belongs to it, in one compound.

    Returns what could not be set beside the content. :class:`FileError` with status OBJECT_NAME_COLLISION when the name
    exists after all; any other failure has been undone.
    """
    metadata = metadata_of(run, file.opened, file.descriptor)
    content = [write_request(0, file.data)] if file.data else []
    security = security_requests(run, metadata)
    basic = basic_requests(metadata)
    run.landing[path] = call = run.destination.lane.call(
        _create(run, path, Disposition.CREATE), *content, *security, *basic, close_request()
    )
    replies = await call
    if replies[0].status != NtStatus.SUCCESS:
        del run.landing[path]
    check(replies[0], "creating the file")
    try:
        at = 1 + len(content)
        for reply in replies[1:at]:
            _check_written(reply, len(file.data))
        incomplete = judge_security(replies[at : at + len(security)])
        for reply in replies[at + len(security) :]:
            check(reply, "setting times and attributes")
    except (FileError, EngineError):
        await take_back(run, path)
        raise
    del run.landing[path]
    return incomplete


async def take_back(run: Run, path: str) -> None:
    """Delete a final name that was found wanting; if the run is stopped first, its clean-up does."""
    run.doomed.add(path)
    run.landing.pop(path, None)
    await run.destination.delete(path, directory=False, readonly=True)
    run.doomed.discard(path)


def _create(run: Run, path: str, disposition: Disposition) -> Request:
    return open_request(
        run.destination.wire_path(path),
        access=_WRITE_ACCESS | run.write_security_access,
        disposition=disposition,
        options=CreateOption.NON_DIRECTORY_FILE,
        share=Sharing.READ,
    )


def _check_written(reply: Reply, length: int) -> None:
    count = decode_write(check(reply, "writing the file").message)
    if count != length:
        raise FileError(FileReason.FILE_FAILED, f"writing the file: {length} bytes sent, the server took {count}")


async def verify_small(run: Run, path: str, file: SmallFile) -> None:
    """Read a landed file back through another open; one that differs does not stay."""
    back = await read_small(run.destination, path, len(file.data))
    if back is None or back.data != file.data:
        await take_back(run, path)
        raise mismatch(blake3(file.data).digest(), blake3(back.data).digest() if back else b"")


def mismatch(sent: bytes, read: bytes) -> FileError:
    """What was read back is not what was sent."""
    return FileError(
        FileReason.HASH_MISMATCH, f"BLAKE3 {sent.hex()} was sent, {read.hex() or 'more'} was read back; it was not kept"
    )


class Temporary:
    """A file being gathered beside its final name; :meth:`land` gives it that name, :meth:`discard` removes it."""

    def __init__(self, run: Run, lane: Lane, path: str, file_id: bytes, final: str) -> None:
        self._run = run
        self._lane = lane
        self.path = path
        self.file_id = file_id
        self._final = final
        self._has_holes = False

    @classmethod
    async def create(cls, run: Run, final: str) -> Self:
        """Open an empty temporary file for ``final``; what an earlier attempt left there is overwritten."""
        parent, name = split(final)
        lane = run.destination.lane
        for attempt in range(_TEMPORARY_ATTEMPTS):
            path = join(parent, temporary_name(run.run_id, name, attempt))
            run.temporaries[path] = call = lane.call(_create(run, path, Disposition.OVERWRITE_IF))
            (reply,) = await call
            if reply.status == NtStatus.SUCCESS:
                break
            del run.temporaries[path]
            if reply.status != NtStatus.SHARING_VIOLATION:
                break
        opened = decode_create(check(reply, "creating a temporary file").message)
        return cls(run, lane, path, opened.file_id, final)

    async def write(self, data: bytes) -> None:
        """Write the whole content of a small file."""
        if data:
            (reply,) = await self._lane.call(write_request(0, data, self.file_id))
            _check_written(reply, len(data))

    async def write_in_place(self, buffer: bytearray, offset: int, length: int) -> None:
        """Write a range that lies in ``buffer`` as :func:`~smbferry_engine.content.stream` hands it on.

        Zeros are not sent: what is never written of a new file reads as zeros.
        """
        if _ZEROS.startswith(memoryview(buffer)[WRITE_DATA_OFFSET : WRITE_DATA_OFFSET + length]):
            self._has_holes = True
            return
        (reply,) = await self._lane.write_in_place(buffer, self.file_id, offset, length)
        _check_written(reply, length)
        self._run.counters.bytes.written += length

    async def complete(self, size: int) -> None:
        """All ranges are written: give the file its size, which a hole at its end did not."""
        if self._has_holes:
            (reply,) = await self._lane.call(set_size_request(size, self.file_id))
            check(reply, "setting the file's size")

    async def verify(self, digest: bytes, size: int) -> None:
        """Read back through another open and compare."""
        file = await open_file(self._run.destination, self.path)
        try:
            found = await stream(self._run.scheduler, file)
        finally:
            file.close()
        if file.opened.size != size or found != digest:
            raise mismatch(digest, found)

    async def land(self, metadata: Metadata, size: int, *, over_readonly: bool) -> FileError | None:
        """Set the descriptor, rename over the final name, set times last. Returns what could not be set."""
        run = self._run
        if over_readonly:
            await run.destination.change(
                self._final, SET_ACCESS, (set_basic_request(attributes=NORMAL),), "making the old file writable"
            )
        lane = self._lane
        if size >= _FLUSH_FROM:
            (flushed,) = await lane.call(flush_request(self.file_id))
            check(flushed, "flushing the file")
        incomplete = None
        if metadata.descriptor is not None:
            incomplete = judge_security(await lane.call(*security_requests(run, metadata, self.file_id)))
        replies = await lane.call(
            rename_request(run.destination.wire_path(self._final), replace=True, file_id=self.file_id),
            *basic_requests(metadata),
            close_request(),
        )
        check(replies[0], "renaming over the final name")
        run.temporaries.pop(self.path, None)
        for reply in replies[1:]:
            check(reply, "setting times and attributes")
        return incomplete

    async def discard(self) -> None:
        """Delete it, whether its handle is still open or not; what can't be deleted now is when the run ends."""
        with contextlib.suppress(FileError, EngineError):
            replies = await self._lane.call(delete_request(self.file_id), close_request())
            if replies[0].status != NtStatus.SUCCESS:
                await self._run.destination.delete(self.path, directory=False, readonly=True)
            self._run.temporaries.pop(self.path, None)
