"""Observations of KDCs and tickets, without a verdict."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from smbferry_agent.kerberos.messages import KdcError, KdcReply, KdcRequest
from smbferry_agent.resolve import Lookup


class KdcSource(StrEnum):
    """The source of a KDC's address."""

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
    """The realm's KDCs in the order to try, the lookups that led to them, and forbidden addresses."""

    source: KdcSource
    kdcs: tuple[Kdc, ...]
    lookups: tuple[Lookup, ...] = ()
    refused: tuple[str, ...] = ()


class AttemptOutcome(StrEnum):
    """The result of one connection to a KDC."""

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
    """A request with the KDC's answer.

    Attributes:
        sent, received: by this node's clock.
    """

    kdc: Kdc
    request: KdcRequest
    answer: KdcError | KdcReply
    sent: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class ClockSample:
    """The other side's clock minus this node's, and the uncertainty of that."""

    offset: timedelta
    uncertainty: timedelta

    def __str__(self) -> str:
        seconds, doubt = self.offset.total_seconds(), self.uncertainty.total_seconds()
        return f"{seconds:+.3f}s ±{doubt:.3f}s"


def clock_sample(exchange: Exchange) -> ClockSample | None:
    """The clock offset by a KRB-ERROR: its stime minus the middle between sending and receiving."""
    answer = exchange.answer
    if not isinstance(answer, KdcError):
        return None
    half = abs(exchange.received - exchange.sent) / 2
    grain = timedelta(0) if answer.has_microseconds else timedelta(seconds=0.5)
    return ClockSample(answer.server_time + grain - (exchange.sent + half), half + grain)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The public fields of a ticket.

    Attributes:
        kvno: the version of the service's key.
    """

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
        code: the KDC's error code (RFC 4120 section 7.5.9), None if libkrb5 or the network ended the exchange.
        detail: libkrb5's message.
        nt_status: the NTSTATUS that a domain controller adds to the code.
        asked: the principal of the last request: the service, or krbtgt/REALM on the path to it.
        realm: the service's realm, None if krb5.conf does not say.
        without_kdc: neither krb5.conf nor DNS names a KDC of that realm.
        covered: the KDC issues a ticket for a name that only HOST/ of the same host can cover.
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
        code: the KDC's error code, None if libkrb5 or the network ended the exchange.
        nt_status: the NTSTATUS that a domain controller adds to the code.
        account_kvno: the account's key version in the KDC's reply.
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
    """The KDCs' answers about one account.

    Attributes:
        answered, round_trip: the KDC that answered first, and how long that took.
        probe_code, probe_status, probe_detail: the error of the preauth probe, an AS-REQ without pre-authentication;
            None and empty if the KDC answered KDC_ERR_PREAUTH_REQUIRED (RFC 4120 section 7.5.9).
        enctypes, salt: the permitted encryption types of the account's keys, and the salt of these keys.
        tries: the key versions that were tried, in order.
    """

    attempts: tuple[Attempt, ...] = ()
    answered: Kdc | None = None
    round_trip: timedelta | None = None
    clock: ClockSample | None = None
    probe_code: int | None = None
    probe_status: int | None = None
    probe_detail: str = ""
    enctypes: tuple[int, ...] = ()
    salt: str | None = None
    tries: tuple[KeyTry, ...] = ()

    @property
    def has_no_key(self) -> bool:
        """Whether the KDC requires pre-authentication and names no enctype: the account has no permitted key."""
        return self.answered is not None and self.probe_code is None and not self.probe_detail and not self.enctypes

    @property
    def ticket(self) -> Ticket | None:
        """The ticket-granting ticket, None if no key worked."""
        return self.tries[-1].ticket if self.tries else None
