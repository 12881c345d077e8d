"""When a status is written. Pure: the time is an argument, in monotonic seconds."""

from dataclasses import dataclass
from typing import Final

INTERVAL: Final = 3.0
_FIRST_BACKOFF: Final = 3.0
_MAX_BACKOFF: Final = 60.0


@dataclass(slots=True)
class Throttle:
    """At most one write per `interval` seconds; urgent changes at once; backoff after failures."""

    interval: float = INTERVAL
    _next: float = 0.0
    _blocked_until: float = 0.0
    _backoff: float = _FIRST_BACKOFF

    def wait(self, now: float, *, urgent: bool) -> float:
        """Seconds until a change may be written, 0 if now."""
        return max(0.0, self._blocked_until - now, 0.0 if urgent else self._next - now)

    def written(self, now: float) -> None:
        """A write succeeded."""
        self._next = now + self.interval
        self._blocked_until = 0.0
        self._backoff = _FIRST_BACKOFF

    def failed(self, now: float) -> None:
        """A write failed. Urgent changes wait, too, so that a recovering API server is not overloaded."""
        self._blocked_until = now + self._backoff
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF)
