"""When a status is written. Pure: the clock is an argument (monotonic seconds)."""

from dataclasses import dataclass
from typing import Final

INTERVAL: Final = 3.0
_FIRST_BACKOFF: Final = 3.0
_MAX_BACKOFF: Final = 60.0


@dataclass(slots=True)
class Throttle:
    """At most every ``interval`` seconds, urgent changes at once, after a failure later and later."""

    interval: float = INTERVAL
    _next: float = 0.0
    _blocked_until: float = 0.0
    _backoff: float = _FIRST_BACKOFF

    def wait(self, now: float, *, urgent: bool) -> float:
        """Seconds until a change may be written; 0 when now."""
        return max(0.0, self._blocked_until - now, 0.0 if urgent else self._next - now)

    def written(self, now: float) -> None:
        """A write succeeded."""
        self._next = now + self.interval
        self._blocked_until = 0.0
        self._backoff = _FIRST_BACKOFF

    def failed(self, now: float) -> None:
        """A write failed: even urgent changes wait, so that a server that comes back is not met by a crowd."""
        self._blocked_until = now + self._backoff
        self._backoff = min(self._backoff * 2, _MAX_BACKOFF)
