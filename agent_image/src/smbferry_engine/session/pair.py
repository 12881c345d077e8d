"""Both sides of an operation: connects them at the same time, reconnects lost ones, logs both off."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint, Evidence, SideName
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected, connect, connect_patiently
from smbferry_engine.session.logoff import log_off
from smbferry_words.reasons import SESSION_ENDED

RECONNECT_DEADLINE = 4.0
_NAMES: tuple[SideName, SideName] = ("source", "destination")


class SessionPair:
    """The source's and the destination's channel, in this order; the list keeps its identity.

    Only the source's, if ``destination`` is None. ``introduced`` is called with the evidence of each new session.
    """

    def __init__(
        self, source: Endpoint, destination: Endpoint | None, introduced: Callable[[SideName, Evidence], None]
    ) -> None:
        self._endpoints = (source,) if destination is None else (source, destination)
        self._introduced = introduced
        self._refusing: set[int] = set()
        with ThreadPoolExecutor(len(self._endpoints)) as threads:
            under_way = [threads.submit(connect_patiently, endpoint) for endpoint in self._endpoints]
        _cut_unless_all(under_way)
        self.channels = [self._introduce(index, connected.result()) for index, connected in enumerate(under_way)]

    def _introduce(self, index: int, connected: Connected) -> Channel:
        self._introduced(_NAMES[index], connected.evidence)
        return connected.channel

    def broken(self) -> bool:
        """Return whether a side must be reconnected."""
        return not all(channel.session.usable for channel in self.channels)

    def restore(self) -> None:
        """Reconnect every broken side; raises :class:`EngineError` if that fails. Blocks, up to a deadline."""
        for index, old in enumerate(self.channels):
            if not old.session.usable:
                old.fail(EngineError(SESSION_ENDED, f"the server {old.peer} has ended the session"))
                connected = connect(self._endpoints[index], deadline_seconds=RECONNECT_DEADLINE)
                self.channels[index] = self._introduce(index, connected)
                if old.renewal is not None and old.renewal.refused:
                    self._refusing.add(index)
                if index in self._refusing:
                    self.channels[index].leave_session()
                self.channels[index].session.follow(old.session)
                self.replaced(index, self.channels[index].session)

    def replaced(self, index: int, session: Session) -> None:
        """Called when a side has a new session in place of a lost one."""

    def close(self) -> None:
        """Log off both sessions, and close their connections."""
        log_off(*self.channels)


def _cut_unless_all(ended: list[Future[Connected]]) -> None:
    """Close the other side if one could not be reached."""
    if any(future.exception() is not None for future in ended):
        for future in ended:
            if future.exception() is None:
                future.result().channel.close()
