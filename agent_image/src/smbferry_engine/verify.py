"""Hashes of what is on a share, always read through an open of their own."""

from blake3 import blake3

from smbferry_engine.content import open_file, read_small, single_frame_limit, stream
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.plan import is_deduplicated
from smbferry_engine.share import Share
from smbferry_engine.wire.directory import DirectoryEntry


async def digest_of(scheduler: Scheduler, share: Share, path: str, entry: DirectoryEntry) -> bytes:
    """BLAKE3 (32 bytes) of the file at ``path``, listed as ``entry``."""
    itself = not is_deduplicated(entry)
    if entry.size <= single_frame_limit(share):
        small = await read_small(share, path, entry.size, itself=itself)
        if small is not None:
            return blake3(small.data).digest()
    file = await open_file(share, path, itself=itself)
    try:
        return await stream(scheduler, file)
    finally:
        file.close()
