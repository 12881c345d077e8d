"""Judges the facts of an identity: one finding per condition. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.discovery import srv_name
from smbferry_agent.kerberos.enctypes import name_of, names_of, numbers_of
from smbferry_agent.kerberos.error_codes import KEY_IS_WRONG, ErrorCode
from smbferry_agent.kerberos.facts import AccountFacts, AttemptOutcome, Discovery, KdcSource
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.krb5_config import Krb5Config
from smbferry_agent.kerberos.verdict import judge_kvno
from smbferry_agent.preflight.findings import Finding, bad, good, ordered, unknown
from smbferry_agent.preflight.identity_facts import IdentityFacts
from smbferry_agent.resolve import Lookup, Outcome
from smbferry_api.conditions import IDENTITY_CHECKS, ConditionType
from smbferry_api.fields import format_time, parse_duration
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.reasons import (
    ACCOUNT_DISABLED,
    ACCOUNT_EXPIRED,
    ACCOUNT_LOCKED,
    ACCOUNT_LOCKED_OR_DISABLED,
    CLOCK_IN_SYNC,
    CLOCK_SKEW,
    DNS_FAILED,
    DNS_TIMEOUT,
    ENCTYPE_REFUSED,
    KDC_ERROR,
    KDC_PROXY_NOT_SUPPORTED,
    KDC_REFUSED,
    KDC_UNAVAILABLE,
    KDC_UNREACHABLE,
    KEYTAB_AGING,
    KEYTAB_USABLE,
    KRB5_CONFIG_INVALID,
    KRB5_CONFIG_REFUSED,
    KVNO_MATCHES,
    LOGON_RESTRICTED,
    NAME_NOT_FOUND,
    NOT_A_KDC,
    PASSWORD_EXPIRED,
    PRINCIPAL_CASE_MISMATCH,
    PRINCIPAL_NOT_IN_KEYTAB,
    PRINCIPAL_UNKNOWN,
    REACHABLE,
    RESOLVED,
    SRV_RECORD_MISSING,
    TICKET_ISSUED,
    WRONG_REALM,
    Reason,
    by_name,
)

_REASON_OF_CODE: Final[dict[int, Reason]] = {
    ErrorCode.CLIENT_EXPIRED: ACCOUNT_EXPIRED,
    ErrorCode.CLIENT_UNKNOWN: PRINCIPAL_UNKNOWN,
    ErrorCode.PRINCIPAL_NOT_UNIQUE: PRINCIPAL_UNKNOWN,
    ErrorCode.POLICY: LOGON_RESTRICTED,
    ErrorCode.ENCTYPE_UNSUPPORTED: ENCTYPE_REFUSED,
    ErrorCode.CLIENT_REVOKED: ACCOUNT_LOCKED_OR_DISABLED,
    ErrorCode.CLIENT_NOT_YET_VALID: ACCOUNT_LOCKED_OR_DISABLED,
    ErrorCode.KEY_EXPIRED: PASSWORD_EXPIRED,
    ErrorCode.CLOCK_SKEW: CLOCK_SKEW,
}
# MS-ERREF section 2.3.1: what a domain controller says beside CLIENT_REVOKED and POLICY.
_REASON_OF_STATUS: Final[dict[int, Reason]] = {
    0xC000006F: LOGON_RESTRICTED,  # STATUS_INVALID_LOGON_HOURS
    0xC0000070: LOGON_RESTRICTED,  # STATUS_INVALID_WORKSTATION
    0xC0000071: PASSWORD_EXPIRED,  # STATUS_PASSWORD_EXPIRED
    0xC0000072: ACCOUNT_DISABLED,  # STATUS_ACCOUNT_DISABLED
    0xC0000193: ACCOUNT_EXPIRED,  # STATUS_ACCOUNT_EXPIRED
    0xC0000224: PASSWORD_EXPIRED,  # STATUS_PASSWORD_MUST_CHANGE
    0xC0000234: ACCOUNT_LOCKED,  # STATUS_ACCOUNT_LOCKED_OUT
    0xC0000413: LOGON_RESTRICTED,  # STATUS_AUTHENTICATION_FIREWALL_FAILED
}
# If all attempts ended the same way.
_REASON_OF_OUTCOME: Final[dict[AttemptOutcome, Reason]] = {
    AttemptOutcome.REFUSED: KDC_REFUSED,
    AttemptOutcome.UNAVAILABLE: KDC_UNAVAILABLE,
    AttemptOutcome.NONSENSE: NOT_A_KDC,
}
_SHOWN_FINDINGS: Final = 8
_WARNS_AT: Final = 0.9  # of rotation.maxAge
_OF_REALM: Final = frozenset({ErrorCode.WRONG_REALM, ErrorCode.SERVICE_UNKNOWN})


def judge_identity(spec: KerberosIdentitySpec, facts: IdentityFacts, now: datetime) -> tuple[Finding, ...]:
    """A finding for each of IDENTITY_CHECKS, in their order."""
    return ordered(_findings(spec, facts, now), IDENTITY_CHECKS)


def _findings(spec: KerberosIdentitySpec, facts: IdentityFacts, now: datetime) -> Iterator[Finding]:
    realm = spec.principal.rpartition("@")[2]
    yield _keytab(spec, facts.keytab, now)
    if isinstance(facts.config, AgentError):
        # Only that file names the KDCs.
        yield bad(ConditionType.KDC_REACHABLE, facts.config.reason, facts.config.message)
        return
    if facts.discovery is None:
        return
    dns = _dns(realm, facts.discovery)
    if dns is not None and not dns.healthy:
        yield _with_findings(dns, facts.config)
    else:
        yield from [dns] if dns else []
        yield _with_findings(_kdc(realm, facts.config, facts.discovery, facts.account), facts.config)
    if facts.account is not None:
        yield from _clock(spec, facts.account)
        yield from _keys(spec, facts, facts.account)


def _dns(realm: str, discovery: Discovery) -> Finding | None:
    """The finding about DNS, None if no lookup was made because no KDC is known."""
    type_ = ConditionType.DNS_READY
    found = [lookup for lookup in discovery.lookups if lookup.found]
    missing = [lookup for lookup in discovery.lookups if not lookup.found]
    if not discovery.lookups:
        return (
            good(type_, RESOLVED, "krb5.conf lists KDCs by address; no DNS lookup was needed.")
            if discovery.kdcs
            else None
        )
    # One KDC name that resolves is enough; if KDCs come from SRV records, the record must exist, too.
    if discovery.kdcs or discovery.refused:
        also = f" Without an answer: {'; '.join(m.describe() for m in missing)}." if missing else ""
        return good(type_, RESOLVED, f"{'; '.join(f.describe() for f in found)}.{also}")
    first = missing[0]
    what = f"Expected KDCs of {realm} in DNS, got none: {'; '.join(m.describe() for m in missing)}."
    if first.kind == "SRV" and first.outcome in {Outcome.NO_NAME, Outcome.NO_RECORD}:
        return bad(type_, SRV_RECORD_MISSING, what)
    return bad(type_, reason_of_lookup(first), what)


def reason_of_lookup(lookup: Lookup) -> Reason:
    """The reason for a lookup without answers."""
    return {Outcome.TIMEOUT: DNS_TIMEOUT, Outcome.FAILED: DNS_FAILED}.get(lookup.outcome, NAME_NOT_FOUND)


def _with_findings(finding: Finding, config: Krb5Config) -> Finding:
    """The finding, followed by what was ignored in krb5.conf."""
    if not config.findings:
        return finding
    shown, more = config.findings[:_SHOWN_FINDINGS], len(config.findings) - _SHOWN_FINDINGS
    also = f"; and {more} more" if more > 0 else ""
    return replace(finding, message=f"{finding.message} In krb5.conf, {'; '.join(shown)}{also}.")


def _kdc(realm: str, config: Krb5Config, discovery: Discovery, account: AccountFacts | None) -> Finding:
    type_ = ConditionType.KDC_REACHABLE
    if discovery.refused and not discovery.kdcs:
        return bad(
            type_, KRB5_CONFIG_REFUSED, f"Every KDC of {realm} is at a refused address: {'; '.join(discovery.refused)}."
        )
    if account is None and config.needs_proxy(realm):
        message = f"Expected a KDC of {realm} by name or address in krb5.conf, got only the URL of a KDC proxy."
        return bad(type_, KDC_PROXY_NOT_SUPPORTED, message)
    if account is None:
        return bad(type_, KRB5_CONFIG_INVALID, f"krb5.conf has no kdc for {realm}, and dns_lookup_kdc is false.")
    failed = [a for a in account.attempts if a.outcome is not AttemptOutcome.ANSWERED]
    tries = "; ".join(dict.fromkeys(f"{a.kdc}: {a.outcome}" for a in failed))
    if account.answered is None or account.round_trip is None:
        outcomes = {a.outcome for a in failed}
        reason = _REASON_OF_OUTCOME.get(outcomes.pop(), KDC_UNREACHABLE) if len(outcomes) == 1 else KDC_UNREACHABLE
        return bad(type_, reason, f"No KDC of {realm} can be used over TCP (UDP is not used): {tries}.")
    if account.probe_code in _OF_REALM:
        code = ErrorCode.describe(account.probe_code or 0)
        return bad(type_, WRONG_REALM, f"{account.answered} answered that it does not serve {realm}: {code}.")
    from_ = "krb5.conf" if account.answered.source is KdcSource.CONFIG else f"SRV {srv_name(realm)}"
    before = f" Tried before: {tries}." if tries else ""
    took = account.round_trip.total_seconds() * 1000
    return good(type_, REACHABLE, f"{account.answered}, from {from_}, answered in {took:.0f}ms.{before}")


def _clock(spec: KerberosIdentitySpec, account: AccountFacts) -> Iterator[Finding]:
    if account.answered is None:
        return
    type_, clock = ConditionType.TIME_IN_SYNC, account.clock
    if clock is None:
        yield unknown(type_, "The KDC's answers contain no time.")
        return
    tolerance = parse_duration(spec.clock_skew_tolerance)
    tolerated = f"spec.clockSkewTolerance is {spec.clock_skew_tolerance}"
    if abs(clock.offset) - clock.uncertainty > tolerance:
        way = "behind" if clock.offset > timedelta(0) else "ahead of"
        yield bad(
            type_, CLOCK_SKEW, f"This node's clock is {way} the KDC's, which differs from it by {clock}; {tolerated}."
        )
    else:
        yield good(type_, CLOCK_IN_SYNC, f"The KDC's clock differs from this node's by {clock}; {tolerated}.")


def _keytab(spec: KerberosIdentitySpec, keytab: Keytab | AgentError, now: datetime) -> Finding:
    type_ = ConditionType.KEYTAB_VALID
    if isinstance(keytab, AgentError):
        return bad(type_, keytab.reason, keytab.message)
    if spec.principal not in keytab.principals:
        listed = ", ".join(keytab.principals[:10])
        other_case = [p for p in keytab.principals if p.lower() == spec.principal.lower()]
        if other_case:
            message = f"Expected {spec.principal} (spec.principal) in the keytab, got {other_case[0]}."
            return bad(type_, PRINCIPAL_CASE_MISMATCH, message)
        return bad(
            type_, PRINCIPAL_NOT_IN_KEYTAB, f"Expected keys of {spec.principal} in the keytab, got keys of {listed}."
        )
    versions = keytab.versions(spec.principal, numbers_of(spec.permitted_enctypes))
    if not versions:
        has = names_of(keytab.enctypes(spec.principal))
        wants = ", ".join(spec.permitted_enctypes)
        message = f"Expected a key of {spec.principal} with one of {wants} in the keytab, got {has}."
        return bad(type_, ENCTYPE_REFUSED, message)
    message = (
        f"Key version {versions[0]} of {spec.principal}: {names_of(keytab.enctypes(spec.principal, versions[0]))}."
    )
    return good(type_, *_age(spec, keytab.made(spec.principal, versions[0]), message, now))


def _age(spec: KerberosIdentitySpec, made: datetime | None, message: str, now: datetime) -> tuple[Reason, str]:
    """Reason and message for a usable keytab, which may be aging."""
    if spec.rotation is None:
        return KEYTAB_USABLE, message
    if made is None:
        return KEYTAB_USABLE, f"{message} The keytab has no timestamp, so spec.rotation cannot warn."
    age, allowed = now - made, parse_duration(spec.rotation.max_age)
    if age < _WARNS_AT * allowed:
        return KEYTAB_USABLE, message
    since = f"It was made at {format_time(made)}, {age.days} days ago; spec.rotation.maxAge is {spec.rotation.max_age}."
    return KEYTAB_AGING, f"{message} {since} {KEYTAB_AGING.remedy}"


def _keys(spec: KerberosIdentitySpec, facts: IdentityFacts, account: AccountFacts) -> Iterator[Finding]:
    """The findings about key version and ticket: of this check, or kept from an earlier one."""
    mismatch, ticket = ConditionType.KVNO_MISMATCH, ConditionType.TICKET_ACQUIRED
    if account.answered is None or account.probe_code in _OF_REALM:
        return
    if account.probe_code is not None:
        yield bad(ticket, *_of_code(spec, account.probe_code, account.probe_status, account.probe_detail))
        return
    if account.has_no_key:
        permitted = ", ".join(spec.permitted_enctypes)
        yield bad(ticket, ENCTYPE_REFUSED, f"The KDC has no key of {spec.principal} for {permitted}.")
        return
    if facts.kept and (reason := by_name(facts.kept.reason)):
        yield bad(mismatch, reason, facts.kept.message)
        yield bad(ticket, reason, facts.kept.message)
        return
    if not account.tries or isinstance(facts.keytab, AgentError):
        return
    versions = facts.keytab.versions(spec.principal, numbers_of(spec.permitted_enctypes))
    verdict = judge_kvno(spec.principal, versions, account, worked_before=facts.worked_before)
    if verdict:
        yield (good if verdict[0] is KVNO_MATCHES else bad)(mismatch, *verdict)
    yield _ticket(spec, account, verdict)


def _ticket(spec: KerberosIdentitySpec, account: AccountFacts, verdict: tuple[Reason, str] | None) -> Finding:
    type_, last = ConditionType.TICKET_ACQUIRED, account.tries[-1]
    if last.ticket:
        enctype, until = name_of(last.ticket.enctype), format_time(last.ticket.end_time)
        return good(type_, TICKET_ISSUED, f"Got a ticket-granting ticket ({enctype}), valid until {until}.")
    if last.code in KEY_IS_WRONG and verdict:
        return bad(type_, *verdict)
    return bad(type_, *_of_code(spec, last.code, last.nt_status, last.detail))


def _of_code(spec: KerberosIdentitySpec, code: int | None, status: int | None, detail: str) -> tuple[Reason, str]:
    """Reason and message for a KDC's error code, or for an exchange that ended without one."""
    if code is None:
        return KDC_UNREACHABLE, f"The exchange with the KDC failed: {detail}."
    reason = _REASON_OF_STATUS.get(status or 0) or _REASON_OF_CODE.get(code, KDC_ERROR)
    also = f", NTSTATUS 0x{status:08X}" if status else ""
    asked = f" for {', '.join(spec.permitted_enctypes)}" if reason is ENCTYPE_REFUSED else ""
    return reason, f"The KDC refused {spec.principal}{asked}: {ErrorCode.describe(code)}{also}. {reason.when}"
