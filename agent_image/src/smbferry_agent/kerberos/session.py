"""One identity's exchanges with its KDCs, all through the observing relay."""

import logging
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from smbferry_agent.kerberos import libkrb5
from smbferry_agent.kerberos.addresses import AddressRule, forbidden
from smbferry_agent.kerberos.discovery import Discoveries, discover
from smbferry_agent.kerberos.enctypes import numbers_of
from smbferry_agent.kerberos.error_codes import KEY_IS_WRONG, ErrorCode
from smbferry_agent.kerberos.facts import (
    AccountFacts,
    ClockSample,
    Discovery,
    Exchange,
    Kdc,
    KeyTry,
    Ticket,
    TicketRefusal,
    clock_sample,
)
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.krb5_config import Krb5Config
from smbferry_agent.kerberos.krb5_files import Krb5Files
from smbferry_agent.kerberos.messages import KdcError, KdcReply
from smbferry_agent.kerberos.relay import MAX_REFUSED_KEYS, Relay
from smbferry_agent.kerberos.scratch import Scratch, wipe
from smbferry_agent.logs import fields
from smbferry_agent.resolve import Resolver
from smbferry_api.identity import KerberosIdentitySpec

_log = logging.getLogger(__name__)
_AUTHTIME_GRAIN: Final = timedelta(seconds=0.5)
_COVERED_BY_HOST: Final = "alerter"


@dataclass(frozen=True, slots=True)
class HandedOn:
    """The tickets of a session for another one of the same identity, which then needs no key.

    Attributes:
        ccache: the content of the credential cache.
        kdcs: the KDCs of the identity's realm, first the one that issued the tickets.
    """

    ccache: bytes = field(repr=False)
    kdcs: tuple[Kdc, ...]
    discoveries: Discoveries


