"""Hashes files on a share, always read through an open of their own."""

from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.files.pump import stream
from smbferry_engine.plan.attachments import NO_ATTACHMENTS, NO_KINDS, Attachments, Kinds, stream_path
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.share.reading import open_file, read_small, single_frame_limit
from smbferry_engine.share.share import Share
from smbferry_engine.wire.attributes import is_data_elsewhere
from smbferry_engine.wire.directory import DirectoryEntry


class Fingerprint(NamedTuple):
    """BLAKE3 (32 bytes) of a file's content, its raw security descriptor and its attachments if requested, and the
    BLAKE3 of its streams by their names.
    """

    digest: bytes
    descriptor: bytes | None
    attachments: Attachments = NO_ATTACHMENTS
    streams: dict[str, bytes] = {}  # noqa: RUF012 (never changed)


async def fingerprint_of(
    scheduler: Scheduler,
    share: Share,
    path: str,
    entry: DirectoryEntry,
    *,
    access: int = 0,
    parts: int = 0,
    attachments: Kinds = NO_KINDS,
) -> Fingerprint:
    """Read and hash the file at ``path``, listed as ``entry``, and its streams.

    ``access`` and ``parts`` request its descriptor, too, and ``attachments`` those.
    """
    reparse = not is_data_elsewhere(entry)
    found = await _content(
        scheduler,
        share,
        path,
        entry.size,
        access=access,
        parts=parts,
        attachments=attachments,
        open_reparse_point=reparse,
    )
    if not found.attachments.streams:
        return found
    return found._replace(
        streams=await stream_digests(scheduler, share, path, found.attachments, open_reparse_point=reparse)
    )


async def stream_digests(
    scheduler: Scheduler, share: Share, path: str, attachments: Attachments, *, open_reparse_point: bool = True
) -> dict[str, bytes]:
    """Return the BLAKE3 (32 bytes) of each stream of a file or folder by its name."""
    found = {}
    for entry in attachments.streams:
        named = stream_path(path, entry.name)
        content = await _content(scheduler, share, named, entry.size, open_reparse_point=open_reparse_point)
        found[entry.name] = content.digest
    return found


async def _content(
    scheduler: Scheduler,
    share: Share,
    path: str,
    size: int,
    *,
    access: int = 0,
    parts: int = 0,
    attachments: Kinds = NO_KINDS,
    open_reparse_point: bool,
) -> Fingerprint:
    """Hash one content of about ``size`` bytes: a file's, or that of one of its streams."""
    if size <= single_frame_limit(share):
        small = await read_small(
            share,
            path,
            size,
            access=access,
            parts=parts,
            attachments=attachments,
            open_reparse_point=open_reparse_point,
        )
        if small is not None:
            return Fingerprint(blake3(small.data).digest(), small.descriptor, small.attachments)
    file = await open_file(
        share, path, access=access, parts=parts, attachments=attachments, open_reparse_point=open_reparse_point
    )
    try:
        return Fingerprint(await stream(scheduler, file), file.descriptor, file.attachments)
    finally:
        file.close()
