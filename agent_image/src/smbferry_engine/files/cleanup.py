"""Cleans up after a run that was stopped: no partial file stays under a final name, and no staging file is left open.

If the connection is lost, the server closes the handles, and the next run resumes what is left, or removes it. The
clean-up is bounded in time.
"""

import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from smbferry_engine.core.calls import close_request, delete_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.errors import EngineError, FileError
from smbferry_engine.files.small import remove_rejected
from smbferry_engine.run.context import RunContext
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.share import Share
from smbferry_engine.wire.create import decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import RUN_CANCELLED

_SECONDS = 15.0

# What the clean-up of one file may raise; the other files are still cleaned up.
_ANSWERS = (FileError, EngineError, ProtocolError, WireError)


def clean_up(run: RunContext, driver: Driver, abandoned: Callable[[], bool], *, told_to_stop: bool = False) -> bool:
    """Undo what the stopped run has begun. Never raises: the caller reports the error that stopped the run.

    If the run was only ``told_to_stop`` and another agent continues it, staging files stay, so that nothing is written
    twice. Returns whether they stay.
    """
    if run.destination.session.failure is not None:
        return True
    goes_for_good = (told_to_stop or bool(run.housekeeping.shared())) and abandoned()
    stays = told_to_stop and not goes_for_good
    run_clean_up(driver, (run.source, run.destination), undo(run, abandoned=goes_for_good, keep=stays))
    return stays


def run_clean_up(driver: Driver, shares: Iterable[Share], work: Coroutine[Any, None, None]) -> None:
    """Do ``work`` after an operation was stopped, in bounded time. Never raises.

    Requests that the operation had not sent yet are dropped.
    """
    too_long = EngineError(RUN_CANCELLED, "the clean-up took too long")
    for share in shares:
        share.session.drop_unsent(too_long)
    with contextlib.suppress(EngineError, FileError):
        driver.run_within(work, _SECONDS, too_long)


async def undo(run: RunContext, *, abandoned: bool = False, keep: bool = False) -> None:
    """Delete every final name whose compound failed, and every staging file; if ``abandoned``, shared ones, too.

    With ``keep``, staging files stay for another agent that resumes them.
    """
    for path, call in list(run.housekeeping.committing.items()):
        with contextlib.suppress(*_ANSWERS):
            replies = await call
            created = replies[0].status == NtStatus.SUCCESS
            if created and any(reply.status != NtStatus.SUCCESS for reply in replies[1:]):
                run.housekeeping.rejected.add(path)
    for path in list(run.housekeeping.rejected):
        with contextlib.suppress(*_ANSWERS):
            await remove_rejected(run, path)
    for path, call in [] if keep else run.housekeeping.opened():
        with contextlib.suppress(*_ANSWERS):
            opened, *_ = await call
            if opened.status == NtStatus.SUCCESS:
                # Through its own handle: the server finishes the writes that are under way, then deletes the file on
                # close.
                file_id = decode_create(opened.message).file_id
                replies = await run.destination.session.call(delete_request(file_id), close_request())
                if replies[0].status != NtStatus.SUCCESS:
                    await run.destination.delete(path, directory=False, readonly=True)
    for path in run.housekeeping.shared() if abandoned else ():
        with contextlib.suppress(*_ANSWERS):
            await run.destination.delete(path, directory=False, readonly=True)
