"""Runs coroutines and their channels in one thread with one poll."""

import select
import time
from collections.abc import Callable, Coroutine
from typing import Any

from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.errors import EngineError
from smbferry_engine.runtime.tasks import Scheduler
from smbferry_engine.session.channel import Channel, T
from smbferry_engine.wire.errors import WireError
from smbferry_words.reasons import DEADLINE_EXCEEDED, INTERNAL_ERROR, PROTOCOL_VIOLATION

TICK = 0.25


class Driver:
    """Runs coroutines against channels until the main one ends. ``clock`` is monotonic seconds.

    ``beside`` are further channels, which come and go.
    """

    def __init__(self, channels: list[Channel], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.channels = channels
        self.beside: list[Channel] = []
        self.scheduler = Scheduler()
        self._clock = clock
        self.scheduler.advance(clock())

    def run(self, main: Coroutine[Any, None, T], tick: Callable[[float], None] | None = None) -> T:
        """Run ``main`` to its end; ``tick(now)`` is called a few times a second and may raise to stop everything."""
        task = self.scheduler.spawn(main)
        poller = _Poller()
        try:
            next_tick = self._clock()
            while True:
                self.scheduler.run_ready()
                if task.done:
                    return task.result()
                for channel in self._all():
                    channel.send()
                now = self._clock()
                if now >= next_tick:
                    next_tick = now + TICK
                    self._tick(now, tick)
                self._wait(poller, now, next_tick)
                self.scheduler.advance(self._clock())
        except (ProtocolError, WireError) as error:
            # A codec failed in a coroutine that was decoding a reply.
            raise EngineError(PROTOCOL_VIOLATION, str(error)) from error
        finally:
            self.scheduler.close_all()

    def run_within(self, main: Coroutine[Any, None, T], seconds: float, late: EngineError | None = None) -> T:
        """Run ``main`` to its end, for at most so many seconds.

        Raises:
            EngineError: it took longer: ``late``, or DeadlineExceeded.
        """
        until = self._clock() + seconds
        error = late or EngineError(DEADLINE_EXCEEDED, f"expected answers within {seconds:.0f} s, got none in time")

        def tick(now: float) -> None:
            if now > until:
                raise error

        return self.run(main, tick)

    def _all(self) -> list[Channel]:
        return [*self.beside, *self.channels] if self.beside else self.channels

    def _tick(self, now: float, tick: Callable[[float], None] | None) -> None:
        for channel in self._all():
            # Even a few bytes show that the server is alive.
            channel.receive(now)
            channel.check_deadline(now)
            channel.keep_session()
        if tick is not None:
            tick(now)

    def _wait(self, poller: "_Poller", now: float, next_tick: float) -> None:
        """Poll until something can go on, then receive."""
        timer = self.scheduler.next_timer()
        if self.scheduler.idle and timer is None and not any(channel.session.busy for channel in self._all()):
            raise EngineError(INTERNAL_ERROR, "every task waits and nothing is under way")
        until = 0.0 if not self.scheduler.idle else min(next_tick, timer if timer is not None else next_tick) - now
        for channel in poller.readable(self._all(), max(0.0, until)):
            channel.receive(self._clock())


class _Poller:
    """poll(2) over channels that may be replaced; only changes are registered."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._told: dict[int, int] = {}

    def readable(self, channels: list[Channel], seconds: float) -> list[Channel]:
        """Wait until a channel can go on; returns those that have something to receive, or an error."""
        by_descriptor = {channel.socket.fileno(): channel for channel in channels}
        by_descriptor.pop(-1, None)
        for gone in self._told.keys() - by_descriptor.keys():
            self._poll.unregister(gone)
            del self._told[gone]
        for descriptor, channel in by_descriptor.items():
            events = select.POLLIN if channel.session.writer.idle else select.POLLIN | select.POLLOUT
            if self._told.get(descriptor) != events:
                self._told[descriptor] = events
                self._poll.register(descriptor, events)
        ready = self._poll.poll(seconds * 1000)
        return [by_descriptor[descriptor] for descriptor, events in ready if events & ~select.POLLOUT]
