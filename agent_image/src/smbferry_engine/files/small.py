"""Small files: read in one compound and created under their final name in another, so that no name holds part of one.

The compound consists of a CREATE that fails if the name exists and carries the descriptor, so that at no moment anybody
can open the file who can't in the end; SET_INFO for the access list, WRITE, FLUSH if the options say so, SET_INFO for
times, READ for verification, CLOSE. If the client dies, the server has executed all of it or nothing; if a request
after the CREATE fails, the file is deleted at once. The write time is set last, so that the next run sees a file as
changed that a server crash tore. A file that can't get all of its metadata gets a mark instead (ADR 18). If the next
run would not look at existing files (ADR 17), the name exists, or the file has streams or extended attributes or is
compressed, a small file is gathered in a staging file, too.
"""

from blake3 import blake3

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    flush_request,
    open_request,
    read_request,
    set_security_request,
    sparse_request,
    write_request,
)
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.files.attachments import Target, carry_file, copied_kinds
from smbferry_engine.files.commit import Copied
from smbferry_engine.files.hard_links import SourceFile, copy_once
from smbferry_engine.files.holes import is_sparse
from smbferry_engine.files.readback import mismatch
from smbferry_engine.files.staging import StagingFile, attributes_if_readonly
from smbferry_engine.files.stored_as import is_stored_specially
from smbferry_engine.paths import case_key, join, split
from smbferry_engine.plan.attachments import Kinds, Lost, lacking_error
from smbferry_engine.run.context import RunContext, StagingArea
from smbferry_engine.run.tally import ReadBytes
from smbferry_engine.share.access import SET_ACCESS, WRITE_ACCESS
from smbferry_engine.share.metadata import (
    Metadata,
    MetadataPolicy,
    access_list_requests,
    basic_requests,
    check_access_list,
    metadata_of,
    security_refusal,
)
from smbferry_engine.share.ownership import OWNER_REFUSALS
from smbferry_engine.share.reading import SmallFile, read_small, single_frame_limit
from smbferry_engine.share.replies import check, check_written
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import has_no_eas, is_data_elsewhere
from smbferry_engine.wire.create import Access, CreateOption, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.data import decode_read
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.info import SecurityPart
from smbferry_engine.wire.security import at_creation, is_whole_at_creation, only_for
from smbferry_engine.wire.status import NtStatus

_FILE = int(CreateOption.NON_DIRECTORY_FILE)
_SHARE_READ = int(Sharing.READ)
_READ_DATA = int(Access.READ_DATA)
_WRITE_DAC = int(Access.WRITE_DAC)


class NameTakenError(FileError):
    """CaseCollision: the destination takes the name for another one, at ``path``, which must not be removed."""

    def __init__(self, path: str, name: str) -> None:
        super().__init__(
            FileReason.CASE_COLLISION,
            f"expected the name to be free at the destination, got {name!r}, which its server takes for the same",
        )
        self.path = path


async def copy_small(
    run: RunContext, path: str, source: DirectoryEntry, destination: DirectoryEntry | None
) -> Copied | None:
    """Copy a file that fits one frame; returns None for one that does not, as listed or by now.

    Raises:
        FileError: the file can't be copied; the byte counters are as before.
    """
    each = run.policy.verifies_each
    if source.size > min(single_frame_limit(run.source), single_frame_limit(run.destination, and_back=each)):
        return None
    await run.limiter.take(source.size)
    metadata = run.policy.metadata
    file = await read_small(
        run.source,
        path,
        source.size,
        access=metadata.read_access,
        parts=metadata.security_parts,
        attachments=_kinds(run, source),
        counts_names=True,
        open_reparse_point=not is_data_elsewhere(source),
        refuses_writers=not run.source.snapshot,
    )
    if file is None:
        return None
    read, small = ReadBytes(run.tally.counters.bytes), file
    read.add(len(small.data))
    digest = blake3(small.data).digest()

    async def commit() -> Copied:
        incomplete, lost = await _commit_small(run, path, source, destination, small)
        return Copied(len(small.data), digest, incomplete, lost)

    try:
        if small.names <= 1:
            return await commit()
        copied = await copy_once(run, SourceFile(path, small.opened, small.names, destination, digest), commit)
    except (FileError, EngineError):
        read.take_back()
        raise
    if copied.linked:
        read.take_back()
    return copied


def _kinds(run: RunContext, source: DirectoryEntry) -> Kinds:
    """Return the kinds of attachments to ask for; none of which the listing says that there are none."""
    kinds = copied_kinds(run, run.source)
    return Kinds(kinds.streams) if kinds.eas and has_no_eas(source) else kinds


async def _commit_small(
    run: RunContext, path: str, source: DirectoryEntry, destination: DirectoryEntry | None, file: SmallFile
) -> tuple[FileError | None, tuple[Lost, ...]]:
    if destination is None and run.policy.repairs and _fits_one_frame(run, source, file):
        try:
            incomplete = await commit_in_one_frame(run, path, file)
        except FileError as error:
            if error.status != NtStatus.OBJECT_NAME_COLLISION:
                raise
            await refuse_another_name(run.destination, path)
        else:
            run.tally.counters.bytes.written += len(file.data)
            return incomplete, file.attachments.lost
    staging = await StagingFile.create(StagingArea.of(run), path, source)
    try:
        await staging.ranges.write(file.data)
        if run.policy.verifies_each:
            sent, found = blake3(file.data).digest(), await staging.read_back(len(file.data))
            if found != sent:
                raise mismatch(sent, found)
        reparse = not is_data_elsewhere(source)
        target = Target(staging.path, fresh=staging.fresh)
        lost = await carry_file(run, path, file.attachments, destination, target, open_reparse_point=reparse)
        lost += await staging.stored_as.lost()
        metadata = metadata_of(run.policy.metadata, file.opened, file.descriptor)
        readonly = attributes_if_readonly(destination)
        lacking = lacking_error(lost)
        return await staging.commit(metadata, len(file.data), readonly=readonly, lacking=lacking), lost
    except (FileError, EngineError):
        await staging.discard()
        raise


