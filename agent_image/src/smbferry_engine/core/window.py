"""Limits the calls that are in flight on one session, where a run gives way to others (ADR 45). It does no IO."""

from math import ceil
from typing import TYPE_CHECKING, Final

from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.wire.header import Command

if TYPE_CHECKING:
    from smbferry_engine.core.calls import Call

LONGEST_REST: Final = 2.0


class CallWindow:
    """At most ``limit`` calls in flight, on average: 1.5 is two calls, each followed by a rest.

    After each reply its place rests for a part of the time that the reply took, at most :data:`LONGEST_REST` seconds.
    ECHO and SESSION_SETUP keep a session alive, and neither wait nor count.
    """

    def __init__(self, scheduler: Scheduler, limit: float) -> None:
        self._scheduler = scheduler
        self._sent: dict[Call, float] = {}
        self._resting = 0
        self._peak = 0
        self.set_limit(limit)

    def set_limit(self, limit: float) -> None:
        """Change the limit, which is above 0; calls that are in flight already stay so."""
        self._places = ceil(limit)
        self._rest = self._places / limit - 1

    @property
    def in_flight(self) -> int:
        """The number of calls that have been sent and not answered."""
        return len(self._sent)

    def peak(self) -> int:
        """Return the most calls that were in flight since this was last called."""
        peak, self._peak = self._peak, len(self._sent)
        return peak

    def admits(self, call: "Call") -> bool:
        """Return whether the call may be sent now."""
        return len(self._sent) + self._resting < self._places or call.requests[0].command == Command.ECHO

    def sent(self, call: "Call") -> None:
        """Record that the call was sent; a call may be sent a second time after :meth:`put_back`."""
        if call.requests[0].command == Command.ECHO:
            return
        self._sent[call] = self._scheduler.now
        self._peak = max(self._peak, len(self._sent))
        call.when_done(lambda: self._answered(call))

    def put_back(self, call: "Call") -> None:
        """Record that the call waits to be sent again."""
        self._sent.pop(call, None)

    def _answered(self, call: "Call") -> None:
        sent = self._sent.pop(call, None)
        if sent is None or not self._rest:
            return
        self._resting += 1
        # While replies are delivered, the scheduler's time is that of before they were waited for.
        self._scheduler.sleep(0).when_done(lambda: self._begin_rest(self._scheduler.now - sent))

    def _begin_rest(self, took: float) -> None:
        self._scheduler.sleep(min(LONGEST_REST, took * self._rest)).when_done(self._rested)

    def _rested(self) -> None:
        self._resting -= 1
