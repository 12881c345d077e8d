"""What was seen of KDCs and tickets: plain values, without any judgement."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from smbferry_agent.kerberos.messages import KdcError, KdcReply, KdcRequest
from smbferry_agent.resolve import Lookup


class KdcSource(StrEnum):
    """Where a KDC's address came from."""

    CONFIG = "krb5.conf"
    SRV = "SRV"


@dataclass(frozen=True, slots=True)
class Kdc:
    """A KDC to try."""

    host: str
    address: str
    port: int
    source: KdcSource

    def __str__(self) -> str:
        where = f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"
        return where if self.host == self.address else f"{self.host} ({where})"


@dataclass(frozen=True, slots=True)
class Discovery:
    """The realm's KDCs in the order to try, the look-ups that led to them, and addresses that were refused."""

    source: KdcSource
    kdcs: tuple[Kdc, ...]
    lookups: tuple[Lookup, ...] = ()
    refused: tuple[str, ...] = ()


class AttemptOutcome(StrEnum):
    """How one connection to a KDC ended."""

    ANSWERED = "answered"
    REFUSED = "connection refused"
    TIMEOUT = "no answer in time"
    UNREACHABLE = "unreachable"
    CLOSED = "closed the connection without an answer, as some do for a realm that they do not serve"
    UNAVAILABLE = "answered that it can't serve now, KDC_ERR_SVC_UNAVAILABLE (29)"
    NONSENSE = "answered with something that is not Kerberos"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection to a KDC."""

    kdc: Kdc
    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that a KDC answered. ``sent`` and ``received`` are by this node's clock."""

    kdc: Kdc
    request: KdcRequest
    answer: KdcError | KdcReply
    sent: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class ClockSample:
    """The other side's clock minus ours, and by how much that can be wrong."""

    offset: timedelta
    uncertainty: timedelta

    def __str__(self) -> str:
        seconds, doubt = self.offset.total_seconds(), self.uncertainty.total_seconds()
        return f"{seconds:+.3f}s ±{doubt:.3f}s"


def clock_sample(exchange: Exchange) -> ClockSample | None:
    """The clock offset that a KRB-ERROR tells: stime against the middle of sending and receiving."""
    answer = exchange.answer
    if not isinstance(answer, KdcError):
        return None
    half = abs(exchange.received - exchange.sent) / 2
    grain = timedelta(0) if answer.has_microseconds else timedelta(seconds=0.5)
    return ClockSample(answer.server_time + grain - (exchange.sent + half), half + grain)


@dataclass(frozen=True, slots=True)
class Ticket:
    """What may be told of a ticket. ``kvno`` is that of the service's key."""

    server: str
    enctype: int
    kvno: int | None
    start_time: datetime
    end_time: datetime
    renew_until: datetime | None


@dataclass(frozen=True, slots=True)
class TicketRefusal:
    """Why there is no service ticket.

    Attributes:
        code: the KDC's error code (RFC 4120 section 7.5.9), or None where libkrb5 or the network ended it.
        detail: libkrb5's words.
        nt_status: what a domain controller says beside the code.
        asked: whom the KDC was asked for last: the service, or krbtgt/REALM on the way to it.
        realm: the service's realm as far as krb5.conf tells it, else None.
        without_kdc: neither krb5.conf nor DNS names a KDC of that realm.
        covered: the KDC gives a ticket for a name that only HOST/ of the same host can cover.
    """

    code: int | None
    detail: str
    nt_status: int | None = None
    asked: str = ""
    realm: str | None = None
    without_kdc: bool = False
    covered: bool = False


@dataclass(frozen=True, slots=True)
class KeyTry:
    """One attempt to get a ticket-granting ticket with one key version of the keytab.

    Attributes:
        code: the KDC's error code, or None where libkrb5 or the network ended it.
        nt_status: what a domain controller says beside the code.
        account_kvno: the key version of the account that the KDC's reply names.
    """

    kvno: int
    enctypes: tuple[int, ...]
    ticket: Ticket | None = None
    reply_enctype: int | None = None
    account_kvno: int | None = None
    code: int | None = None
    nt_status: int | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What the KDCs told of one account.

    Attributes:
        answered: the KDC that gave the first answer, and how long that took.
        ping_code, ping_status: why the KDC would not even ask for a key (RFC 4120 section 7.5.9), or None.
        enctypes, salt: permitted encryption types that the account has keys of, and what these are derived with.
        tries: key versions that were tried, in order; empty when none was.
    """

    attempts: tuple[Attempt, ...] = ()
    answered: Kdc | None = None
    round_trip: timedelta | None = None
    clock: ClockSample | None = None
    ping_code: int | None = None
    ping_status: int | None = None
    ping_detail: str = ""
    enctypes: tuple[int, ...] = ()
    salt: str | None = None
    tries: tuple[KeyTry, ...] = ()

    @property
    def has_no_key(self) -> bool:
        """Whether the KDC asks for proof of a key and names none: the account has none of the permitted enctypes."""
        return self.answered is not None and self.ping_code is None and not self.ping_detail and not self.enctypes

    @property
    def ticket(self) -> Ticket | None:
        """The ticket-granting ticket, when a key worked."""
        return self.tries[-1].ticket if self.tries else None