def _fits_one_frame(run: RunContext, source: DirectoryEntry, file: SmallFile) -> bool:
    """Return whether the compound can carry all of the file."""
    special = run.policy.metadata.attributes and is_stored_specially(source.attributes)
    return file.attachments.is_empty and not special


async def refuse_another_name(share: Share, path: str) -> None:
    """Raise :class:`NameTakenError` if the server takes a name that was not listed for another one that it has."""
    folder, name = split(path)
    found = await share.look_up(path)
    if found is not None and case_key(found.name) != case_key(name):
        raise NameTakenError(join(folder, found.name), found.name)


async def commit_in_one_frame(run: RunContext, path: str, file: SmallFile) -> FileError | None:
    """Create the final name with content and metadata in one compound, which reads the content back if options say so.

    Returns the error for metadata that could not be set.

    Raises:
        FileError: with status OBJECT_NAME_COLLISION if the name exists after all; any other failure has been undone.
    """
    share, policy = run.destination, run.policy
    incomplete = await security_refusal(share, policy.metadata, path, file.descriptor)
    metadata = metadata_of(policy.metadata, file.opened, file.descriptor)
    if incomplete is not None:
        metadata = metadata.marked()
    owner = incomplete is None or incomplete is policy.metadata.audit_refusal
    given, security = _descriptor_of_new(policy.metadata, metadata, owner=owner)
    content = [write_request(0, file.data)] if file.data else []
    flush = [flush_request()] if policy.flushes_each else []
    basic = basic_requests(metadata)
    back = [read_request(0, len(file.data))] if content and policy.verifies_each else []
    last = [sparse_request()] if is_sparse(file.opened.attributes) else []
    create = _create(share.wire_path(path), policy.metadata, given, read=bool(back))
    run.housekeeping.committing[path] = call = share.session.call(
        create, *security, *content, *flush, *basic, *back, *last, close_request()
    )
    replies = iter(await call)
    created = next(replies)
    if created.status != NtStatus.SUCCESS:
        del run.housekeeping.committing[path]
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
            check(next(replies), "setting times and attributes")
        for _ in back:
            _check_read_back(next(replies), file.data)
    except (FileError, EngineError):
        await remove_rejected(run, path)
        raise
    del run.housekeeping.committing[path]
    return incomplete


def _descriptor_of_new(
    policy: MetadataPolicy, metadata: Metadata, *, owner: bool
) -> tuple[bytes | None, list[Request]]:
    """Return the descriptor that a file is created with, and what is still to be set before there is any content."""
    if metadata.descriptor is None:
        return None, []
    given = at_creation(metadata.descriptor, owner=owner)
    if policy.security_parts == SecurityPart.DACL and is_whole_at_creation(metadata.descriptor):
        return given, []
    return given, access_list_requests(policy, metadata)


def _check_read_back(reply: Reply, data: bytes) -> None:
    message = check(reply, "reading the file back").message
    start, length = decode_read(message, 0, len(message))
    if bytes(message[start : start + length]) != data:
        raise mismatch(blake3(data).digest(), blake3(message[start : start + length]).digest())


async def _remove_empty(run: RunContext, path: str) -> None:
    """Delete the empty file that some servers leave behind when they refuse its descriptor."""
    share = run.destination
    (reply,) = await share.session.call(open_request(share.wire_path(path), access=SET_ACCESS, options=_FILE))
    if reply.status != NtStatus.SUCCESS:
        return
    opened = decode_create(reply.message)
    await share.session.call(close_request(opened.file_id))
    if not opened.size:
        await remove_rejected(run, path)


async def remove_rejected(run: RunContext, path: str) -> None:
    """Delete a final name whose compound failed; if the run is stopped first, its clean-up deletes it."""
    run.housekeeping.rejected.add(path)
    run.housekeeping.committing.pop(path, None)
    await run.policy.permission_to_replace(run.scheduler)
    share = run.destination
    try:
        await share.delete(path, directory=False, readonly=True)
    except FileError as error:
        if error.status != NtStatus.ACCESS_DENIED or not run.policy.metadata.security_parts:
            raise
        # Its access list locks the account out. The account owns the file, so it may still set that list.
        private = set_security_request(SecurityPart.DACL, only_for(await share.ownership.own(path)))
        await share.change(path, _WRITE_DAC, (private,), "resetting the access list of a rejected file", options=_FILE)
        await share.delete(path, directory=False, readonly=True)
    run.housekeeping.rejected.discard(path)


def _create(wire_path: str, policy: MetadataPolicy, descriptor: bytes | None, *, read: bool) -> Request:
    return open_request(
        wire_path,
        access=WRITE_ACCESS | policy.write_access | (_READ_DATA if read else 0),
        disposition=Disposition.CREATE,
        options=_FILE,
        share=_SHARE_READ,
        descriptor=descriptor,
    )
