"""When a KDC may be asked again with a key that it refused. Pure.

A failing identity is looked at every minute, but each wrong key counts towards the domain's lockout policy. So a
refused key is tried again only when the keytab or the spec changed, or when checkInterval has passed. Asking without
a key is harmless, and goes on: an account that was unknown or disabled is seen as soon as it is mended.

Checks of locations and runs follow the same rules by the status of their identity. A keytab that worked before costs
one wrong key, since older keys in it can't have become right: so a run that is refused and the check of its identity
that follows spend two together, and then the key rests for all. Agents try a key in turn (see key_turn), so that no
other one is at it before the first that was refused has told so.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from smbferry_agent.kerberos.keytab import Keytab
from smbferry_agent.preflight.findings import Finding
from smbferry_agent.preflight.identity_facts import Refusal
from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import format_time, parse_duration
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus, KeyRefusal, KeytabEntry
from smbferry_api.reasons import KEY_REFUSED, KEYTAB_AHEAD, KEYTAB_STALE, by_name

_NOTE: Final = " The keytab is still the same, so"


def kept_refusal(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    previous: KerberosIdentityStatus | None,
    now: datetime,
) -> Refusal | None:
    """The earlier verdict, where the key must not be tried again yet."""
    if told := _told_by_another(spec, generation, keytab, previous, now):
        return told
    verdict = find(previous.conditions, ConditionType.KVNO_MISMATCH) if previous else None
    if previous is None or verdict is None or verdict.reason not in KEY_REFUSED or not previous.last_key_use_time:
        return None
    again = previous.last_key_use_time + parse_duration(spec.check_interval)
    entries = previous.keytab.entries if previous.keytab else ()
    changed = verdict.observed_generation != generation or not same_entries(entries, keytab.entries())
    if changed or now >= again:
        return None
    return Refusal(
        verdict.reason,
        f"{_base(verdict.message, verdict.reason)}{_NOTE} it is not tried again before {format_time(again)}.",
    )


def _told_by_another(
    spec: KerberosIdentitySpec,
    generation: int,
    keytab: Keytab,
    previous: KerberosIdentityStatus | None,
    now: datetime,
) -> Refusal | None:
    """What another agent was refused by the same keytab, before any check has said so."""
    told = previous.key_use.refused if previous and previous.key_use else None
    if told is None or (told.fingerprint, told.generation) != (keytab.fingerprint, generation):
        return None
    again = told.time + parse_duration(spec.check_interval)
    return None if now >= again else Refusal(told.reason, told.message)


def refusal_of(
    findings: Iterable[Finding], fingerprint: str | None, generation: int, now: datetime
) -> KeyRefusal | None:
    """What other agents are to know of a key that was just tried; None where it was not refused, or not tried.

    Args:
        fingerprint: of the keytab that was tried.
    """
    refused = [f for f in findings if f.type is ConditionType.KVNO_MISMATCH and f.reason.name in KEY_REFUSED]
    if fingerprint is None or not refused:
        return None
    reason, message = refused[0].reason.name, refused[0].message
    return KeyRefusal(fingerprint=fingerprint, generation=generation, time=now, reason=reason, message=message)


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


def _base(message: str, reason: str) -> str:
    """The verdict's own words, without the remedy and the note of an earlier check."""
    known = by_name(reason)
    return message.removesuffix(known.remedy if known else "").partition(_NOTE)[0].rstrip()
