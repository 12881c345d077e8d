"""The judge of identities as a table: facts in; per condition status and reason out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.agent.facts import (
    KDC,
    NOW,
    PRINCIPAL,
    SPEC,
    account,
    clock,
    discovery,
    identity,
    keytab,
    lookup,
    refused,
    silent,
    worked,
)

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import AttemptOutcome
from smbferry_agent.kerberos.krb5_config import parse
from smbferry_agent.preflight.findings import conditions, first_failure
from smbferry_agent.preflight.identity_facts import IdentityFacts, Refusal
from smbferry_agent.preflight.identity_judge import judge_identity
from smbferry_agent.resolve import Lookup, Outcome
from smbferry_api.conditions import IDENTITY_CHECKS
from smbferry_api.identity import Rotation
from smbferry_api.reasons import CONFIG_MAP_NOT_FOUND, KEYTAB_UNREADABLE, SECRET_NOT_FOUND

if TYPE_CHECKING:
    from smbferry_agent.preflight.findings import Finding

SRV = Lookup(f"_kerberos._tcp.{PRINCIPAL.split('@')[1]}", "SRV", Outcome.NO_NAME, (), ("10.0.0.53",))
GONE = AgentError(SECRET_NOT_FOUND, "Secret 'keytab' was not found.")
DNS, KDC_UP, TIME, KEYTAB, KVNO, TICKET = (t.value for t in IDENTITY_CHECKS)
NOT = "CheckNotReached"

PROXIED = "[realms]\n CORP.EXAMPLE.COM = {\n kdc = https://proxy.example.com/KdcProxy\n }\n"

CASES: list[tuple[str, IdentityFacts, dict[str, str], str]] = [
    ("all is well", identity(), {}, ""),
    ("names resolve", identity(discovery=discovery(lookup(Outcome.FOUND, "10.0.0.9"))), {DNS: "Resolved"}, ""),
    (
        "one of two names resolves",
        identity(discovery=discovery(lookup(Outcome.NO_NAME), lookup(Outcome.FOUND, "10.0.0.9"))),
        {DNS: "Resolved"},
        "",
    ),
    (
        "no SRV record",
        IdentityFacts(identity().config, keytab(), discovery(SRV, kdcs=())),
        {DNS: "SrvRecordMissing", KDC_UP: NOT, TIME: NOT, KVNO: NOT, TICKET: NOT},
        "_kerberos._tcp.CORP.EXAMPLE.COM",
    ),
    (
        "DNS is silent",
        IdentityFacts(identity().config, keytab(), discovery(lookup(Outcome.TIMEOUT), kdcs=())),
        {DNS: "DnsTimeout", KDC_UP: NOT, TIME: NOT, KVNO: NOT, TICKET: NOT},
        "asked 10.0.0.53",
    ),
    (
        "DNS is broken",
        IdentityFacts(identity().config, keytab(), discovery(lookup(Outcome.FAILED), kdcs=())),
        {DNS: "DnsFailed", KDC_UP: NOT, TIME: NOT, KVNO: NOT, TICKET: NOT},
        "DNS server failed",
    ),
    (
        "the KDC's name is unknown",
        IdentityFacts(identity().config, keytab(), discovery(lookup(Outcome.NO_NAME), kdcs=())),
        {DNS: "NameNotFound", KDC_UP: NOT, TIME: NOT, KVNO: NOT, TICKET: NOT},
        "NXDOMAIN",
    ),
    (
        "no kdc lines and no look-up",
        IdentityFacts(identity().config, keytab(), discovery(kdcs=())),
        {DNS: NOT, KDC_UP: "Krb5ConfigInvalid", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "no kdc for CORP.EXAMPLE.COM",
    ),
    (
        "DNS leads to a refused address",
        IdentityFacts(
            identity().config,
            keytab(),
            discovery(lookup(Outcome.FOUND, "127.0.0.1"), kdcs=(), refused_=("dc1 is 127.0.0.1, a loopback address",)),
        ),
        {KDC_UP: "Krb5ConfigRefused", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "a loopback address",
    ),
    (
        "nothing listens",
        identity(silent(AttemptOutcome.REFUSED)),
        {KDC_UP: "KdcRefused", TIME: NOT, KVNO: NOT, TICKET: NOT},
        str(KDC),
    ),
    (
        "a KDC that answers over UDP alone",
        identity(silent(AttemptOutcome.REFUSED)),
        {KDC_UP: "KdcRefused", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "over TCP (UDP is not used)",
    ),
    (
        "a KDC proxy and nothing else",
        IdentityFacts(parse(PROXIED), keytab(), discovery(kdcs=())),
        {DNS: NOT, KDC_UP: "KdcProxyNotSupported", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "got only the URL of a KDC proxy",
    ),
    (
        "what was left out of krb5.conf is told",
        identity(config=parse("include /etc/x\n[libdefaults]\nallow_rc4 = true\n")),
        {},
        "In krb5.conf, line 1: include '/etc/x' is ignored, other files are not read; line 3: allow_rc4 is ignored",
    ),
    (
        "and where no KDC was found",
        IdentityFacts(parse("includedir /etc/y\n"), keytab(), discovery(SRV, kdcs=())),
        {DNS: "SrvRecordMissing", KDC_UP: NOT, TIME: NOT, KVNO: NOT, TICKET: NOT},
        "In krb5.conf, line 1: includedir '/etc/y'",
    ),
    (
        "of many only some",
        identity(config=parse("include /etc/x\n" * 12)),
        {},
        "line 8: include '/etc/x' is ignored, other files are not read; and 4 more.",
    ),
    (
        "one refuses, one is silent",
        identity(silent(AttemptOutcome.REFUSED, AttemptOutcome.TIMEOUT)),
        {KDC_UP: "KdcUnreachable", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "no answer in time",
    ),
    (
        "it can't serve",
        identity(silent(AttemptOutcome.UNAVAILABLE)),
        {KDC_UP: "KdcUnavailable", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "KDC_ERR_SVC_UNAVAILABLE (29)",
    ),
    (
        "something else listens",
        identity(silent(AttemptOutcome.NONSENSE, AttemptOutcome.NONSENSE)),
        {KDC_UP: "NotAKdc", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "not Kerberos",
    ),
    (
        "another realm's KDC",
        identity(account(probe_code=68)),
        {KDC_UP: "WrongRealm", KVNO: NOT, TICKET: NOT},
        "KDC_ERR_WRONG_REALM (68)",
    ),
    ("the clock is behind", identity(account(worked(), clock_=clock(360))), {TIME: "ClockSkew"}, "+360.000s"),
    (
        "the clock is ahead",
        identity(account(worked(), clock_=clock(-360))),
        {TIME: "ClockSkew"},
        "ahead of",
    ),
    ("at the tolerance's edge", identity(account(worked(), clock_=clock(300.003))), {}, ""),
    ("a KDC that tells no time", identity(account(worked(), clock_=None)), {TIME: NOT}, ""),
    (
        "no Secret",
        identity(account(), keytab=GONE),
        {KEYTAB: "SecretNotFound", KVNO: NOT, TICKET: NOT},
        "was not found",
    ),
    (
        "a damaged keytab",
        identity(account(), keytab=AgentError(KEYTAB_UNREADABLE, "cut short")),
        {KEYTAB: "KeytabUnreadable", KVNO: NOT, TICKET: NOT},
        "cut short",
    ),
    (
        "another principal's keytab",
        identity(account(), keytab=keytab(principal="else@CORP.EXAMPLE.COM")),
        {KEYTAB: "PrincipalNotInKeytab", KVNO: NOT, TICKET: NOT},
        "else@CORP.EXAMPLE.COM",
    ),
    (
        "another case",
        identity(account(), keytab=keytab(principal="SVC-src@CORP.EXAMPLE.COM")),
        {KEYTAB: "PrincipalCaseMismatch", KVNO: NOT, TICKET: NOT},
        "in the keytab, got SVC-src@CORP.EXAMPLE.COM",
    ),
    (
        "RC4 alone",
        identity(account(), keytab=keytab(enctype=23)),
        {KEYTAB: "EnctypeRefused", KVNO: NOT, TICKET: NOT},
        "arcfour-hmac",
    ),
    ("a stale key", identity(account(refused())), {KVNO: "KeytabStale", TICKET: "KeytabStale"}, "key version 3 "),
    (
        "a refused key, and no clock to judge by",
        identity(account(refused(), clock_=None)),
        {TIME: NOT, KVNO: "PreauthFailed", TICKET: "PreauthFailed"},
        "",
    ),
    (
        "a stale key of an account that needs no pre-authentication",
        identity(account(replace(refused(code=31), account_kvno=4), clock_=None)),
        {TIME: NOT, KVNO: "KeytabStale", TICKET: "KeytabStale"},
        "version 3 (aes256-cts-hmac-sha1-96) cannot decrypt the KDC's reply to svc-src@CORP.EXAMPLE.COM, which has key",
    ),
    (
        "the same, and the KDC does not tell its version",
        identity(account(refused(code=31), clock_=None)),
        {TIME: NOT, KVNO: "KeytabStale", TICKET: "KeytabStale"},
        "The keytab's key version 3",
    ),
    ("a key works, and the KDC does not tell its version", identity(account(worked(3, None))), {}, "does not report"),
    (
        "an older key works",
        identity(account(refused(4), worked(3)), keytab=keytab(4, 3)),
        {KVNO: "KeytabAhead"},
        "",
    ),
    ("another number", identity(account(worked(3, 9))), {KVNO: "KvnoNumberWrong"}, ""),
    ("unknown account", identity(account(probe_code=6)), {KVNO: NOT, TICKET: "PrincipalUnknown"}, "(6)"),
    (
        "no AES key at an account of MIT's KDC",
        identity(replace(account(), enctypes=())),
        {KVNO: NOT, TICKET: "EnctypeRefused"},
        "has no key of svc-src@CORP.EXAMPLE.COM for aes256",
    ),
    ("disabled account", identity(account(probe_code=18)), {KVNO: NOT, TICKET: "AccountRevoked"}, "(18)"),
    ("expired password", identity(account(probe_code=23)), {KVNO: NOT, TICKET: "PasswordExpired"}, "(23)"),
    ("expired account", identity(account(probe_code=1)), {KVNO: NOT, TICKET: "AccountExpired"}, "(1)"),
    ("a policy", identity(account(probe_code=12)), {KVNO: NOT, TICKET: "LogonRestricted"}, "KDC_ERR_POLICY (12)"),
    *(
        (f"status {status:#x}", identity(account(refused(code=18, nt_status=status))), {KVNO: NOT, TICKET: word}, "0xC")
        for status, word in (
            (0xC0000072, "AccountDisabled"),
            (0xC0000193, "AccountExpired"),
            (0xC0000234, "AccountLocked"),
            (0xC000006F, "LogonRestricted"),
            (0xC0000224, "PasswordExpired"),
            (0xC000FFFF, "AccountRevoked"),
        )
    ),
    (
        "a salt that is not the name's",
        identity(account(refused(), salt="CORP.EXAMPLE.COMold-name")),
        {KVNO: "SaltMismatch", TICKET: "SaltMismatch"},
        "Expected the salt 'CORP.EXAMPLE.COMsvc-src' for this name, the account has 'CORP.EXAMPLE.COMold-name'",
    ),
    (
        "another salt, and a keytab that worked before",
        identity(account(refused(), salt="CORP.EXAMPLE.COMold-name"), worked_before=True),
        {KVNO: "KeytabStale", TICKET: "KeytabStale"},
        "",
    ),
    (
        "another salt, and the key works",
        identity(account(worked(), salt="CORP.EXAMPLE.COMold-name")),
        {},
        "",
    ),
    (
        "the older key, which worked before, is tried first",
        identity(account(worked(3)), keytab=keytab(4, 3)),
        {KVNO: "KeytabAhead"},
        "The KDC earlier refused key version 4",
    ),
    ("no common enctype", identity(account(probe_code=14)), {KVNO: NOT, TICKET: "EnctypeRefused"}, "aes256"),
    ("an unheard-of error", identity(account(probe_code=99)), {KVNO: NOT, TICKET: "KdcError"}, "error (99)"),
    ("disabled between the requests", identity(account(refused(code=18))), {KVNO: NOT, TICKET: "AccountRevoked"}, ""),
    (
        "the KDC goes away",
        identity(account(refused(code=None, detail="Cannot contact any KDC"))),
        {KVNO: NOT, TICKET: "KdcUnreachable"},
        "Cannot contact",
    ),
    (
        "a kept refusal",
        identity(account(), kept=Refusal("KeytabStale", "Refused; not tried again.")),
        {KVNO: "KeytabStale", TICKET: "KeytabStale"},
        "not tried again",
    ),
    (
        "no ConfigMap",
        IdentityFacts(AgentError(CONFIG_MAP_NOT_FOUND, "no such map"), keytab()),
        {DNS: NOT, KDC_UP: "ConfigMapNotFound", TIME: NOT, KVNO: NOT, TICKET: NOT},
        "no such map",
    ),
]
WELL = {
    DNS: "Resolved",
    KDC_UP: "Reachable",
    TIME: "ClockInSync",
    KEYTAB: "KeytabUsable",
    KVNO: "KvnoMatches",
    TICKET: "TicketIssued",
}


@pytest.mark.fault(98)
@pytest.mark.verdict("Key refused, and the KDC's clock is unknown")
@pytest.mark.parametrize(("facts", "differs", "says"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_each_set_of_facts_has_its_verdict(facts: IdentityFacts, differs: dict[str, str], says: str) -> None:
    findings = judge_identity(SPEC, facts, NOW)
    assert {f.type.value: f.reason.name for f in findings} == WELL | differs
    assert any(says in f.message for f in findings)
    for found in findings:
        assert (found.reason.name == NOT) == (found.healthy is None)
        assert not found.failed or found.reason.remedy, "what failed says what to do"


DAY = 24 * 3600
YOUNG, AGING, OLD = (int(NOW.timestamp()) - days * DAY for days in (80, 82, 100))


@pytest.mark.parametrize(
    ("made", "reason", "says"),
    [
        (YOUNG, "KeytabUsable", "aes256"),
        (AGING, "KeytabAging", "82 days ago; spec.rotation.maxAge is 2160h. Rotate the account's password"),
        (OLD, "KeytabAging", "100 days ago"),
        (0, "KeytabUsable", "has no timestamp"),
    ],
)
def test_a_keytab_that_grows_old_is_warned_of_and_still_good(made: int, reason: str, says: str) -> None:
    spec = SPEC.model_copy(update={"rotation": Rotation(max_age="2160h")})
    findings = {f.type.value: f for f in judge_identity(spec, identity(keytab=keytab(made=made)), NOW)}
    assert findings[KEYTAB].reason.name == reason
    assert says in findings[KEYTAB].message
    assert first_failure(findings.values()) is None


def test_the_salt_of_a_computer_is_never_that_of_its_name() -> None:
    host = f"FILES$@{PRINCIPAL.split('@')[1]}"
    spec = SPEC.model_copy(update={"principal": host})
    facts = identity(
        account(refused(), salt="CORP.EXAMPLE.COMhostfiles.corp.example.com"), keytab=keytab(principal=host)
    )
    assert {f.type.value: f.reason.name for f in judge_identity(spec, facts, NOW)}[KVNO] == "KeytabStale"


def test_what_was_not_reached_names_the_check_that_failed() -> None:
    findings = judge_identity(SPEC, identity(account(), keytab=GONE), NOW)
    by_type = {f.type.value: f for f in findings}
    assert by_type[TICKET].message == "Not checked, because KeytabValid failed: SecretNotFound."


@pytest.mark.parametrize(
    ("facts", "failure"),
    [
        (identity(), None),
        (identity(account(refused(4), worked(3)), keytab=keytab(4, 3)), None),
        (identity(account(worked(3, 9))), None),
        (identity(account(refused())), "KeytabStale"),
        (identity(account(worked(), clock_=clock(999))), "ClockSkew"),
    ],
)
def test_a_key_version_that_differs_stands_in_nobodys_way_while_tickets_are_issued(
    facts: IdentityFacts, failure: str | None
) -> None:
    found = first_failure(judge_identity(SPEC, facts, NOW))
    assert (found.reason.name if found else None) == failure


def test_conditions_end_with_the_remedy_and_carry_the_generation() -> None:
    findings: tuple[Finding, ...] = judge_identity(SPEC, identity(account(refused())), NOW)
    made = {c.type: c for c in conditions(findings, (), generation=7, now=NOW)}
    assert made[KVNO].status == "True"
    assert made[KVNO].message.endswith(
        "Export a new keytab for the account and update the Secret. smbferry repeats the check automatically."
    )
    assert made[DNS].status == "True"
    assert {c.observed_generation for c in made.values()} == {7}
