"""Judges the facts of a location: one finding per condition. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.enctypes import name_of
from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import ClockSample, Ticket, TicketRefusal
from smbferry_agent.preflight.findings import Finding, bad, good, ordered
from smbferry_agent.preflight.identity_judge import reason_of_lookup
from smbferry_agent.preflight.location_facts import LocationFacts, ServerNames
from smbferry_api.conditions import LOCATION_CHECKS, ConditionType
from smbferry_api.fields import format_time
from smbferry_api.location import SmbLocationSpec
from smbferry_api.reasons import (
    ACCESS_DENIED,
    CIPHER_NOT_OFFERED,
    CLOCK_SKEW,
    DEADLINE_EXCEEDED,
    DESTINATION_FULL,
    DFS_TARGET_UNUSABLE,
    DIALECT_REFUSED,
    ENCRYPTION_NOT_SUPPORTED,
    ENCTYPE_REFUSED,
    GUEST_REFUSED,
    KDC_ERROR,
    KDC_UNREACHABLE,
    LOGON_REFUSED,
    MUTUAL_AUTHENTICATION_FAILED,
    PATH_IS_REPARSE_POINT,
    PATH_NOT_FOUND,
    PLAINTEXT_REPLY,
    PROTOCOL_VIOLATION,
    REACHABLE,
    REALM_MAPPING_MISSING,
    RESOLVED,
    REVERSE_RECORD_WRONG,
    SERVER_CLOCK_SKEW,
    SERVER_KEY_MISMATCH,
    SERVICE_PRINCIPAL_DUPLICATE,
    SERVICE_PRINCIPAL_UNKNOWN,
    SESSION_ENCRYPTED,
    SHARE_ACCESS_DENIED,
    SHARE_NOT_FOUND,
    SHARE_OPENED,
    SPEC_INVALID,
    TICKET_EXPIRED,
    TICKET_ISSUED,
    TICKET_MISSING,
    TRUST_MISSING,
    Reason,
)
from smbferry_engine import TOLERATED_SKEW, ShareFacts

# The check that a reason of the engine belongs to; all others belong to ServerReachable.
_CHECK_OF: Final[dict[str, ConditionType]] = {
    reason.name: type_
    for type_, reasons in {
        ConditionType.TICKET_ACQUIRED: (
            CLOCK_SKEW,
            ENCTYPE_REFUSED,
            KDC_UNREACHABLE,
            REALM_MAPPING_MISSING,
            SERVICE_PRINCIPAL_UNKNOWN,
            TICKET_EXPIRED,
            TICKET_MISSING,
        ),
        # No encrypted session was set up.
        ConditionType.ENCRYPTED: (
            CIPHER_NOT_OFFERED,
            DIALECT_REFUSED,
            ENCRYPTION_NOT_SUPPORTED,
            GUEST_REFUSED,
            LOGON_REFUSED,
            MUTUAL_AUTHENTICATION_FAILED,
            PLAINTEXT_REPLY,
            PROTOCOL_VIOLATION,
            SERVER_CLOCK_SKEW,
            SERVER_KEY_MISMATCH,
        ),
        ConditionType.SHARE_ACCESSIBLE: (
            ACCESS_DENIED,
            DESTINATION_FULL,
            DFS_TARGET_UNUSABLE,
            PATH_IS_REPARSE_POINT,
            PATH_NOT_FOUND,
            SHARE_ACCESS_DENIED,
            SHARE_NOT_FOUND,
        ),
    }.items()
    for reason in reasons
}
_REASON_OF_CODE: Final[dict[int, Reason]] = {
    ErrorCode.SERVICE_UNKNOWN: SERVICE_PRINCIPAL_UNKNOWN,
    ErrorCode.PRINCIPAL_NOT_UNIQUE: SERVICE_PRINCIPAL_DUPLICATE,
    ErrorCode.ENCTYPE_UNSUPPORTED: ENCTYPE_REFUSED,
    ErrorCode.CLOCK_SKEW: CLOCK_SKEW,
    # Active Directory also answers so if the ticket-granting ticket is valid for two minutes or less.
    ErrorCode.TICKET_EXPIRED: TICKET_EXPIRED,
}
# NTSTATUS for an SPN that two accounts have (MS-ERREF section 2.3.1).
_NAME_COLLISION: Final = frozenset({0xC0000035, 0xC00000BD})  # STATUS_OBJECT_NAME_COLLISION, STATUS_DUPLICATE_NAME


def judge_location(spec: SmbLocationSpec, facts: LocationFacts) -> tuple[Finding, ...]:
    """A finding for each of LOCATION_CHECKS, in their order."""
    return ordered(_findings(spec, facts), LOCATION_CHECKS)


def not_judged_in_time(spec: SmbLocationSpec, seconds: float) -> tuple[Finding, ...]:
    """Findings of a check that was ended because it took too long."""
    message = f"Expected the check of {spec.server}:{spec.port} to end within {seconds:g} s, and it was ended."
    return ordered([bad(ConditionType.SERVER_REACHABLE, DEADLINE_EXCEEDED, message)], LOCATION_CHECKS)


def _findings(spec: SmbLocationSpec, facts: LocationFacts) -> Iterator[Finding]:
    yield _dns(facts.names)
    failed: ConditionType | None = None
    if isinstance(facts.share, AgentError):
        failed = _CHECK_OF.get(facts.share.reason.name, ConditionType.SERVER_REACHABLE)
        yield bad(failed, facts.share.reason, facts.share.message)
    if failed is not ConditionType.TICKET_ACQUIRED and (ticket := _ticket(spec, facts)):
        yield ticket
    yield from _passed(spec, facts, failed)


def _dns(names: ServerNames) -> Finding:
    type_, lookup = ConditionType.DNS_READY, names.lookup
    if not lookup.found:
        return bad(type_, reason_of_lookup(lookup), f"Expected an address, got none: {lookup.describe()}.")
    if not names.addresses:
        refused = "; ".join(names.refused)
        return bad(type_, SPEC_INVALID, f"spec.server {lookup.name} resolves to {refused}, which is not allowed.")
    ptr = names.reverse
    if ptr is not None and ptr.found and not any(a.lower() == lookup.name.rstrip(".").lower() for a in ptr.answers):
        message = f"{lookup.describe()}. The reverse record of {ptr.name} names {', '.join(ptr.answers)}."
        return good(type_, REVERSE_RECORD_WRONG, message)
    return good(type_, RESOLVED, f"{lookup.describe()}.")


def _ticket(spec: SmbLocationSpec, facts: LocationFacts) -> Finding | None:
    type_, ticket = ConditionType.TICKET_ACQUIRED, facts.ticket
    if facts.identity is not None:
        message = f"The identity {spec.identity_ref.name} has no ticket: {facts.identity.message}"
        return bad(type_, facts.identity.reason, message)
    if isinstance(ticket, Ticket):
        until = format_time(ticket.end_time)
        return good(
            type_,
            TICKET_ISSUED,
            f"Got a ticket for {ticket.server.removesuffix('@')} ({name_of(ticket.enctype)}), valid until {until}.",
        )
    if isinstance(ticket, TicketRefusal):
        return bad(type_, *_of_refusal(spec, ticket))
    return None


def _of_refusal(spec: SmbLocationSpec, refusal: TicketRefusal) -> tuple[Reason, str]:
    if refusal.without_kdc:
        realm = refusal.realm or "its realm"
        return REALM_MAPPING_MISSING, f"No ticket for {spec.target}: no KDC of {realm} is known. {refusal.detail}."
    if refusal.code is None:
        return KDC_UNREACHABLE, f"No ticket for {spec.target}: {refusal.detail}."
    return _of_answer(spec, refusal, refusal.code)


def _of_answer(spec: SmbLocationSpec, refusal: TicketRefusal, code: int) -> tuple[Reason, str]:
    host = spec.target.partition("@")[0].partition("/")[2]
    answer = f"The KDC gave no ticket for {spec.target}: {ErrorCode.describe(code)}"
    if refusal.realm is None and code == ErrorCode.SERVICE_UNKNOWN:
        return REALM_MAPPING_MISSING, f"{answer}; krb5.conf maps neither {host} nor its domain to a realm."
    if refusal.asked.startswith("krbtgt/"):
        return TRUST_MISSING, f"{answer} for {refusal.asked}, which is on the path to the realm."
    if refusal.nt_status in _NAME_COLLISION:
        return SERVICE_PRINCIPAL_DUPLICATE, f"{answer}, NTSTATUS 0x{refusal.nt_status:08X}."
    if refusal.covered:
        covers = f"HOST/{host} exists and covers it, unless several accounts have this name"
        return SERVICE_PRINCIPAL_DUPLICATE, f"{answer}; {covers}."
    reason = _REASON_OF_CODE.get(code, KDC_ERROR)
    return reason, f"{answer}. {reason.when}"


def _passed(spec: SmbLocationSpec, facts: LocationFacts, failed: ConditionType | None) -> Iterator[Finding]:
    """The checks that passed, by a success or by a failure of a later check."""
    share = facts.share if isinstance(facts.share, ShareFacts) else None
    server = f"{spec.server}:{spec.port}"
    later = (ConditionType.ENCRYPTED, ConditionType.SHARE_ACCESSIBLE)
    if facts.connected and (failed is None or failed in later):
        clock = _clock(share, facts.asked, facts.kdc_clock) if share and facts.asked else None
        reason, also = (SERVER_CLOCK_SKEW, f" {clock} {SERVER_CLOCK_SKEW.remedy}") if clock else (REACHABLE, "")
        yield good(ConditionType.SERVER_REACHABLE, reason, f"{server} accepted the connection.{also}")
    if share:
        seen = share.evidence
        requirement = "requires" if seen.share_encryption_required else "does not require"
        message = f"SMB {seen.dialect} with {seen.cipher}; the share {requirement} encryption."
        yield good(ConditionType.ENCRYPTED, SESSION_ENCRYPTED, message)
        access = ", ".join(share.maximal_access_names)
        opened = _unc(spec.server, spec.share, spec.path)
        if target := share.dfs_target:
            opened += f", a DFS path to {_unc(target.server, target.share, target.path)}"
        yield good(ConditionType.SHARE_ACCESSIBLE, SHARE_OPENED, f"Opened {opened}; granted: {access}.")
    elif failed is ConditionType.SHARE_ACCESSIBLE:
        yield good(ConditionType.ENCRYPTED, SESSION_ENCRYPTED, SESSION_ENCRYPTED.when)


def _unc(server: str, share: str, path: str) -> str:
    return rf"\\{server}\{share}{path.replace('/', chr(92))}"


def _clock(share: ShareFacts, asked: datetime, kdc: ClockSample | None) -> str | None:
    """A warning about a server's clock that nearly prevents sessions, None if it is in sync."""
    offset = share.server_system_time - asked
    from_kdc = offset - kdc.offset if kdc else offset
    if abs(from_kdc) <= TOLERATED_SKEW:
        return None
    other = f" and from the KDC's by {from_kdc.total_seconds():+.0f}s" if kdc else ""
    seconds = f"{offset.total_seconds():+.0f}s"
    return f"The server's clock differs from this node's by {seconds}{other}; Kerberos tolerates 5m."
