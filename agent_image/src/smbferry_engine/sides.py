"""Both sides of a transfer or a comparison: connected at once, again when a connection is lost, and ended together."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from smbferry_engine.connect import Connected, connect, connect_patiently
from smbferry_engine.errors import SESSION_ENDED, EngineError
from smbferry_engine.logoff import log_off
from smbferry_engine.model import Endpoint, Evidence, SideName
from smbferry_engine.roots import root_of
from smbferry_engine.share import Share
from smbferry_engine.transport import Channel

RECONNECT_DEADLINE = 4.0
_NAMES: tuple[SideName, SideName] = ("source", "destination")


class Sides:
    """The source's and the destination's channel and share, in this order. The lists keep their identity.

    ``introduced`` is told what protects a side's session, whenever it is a new one.
    """

    def __init__(
        self, source: Endpoint, destination: Endpoint, introduced: Callable[[SideName, Evidence], None]
    ) -> None:
        self._endpoints = (source, destination)
        self._introduced = introduced
        self._refusing: set[int] = set()
        self.channels: list[Channel] = []
        self.shares: list[Share] = []
        roots = [root_of(endpoint) for endpoint in self._endpoints]
        with ThreadPoolExecutor(len(roots)) as threads:
            under_way = [threads.submit(connect_patiently, endpoint) for endpoint in self._endpoints]
        _cut_unless_all(under_way)
        for index, root in enumerate(roots):
            self.channels.append(self._introduce(index, under_way[index].result()))
            self.shares.append(Share(self.channels[index].lane, root))

    def _introduce(self, index: int, connected: Connected) -> Channel:
        self._introduced(_NAMES[index], connected.evidence)
        return connected.channel

    def broken(self) -> bool:
        """Whether a side can't be used as it is."""
        return not all(share.lane.usable for share in self.shares)

    def restore(self) -> None:
        """Connect every broken side anew; :class:`EngineError` when one can't be. Blocks for at most its deadline."""
        for index, share in enumerate(self.shares):
            if not share.lane.usable:
                old = self.channels[index]
                old.fail(EngineError(SESSION_ENDED, f"the server {old.peer} has ended the session"))
                connected = connect(self._endpoints[index], deadline_seconds=RECONNECT_DEADLINE)
                self.channels[index] = self._introduce(index, connected)
                if old.renewal is not None and old.renewal.refused:
                    self._refusing.add(index)
                if index in self._refusing:
                    self.channels[index].leave_session()
                self.channels[index].lane.follow(old.lane)
                share.lane = self.channels[index].lane

    def close(self) -> None:
        """End both sessions, and their connections."""
        log_off(*self.channels)


def _cut_unless_all(ended: list[Future[Connected]]) -> None:
    """When a side could not be reached, the other one is cut."""
    if any(future.exception() is not None for future in ended):
        for future in ended:
            if future.exception() is None:
                future.result().channel.close()
