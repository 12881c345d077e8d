"""When a key that the KDC refused may be tried again. Pure.

A failing identity is checked every minute, but each wrong key counts towards the domain's lockout policy. So a refused
key is tried again only after the keytab or the spec has changed, or after checkInterval. Probes without
pre-authentication are harmless and continue: an account that was unknown or disabled is noticed once it is fixed.

Checks of identities, checks of locations and runs all follow these rules, by the identity's status. Agents try a key in
turn (see key_turn), so a refusal is recorded before the next agent could try. A refusal of one agent holds for all, and
the check of the identity reports it without trying again.

At most two wrong keys of an account are tried within checkInterval; as at the KDC, a key that works resets the count. A
keytab that worked before may use one of these tries, as its older keys cannot have become valid; a new keytab may use
what is left. Several identities may share one account. The operator tells each identity what the KDC refused to the
others: a key version that worked for one and no longer does is not tried for another, and an identity whose key works
keeps one try.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.enctypes import numbers_of
from smbferry_agent.kerberos.error_codes import KEY_IS_WRONG
from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.kerberos.relay import MAX_REFUSED_KEYS
from smbferry_agent.preflight.findings import Finding
from smbferry_agent.preflight.identity_facts import IdentityFacts, Refusal
from smbferry_agent.preflight.key_turn import Tried
from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import format_time, parse_duration
from smbferry_api.identity import AccountUse, KerberosIdentitySpec, KerberosIdentityStatus, KeyRefusal, KeytabEntry
from smbferry_api.reasons import KEY_REFUSED, KEYTAB_AHEAD, KEYTAB_STALE, PREAUTH_FAILED, by_name

_NOTE: Final = " The keytab is still the same, so"


def kept_refusal(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    previous: KerberosIdentityStatus | None,
    now: datetime,
) -> Refusal | None:
    """The earlier refusal if the key must not be tried yet, else None."""
    if recorded := _recorded_refusal(spec, generation, keytab, previous, now):
        return recorded
    if rests := _account_rests(spec, keytab, previous, now):
        return rests
    verdict = find(previous.conditions, ConditionType.KVNO_MISMATCH) if previous else None
    if previous is None or verdict is None or verdict.reason not in KEY_REFUSED or not previous.last_key_use_time:
        return None
    entries = previous.keytab.entries if previous.keytab else ()
    if verdict.observed_generation != generation or not same_entries(entries, keytab.entries()):
        return None
    return _until_due(verdict.reason, verdict.message, previous.last_key_use_time, spec, now)


def _recorded_refusal(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    previous: KerberosIdentityStatus | None,
    now: datetime,
) -> Refusal | None:
    """A refusal of the same keytab that any agent recorded."""
    recorded = previous.key_use.refused if previous and previous.key_use else None
    if recorded is None or (recorded.fingerprint, recorded.generation) != (keytab.fingerprint, generation):
        return None
    return _until_due(recorded.reason, recorded.message, recorded.time, spec, now)


def _account_rests(
    spec: KerberosIdentitySpec, keytab: Keytab, previous: KerberosIdentityStatus | None, now: datetime
) -> Refusal | None:
    """Returns why this untried key must wait: other keys of its account have used up the lockout budget."""
    account = previous.account if previous else None
    versions = keytab.versions(spec.principal, numbers_of(spec.permitted_enctypes))
    stale = account.stale_key_version if account else None
    if stale is not None and versions and versions[0] <= stale:
        return Refusal(
            KEYTAB_STALE.name,
            f"The KDC refused key version {stale} of {spec.principal} to another identity, for which it had worked; "
            f"the newest version in this keytab is {versions[0]}, so it was not tried.",
        )
    if previous is None or keys_left(spec, keytab, previous, now):
        return None
    again = _wrong(spec, previous, now)[0] + parse_duration(spec.check_interval)
    return Refusal(
        PREAUTH_FAILED.name,
        f"The KDC has refused {MAX_REFUSED_KEYS} keys of {spec.principal}, and more wrong keys may lock the account: "
        f"this keytab is not tried until {format_time(again)}, or until a check of the identity is requested.",
    )


def keys_left(
    spec: KerberosIdentitySpec, keytab: Keytab, previous: KerberosIdentityStatus | None, now: datetime
) -> int:
    """How many key versions of the keytab may be tried, should they all be wrong."""
    if previous is None or worked_before(keytab, previous):  # to_try() selects the versions that may be valid
        return MAX_REFUSED_KEYS
    kept_for_another = 1 if previous.account and previous.account.worked_time else 0
    return max(0, MAX_REFUSED_KEYS - len(_wrong(spec, previous, now)) - kept_for_another)


def _wrong(spec: KerberosIdentitySpec, previous: KerberosIdentityStatus, now: datetime) -> list[datetime]:
    """When keys of the account were refused, as the KDC counts: within the interval, since one of them worked."""
    account = previous.account or AccountUse()
    own = previous.key_use.wrong if previous.key_use else ()
    begins = max(filter(None, (now - parse_duration(spec.check_interval), account.worked_time)))
    return sorted(moment for moment in (*own, *account.wrong) if moment > begins)


def tried_of(facts: IdentityFacts, findings: Iterable[Finding], generation: int, now: datetime) -> Tried | None:
    """The result to record for other agents, None if the KDC neither accepted nor refused a key."""
    tries = facts.account.tries if facts.account else ()
    if isinstance(facts.keytab, AgentError) or not tries:
        return None
    if tries[-1].ticket is not None:
        return Tried()
    refused = [f for f in findings if f.type is ConditionType.KVNO_MISMATCH and f.reason.name in KEY_REFUSED]
    if not refused:
        return None
    refusal = KeyRefusal(
        fingerprint=facts.keytab.fingerprint,
        generation=generation,
        time=now,
        reason=refused[0].reason.name,
        message=refused[0].message,
        key_version=max(each.kvno for each in tries),
    )
    return Tried(refusal, wrong=sum(each.code in KEY_IS_WRONG for each in tries))


def worked_before(keytab: Keytab, previous: KerberosIdentityStatus | None) -> bool:
    """Whether an earlier check got a ticket with this keytab, according to the status."""
    if previous is None or previous.keytab is None or not same_entries(previous.keytab.entries, keytab.entries()):
        return False
    verdict = find(previous.conditions, ConditionType.KVNO_MISMATCH)
    return previous.ticket is not None or (verdict is not None and verdict.reason == KEYTAB_STALE.name)


def to_try(versions: Sequence[int], keytab: Keytab, previous: KerberosIdentityStatus | None) -> tuple[int, ...]:
    """Key versions in the order to try them: first the one that worked last, without those that cannot work.

    Args:
        versions: the usable versions in the keytab, newest first.
    """
    if previous is None or not versions or not worked_before(keytab, previous):
        return tuple(versions)
    newest, verdict = versions[0], find(previous.conditions, ConditionType.KVNO_MISMATCH)
    if verdict is None or verdict.reason != KEYTAB_AHEAD.name:
        return (newest,)
    works = previous.kdc.kvno if previous.kdc else None
    return (works, newest) if works is not None and works in versions else tuple(versions)


def outdated_key(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    current: KerberosIdentityStatus | None,
    *,
    kvno: int | None,
    now: datetime,
) -> str | None:
    """Why a key that worked at the start of a run must not be used to renew tickets, None if it may be.

    Args:
        current: the identity's current status.
        kvno: the KDC's key version at the start, None if unknown.
    """
    if kept := kept_refusal(spec, generation, keytab, current, now):
        return kept.message
    known = current.kdc.kvno if current and current.kdc else None
    if None in {kvno, known} or kvno == known:
        return None
    return f"The KDC's key version of {spec.principal} is now {known}; the run started with {kvno}."


def same_entries(before: tuple[KeytabEntry, ...], after: tuple[KeytabEntry, ...]) -> bool:
    """Whether two lists of entries are of the same keytab. Times are compared in seconds, as they are stored."""

    def seen(entries: tuple[KeytabEntry, ...]) -> set[tuple[object, ...]]:
        return {(e.principal, e.kvno, e.enctypes, format_time(e.timestamp) if e.timestamp else None) for e in entries}

    return seen(before) == seen(after)


def _until_due(reason: str, message: str, since: datetime, spec: KerberosIdentitySpec, now: datetime) -> Refusal | None:
    """The earlier refusal until checkInterval has passed, then None."""
    again = since + parse_duration(spec.check_interval)
    if now >= again:
        return None
    known = by_name(reason)
    own_words = message.removesuffix(known.remedy if known else "").partition(_NOTE)[0].rstrip()
    return Refusal(reason, f"{own_words}{_NOTE} it is not tried again before {format_time(again)}.")
