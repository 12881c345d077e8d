"""When a location that failed its check is checked again: operator and agent follow the same rule."""

from datetime import timedelta
from typing import Final

SOONEST: Final = timedelta(minutes=1)
LATEST: Final = timedelta(minutes=10)
PART: Final = 10


def recheck_after(failing: timedelta) -> timedelta:
    """The time from a failed check of a location to the next one: a tenth of the time since it failed first, from one
    minute to ten. A server that was switched off for good would otherwise cost a pod a minute.
    """
    return min(max(failing / PART, SOONEST), LATEST)
