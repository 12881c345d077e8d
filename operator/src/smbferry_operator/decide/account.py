"""What identities of one account must know of each other, so that together they don't lock it. Pure.

Whoever makes an identity can have wrong keys tried, in any namespace. Each learns when keys were refused, and when
one last worked for another; neither which identity that is nor where.
"""

from collections.abc import Iterable
from datetime import datetime

from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import parse_duration
from smbferry_api.identity import MAX_WRONG_KEYS, AccountUse
from smbferry_api.reasons import KEYTAB_STALE
from smbferry_operator.model import Identity


def account_of(principal: str) -> str:
    """The account of a principal: domains tell accounts apart without regard to case."""
    return principal.casefold()


def account_use(identity: Identity, others: Iterable[Identity], now: datetime) -> AccountUse | None:
    """What the others mean for this one's key; None where they mean nothing.

    Args:
        others: the identities of the same account, this one not among them.
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
    """The key version that served another one and was refused since this one's key last worked."""
    refused = other.status.key_use.refused if other.status.key_use else None
    if refused is None or refused.reason != KEYTAB_STALE.name or not _is_recent(other, refused.time, now):
        return None
    worked = _worked_at(identity)
    return None if worked is not None and worked >= refused.time else refused.key_version


def _is_recent(identity: Identity, moment: datetime, now: datetime) -> bool:
    return now - moment < parse_duration(identity.spec.check_interval)


def _worked_at(identity: Identity) -> datetime | None:
    """When its key last worked; None where it does not work, as far as is known."""
    ticket = find(identity.status.conditions, ConditionType.TICKET_ACQUIRED)
    return identity.status.last_key_use_time if ticket is not None and ticket.healthy else None
