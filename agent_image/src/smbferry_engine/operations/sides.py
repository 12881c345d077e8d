"""Both sides of an operation as shares; a session that is lost is replaced."""

from collections.abc import Callable

from smbferry_engine.core.session import Session
from smbferry_engine.model import Endpoint, Evidence, SideName
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected
from smbferry_engine.session.endpoint import root_of
from smbferry_engine.session.pair import SessionPair
from smbferry_engine.share.share import Share
from smbferry_engine.times import to_filetime


def share_of(side: Connected, endpoint: Endpoint) -> Share:
    """Return the share of a connected side."""
    return _share(side.channel, endpoint)


def _share(channel: Channel, endpoint: Endpoint) -> Share:
    snapshot = 0 if endpoint.snapshot is None else to_filetime(endpoint.snapshot)
    return Share(channel.session, root_of(endpoint.path), snapshot)


class Sides(SessionPair):
    """The source's and the destination's session and share, in this order; the lists keep their identity.

    Only the source's, if ``destination`` is None. ``introduced`` is called with the evidence of each new session.

    Raises:
        EngineError: a path is invalid, or a side can't be reached.
    """

    def __init__(
        self, source: Endpoint, destination: Endpoint | None, introduced: Callable[[SideName, Evidence], None]
    ) -> None:
        ends = [endpoint for endpoint in (source, destination) if endpoint is not None]
        for endpoint in ends:
            root_of(endpoint.path)  # before anything is reached
        super().__init__(source, destination, introduced)
        self.shares = [_share(channel, endpoint) for channel, endpoint in zip(self.channels, ends, strict=True)]

    def replaced(self, index: int, session: Session) -> None:
        """Give the share its new session."""
        self.shares[index].session = session
