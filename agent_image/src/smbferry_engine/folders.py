"""Folders of the destination: made before what goes into them, given their own metadata when all of it is there.

A new folder is open to nobody but the account until then: nobody sees more of it than at the source at any moment, and
the account can work in it even if the source's access list shuts it out.
"""

from dataclasses import dataclass

from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.landing import (
    Metadata,
    access_list_requests,
    apply_metadata,
    basic_requests,
    check_access_list,
    judge_owner,
    metadata_of,
    owner_requests,
)
from smbferry_engine.metadata import security_differences
from smbferry_engine.plan import directory_needs_metadata
from smbferry_engine.run import Run
from smbferry_engine.share import SET_ACCESS, check
from smbferry_engine.wire.create import Access, CreateOption, decode_create
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.security import only_for

_SHUT_OUT = (
    "setting the root folder's access list: expected one that lets the destination's account in, got one that shuts it "
    "out, so the old one was put back. Add the account to the source folder's access list, or to the destination "
    "server's Backup Operators"
)


@dataclass(slots=True)
class Folder:
    """A folder on its way through the run.

    ``source`` is None where only the destination has it, ``destination`` where only the source does; ``parent`` is None
    for the root. ``descriptor`` is the source's, raw, and ``descriptor_found`` the destination's, where descriptors are
    copied and it was listed; ``refusal`` is why one could not be read. ``pending`` counts what must be done before the
    folder's own metadata: its listing and each thing in it. ``dirty`` is set when something in it was written, which
    moved its times. ``selected`` is False for a folder that only leads to something included: it is made, and keeps its
    own metadata. ``replaced`` marks one that goes before the source's file of the same name is copied, and those in it.
    """

    path: str
    parent: "Folder | None"
    source: DirectoryEntry | None
    destination: DirectoryEntry | None
    ancestors: frozenset[int]
    depth: int
    selected: bool = True
    pending: int = 1
    dirty: bool = False
    broken: bool = False
    descriptor: bytes | None = None
    descriptor_found: bytes | None = None
    refusal: FileError | None = None
    replaced: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the destination does not have it yet."""
        return self.parent is not None and self.destination is None

    @property
    def only_destination(self) -> bool:
        """Whether the source does not have it."""
        return self.parent is not None and self.source is None


async def child_done(run: Run, folder: Folder | None) -> None:
    """One thing in ``folder`` is done; the last one gives the folder its own metadata, and then its parent's count."""
    while folder is not None:
        folder.pending -= 1
        if folder.pending:
            return
        await _finish(run, folder)
        folder = folder.parent


async def make(run: Run, folder: Folder) -> None:
    """Create a folder: the account's alone until it is finished; one that never is keeps what it is handed down."""
    private = None
    if run.security_parts and folder.selected:
        private = only_for(await run.ownership.own(folder.path))
    await run.destination.make_directory(folder.path, private)


async def _finish(run: Run, folder: Folder) -> None:
    source = folder.source
    if source is None or folder.broken or not folder.selected:
        return
    if run.shard is not None:
        return  # other agents may still write into it: whoever finishes the run does it
    path = folder.path
    differs = _differs(run, folder, source)
    incomplete = folder.refusal or run.audit_refusal
    if differs or folder.dirty:
        run.counters.directories.to_transfer += differs
        if run.options.dry_run:
            return
        try:
            refused = await run.recovery.persist(lambda: _settle(run, folder, source, differs=differs))
        except FileError as error:
            run.fail(path, "Directory", "Transfer", error)
            return
        incomplete = refused or incomplete
        if folder.parent is not None:
            folder.parent.dirty = folder.parent.dirty or folder.is_new
    run.counters.directories.transferred += differs
    run.counters.directories.skipped += not differs
    if differs:
        run.record(path, "Directory", "Transferred", 0)
    if incomplete is not None:
        run.miss(path, "Directory", incomplete)


async def _settle(run: Run, folder: Folder, source: DirectoryEntry, *, differs: bool) -> FileError | None:
    """Give a folder what it differs in, or only its times if what was done in it moved them."""
    metadata = metadata_of(run, source, folder.descriptor if differs else None)
    if folder.parent is None and metadata.descriptor is not None:
        return await _settle_root(run, metadata, folder.descriptor_found or b"")
    return await apply_metadata(run, folder.path, metadata, CreateOption.DIRECTORY_FILE)


async def _settle_root(run: Run, metadata: Metadata, before: bytes) -> FileError | None:
    """The same for the transfer's root, which must stay open to the account that is to come again."""
    lane, root = run.destination.lane, run.destination.root
    access = SET_ACCESS | run.write_security_access
    security = [*access_list_requests(run, metadata), *owner_requests(metadata)]
    opened, access_list, owner = await lane.call(
        open_request(root, access=access, options=CreateOption.DIRECTORY_FILE), *security
    )
    file_id = decode_create(check(opened, "opening the root folder to set its metadata").message).file_id
    try:
        check_access_list(access_list)
        incomplete = judge_owner(owner)
        try:
            await run.destination.open_root(access=Access.WRITE_DATA)
        except FileError as error:
            back = metadata._replace(descriptor=before)
            await lane.call(*access_list_requests(run, back, file_id), *owner_requests(back, file_id))
            raise FileError(FileReason.SECURITY_NOT_PERMITTED, _SHUT_OUT, status=error.status) from error
        *replies, _ = await lane.call(*basic_requests(metadata, file_id), close_request(file_id))
    except (FileError, EngineError):
        lane.call(close_request(file_id))
        raise
    for reply in replies:
        check(reply, "setting times and attributes")
    return incomplete


async def restore_times(run: Run, path: str, source: DirectoryEntry) -> None:
    """Give a folder its own times and attributes back; :class:`FileError` where the server refuses."""
    await apply_metadata(run, path, metadata_of(run, source), CreateOption.DIRECTORY_FILE)


def _differs(run: Run, folder: Folder, source: DirectoryEntry) -> bool:
    """Whether the folder's own metadata is to be set."""
    if folder.destination is None:
        return True
    if directory_needs_metadata(source, folder.destination, run.options):
        return True
    ours, theirs = folder.descriptor, folder.descriptor_found
    if ours is None or theirs is None or ours == theirs:
        return False
    return bool(security_differences(ours, theirs, run.security_parts))