class KerberosSession:
    """Gets tickets and remembers the KDCs' answers. A context manager; leaving it wipes every ticket."""

    def __init__(
        self,
        spec: KerberosIdentitySpec,
        config: Krb5Config,
        resolver: Resolver,
        scratch: Scratch,
        address_rule: AddressRule = forbidden,
        *,
        handed_on: HandedOn | None = None,
    ) -> None:
        self._spec = spec
        self._handed_on = handed_on
        self._scratch = scratch
        self._files = Krb5Files(spec, config, scratch)
        self._etypes = numbers_of(spec.permitted_enctypes)
        self._stack = ExitStack()
        self._proven: tuple[Keytab, int] | None = None
        self._targets: dict[str, str] = {}
        self._replacing = threading.Lock()
        found = Discoveries(partial(discover, config, resolver=resolver, address_rule=address_rule))
        self._discoveries = handed_on.discoveries if handed_on else found
        self._issued_by: Kdc | None = None
        named = {realm for servers in config.capaths.values() for realm in servers}
        realms = {self.realm, *config.realms, *config.domain_realm.values(), *config.capaths, *named}
        self._relay = Relay({realm: partial(self._kdcs, realm) for realm in sorted(realms)})

    @property
    def realm(self) -> str:
        """The identity's realm."""
        return self._spec.principal.rpartition("@")[2]

    @property
    def principal(self) -> str:
        """The identity's principal."""
        return self._spec.principal

    @property
    def ccache(self) -> str:
        """The credential cache, by libkrb5's name."""
        return f"FILE:{self._scratch.ccache}"

    @property
    def krb5_config(self) -> Path:
        """A rendered krb5.conf that names the real KDCs, for use without the relay."""
        return self._scratch.krb5_config

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._scratch)
            stack.enter_context(self._relay)
            self._files.write_relayed(self._relay.addresses())
            if self._handed_on is not None:
                self._scratch.write(self._scratch.ccache, self._handed_on.ccache)
                self._write_direct(self._handed_on.kdcs)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def discovery(self) -> Discovery:
        """The KDCs of the identity's realm; asks DNS at the first call."""
        return self._discoveries.of(self.realm)

    def probe_preauth(self) -> AccountFacts:
        """Sends AS-REQs without pre-authentication, which cannot lock the account (RFC 4120 section 5.2.7)."""
        code, status, detail, salt = None, None, "", None
        enctypes: list[int] = []
        for etypes in (self._etypes, *((e,) for e in self._etypes)):
            if set(etypes) <= set(enctypes):
                continue  # known from a previous answer
            try:
                found, salt = libkrb5.account_info(self._scratch.relay_config, self._spec.principal, etypes)
                if (
                    found
                ):  # 0: MIT's KDC requires pre-authentication but names no enctype if the account has none of these
                    enctypes.append(found)
            except libkrb5.KerberosError as error:
                if not enctypes:
                    (code, status), detail = self._last_word(error), str(error)
                    break
        return self._with_exchanges(
            AccountFacts(probe_code=code, probe_status=status, probe_detail=detail, enctypes=tuple(enctypes), salt=salt)
        )

    def try_keys(self, keytab: Keytab, versions: Sequence[int], facts: AccountFacts) -> AccountFacts:
        """Tries key versions of the keytab, one after the other and within the limit, until one gets a ticket."""
        tries: list[KeyTry] = []
        for kvno in versions[:MAX_REFUSED_KEYS]:
            tries.append(self._try_key(keytab, kvno))
            if tries[-1].code not in KEY_IS_WRONG:
                break
        if facts.answered:
            self._issued_by = facts.answered
            self._write_direct(self._in_order(facts.answered))
        return self._with_exchanges(facts, tuple(tries))

    def hand_on(self) -> HandedOn | None:
        """The tickets so far, for a session in another process; None without a ticket."""
        if self._proven is None or self._issued_by is None:
            return None
        return HandedOn(self._scratch.ccache.read_bytes(), tuple(self._in_order(self._issued_by)), self._discoveries)

    def _write_direct(self, kdcs: Sequence[Kdc]) -> None:
        self._files.write_direct({self.realm: [(kdc.address, kdc.port) for kdc in kdcs]})

    def service_ticket(self, target: str) -> Ticket | TicketRefusal:
        """Gets a ticket for the service (service/host, optionally with @REALM) into the credential cache."""
        try:
            ticket = libkrb5.service_ticket(self._scratch.relay_config, self._scratch.ccache, target)
        except libkrb5.KerberosError as error:
            return self._refusal(target, error)
        host, realm = target.partition("@")[0].partition("/")[2].lower(), ticket.server.rpartition("@")[2]
        self._files.map(host, realm)
        self._targets[target.partition("@")[0]] = target
        return ticket

    def fresh_service_ticket(self, service: str) -> bool:
        """Replaces the ticket for the service (service/host, without realm) by a new one.

        Returns:
            False if the KDC issues none; then the old ticket stays.
        """
        with self._replacing:
            fresh = self._fresh_ccache()
            try:
                libkrb5.copy_without(self._scratch.ccache, fresh, service)
                libkrb5.service_ticket(self._scratch.relay_config, fresh, self._targets.get(service, service))
            except libkrb5.KerberosError as error:
                _log.warning("could not get another ticket for the server: %s", error, extra=fields(service=service))
                wipe(fresh)
                return False
            fresh.replace(self._scratch.ccache)
        _log.info("replaced a ticket that the server could not use", extra=fields(service=service))
        return True

    def _fresh_ccache(self) -> Path:
        fresh = self._scratch.file("ccache.fresh")
        wipe(fresh)
        return fresh

    def _refusal(self, target: str, error: libkrb5.KerberosError) -> TicketRefusal:
        code, status = self._last_word(error)
        last = self._relay.exchanges[-1].answer if self._relay.exchanges else None
        asked = last.server if isinstance(last, KdcError) and code == last.code else ""
        realm = self._realm_of(target)
        return TicketRefusal(
            code,
            str(error),
            status,
            asked,
            realm,
            without_kdc=code is None
            and (error.minor == libkrb5.REALM_UNKNOWN or self._discoveries.without_kdc(realm or "")),
            covered=code == ErrorCode.SERVICE_UNKNOWN and not asked.startswith("krbtgt/") and self._covers(target),
        )

    def _realm_of(self, target: str) -> str | None:
        """The service's realm without a request: as given, mapped, or by the domain's usual name; None if unknown."""
        name, _, named = target.partition("@")
        host = name.partition("/")[2]
        by_name = self.realm if host.lower().endswith(f".{self.realm.lower()}") else None
        return named or self._files.realm_of(host) or by_name

    def _covers(self, target: str) -> bool:
        """Whether HOST/ covers the service: the KDC issues a ticket for another covered name of the same host.

        Active Directory's sPNMappings contain both cifs and alerter, an obsolete service that nobody registers. If the
        KDC issues a ticket for alerter and none for cifs, cifs is not missing.
        """
        host = target.partition("@")[0].partition("/")[2]
        covered = f"{_COVERED_BY_HOST}/{host}@{self._realm_of(target) or self.realm}"
        try:
            libkrb5.service_ticket(self._scratch.relay_config, self._scratch.ccache, covered)
        except libkrb5.KerberosError:
            return False
        return True

    def renew(self, target: str) -> Ticket:
        """Gets new tickets with the key that worked before, and replaces the old ones atomically.

        Raises:
            libkrb5.KerberosError: no new tickets; the old ones stay.
        """
        if self._proven is None:
            raise RuntimeError("renew() before a key has worked")
        with self._replacing:
            fresh = self._fresh_ccache()
            ticket = self._initial_ticket(*self._proven, fresh)
            libkrb5.service_ticket(self._scratch.relay_config, fresh, target)
            fresh.replace(self._scratch.ccache)
        return ticket

    def _try_key(self, keytab: Keytab, kvno: int) -> KeyTry:
        enctypes = self._usable(keytab, kvno)
        try:
            ticket = self._initial_ticket(keytab, kvno, self._scratch.ccache)
        except libkrb5.KerberosError as error:
            code, status = self._last_word(error)
            reply = self._relay.exchanges[-1].answer if self._relay.exchanges else None
            # A KDC that requires no pre-authentication replies even so, with its own key version.
            theirs = reply.kvno if isinstance(reply, KdcReply) else None
            return KeyTry(kvno, enctypes, account_kvno=theirs, code=code, nt_status=status, detail=str(error))
        self._proven = (keytab, kvno)
        reply = self._relay.exchanges[-1].answer
        if not isinstance(reply, KdcReply):
            return KeyTry(kvno, enctypes, ticket)
        theirs = self._kvno_of_own_ticket() if reply.kvno is None else reply.kvno
        return KeyTry(kvno, enctypes, ticket, reply.etype, theirs)

    def _kvno_of_own_ticket(self) -> int | None:
        """The account's key version by a ticket for the account itself, as MIT's KDC omits it in its first reply.

        Returns:
            None if the KDC issues no such ticket, because the account may not be a service.
        """
        try:
            own = libkrb5.service_ticket(self._scratch.relay_config, self._scratch.ccache, self._spec.principal)
        except libkrb5.KerberosError:
            return None
        return own.kvno

    def _initial_ticket(self, keytab: Keytab, kvno: int, ccache: Path) -> Ticket:
        principal, enctypes = self._spec.principal, self._usable(keytab, kvno)
        one = self._scratch.file("keytab")
        self._scratch.write(one, keytab.only(principal, kvno, enctypes))
        try:
            return libkrb5.initial_ticket(self._scratch.relay_config, principal, one, enctypes, ccache)
        finally:
            wipe(one)

    def _usable(self, keytab: Keytab, kvno: int) -> tuple[int, ...]:
        return tuple(e for e in self._etypes if e in keytab.enctypes(self._spec.principal, kvno))

    def _last_word(self, error: libkrb5.KerberosError) -> tuple[int | None, int | None]:
        """The KDC's last error code and NTSTATUS; libkrb5 sometimes reports a later error of its own."""
        answer = self._relay.exchanges[-1].answer if self._relay.exchanges else None
        if isinstance(answer, KdcError) and answer.code != ErrorCode.PREAUTH_REQUIRED:
            return answer.code, answer.nt_status
        return error.code, None

    def _with_exchanges(self, facts: AccountFacts, tries: tuple[KeyTry, ...] = ()) -> AccountFacts:
        exchanges = self._relay.exchanges
        first = exchanges[0] if exchanges else None
        return AccountFacts(
            attempts=self._relay.attempts,
            answered=first.kdc if first else None,
            round_trip=first.received - first.sent if first else None,
            clock=_best_clock(exchanges, tries[-1].ticket if tries else None),
            probe_code=facts.probe_code,
            probe_status=facts.probe_status,
            probe_detail=facts.probe_detail,
            enctypes=facts.enctypes,
            salt=facts.salt,
            tries=tries,
        )

    def _kdcs(self, realm: str) -> tuple[Kdc, ...]:
        return self._discoveries.of(realm).kdcs

    def _in_order(self, answered: Kdc) -> list[Kdc]:
        return [answered, *(k for k in self.discovery().kdcs if k != answered)]


def _best_clock(exchanges: Sequence[Exchange], ticket: Ticket | None) -> ClockSample | None:
    """The most precise sample; without a KRB-ERROR, the start time of the ticket.

    A KDC never reports a future time, but MIT's reports a past one: within a second it only counts up. So the latest
    lower bound is the best.
    """
    samples = [s for s in map(clock_sample, exchanges) if s]
    if samples:
        return max(samples, key=lambda s: s.offset - s.uncertainty)
    if ticket is None:
        return None
    last = exchanges[-1]
    half = abs(last.received - last.sent) / 2
    return ClockSample(ticket.start_time + _AUTHTIME_GRAIN - (last.sent + half), half + _AUTHTIME_GRAIN)
