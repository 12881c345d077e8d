"""Folders of the destination: created before their content, given their own metadata after it.

Until then only the account can open a new folder: at no moment does anybody see more of it than at the source, and the
account can write into it even if the source's access list excludes it.
"""

from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, lacking_error
from smbferry_engine.plan.compare import security_differences
from smbferry_engine.plan.decide import directory_needs_metadata
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.access import SET_ACCESS
from smbferry_engine.share.metadata import (
    Metadata,
    apply_metadata,
    basic_requests,
    judge_security,
    metadata_of,
    security_requests,
)
from smbferry_engine.share.replies import check
from smbferry_engine.tree.folder_attachments import attachments_differ, carry_folder
from smbferry_engine.tree.items import Folder
from smbferry_engine.wire.create import Access, CreateOption, decode_create
from smbferry_engine.wire.directory import DirectoryEntry
from smbferry_engine.wire.security import only_for

_SHUT_OUT = (
    "setting the root folder's access list: expected one that lets the destination's account in, got one that shuts it "
    "out, so the old one was put back. Add the account to the source folder's access list, or to the destination "
    "server's Backup Operators"
)


async def child_done(run: RunContext, folder: Folder | None) -> None:
    """Count down what is left to do in ``folder``; after the last thing, set its metadata and go on with its parent."""
    while folder is not None:
        folder.pending -= 1
        if folder.pending:
            return
        await _finish(run, folder)
        folder = folder.parent


async def make(run: RunContext, folder: Folder) -> None:
    """Create a folder that only the account can open until its metadata is set."""
    private = None
    if run.policy.metadata.security_parts and folder.settles:
        private = only_for(await run.destination.ownership.own(folder.path))
    await run.destination.make_directory(folder.path, private)


async def _finish(run: RunContext, folder: Folder) -> None:
    source = folder.source
    if source is None or not folder.settles:
        return
    if not run.scope.is_whole:
        return  # other agents may still write into it: the finish sets its metadata
    path = folder.path
    try:
        attachments = await run.recovery.persist(lambda: attachments_differ(run, folder))
    except FileError as error:
        run.tally.fail(path, "Directory", "Transfer", error)
        return
    differs = attachments or _differs(run, folder, source)
    incomplete = folder.security.refusal or run.policy.metadata.audit_refusal
    lost = (folder.security.attachments or NO_ATTACHMENTS).lost
    if differs or folder.dirty:
        run.tally.counters.directories.to_transfer += differs
        if run.policy.options.dry_run:
            return
        try:
            if attachments:
                lost = await run.recovery.persist(lambda: carry_folder(run, folder))
            refused = await run.recovery.persist(lambda: _settle(run, folder, source, differs=differs))
        except FileError as error:
            run.tally.fail(path, "Directory", "Transfer", error)
            return
        incomplete = refused or incomplete or lacking_error(lost)
        if folder.parent is not None:
            folder.parent.dirty = folder.parent.dirty or folder.is_new
    run.tally.lose(path, lost)
    run.tally.counters.directories.transferred += differs
    run.tally.counters.directories.skipped += not differs
    if differs:
        run.tally.record(path, "Directory", "Transferred", 0)
    if incomplete is not None:
        run.tally.miss(path, "Directory", incomplete)


async def _settle(run: RunContext, folder: Folder, source: DirectoryEntry, *, differs: bool) -> FileError | None:
    """Set the metadata of a folder, or restore its times after changes in it."""
    policy = run.policy.metadata
    metadata = metadata_of(policy, source, folder.security.source if differs else None)
    if folder.parent is None and metadata.descriptor is not None:
        return await _settle_root(run, metadata, folder.security.destination or b"")
    return await apply_metadata(run.destination, policy, folder.path, metadata, CreateOption.DIRECTORY_FILE)


async def _settle_root(run: RunContext, metadata: Metadata, before: bytes) -> FileError | None:
    """Set the metadata of the transfer's root, which must stay accessible to the account for later runs."""
    session, root, policy = run.destination.session, run.destination.root, run.policy.metadata
    opened, *security = await session.call(
        open_request(root, access=SET_ACCESS | policy.write_access, options=CreateOption.DIRECTORY_FILE),
        *security_requests(policy, metadata),
    )
    file_id = decode_create(check(opened, "opening the root folder to set its metadata").message).file_id
    try:
        incomplete = judge_security(*security)
        try:
            await run.destination.open_root(access=Access.WRITE_DATA)
        except FileError as error:
            await session.call(*security_requests(policy, metadata._replace(descriptor=before), file_id))
            raise FileError(FileReason.SECURITY_NOT_PERMITTED, _SHUT_OUT, status=error.status) from error
        *replies, _ = await session.call(*basic_requests(metadata, file_id), close_request(file_id))
    except (FileError, EngineError):
        session.call(close_request(file_id))
        raise
    for reply in replies:
        check(reply, "setting times and attributes")
    return incomplete


async def restore_times(run: RunContext, path: str, source: DirectoryEntry) -> None:
    """Restore the times and attributes of a folder. Raises :class:`FileError` if the server refuses."""
    policy = run.policy.metadata
    await apply_metadata(run.destination, policy, path, metadata_of(policy, source), CreateOption.DIRECTORY_FILE)


def _differs(run: RunContext, folder: Folder, source: DirectoryEntry) -> bool:
    """Return whether the folder's own metadata differs."""
    if folder.destination is None:
        return True
    if directory_needs_metadata(source, folder.destination, run.policy.options):
        return True
    ours, theirs = folder.security.source, folder.security.destination
    if ours is None or theirs is None or ours == theirs:
        return False
    return bool(security_differences(ours, theirs, run.policy.metadata.security_parts))
