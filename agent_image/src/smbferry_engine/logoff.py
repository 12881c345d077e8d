"""A session's end (MS-SMB2 3.2.4.23): before its server answers, it has closed all that we had open there (3.3.5.6).

A connection that is only cut leaves that to the moment in which the server notices: until then a temporary file that
was deleted while it was open is still there, and what the next run wants is still in use.
"""

import logging
import time

from smbferry_engine.core.calls import empty_request
from smbferry_engine.core.lane import Lane
from smbferry_engine.errors import DEADLINE_EXCEEDED, EngineError
from smbferry_engine.transport import Channel, Driver
from smbferry_engine.wire.header import Command

_log = logging.getLogger(__name__)
_SECONDS = 3.0


def log_off(*channels: Channel) -> None:
    """End the sessions that can still be ended in order, then cut the connections.

    Takes at most a few seconds and never raises: what was to be done has ended before, and how is known.
    """
    until = time.monotonic() + _SECONDS
    over = EngineError(DEADLINE_EXCEEDED, f"an answer to LOGOFF within {_SECONDS:.0f} s expected, none came")

    def tick(_now: float) -> None:
        if time.monotonic() > until:
            for channel in channels:
                channel.fail(over)

    lanes = [channel.lane for channel in channels if channel.lane.usable and not channel.lane.expired]
    for lane in lanes:
        lane.drop_unsent(over)
    Driver(list(channels)).run(_log_off(lanes), tick)
    for channel in channels:
        channel.close()


async def _log_off(lanes: list[Lane]) -> None:
    for call in [lane.call(empty_request(Command.LOGOFF), tree_id=0) for lane in lanes]:
        try:
            await call
        except EngineError as error:
            _log.info("a session was cut and not ended in order: %s", error)
