"""Folders of the destination: made before what goes into them, given their own times when all of it is there."""

from dataclasses import dataclass

from smbferry_engine.descriptors import folder_descriptor
from smbferry_engine.errors import FileError
from smbferry_engine.landing import apply_metadata, metadata_of
from smbferry_engine.metadata import security_differences
from smbferry_engine.plan import directory_needs_metadata
from smbferry_engine.run import Run
from smbferry_engine.wire.create import CreateOption
from smbferry_engine.wire.directory import DirectoryEntry


@dataclass(slots=True)
class Folder:
    """A folder on its way through the run.

    ``source`` is None where only the destination has it, ``destination`` where only the source does (or both for the
    root). ``pending`` counts what must be done before the folder's own metadata: its listing and each thing in it.
    ``dirty`` is set when something in it was written, which moved its times. ``selected`` is False for a folder that
    only leads to something included: it is made, and keeps its own metadata.
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


async def _finish(run: Run, folder: Folder) -> None:
    if folder.source is None or folder.parent is None or folder.broken or not folder.selected:
        return
    if run.shard is not None:
        return  # other agents may still write into it: whoever finishes the run does it
    path, source = folder.path, folder.source
    try:
        differs = await run.recovery.persist(lambda: _differs(run, folder, source))
    except FileError as error:
        run.fail(path, "Directory", "Transfer", error)
        return
    if not differs and not folder.dirty:
        run.counters.directories.skipped += 1
        return
    if differs:
        run.counters.directories.to_transfer += 1
    if run.options.dry_run:
        return
    try:
        await run.recovery.persist(lambda: set_folder_metadata(run, path, source))
    except FileError as error:
        run.fail(path, "Directory", "Transfer", error)
        return
    folder.parent.dirty = folder.parent.dirty or folder.is_new
    if differs:
        run.counters.directories.transferred += 1
        run.record(path, "Directory", "Transferred", 0)
        if run.audit_refusal is not None:
            run.fail(path, "Directory", "Transfer", run.audit_refusal)
    else:
        run.counters.directories.skipped += 1


async def set_folder_metadata(run: Run, path: str, source: DirectoryEntry) -> None:
    """Copy a folder's descriptor, attributes and times; :class:`FileError` for what could not be set."""
    descriptor = None
    if run.security_parts:
        descriptor = await folder_descriptor(run.source, path, run.read_security_access, run.security_parts)
    await apply_metadata(run, path, metadata_of(run, source, descriptor), CreateOption.DIRECTORY_FILE)


async def _differs(run: Run, folder: Folder, source: DirectoryEntry) -> bool:
    """Whether the folder's own metadata is to be set; its descriptor counts where content is compared, too."""
    if folder.destination is None or run.settles_folders:
        return True
    if directory_needs_metadata(source, folder.destination, run.options):
        return True
    if not run.compares_descriptors:
        return False
    access, parts = run.read_security_access, run.security_parts
    ours = await folder_descriptor(run.source, folder.path, access, parts)
    theirs = await folder_descriptor(run.destination, folder.path, access, parts)
    return bool(security_differences(ours, theirs, parts))
