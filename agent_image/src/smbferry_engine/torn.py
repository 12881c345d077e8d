"""No torn copies: what was read of a file is one version of it, or the file fails.

Size, write time and change time tell of writes, but not everywhere at once: a server may move the times of a file only
when its writer closes it. So when all of a large file has been read, it is opened once more without sharing writes, for
one compound. If that works, nobody writes to it, and whoever did has closed it: its times are true. If not, it is read
a second time. Content that was read twice alike was there, all of it, at the moment between. The times of a file with a
writer say nothing: Samba's CREATE gives those of the writer's first write, its CLOSE those of the last.
"""

from collections.abc import Awaitable, Callable

from smbferry_engine.content import OpenFile, changed, has_writer, open_file, stream
from smbferry_engine.core.calls import close_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.run import Run
from smbferry_engine.share import check
from smbferry_engine.wire.create import decode_close

_CHANGED = "expected one version of the file, but its size or times changed while it was read"
WRITTEN = "expected one version of the file, but another program writes to it, and a second reading differs"


async def close_unchanged(
    run: Run,
    path: str,
    file: OpenFile,
    digest: Callable[[], Awaitable[bytes]],
    *,
    part: tuple[int, int] | None = None,
) -> bool:
    """Close a source file that was read, or the ``part`` of it; returns whether somebody has it open for writing.

    ``digest`` gives the BLAKE3 of what was read; it is asked only where somebody writes to the file.

    Raises:
        FileError: SourceChanged, when what was read may be of more than one version.
    """
    closing = file.lane.call(close_request(file.opened.file_id, query_attributes=True))
    written = await has_writer(run.source, path, itself=file.itself)
    (reply,) = await closing
    closed = decode_close(check(reply, "closing the file").message)
    if not written and changed(file.opened, closed):
        raise FileError(FileReason.SOURCE_CHANGED, _CHANGED)
    if written and await _digest_again(run, path, file, part) != await digest():
        raise FileError(FileReason.SOURCE_CHANGED, WRITTEN)
    return written


async def _digest_again(run: Run, path: str, file: OpenFile, part: tuple[int, int] | None) -> bytes:
    again = await open_file(run.source, path, itself=file.itself)
    try:
        if again.opened.size != file.opened.size:
            raise FileError(FileReason.SOURCE_CHANGED, _CHANGED)
        return await stream(run.scheduler, again, before=run.limiter.before, part=part)
    finally:
        again.close()
