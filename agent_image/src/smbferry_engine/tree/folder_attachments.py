"""The streams and extended attributes of folders: compared in every run, and carried before the folder's times."""

from smbferry_engine.files.attachments import Origin, Target, carry, compared_kinds
from smbferry_engine.files.fingerprint import stream_digests
from smbferry_engine.plan.attachments import (
    NO_ATTACHMENTS,
    Attachments,
    Lost,
    attachment_differences,
    listed_alike,
)
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.attachments import read_attachments
from smbferry_engine.share.share import Share
from smbferry_engine.tree.items import Folder
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry


async def attachments_differ(run: RunContext, folder: Folder) -> bool:
    """Return whether a folder's attachments are to be carried. Their content is compared, as there is little of it."""
    security = folder.security
    if security.attachments == security.attachments_there == NO_ATTACHMENTS:
        return False
    kinds, kinds_there = compared_kinds(run)
    if security.attachments is None:
        security.attachments = await read_attachments(
            run.source, folder.path, kinds, open_reparse_point=_is_reparse_point(folder.source)
        )
    if security.attachments_there is None:
        security.attachments_there = await read_attachments(run.destination, folder.path, kinds_there)
    ours, theirs = security.attachments, security.attachments_there
    if not ours.is_empty and folder.is_new:
        return True
    if not listed_alike(ours, theirs):
        return True
    if not ours.streams:
        return any(lost.fails for lost in ours.lost)
    digests = await _digests(run, run.source, folder, ours), await _digests(run, run.destination, folder, theirs)
    return bool(attachment_differences(ours, theirs, digests))


async def _digests(run: RunContext, share: Share, folder: Folder, found: Attachments) -> dict[str, bytes]:
    entry = folder.source if share is run.source else folder.destination
    reparse = _is_reparse_point(entry)
    return await stream_digests(run.scheduler, share, folder.path, found, open_reparse_point=reparse)


def _is_reparse_point(entry: DirectoryEntry | None) -> bool:
    return entry is None or not is_data_elsewhere(entry)


async def carry_folder(run: RunContext, folder: Folder) -> tuple[Lost, ...]:
    """Give a folder of the destination the attachments of its source; returns what it can't hold."""
    found = folder.security.attachments or NO_ATTACHMENTS
    _, kinds = compared_kinds(run)
    origin = Origin(run.source, folder.path, found, kinds, _is_reparse_point(folder.source))
    return await carry(run, origin, Target(folder.path, fresh=folder.is_new))
