"""Opening the file in which another is gathered: made anew, or gone on with, and nobody else's to read."""

import contextlib

from smbferry_engine.core.calls import (
    Reply,
    Request,
    close_request,
    open_request,
    query_security_request,
    query_standard_request,
)
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.landing import WRITE_ACCESS
from smbferry_engine.plan import DIRECTORY, REPARSE_POINT
from smbferry_engine.run import Run
from smbferry_engine.share import DESCRIPTOR_LIMIT, check
from smbferry_engine.wire.create import CreateOption, CreateReply, Disposition, decode_create
from smbferry_engine.wire.create import Share as Sharing
from smbferry_engine.wire.info import OWNER_AND_GROUP, SecurityPart, decode_query, decode_standard
from smbferry_engine.wire.security import decode_security_descriptor, only_for, owner_and_group
from smbferry_engine.wire.status import NtStatus

_PAUSES = (0.2, 0.6, 1.5)
_DOING = "creating a temporary file"


async def wait_until_closed(run: Run, final: str, path: str) -> None:
    """Wait until what earlier attempts of this run had open there is closed.

    A server may finish the writes that are under way before it closes a file (Samba does), and meanwhile look at what
    was sent later: it would find the file in use.
    """
    for closing in run.left.get(final, {}).get(path, ()):
        with contextlib.suppress(EngineError):  # the connection is gone: then it is up to the server
            await closing


async def open_temporary(run: Run, final: str, path: str, *, keep: bool, sharing: Sharing) -> CreateReply:
    """Open it; where this run has some of the file, wait until the server has noticed that a connection is dead."""
    gathered = run.connections_die and any(name == final for name, _ in run.headway)
    for pause in _PAUSES if gathered else ():
        try:
            return await _open(run, path, keep=keep, sharing=sharing)
        except FileError as error:
            if error.status != NtStatus.SHARING_VIOLATION:
                raise
            await run.scheduler.sleep(pause)
    return await _open(run, path, keep=keep, sharing=sharing)


async def _open(run: Run, path: str, *, keep: bool, sharing: Sharing) -> CreateReply:
    """Open ``path`` for writing: made anew, or as it is if it is kept and is ours to write into.

    Where descriptors are copied it is open to nobody but the account before there is any content.
    """
    private = only_for(await run.ownership.own(path)) if run.security_parts else None
    (reply, *_) = await _call(run, path, Disposition.CREATE, sharing, private)
    if reply.status == NtStatus.OBJECT_NAME_COLLISION:
        found = await _open_kept(run, path, sharing) if keep else None
        if found is not None:
            return found
        await run.destination.delete(path, directory=False, readonly=True)
        (reply, *_) = await _call(run, path, Disposition.CREATE, sharing, private)
    return decode_create(check(reply, _DOING).message)


async def _open_kept(run: Run, path: str, sharing: Sharing) -> CreateReply | None:
    """What is there, if it is a plain file with this one name: what is written into a hard link shows elsewhere too.

    None also if it may not be opened, or if others may: whoever planted it would read what is added.
    """
    asking = [query_standard_request()]
    if run.security_parts:
        asking.append(query_security_request(OWNER_AND_GROUP | SecurityPart.DACL, DESCRIPTOR_LIMIT))
    replies = await _call(run, path, Disposition.OPEN, sharing, None, *asking)
    if replies[0].status == NtStatus.ACCESS_DENIED:
        return None
    opened = decode_create(check(replies[0], _DOING).message)
    standard = decode_standard(check(replies[1], "asking for the number of links").message)
    is_plain = standard.links == 1 and not opened.attributes & (DIRECTORY | REPARSE_POINT)
    if is_plain and (not run.security_parts or await _is_private(run, path, replies[2])):
        return opened
    await run.destination.lane.call(close_request(opened.file_id))
    return None


async def _is_private(run: Run, path: str, reply: Reply) -> bool:
    """Whether the account owns it and nobody else may open it."""
    found = bytes(decode_query(check(reply, "asking whose it is").message))
    own = await run.ownership.own(path)
    expected = decode_security_descriptor(only_for(own)).dacl
    return owner_and_group(found)[0] == own and decode_security_descriptor(found).dacl == expected


async def _call(
    run: Run, path: str, disposition: Disposition, sharing: Sharing, private: bytes | None, *requests: Request
) -> list[Reply]:
    request = open_request(
        run.destination.wire_path(path),
        access=WRITE_ACCESS | run.write_security_access | run.read_security_access,
        disposition=disposition,
        options=CreateOption.NON_DIRECTORY_FILE,
        share=sharing,
        descriptor=private,
    )
    run.temporaries[path] = call = run.destination.lane.call(request, *requests)
    replies = await call
    if replies[0].status != NtStatus.SUCCESS:
        del run.temporaries[path]
    return replies
