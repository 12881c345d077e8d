"""No torn copies: what was read is one version of the file, or the file fails.

Size, write time and change time show writes, but some servers update the times only when the writer closes the file. So
after a large file has been read, it is opened once more without sharing writes, for one compound. If that succeeds,
nobody is writing to it and earlier writers have closed it: the times are reliable. If not, the file is read a second
time: content that is the same twice existed as a whole between the two. The times of a file with a writer prove
nothing: Samba's CREATE returns those of the writer's first write, its CLOSE those of the last.
"""

from collections.abc import Awaitable, Callable

from smbferry_engine.core.calls import close_request
from smbferry_engine.errors import FileError, FileReason
from smbferry_engine.files.pump import stream
from smbferry_engine.run.context import RunContext
from smbferry_engine.share.reading import OpenFile, changed, has_writer, open_file
from smbferry_engine.share.replies import check
from smbferry_engine.wire.create import decode_close

_CHANGED = "expected one version of the file, got other sizes or times while it was read"
WRITTEN = "expected one version of the file, got other content when it was read again; another program writes to it"


async def close_unchanged(
    run: RunContext,
    path: str,
    file: OpenFile,
    digest: Callable[[], Awaitable[bytes]],
    *,
    part: tuple[int, int] | None = None,
) -> bool:
    """Close a source file after it, or the ``part`` of it, was read; returns whether somebody has it open for writing.

    ``digest`` returns the BLAKE3 of what was read; it is called only if somebody writes to the file.

    Raises:
        FileError: SourceChanged if what was read may be of more than one version.
    """
    closing = file.session.call(close_request(file.opened.file_id, query_attributes=True))
    # Nobody writes to a snapshot.
    written = not run.source.snapshot and await has_writer(run.source, path, open_reparse_point=file.open_reparse_point)
    (reply,) = await closing
    closed = decode_close(check(reply, "closing the file").message)
    if not written and changed(file.opened, closed):
        raise FileError(FileReason.SOURCE_CHANGED, _CHANGED)
    if written and await _digest_again(run, path, file, part) != await digest():
        raise FileError(FileReason.SOURCE_CHANGED, WRITTEN)
    return written


async def _digest_again(run: RunContext, path: str, file: OpenFile, part: tuple[int, int] | None) -> bytes:
    again = await open_file(run.source, path, open_reparse_point=file.open_reparse_point)
    try:
        if again.opened.size != file.opened.size:
            raise FileError(FileReason.SOURCE_CHANGED, _CHANGED)
        return await stream(run.scheduler, again, before=run.limiter.before, part=part)
    finally:
        again.close()
