"""The judge of locations as a table."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.agent.facts import LOCATION, NAMES, NOW, REALM, SERVICE, clock, location, lookup

from smbferry_agent.engine_errors import convert
from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import TicketRefusal
from smbferry_agent.preflight.location_facts import LocationFacts, ServerNames
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.resolve import Lookup, Outcome
from smbferry_api.conditions import LOCATION_CHECKS
from smbferry_api.reasons import KEYTAB_STALE, SERVER_REFUSED, by_name
from smbferry_engine import EngineError, errors
from smbferry_words import reasons
from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import Reason

DNS, TICKET, SERVER, ENCRYPTED, SHARE = (t.value for t in LOCATION_CHECKS)
NOT = "CheckNotReached"
WELL = {
    DNS: "Resolved",
    TICKET: "TicketIssued",
    SERVER: "Reachable",
    ENCRYPTED: "SessionEncrypted",
    SHARE: "ShareOpened",
}
REST = {ENCRYPTED: NOT, SHARE: NOT}


def refused_by(reason: Reason) -> AgentError:
    return convert(EngineError(reason, "expected this, found that"))


def unknown(asked: str = "cifs/files.corp.example.com", realm: str | None = REALM, **more: Any) -> TicketRefusal:
    return TicketRefusal(7, "", asked=asked, realm=realm, **more)


def reverse(*names: str, outcome: Outcome = Outcome.FOUND) -> ServerNames:
    ptr = Lookup("10.0.0.5", "PTR", outcome, names, ("10.0.0.53",))
    return ServerNames(NAMES.lookup, NAMES.addresses, (), ptr)


CASES: list[tuple[str, LocationFacts, dict[str, str], str]] = [
    ("all is well", location(), {}, "AES-256-GCM"),
    ("the reverse record agrees", location(names=reverse("FILES.corp.example.com")), {}, ""),
    ("no reverse record", location(names=reverse(outcome=Outcome.NO_NAME)), {}, ""),
    (
        "another reverse record",
        location(names=reverse("old.example.com")),
        {DNS: "ReverseRecordWrong"},
        "old.example.com",
    ),
    (
        "an unknown name",
        LocationFacts(ServerNames(lookup(Outcome.NO_NAME)), ticket=SERVICE),
        {DNS: "NameNotFound", SERVER: NOT, **REST},
        "NXDOMAIN",
    ),
    (
        "silent DNS",
        LocationFacts(ServerNames(lookup(Outcome.TIMEOUT)), ticket=SERVICE),
        {DNS: "DnsTimeout", SERVER: NOT, **REST},
        "10.0.0.53",
    ),
    (
        "a name that leads to loopback",
        LocationFacts(
            ServerNames(lookup(Outcome.FOUND, "127.0.0.1"), (), ("127.0.0.1, a loopback address",)), ticket=SERVICE
        ),
        {DNS: "SpecInvalid", SERVER: NOT, **REST},
        "a loopback address",
    ),
    (
        "a stale identity",
        location(ticket=None, share=None, identity=AgentError(KEYTAB_STALE, "Stale.")),
        {TICKET: "KeytabStale", **REST},
        "The identity svc-src has no ticket: Stale.",
    ),
    (
        "a stale identity and a closed port",
        location(
            ticket=None,
            share=AgentError(SERVER_REFUSED, "closed"),
            connected=False,
            identity=AgentError(KEYTAB_STALE, "Stale."),
        ),
        {TICKET: "KeytabStale", SERVER: "ServerRefused", **REST},
        "closed",
    ),
    (
        "no such service",
        location(ticket=unknown(), share=None),
        {TICKET: "ServicePrincipalUnknown", **REST},
        "(7)",
    ),
    (
        "a service that two accounts hold, and the KDC says so",
        location(ticket=TicketRefusal(8, "", realm=REALM), share=None),
        {TICKET: "ServicePrincipalDuplicate", **REST},
        "KDC_ERR_PRINCIPAL_NOT_UNIQUE (8)",
    ),
    (
        "a service that two accounts hold, and Windows says so",
        location(ticket=unknown(nt_status=0xC00000BD), share=None),
        {TICKET: "ServicePrincipalDuplicate", **REST},
        "0xC00000BD",
    ),
    (
        "no ticket for a service that HOST/ covers",
        location(ticket=unknown(covered=True), share=None),
        {TICKET: "ServicePrincipalDuplicate", **REST},
        "HOST/files.corp.example.com exists",
    ),
    (
        "a host that nothing maps to a realm",
        location(ticket=unknown(realm=None, asked="krbtgt/EXAMPLE.NET"), share=None),
        {TICKET: "RealmMappingMissing", **REST},
        "maps neither files.corp.example.com nor its domain",
    ),
    (
        "a realm without a KDC",
        location(ticket=TicketRefusal(None, "Cannot contact any KDC", realm="B", without_kdc=True), share=None),
        {TICKET: "RealmMappingMissing", **REST},
        "no KDC of B is known",
    ),
    (
        "a realm without a trust",
        location(ticket=unknown(realm="B.EXAMPLE.NET", asked="krbtgt/B.EXAMPLE.NET"), share=None),
        {TICKET: "TrustMissing", **REST},
        "for krbtgt/B.EXAMPLE.NET",
    ),
    (
        "no AES for the service",
        location(ticket=TicketRefusal(14, ""), share=None),
        {TICKET: "EnctypeRefused", **REST},
        "(14)",
    ),
    (
        "a ticket that ended",
        location(ticket=TicketRefusal(32, ""), share=None),
        {TICKET: "TicketExpired", **REST},
        "(32)",
    ),
    ("another KDC error", location(ticket=TicketRefusal(60, ""), share=None), {TICKET: "KdcError", **REST}, "(60)"),
    (
        "the KDC is gone",
        location(ticket=TicketRefusal(None, "no KDC"), share=None),
        {TICKET: "KdcUnreachable", **REST},
        "no KDC",
    ),
    (
        "nothing listens",
        location(share=refused_by(reasons.SERVER_REFUSED)),
        {SERVER: "ServerRefused", **REST},
        "found that.",
    ),
    ("no answer", location(share=refused_by(reasons.DEADLINE_EXCEEDED)), {SERVER: "DeadlineExceeded", **REST}, ""),
    (
        "an old server",
        location(share=refused_by(reasons.DIALECT_REFUSED)),
        {ENCRYPTED: "DialectRefused", SHARE: NOT},
        "",
    ),
    (
        "no encryption",
        location(share=refused_by(reasons.ENCRYPTION_NOT_SUPPORTED)),
        {ENCRYPTED: "EncryptionNotSupported", SHARE: NOT},
        "",
    ),
    (
        "another cipher",
        location(share=refused_by(reasons.CIPHER_NOT_OFFERED)),
        {ENCRYPTED: "CipherNotOffered", SHARE: NOT},
        "",
    ),
    (
        "the server's key",
        location(share=refused_by(reasons.SERVER_KEY_MISMATCH)),
        {ENCRYPTED: "ServerKeyMismatch", SHARE: NOT},
        "",
    ),
    (
        "a session refused",
        location(share=refused_by(reasons.LOGON_REFUSED)),
        {ENCRYPTED: "LogonRefused", SHARE: NOT},
        "",
    ),
    (
        "a server with a wrong clock refuses",
        location(share=refused_by(reasons.SERVER_CLOCK_SKEW)),
        {ENCRYPTED: "ServerClockSkew", SHARE: NOT},
        "",
    ),
    (
        "a server with a wrong clock gives a session all the same",
        location(asked=NOW - timedelta(seconds=310), kdc_clock=clock(4)),
        {SERVER: "ServerClockSkew"},
        "differs from this node's by +310s and from the KDC's by +306s",
    ),
    ("this node's own clock is as wrong", location(asked=NOW - timedelta(seconds=310), kdc_clock=clock(309)), {}, ""),
    ("guest", location(share=refused_by(reasons.GUEST_REFUSED)), {ENCRYPTED: "GuestRefused", SHARE: NOT}, ""),
    ("plaintext", location(share=refused_by(reasons.PLAINTEXT_REPLY)), {ENCRYPTED: "PlaintextReply", SHARE: NOT}, ""),
    ("no such share", location(share=refused_by(reasons.SHARE_NOT_FOUND)), {SHARE: "ShareNotFound"}, ""),
    ("no such folder", location(share=refused_by(reasons.PATH_NOT_FOUND)), {SHARE: "PathNotFound"}, ""),
    (
        "the share is denied",
        location(share=refused_by(reasons.SHARE_ACCESS_DENIED)),
        {SHARE: "ShareAccessDenied"},
        "",
    ),
    ("the folder is denied", location(share=refused_by(reasons.ACCESS_DENIED)), {SHARE: "AccessDenied"}, ""),
    (
        "a ticket that went missing",
        location(share=refused_by(reasons.TICKET_MISSING)),
        {TICKET: "TicketMissing", SERVER: NOT, **REST},
        "",
    ),
]


@pytest.mark.verdict("Server's clock wrong, session accepted", "Server chose a cipher that was not offered")
@pytest.mark.parametrize(("facts", "differs", "says"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_each_set_of_facts_has_its_verdict(facts: LocationFacts, differs: dict[str, str], says: str) -> None:
    findings = judge_location(LOCATION, facts)
    assert {f.type.value: f.reason.name for f in findings} == WELL | differs
    assert any(says in f.message for f in findings)
    for found in findings:
        assert not found.failed or found.reason.remedy, "what failed says what to do"


ENGINE_REASONS = [value for value in vars(reasons).values() if isinstance(value, Reason) and value.failure]


@pytest.mark.parametrize("reason", ENGINE_REASONS, ids=lambda r: r.name)
def test_the_api_knows_every_reason_of_the_engine_with_the_same_class(reason: Reason) -> None:
    known = by_name(reason.name)
    assert known is not None
    assert known.failure is not None
    assert known.failure is reason.failure
    assert convert(EngineError(reason, "x")).reason is known


@pytest.mark.parametrize("reason", list(errors.FileReason))
def test_the_api_knows_every_reason_of_a_file(reason: errors.FileReason) -> None:
    assert by_name(reason.value) is not None


def test_a_word_that_the_api_does_not_know_is_a_bug_and_says_so() -> None:
    error = convert(EngineError(Reason("Nonesuch", "", failure=FailureClass.NETWORK), "x"))
    assert error.exit_code == 70
    assert "Nonesuch" in error.message
