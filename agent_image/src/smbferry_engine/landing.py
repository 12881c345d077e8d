"""How a file comes to its final name, so that no final name ever holds partial data.

A new file that fits one frame is landed by one compound: CREATE that fails if the name exists, WRITE, descriptor,
times, CLOSE. A client that dies leaves all of it or nothing; a compound that fails after its CREATE is undone at once.
Everything else is gathered under a temporary name beside it, verified, and renamed over. The write time is set last, so
a file that the server's own crash tore is seen as changed the next time. Where the next run would not look at what is
there, small files are gathered, too (ADR 17).
"""

from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.content import SmallFile, read_small
from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    set_basic_request,
    set_security_request,
    write_request,
)
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.model import OverwriteMode
from smbferry_engine.plan import COPIED_ATTRIBUTES, NORMAL
from smbferry_engine.run import Run
from smbferry_engine.share import SET_ACCESS, check
from smbferry_engine.times import settable
from smbferry_engine.wire.create import Access, CreateOption, CreateReply, Disposition
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import decode_write
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.header import RELATED_FILE_ID
from smbferry_engine.wire.info import OWNER_AND_GROUP
from smbferry_engine.wire.status import NtStatus

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
_NOT_PERMITTED = frozenset({NtStatus.ACCESS_DENIED, NtStatus.INVALID_OWNER, NtStatus.PRIVILEGE_NOT_HELD})


class Metadata(NamedTuple):
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
        set_security_request(OWNER_AND_GROUP, metadata.descriptor, file_id),
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


async def apply_metadata(run: Run, path: str, metadata: Metadata, options: int) -> None:
    """Set ``metadata`` on a file or folder that is in place; :class:`FileError` for what was refused."""
    security = security_requests(run, metadata)
    basic = basic_requests(metadata)
    if not security and not basic:
        return
    access = SET_ACCESS | (run.write_security_access if security else 0)
    request = open_request(run.destination.wire_path(path), access=access, options=options)
    replies = await run.destination.lane.call(request, *security, *basic, close_request())
    check(replies[0], "opening it to set its times and attributes")
    incomplete = judge_security(replies[1 : 1 + len(security)])
    for reply in replies[1 + len(security) :]:
        check(reply, "setting times and attributes")
    if incomplete is not None:
        raise incomplete


def next_run_mends(run: Run) -> bool:
    """Whether the next run looks at what this one left under a final name, should the server have died meanwhile."""
    return run.options.overwrite_mode is not OverwriteMode.NEVER


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
        _create(run, path), *content, *security, *basic, close_request()
    )
    replies = await call
    if replies[0].status != NtStatus.SUCCESS:
        del run.landing[path]
    check(replies[0], "creating the file")
    try:
        at = 1 + len(content)
        for reply in replies[1:at]:
            check_written(reply, len(file.data))
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


def _create(run: Run, path: str) -> Request:
    return open_request(
        run.destination.wire_path(path),
        access=WRITE_ACCESS | run.write_security_access,
        disposition=Disposition.CREATE,
        options=_FILE,
        share=_SHARE_READ,
    )


def check_written(reply: Reply, length: int) -> None:
    """The server took all ``length`` bytes of a WRITE, or :class:`FileError`."""
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
