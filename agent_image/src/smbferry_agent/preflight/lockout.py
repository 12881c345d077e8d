"""When a KDC may be asked again with a key that it refused. Pure.

A failing identity is looked at every minute, but each wrong key counts towards the domain's lockout policy. So a
refused key is tried again only when the keytab or the spec changed, or when checkInterval has passed. Asking without
a key is harmless, and goes on: an account that was unknown or disabled is seen as soon as it is mended.

Checks of identities and locations and runs all follow these rules by the identity's status. Agents try a key in turn
(see key_turn), so that no other one is at it before the first that was refused has told so: what was refused to one is
refused to all, and the check of the identity tells it without asking again.

Two wrong keys are what an account bears within checkInterval, as a KDC counts them: since a key last worked. A keytab
that worked before costs one, since older keys in it can't have become right; one that is new may try what is left.
Several identities may be of one account. The operator tells each what the others were refused: a key version that
served one of them and does no longer is not tried by the next, and one whose key works has one try kept for it.
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
    """The earlier verdict, where the key must not be tried again yet."""
    if told := _told(spec, generation, keytab, previous, now):
        return told
    if rests := _account_rests(spec, keytab, previous, now):
        return rests
    verdict = find(previous.conditions, ConditionType.KVNO_MISMATCH) if previous else None
    if previous is None or verdict is None or verdict.reason not in KEY_REFUSED or not previous.last_key_use_time:
        return None
    entries = previous.keytab.entries if previous.keytab else ()
    if verdict.observed_generation != generation or not same_entries(entries, keytab.entries()):
        return None
    return _until_due(verdict.reason, verdict.message, previous.last_key_use_time, spec, now)


def _told(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    previous: KerberosIdentityStatus | None,
    now: datetime,
) -> Refusal | None:
    """What an agent was refused by the same keytab, whether a check has said so by now or not."""
    told = previous.key_use.refused if previous and previous.key_use else None
    if told is None or (told.fingerprint, told.generation) != (keytab.fingerprint, generation):
        return None
    return _until_due(told.reason, told.message, told.time, spec, now)


def _account_rests(
    spec: KerberosIdentitySpec, keytab: Keytab, previous: KerberosIdentityStatus | None, now: datetime
) -> Refusal | None:
    """Why a key must rest that nobody has tried yet: by what other keys of its account have cost."""
    account = previous.account if previous else None
    versions = keytab.versions(spec.principal, numbers_of(spec.permitted_enctypes))
    stale = account.stale_key_version if account else None
    if stale is not None and versions and versions[0] <= stale:
        return Refusal(
            KEYTAB_STALE.name,
            f"The KDC refused key version {stale} of {spec.principal} to another identity, which it had served; "
            f"the newest in this keytab is {versions[0]}, so it was not tried.",
        )
    if previous is None or keys_left(spec, keytab, previous, now):
        return None
    again = _wrong(spec, previous, now)[0] + parse_duration(spec.check_interval)
    return Refusal(
        PREAUTH_FAILED.name,
        f"The KDC has refused {MAX_REFUSED_KEYS} keys of {spec.principal}, which may lock the account if it goes on: "
        f"this keytab is not tried before {format_time(again)}, or before a person asks for a check of the identity.",
    )


def keys_left(
    spec: KerberosIdentitySpec, keytab: Keytab, previous: KerberosIdentityStatus | None, now: datetime
) -> int:
    """How many key versions of the keytab may be tried, should they all be wrong."""
    if previous is None or worked_before(keytab, previous):  # then to_try() names those that may be right
        return MAX_REFUSED_KEYS
    kept_for_another = 1 if previous.account and previous.account.worked_time else 0
    return max(0, MAX_REFUSED_KEYS - len(_wrong(spec, previous, now)) - kept_for_another)


def _wrong(spec: KerberosIdentitySpec, previous: KerberosIdentityStatus, now: datetime) -> list[datetime]:
    """When keys of the account were wrong, as the KDC counts them: within the interval, since one of them worked."""
    account = previous.account or AccountUse()
    own = previous.key_use.wrong if previous.key_use else ()
    begins = max(filter(None, (now - parse_duration(spec.check_interval), account.worked_time)))
    return sorted(moment for moment in (*own, *account.wrong) if moment > begins)


def tried_of(facts: IdentityFacts, findings: Iterable[Finding], generation: int, now: datetime) -> Tried | None:
    """What other agents are to know of the keys that were just tried; None where the KDC has judged none of them."""
    tries = facts.account.tries if facts.account else ()
    if isinstance(facts.keytab, AgentError) or not tries:
        return None
    if tries[-1].ticket is not None:
        return Tried()
    refused = [f for f in findings if f.type is ConditionType.KVNO_MISMATCH and f.reason.name in KEY_REFUSED]
    if not refused:
        return None
    word = KeyRefusal(
        fingerprint=facts.keytab.fingerprint,
        generation=generation,
        time=now,
        reason=refused[0].reason.name,
        message=refused[0].message,
        key_version=max(each.kvno for each in tries),
    )
    return Tried(word, wrong=sum(each.code in KEY_IS_WRONG for each in tries))


def worked_before(keytab: Keytab, previous: KerberosIdentityStatus | None) -> bool:
    """Whether an earlier check got a ticket by this very keytab, as far as the status still tells."""
    if previous is None or previous.keytab is None or not same_entries(previous.keytab.entries, keytab.entries()):
        return False
    verdict = find(previous.conditions, ConditionType.KVNO_MISMATCH)
    return previous.ticket is not None or (verdict is not None and verdict.reason == KEYTAB_STALE.name)


def to_try(versions: Sequence[int], keytab: Keytab, previous: KerberosIdentityStatus | None) -> tuple[int, ...]:
    """Key versions in the order to try them: the one that worked last first, without those that are sure to fail.

    Args:
        versions: the usable ones in the keytab, newest first.
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
    standing: KerberosIdentityStatus | None,
    *,
    kvno: int | None,
    now: datetime,
) -> str | None:
    """Why a key that served a run at its beginning must not be tried again for fresh tickets; None where it may be.

    Args:
        standing: what the last check of the identity found.
        kvno: the key version that the KDC used then; None where it did not tell.
    """
    if kept := kept_refusal(spec, generation, keytab, standing, now):
        return kept.message
    known = standing.kdc.kvno if standing and standing.kdc else None
    if None in {kvno, known} or kvno == known:
        return None
    return f"The KDC's key version of {spec.principal} is {known} by now; the run began with {kvno}."


def same_entries(before: tuple[KeytabEntry, ...], after: tuple[KeytabEntry, ...]) -> bool:
    """Whether two lists of entries tell of the same keytab; times compare by the second, as they are stored."""

    def seen(entries: tuple[KeytabEntry, ...]) -> set[tuple[object, ...]]:
        return {(e.principal, e.kvno, e.enctypes, format_time(e.timestamp) if e.timestamp else None) for e in entries}

    return seen(before) == seen(after)


def _until_due(reason: str, message: str, since: datetime, spec: KerberosIdentitySpec, now: datetime) -> Refusal | None:
    """The refusal of then, once more, until checkInterval has passed."""
    again = since + parse_duration(spec.check_interval)
    if now >= again:
        return None
    known = by_name(reason)
    own_words = message.removesuffix(known.remedy if known else "").partition(_NOTE)[0].rstrip()
    return Refusal(reason, f"{own_words}{_NOTE} it is not tried again before {format_time(again)}.")
