"""The status after a check of an identity. Pure."""

from datetime import datetime, timedelta
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.enctypes import name_of
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.preflight.findings import Finding, conditions, first_failure
from smbferry_agent.preflight.identity_facts import IdentityFacts
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_api.fields import parse_duration
from smbferry_api.identity import KdcStatus, KerberosIdentityStatus, KeytabStatus, TicketStatus

AFTER_FAILURE: Final = timedelta(minutes=1)


def _next_check(findings: tuple[Finding, ...], check_interval: str, now: datetime) -> datetime:
    """The time of the next check: after checkInterval if all passed, else after a minute."""
    return now + (AFTER_FAILURE if first_failure(findings) else parse_duration(check_interval))


def identity_status(
    subject: IdentitySubject, facts: IdentityFacts, findings: tuple[Finding, ...], now: datetime
) -> KerberosIdentityStatus:
    """The fields that the agent owns."""
    previous = subject.previous or KerberosIdentityStatus()
    tried = facts.account is not None and bool(facts.account.tries)
    return KerberosIdentityStatus(
        conditions=conditions(findings, previous.conditions, generation=subject.generation, now=now),
        keytab=None if isinstance(facts.keytab, AgentError) else _keytab(facts.keytab),
        kdc=_kdc(facts),
        ticket=_ticket(facts),
        last_check_time=now,
        last_key_use_time=now if tried else previous.last_key_use_time,
        next_check_time=_next_check(findings, subject.spec.check_interval, now),
    )


def _keytab(keytab: Keytab) -> KeytabStatus:
    return KeytabStatus(fingerprint=keytab.fingerprint, entries=keytab.entries())


def _kdc(facts: IdentityFacts) -> KdcStatus | None:
    account = facts.account
    if account is None or account.answered is None or account.round_trip is None:
        return None
    return KdcStatus(
        address=str(account.answered),
        source=account.answered.source.value,
        clock_offset=str(account.clock) if account.clock else None,
        enctypes=tuple(map(name_of, account.enctypes)),
        kvno=account.tries[-1].account_kvno if account.tries else None,
        round_trip=f"{account.round_trip.total_seconds() * 1000:.0f}ms",
    )


def _ticket(facts: IdentityFacts) -> TicketStatus | None:
    ticket = facts.account.ticket if facts.account else None
    if ticket is None:
        return None
    return TicketStatus(enctype=name_of(ticket.enctype), end_time=ticket.end_time, renew_until=ticket.renew_until)
