"""Measures how long a server takes to reply to somebody else than the run: small requests on a session of their own.

Replies on the run's own sessions wait behind those that the run has asked for, and so tell nothing about others. A
probe opens the transfer's folder and closes it, which is what every program does before it reads (ADR 45).
"""

from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final

from smbferry_engine.core.calls import close_request, open_request
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.background import in_thread
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected, connect
from smbferry_engine.session.endpoint import root_of
from smbferry_engine.session.stamped import StampedSocket
from smbferry_engine.wire.create import Access

_CONNECT_SECONDS: Final = 5.0
_CHUNK: Final = 64 * 1024
_LOOKS: Final = 0.05
_CLOCK_STEP: Final = 1.0


class ReplyProbe:
    """A session of its own to ``endpoint``. Its channel is in ``channels`` while it is connected."""

    def __init__(self, scheduler: Scheduler, endpoint: Endpoint, channels: list[Channel]) -> None:
        self._scheduler = scheduler
        self._endpoint = endpoint
        self._root = root_of(endpoint.path)
        self._channels = channels
        self._channel: Channel | None = None
        self._socket: StampedSocket | None = None
        self._asked: float | None = None

    @property
    def waits(self) -> float:
        """For how many seconds a reply has been outstanding, 0 if none is."""
        return 0.0 if self._asked is None else self._scheduler.now - self._asked

    async def ask(self) -> float | None:
        """Send one request, connecting first where necessary; returns how many seconds the server took to reply.

        None if the kernel does not tell, or its clock was set meanwhile. Raises :class:`EngineError` if there is no
        reply.
        """
        channel, stamped = await self._connected()
        sends, self._asked = stamped.sends, self._scheduler.now
        try:
            await channel.session.call(open_request(self._root, access=Access.READ_ATTRIBUTES), close_request())
            elapsed = self._scheduler.now - self._asked
        finally:
            self._asked = None
        if stamped.received_at is None or stamped.sends != sends + 1:
            return None
        seconds = stamped.received_at - stamped.sent_at
        return seconds if 0 <= seconds <= elapsed + _CLOCK_STEP else None

    async def _connected(self) -> tuple[Channel, StampedSocket]:
        if self._channel is not None and self._socket is not None and self._channel.session.usable:
            return self._channel, self._socket
        self.close()
        # The run goes on meanwhile.
        work = partial(connect, self._endpoint, deadline_seconds=_CONNECT_SECONDS, chunk=_CHUNK)
        future = in_thread("reply-probe", work)
        try:
            while not future.done():
                await self._scheduler.sleep(_LOOKS)
        except GeneratorExit:
            future.add_done_callback(_discard)
            raise
        channel = future.result().channel
        channel.socket = self._socket = StampedSocket.take_over(channel.socket)
        self._channel = channel
        self._channels.append(channel)
        return channel, self._socket

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._channel is not None:
            self._channels.remove(self._channel)
            self._channel.close()
            self._channel = None


def _discard(future: Future[Connected]) -> None:
    """Close a connection that came too late."""
    with suppress(EngineError):
        future.result().channel.close()
