"""Collects the facts of an identity: files, names, KDCs, account, keys. Contains all IO of the check."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.addresses import AddressRule, forbidden
from smbferry_agent.kerberos.enctypes import numbers_of
from smbferry_agent.kerberos.keytab import Keytab, KeytabError, parse
from smbferry_agent.kerberos.krb5_config import Krb5Config, check_realm
from smbferry_agent.kerberos.krb5_config import parse as parse_config
from smbferry_agent.kerberos.scratch import Scratch
from smbferry_agent.kerberos.session import HandedOn, KerberosSession
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.findings import Finding
from smbferry_agent.preflight.identity_facts import IdentityFacts
from smbferry_agent.preflight.identity_judge import judge_identity
from smbferry_agent.preflight.key_turn import KeyTurn, NoTurn
from smbferry_agent.preflight.lockout import kept_refusal, keys_left, to_try, tried_of, worked_before
from smbferry_agent.resolve import Resolver
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.reasons import KEYTAB_UNREADABLE


@dataclass(frozen=True, slots=True)
class IdentitySubject:
    """An identity to check.

    Attributes:
        previous: its status before the check, by which lockouts are avoided; None if it has none.
        requested: a person requested this check, so a key that was refused before is tried again.
        scratch: a memory-backed folder for tickets; each subject needs its own.
        turn: the turn to wait for before a key is tried, as other agents may try it, too.
    """

    spec: KerberosIdentitySpec
    generation: int
    mount: IdentityMount
    scratch: Path
    previous: KerberosIdentityStatus | None = None
    requested: bool = False
    address_rule: AddressRule = forbidden
    turn: KeyTurn = field(default_factory=NoTurn)


@dataclass(frozen=True, slots=True)
class CheckedIdentity:
    """Facts and findings of an identity.

    Attributes:
        session: has its tickets; None if krb5.conf is invalid.
    """

    facts: IdentityFacts
    findings: tuple[Finding, ...]
    session: KerberosSession | None


@dataclass(frozen=True, slots=True)
class TriedIdentity:
    """An identity whose key has been tried, for checks in other processes: its tickets serve all of them."""

    subject: IdentitySubject
    facts: IdentityFacts
    findings: tuple[Finding, ...]
    tickets: HandedOn | None

    @contextmanager
    def in_folder(self, scratch: Path) -> Iterator[CheckedIdentity]:
        """The identity with its tickets in another folder, until the context is left."""
        config = self.facts.config
        if self.tickets is None or isinstance(config, AgentError):
            yield CheckedIdentity(self.facts, self.findings, None)
            return
        spec, rule = self.subject.spec, self.subject.address_rule
        resolver = Resolver(spec.nameservers)
        with KerberosSession(spec, config, resolver, Scratch(scratch), rule, handed_on=self.tickets) as session:
            yield CheckedIdentity(self.facts, self.findings, session)


def try_identity(subject: IdentitySubject, now: datetime) -> TriedIdentity:
    """Checks the identity; its tickets stay in memory."""
    with checked_identity(subject, now) as checked:
        tickets = checked.session.hand_on() if checked.session else None
        return TriedIdentity(subject, checked.facts, checked.findings, tickets)


@contextmanager
def checked_identity(subject: IdentitySubject, now: datetime) -> Iterator[CheckedIdentity]:
    """Checks the identity; its tickets exist until the context is left."""
    config = _read_config(subject)
    if isinstance(config, AgentError):
        facts = IdentityFacts(config, _read_keytab(subject))
        yield CheckedIdentity(facts, judge_identity(subject.spec, facts, now), None)
        return
    resolver = Resolver(subject.spec.nameservers)
    scratch = Scratch(subject.scratch)
    with KerberosSession(subject.spec, config, resolver, scratch, subject.address_rule) as session:
        facts, findings = _judged_in_turn(subject, config, session, now)
        yield CheckedIdentity(facts, findings, session)


def _judged_in_turn(
    subject: IdentitySubject, config: Krb5Config, session: KerberosSession, now: datetime
) -> tuple[IdentityFacts, tuple[Finding, ...]]:
    tried = None
    try:
        facts = _probe(subject, config, session, now)
        findings = judge_identity(subject.spec, facts, now)
        tried = tried_of(facts, findings, subject.generation, now)
    finally:
        subject.turn.end(tried)
    return facts, findings


def _probe(subject: IdentitySubject, config: Krb5Config, session: KerberosSession, now: datetime) -> IdentityFacts:
    keytab = _read_keytab(subject)
    discovery = session.discovery()
    if not discovery.kdcs:
        return IdentityFacts(config, keytab, discovery)
    account = session.probe_preauth()
    asked_for_key = account.answered is not None and account.probe_code is None and not account.has_no_key
    if isinstance(keytab, AgentError) or not asked_for_key:
        return IdentityFacts(config, keytab, discovery, account)
    subject = replace(subject, previous=subject.turn.begin() or subject.previous)
    previous = None if subject.requested else subject.previous
    if kept := kept_refusal(subject.spec, subject.generation, keytab, previous, now):
        return IdentityFacts(config, keytab, discovery, account, kept)
    versions = keytab.versions(subject.spec.principal, numbers_of(subject.spec.permitted_enctypes))
    allowed = keys_left(subject.spec, keytab, previous, now)
    tried = session.try_keys(keytab, to_try(versions, keytab, subject.previous)[:allowed], account)
    return IdentityFacts(config, keytab, discovery, tried, worked_before=worked_before(keytab, subject.previous))


def _read_config(subject: IdentitySubject) -> Krb5Config | AgentError:
    try:
        check_realm(subject.spec.principal)
        return parse_config(subject.mount.read_krb5_config(subject.spec), subject.address_rule)
    except AgentError as error:
        return error


def _read_keytab(subject: IdentitySubject) -> Keytab | AgentError:
    try:
        return parse(subject.mount.read_keytab(subject.spec))
    except AgentError as error:
        return error
    except KeytabError as error:
        ref = subject.spec.keytab_secret_ref
        return AgentError(KEYTAB_UNREADABLE, f"Key {ref.key!r} of Secret {ref.name!r}: {error}")
