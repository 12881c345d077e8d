"""What the location probe gathers."""

from dataclasses import dataclass
from datetime import datetime

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import ClockSample, Ticket, TicketRefusal
from smbferry_agent.resolve import Lookup
from smbferry_engine import ShareFacts


@dataclass(frozen=True, slots=True)
class ServerNames:
    """The file server in DNS.

    Attributes:
        addresses: those that may be connected to.
        refused: those that may not, with the reason.
        reverse: the first address's host name, or None where nothing resolved.
    """

    lookup: Lookup
    addresses: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    reverse: Lookup | None = None


@dataclass(frozen=True, slots=True)
class LocationFacts:
    """Facts of one location; None where something was not tried.

    Attributes:
        identity: why the identity has no ticket-granting ticket, or None when it has one.
        share: what the server showed, or why it did not. Without a ticket only the TCP connection was tried, and
            None then says that it succeeded.
        asked: by this node's clock, when the server was asked for its own.
        kdc_clock: the KDC's clock, as the check of the identity measured it.
    """

    names: ServerNames
    identity: AgentError | None = None
    ticket: Ticket | TicketRefusal | None = None
    share: ShareFacts | AgentError | None = None
    connected: bool = False
    asked: datetime | None = None
    kdc_clock: ClockSample | None = None
