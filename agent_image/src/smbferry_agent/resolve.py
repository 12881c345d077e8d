"""DNS lookups that distinguish what libc's resolver does not: no such name, no such record, no answer."""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

_LIFETIME: Final = 5.0
_PER_SERVER: Final = 2.0
_MAX_ANSWERS: Final = 16


class Outcome(StrEnum):
    """The result of a lookup."""

    FOUND = "Found"
    NO_NAME = "NoName"
    NO_RECORD = "NoRecord"
    TIMEOUT = "Timeout"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Lookup:
    """One lookup and its result.

    Attributes:
        kind: a record type, or "A, AAAA" for addresses.
    """

    name: str
    kind: str
    outcome: Outcome
    answers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    detail: str = ""

    @property
    def found(self) -> bool:
        """Whether the lookup has answers."""
        return self.outcome is Outcome.FOUND

    def describe(self) -> str:
        """The question, the servers and the result, for a message; without a full stop."""
        asked = f"{self.kind} {self.name} (asked {', '.join(self.servers) or 'no server'})"
        ends = {
            Outcome.FOUND: ", ".join(self.answers),
            Outcome.NO_NAME: "the name does not exist (NXDOMAIN)",
            Outcome.NO_RECORD: "the name exists but has no such record",
            Outcome.TIMEOUT: f"no answer within {_LIFETIME:g}s",
            Outcome.FAILED: f"the DNS server failed ({self.detail})" if self.detail else "the DNS server failed",
        }
        return f"{asked}: {ends[self.outcome]}"


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """An SRV record (RFC 2782)."""

    host: str
    port: int
    priority: int
    weight: int


def by_priority(records: Iterable[SrvRecord], uniform: Callable[[], float] = random.random) -> list[SrvRecord]:
    """Sorts by priority, lowest first; within a priority a heavier record is more likely to be first (RFC 2782).

    Each record draws uniform ** (1 / weight): sorting by this equals repeated drawing by weight.

    Args:
        uniform: returns random numbers in [0, 1).
    """

    def key(record: SrvRecord) -> tuple[int, float]:
        return (record.priority, -(uniform() ** (1 / record.weight)) if record.weight else 0.0)

    return sorted(records, key=key)


class Resolver:
    """Asks the given nameservers, or those of /etc/resolv.conf."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.resolver.Resolver(configure=False)
        if nameservers:
            self._resolver.nameservers = list(nameservers)
        self._resolver.lifetime = _LIFETIME
        self._resolver.timeout = _PER_SERVER
        self._servers = tuple(str(s) for s in self._resolver.nameservers)

    def addresses(self, name: str) -> Lookup:
        """Looks up IPv4 and IPv6 addresses concurrently; IPv4 addresses come first."""
        with ThreadPoolExecutor(2) as pool:
            four, six = pool.map(lambda kind: self._look(name, kind), ("A", "AAAA"))
        found = (*four.answers, *six.answers)[:_MAX_ANSWERS]
        if found:
            return Lookup(name, "A, AAAA", Outcome.FOUND, found, self._servers)
        worse = six if four.outcome is Outcome.NO_RECORD else four
        return Lookup(name, "A, AAAA", worse.outcome, (), self._servers, worse.detail)

    def services(self, name: str) -> tuple[Lookup, tuple[SrvRecord, ...]]:
        """Looks up SRV records, unordered. A single target "." means that the service does not exist (RFC 2782)."""
        lookup, rdata = self._ask(name, "SRV")
        records = tuple(
            SrvRecord(r.target.to_text(omit_final_dot=True), r.port, r.priority, r.weight)
            for r in rdata
            if r.target != dns.name.root
        )
        if lookup.found and not records:
            return Lookup(name, "SRV", Outcome.NO_RECORD, (), self._servers), ()
        return lookup, records

    def reverse(self, address: str) -> Lookup:
        """Looks up the host name of an address."""
        lookup = self._look(dns.reversename.from_address(address).to_text(), "PTR")
        return Lookup(address, "PTR", lookup.outcome, tuple(a.rstrip(".") for a in lookup.answers), self._servers)

    def _look(self, name: str, kind: str) -> Lookup:
        return self._ask(name, kind)[0]

    def _ask(self, name: str, kind: str) -> tuple[Lookup, list[Any]]:
        """The lookup and its records, as dnspython returns them."""
        # A name with a dot is first looked up unchanged: with Kubernetes' ndots:5 libc would first ask for
        # files.corp.example.com.NAMESPACE.svc.cluster.local and its like.
        first, records = self._ask_once(name, kind, search=False) if "." in name else self._ask_once(name, kind)
        if first.outcome is Outcome.NO_NAME and "." in name.rstrip(".") and kind != "PTR":
            again, more = self._ask_once(name, kind)
            return (again, more) if again.found else (first, records)
        return first, records

    def _ask_once(self, name: str, kind: str, *, search: bool = True) -> tuple[Lookup, list[Any]]:
        def ended(outcome: Outcome, answers: tuple[str, ...] = (), detail: str = "") -> Lookup:
            return Lookup(name, kind, outcome, answers, self._servers, detail)

        try:
            records = list(self._resolver.resolve(name, kind, search=search))
        except dns.resolver.NXDOMAIN:
            return ended(Outcome.NO_NAME), []
        except dns.resolver.NoAnswer:
            return ended(Outcome.NO_RECORD), []
        except dns.resolver.LifetimeTimeout:
            return ended(Outcome.TIMEOUT), []
        except (dns.exception.DNSException, OSError) as error:
            return ended(Outcome.FAILED, detail=type(error).__name__), []
        return ended(Outcome.FOUND, tuple(record.to_text() for record in records)[:_MAX_ANSWERS]), records
