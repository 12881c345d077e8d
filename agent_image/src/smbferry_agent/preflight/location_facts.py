"""The facts that the location probe collects."""

from dataclasses import dataclass
from datetime import datetime

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import ClockSample, Ticket, TicketRefusal
from smbferry_agent.resolve import Lookup, Outcome
from smbferry_api.location import SmbLocationSpec
from smbferry_engine import ShareFacts


@dataclass(frozen=True, slots=True)
class ServerNames:
    """The file server in DNS.

    Attributes:
        addresses: the allowed addresses.
        refused: the forbidden addresses, with the reason.
        reverse: the lookup of the first address's host name, None if there is no address.
    """

    lookup: Lookup
    addresses: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    reverse: Lookup | None = None


@dataclass(frozen=True, slots=True)
class LocationFacts:
    """Facts of one location; None if something was not tried.

    Attributes:
        identity: why the identity has no ticket-granting ticket, None if it has one.
        share: the facts of the share, or why there are none. Without a ticket only a TCP connection is tried, and None
            means that it succeeded.
        asked: when the server was asked for its time, by this node's clock.
        kdc_clock: the KDC's clock offset, measured by the check of the identity.
    """

    names: ServerNames
    identity: AgentError | None = None
    ticket: Ticket | TicketRefusal | None = None
    share: ShareFacts | AgentError | None = None
    connected: bool = False
    asked: datetime | None = None
    kdc_clock: ClockSample | None = None


def not_looked_up(spec: SmbLocationSpec) -> LocationFacts:
    """The facts of a location about whose server nothing was found out."""
    return LocationFacts(ServerNames(Lookup(spec.server, "A, AAAA", Outcome.TIMEOUT)))
