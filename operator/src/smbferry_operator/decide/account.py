"""What identities of one account must know of each other, so that together they do not lock it. Pure.

Whoever creates an identity, in any namespace, can cause wrong keys to be tried. Each identity learns when keys of the
account were refused and when one last worked, but not the identity or namespace.
"""

from collections.abc import Iterable
from datetime import datetime

from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import parse_duration
from smbferry_api.identity import MAX_WRONG_KEYS, AccountUse
from smbferry_api.reasons import KEYTAB_STALE
from smbferry_operator.model import Identity


def account_of(principal: str) -> str:
    """The account of a principal, case-folded: account names in a domain are case-insensitive."""
    return principal.casefold()


def account_use(identity: Identity, others: Iterable[Identity], now: datetime) -> AccountUse | None:
    """What other identities of the account mean for this identity's key, None if nothing.

    Args:
        others: the other identities of the same account.
    """
    others = tuple(others)
    wrong = sorted(moment for other in others for moment in _wrong(other, now))[-MAX_WRONG_KEYS:]
    stale = max((version for other in others if (version := _stale(other, identity, now)) is not None), default=None)
    worked = max(filter(None, map(_worked_at, others)), default=None)
    if not wrong and stale is None and worked is None:
        return None
    return AccountUse(wrong=tuple(wrong), stale_key_version=stale, worked_time=worked)


def _wrong(identity: Identity, now: datetime) -> Iterable[datetime]:
    use = identity.status.key_use
    return (moment for moment in (use.wrong if use else ()) if _is_recent(identity, moment, now))


def _stale(other: Identity, identity: Identity, now: datetime) -> int | None:
    """The key version that worked for another identity and was refused since this identity's key last worked."""
    refused = other.status.key_use.refused if other.status.key_use else None
    if refused is None or refused.reason != KEYTAB_STALE.name or not _is_recent(other, refused.time, now):
        return None
    worked = _worked_at(identity)
    return None if worked is not None and worked >= refused.time else refused.key_version


def _is_recent(identity: Identity, moment: datetime, now: datetime) -> bool:
    return now - moment < parse_duration(identity.spec.check_interval)


def _worked_at(identity: Identity) -> datetime | None:
    """When its key last worked, None if its last check got no ticket."""
    ticket = find(identity.status.conditions, ConditionType.TICKET_ACQUIRED)
    return identity.status.last_key_use_time if ticket is not None and ticket.healthy else None
