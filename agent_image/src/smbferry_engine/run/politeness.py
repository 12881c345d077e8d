"""Gives way to others: measures how long the servers take to reply, and limits what the run has in flight (ADR 45)."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol, TypeVar

from smbferry_engine.core.session import Session
from smbferry_engine.core.window import CallWindow
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Counters, Endpoint, Politeness, SideName
from smbferry_engine.plan.concurrency import MOST, ConcurrencyController
from smbferry_engine.runtime.group import run_all
from smbferry_engine.runtime.tasks import Scheduler, Signal, Task
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.reply_probe import ReplyProbe
from smbferry_words.failure_class import FailureClass

T = TypeVar("T")
_log = logging.getLogger(__name__)

INTERVAL: Final = 0.025
"""Seconds between two requests to one server."""
_LONGEST_INTERVAL: Final = 0.2
IDLE_SAMPLES: Final = 80
IDLE_SECONDS: Final = 4.0
_FEWEST_IDLE_SAMPLES: Final = 10
_WARM_UP: Final = 5
_DECIDES_EVERY: Final = 0.25
_PAUSES: Final = (1.0, 5.0, 15.0, 30.0)


class Probe(Protocol):
    """Asks one server for something small, beside the run."""

    @property
    def waits(self) -> float:
        """For how many seconds a reply has been outstanding, 0 if none is."""
        ...

    async def ask(self) -> float | None:
        """Return how many seconds the server took to reply, None if that is unknown; :class:`EngineError` if it did
        not reply.
        """
        ...

    def close(self) -> None:
        """Close the connection."""


class Courtesy:
    """Keeps the replies of both servers about as fast for others as they are without the run.

    While a server cannot be measured, one request is in flight. A probe fails the run only where its server violates
    the policy, for example by an unencrypted reply.

    ``sessions()`` returns the run's sessions as they are now.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        politeness: Politeness,
        probes: Mapping[SideName, Probe],
        sessions: Callable[[], list[Session]],
        counters: Counters,
    ) -> None:
        self._scheduler = scheduler
        self._probes = probes
        self._sessions = sessions
        self._counters = counters
        self._interval = min(_LONGEST_INTERVAL, INTERVAL * politeness.agents)
        now = scheduler.now
        self.controller = ConcurrencyController(
            politeness.latency_factor, tuple(probes), interval=self._interval, now=now
        )
        self._windows = [CallWindow(scheduler, MOST) for _ in sessions()]

    async def around(self, work: Coroutine[Any, None, T]) -> T:
        """Measure the idle servers, then do ``work`` and give way meanwhile; returns its result."""
        scheduler = self._scheduler
        tasks: list[Task[Any]] = []
        try:
            await run_all(scheduler, [self._learn(side, probe) for side, probe in self._probes.items()])
            self.controller.begin(scheduler.now)
            self._tell()
            for session, window in zip(self._sessions(), self._windows, strict=True):
                session.window = window
            outcome: Signal[T] = Signal()
            main = scheduler.spawn(work)
            main.when_done(lambda: _pass_on(main, outcome))
            tasks = [main, *(scheduler.spawn(self._ask_on(side, probe)) for side, probe in self._probes.items())]
            tasks.append(scheduler.spawn(self._decide_on()))
            for task in tasks[1:]:
                task.when_done(lambda task=task: _pass_on(task, outcome))  # type: ignore[misc]  # binds this turn's task
            return await outcome
        finally:
            work.close()
            for task in tasks:
                task.close()
            self._end()

    def _end(self) -> None:
        """Lift all limits and close the probes' connections."""
        for session in self._sessions():
            session.window = None
        for probe in self._probes.values():
            probe.close()

    async def _learn(self, side: SideName, probe: Probe) -> None:
        """Measure a server to which the run has sent nothing yet."""
        times: list[float] = []
        try:
            for _ in range(_WARM_UP):
                await probe.ask()
            until = self._scheduler.now + IDLE_SECONDS
            while len(times) < IDLE_SAMPLES and self._scheduler.now < until:
                seconds = await self._paced(probe)
                if seconds is not None:
                    times.append(seconds)
        except EngineError as error:
            _note(side, error)
        if len(times) >= _FEWEST_IDLE_SAMPLES:
            self.controller.learn(side, times, self._scheduler.now)

    async def _paced(self, probe: Probe) -> float | None:
        """Ask once, and return at the earliest when the interval is over."""
        over = self._scheduler.sleep(self._interval)
        seconds = await probe.ask()
        await over
        return seconds

    async def _ask_on(self, side: SideName, probe: Probe) -> None:
        failures = 0
        while True:
            try:
                seconds = await self._paced(probe)
            except EngineError as error:
                _note(side, error)
                await self._scheduler.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
                continue
            failures = 0
            if seconds is not None:
                self.controller.add(side, seconds, self._scheduler.now)

    async def _decide_on(self) -> None:
        peak = 0
        while True:
            await self._scheduler.sleep(_DECIDES_EVERY)
            peak = max(peak, *(window.peak() for window in self._windows))
            waits = {side: probe.waits for side, probe in self._probes.items()}
            if self.controller.decide(self._scheduler.now, peak, waits):
                peak = 0
                for window in self._windows:
                    window.set_limit(self.controller.limit)
                self._tell()

    def _tell(self) -> None:
        fact = self._counters.politeness = self.controller.fact(self._scheduler.now)
        _log.debug("in flight at most %.2f: %s", self.controller.limit, fact)


def _note(side: SideName, error: EngineError) -> None:
    """Log why a server could not be measured; raises the error if it is a violation of the policy."""
    if error.failure_class is FailureClass.POLICY:
        raise error
    _log.warning("could not measure the %s's replies: %s", side, error)


def _pass_on(task: Task[T], outcome: Signal[T]) -> None:
    if task.error is not None:
        outcome.fail(task.error)
    else:
        outcome.resolve(task.result())


def politely(
    driver: Driver,
    politeness: Politeness | None,
    ends: Mapping[SideName, Endpoint],
    counters: Counters,
    work: Coroutine[Any, None, T],
) -> Coroutine[Any, None, T]:
    """Return ``work`` as it is, or giving way to others as asked; both sides on one server are measured once."""
    if politeness is None:
        return work
    probes: dict[SideName, Probe] = {}
    servers = set()
    for side, end in ends.items():
        if end.server_key not in servers:
            probes[side] = ReplyProbe(driver.scheduler, end, driver.beside)
        servers.add(end.server_key)
    courtesy = Courtesy(
        driver.scheduler, politeness, probes, lambda: [channel.session for channel in driver.channels], counters
    )
    return courtesy.around(work)
