"""After a run was stopped: nothing half-done stays under a final name, and no temporary file that was being written.

If the connection is gone this can't be done; then the server drops the handles, and the next run goes on inside what is
left, or removes it. What is tried here is bounded in time.
"""

import contextlib
import time

from smbferry_engine.core.calls import close_request, delete_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.errors import CANCELLED, EngineError, FileError
from smbferry_engine.landing import take_back
from smbferry_engine.run import Run
from smbferry_engine.transport import Driver
from smbferry_engine.wire.create import decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.status import NtStatus

CLEAN_UP_SECONDS = 15.0

# What one file's clean-up may meet; the others still get theirs.
_ANSWERS = (FileError, EngineError, ProtocolError, WireError)


def clean_up(run: Run, driver: Driver, *, told_to_stop: bool = False) -> None:
    """Undo what the stopped run has begun. Never raises: the error that stopped the run is the one to tell.

    Where it was only ``told_to_stop`` and somebody goes on, temporary files stay: what they hold is not written again.
    """
    if run.destination.lane.failure is not None:
        return
    abandoned = (told_to_stop or bool(run.shared)) and run.abandoned()
    until = time.monotonic() + CLEAN_UP_SECONDS
    too_long = EngineError(CANCELLED, "the clean-up took too long")

    def tick(_now: float) -> None:
        if time.monotonic() > until:
            raise too_long

    run.source.lane.drop_unsent(too_long)
    run.destination.lane.drop_unsent(too_long)
    with contextlib.suppress(EngineError):
        driver.run(undo(run, abandoned=abandoned, keep=told_to_stop and not abandoned), tick)


async def undo(run: Run, *, abandoned: bool = False, keep: bool = False) -> None:
    """Delete every final name whose landing failed, and every temporary file; with ``abandoned`` shared ones, too.

    With ``keep`` temporary files stay, for another agent that goes on inside them.
    """
    for path, call in list(run.landing.items()):
        with contextlib.suppress(*_ANSWERS):
            replies = await call
            created = replies[0].status == NtStatus.SUCCESS
            if created and any(reply.status != NtStatus.SUCCESS for reply in replies[1:]):
                run.doomed.add(path)
    for path in list(run.doomed):
        with contextlib.suppress(*_ANSWERS):
            await take_back(run, path)
    for path, call in [] if keep else list(run.temporaries.items()):
        with contextlib.suppress(*_ANSWERS):
            opened, *_ = await call
            if opened.status == NtStatus.SUCCESS:
                # By its own handle: the server finishes the writes that are under way, then deletes on close.
                file_id = decode_create(opened.message).file_id
                replies = await run.destination.lane.call(delete_request(file_id), close_request())
                if replies[0].status != NtStatus.SUCCESS:
                    await run.destination.delete(path, directory=False, readonly=True)
    for path in run.shared if abandoned else ():
        with contextlib.suppress(*_ANSWERS):
            await run.destination.delete(path, directory=False, readonly=True)
