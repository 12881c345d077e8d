"""Hashes of what is on a share, always read through an open of their own."""

from typing import NamedTuple

from blake3 import blake3

from smbferry_engine.content import open_file, read_small, single_frame_limit, stream
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.plan import is_data_elsewhere
from smbferry_engine.share import Share
from smbferry_engine.wire.directory import DirectoryEntry


class Fingerprint(NamedTuple):
    """BLAKE3 (32 bytes) of a file's content, and its raw security descriptor where that was asked for."""

    digest: bytes
    descriptor: bytes | None


async def fingerprint_of(
    scheduler: Scheduler, share: Share, path: str, entry: DirectoryEntry, *, access: int = 0, parts: int = 0
) -> Fingerprint:
    """Read the file at ``path``, listed as ``entry``; ``access`` and ``parts`` ask for its descriptor too."""
    itself = not is_data_elsewhere(entry)
    if entry.size <= single_frame_limit(share):
        small = await read_small(share, path, entry.size, access=access, parts=parts, itself=itself)
        if small is not None:
            return Fingerprint(blake3(small.data).digest(), small.descriptor)
    file = await open_file(share, path, access=access, parts=parts, itself=itself)
    try:
        return Fingerprint(await stream(scheduler, file), file.descriptor)
    finally:
        file.close()


async def digest_of(scheduler: Scheduler, share: Share, path: str, entry: DirectoryEntry) -> bytes:
    """BLAKE3 (32 bytes) of the file at ``path``, listed as ``entry``."""
    return (await fingerprint_of(scheduler, share, path, entry)).digest
