"""How a run gives way to others, in the form of the status. Pure."""

from collections.abc import Iterable
from typing import Final

from smbferry_agent.report import words
from smbferry_api.politeness import PolitenessStatus
from smbferry_engine import PolitenessFact

_WHOLE: Final = 100


def politeness_status(fact: PolitenessFact) -> PolitenessStatus:
    """What the engine has measured, as the status shows it."""
    factor = None if not fact.idle or fact.current is None else fact.current / fact.idle
    return PolitenessStatus(
        latency_factor=f"{fact.latency_factor:g}",
        side=fact.side,
        idle=None if fact.idle is None else milliseconds(fact.idle),
        current=None if fact.current is None else milliseconds(fact.current),
        factor=None if factor is None else f"{factor:.2f}",
        share_percent=max(1, min(_WHOLE, int(fact.share * _WHOLE))),
        slowed=words.duration(fact.slowed),
        message=_message(fact),
    )


def slowest(statuses: Iterable[PolitenessStatus | None]) -> PolitenessStatus | None:
    """That of the agent that gives way the most; None if none is measured."""
    return min((it for it in statuses if it is not None), key=lambda it: it.share_percent, default=None)


def milliseconds(seconds: float) -> str:
    """As Go writes it, with three digits at most: 1.3ms, 120ms."""
    value = seconds * 1000
    return f"{value:.0f}ms" if value >= _WHOLE else f"{value:.1f}ms"


def _message(fact: PolitenessFact) -> str:
    if fact.unmeasured:
        return (
            f"The replies of the {' and the '.join(fact.unmeasured)} cannot be measured. Until they can be, the run "
            "sends one request at a time."
        )
    if fact.share < 1:
        return "Others get slower replies than without the run, so it sends fewer requests at once."
    return "Others get replies about as fast as without the run."
