"""Logs off sessions (MS-SMB2 3.2.4.23). The server closes all our opens before it answers (3.3.5.6).

If the connection is only closed, the opens stay until the server notices. Until then, a staging file that was deleted
while open still exists, and files are in use for the next run.
"""

import logging
import time

from smbferry_engine.core.calls import empty_request
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.driver import Driver
from smbferry_engine.wire.header import Command
from smbferry_words.reasons import DEADLINE_EXCEEDED

_log = logging.getLogger(__name__)
_SECONDS = 3.0


def log_off(*channels: Channel) -> None:
    """Log off usable sessions, then close the connections.

    Takes at most a few seconds and never raises: the result of the run is known already.
    """
    until = time.monotonic() + _SECONDS
    over = EngineError(DEADLINE_EXCEEDED, f"expected an answer to LOGOFF within {_SECONDS:.0f} s, got none")

    def tick(_now: float) -> None:
        if time.monotonic() > until:
            for channel in channels:
                channel.fail(over)

    sessions = [channel.session for channel in channels if channel.session.usable and not channel.session.expired]
    for session in sessions:
        session.drop_unsent(over)
    Driver(list(channels)).run(_log_off(sessions), tick)
    for channel in channels:
        channel.close()


async def _log_off(sessions: list[Session]) -> None:
    for call in [session.call(empty_request(Command.LOGOFF), tree_id=0) for session in sessions]:
        try:
            await call
        except EngineError as error:
            _log.info("a session was closed without LOGOFF: %s", error)
