"""Tasks whose windows close while they run: no agent of them may work a minute later."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.nemesis.faults import LEASE
from lab.nemesis.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.record import Record
    from lab.support.cluster.api import Object

LOOK_SECONDS = 1.0
CLOSED_SECONDS = 80.0
"""How long windows stay closed: longer than an agent may go on."""
ENOUGH = 60.0
"""Seconds within which an edited window applies."""
SLOW, STALE = 5.0, 20.0
"""A look that took longer than this, or a lease that is older: then nobody could have told the agent."""
ALWAYS: dict[str, Any] = {"from": "00:00", "to": "24:00"}


def closed_now(now: datetime) -> dict[str, Any]:
    """A window that opens in about six hours."""
    begin = now + timedelta(hours=6)
    return {"from": f"{begin:%H}:00", "to": f"{begin:%H}:59"}


class Closings:
    """The tasks whose windows are closed now, and for how long somebody could have told their agents. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}
        self.count = 0
        """How often windows were closed."""

    @contextmanager
    def closed(self, task: str) -> Iterator[None]:
        """The windows of the task are closed in this context."""
        with self._lock:
            self._seconds[task] = 0.0
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                del self._seconds[task]

    def passed(self, seconds: float, at_work: Iterable[str]) -> list[str]:
        """So much more time has passed in which agents could be told; returns the tasks that work for too long.

        Args:
            at_work: tasks with an agent at work at the end of this time.
        """
        busy = set(at_work)
        with self._lock:
            for task in self._seconds:
                self._seconds[task] += seconds
            return sorted(task for task, closed in self._seconds.items() if closed > ENOUGH and task in busy)


class Doorkeeper(Lookout):
    """Looks at who works though its windows are closed."""

    def __init__(self, cluster: Cluster, closings: Closings, record: Record) -> None:
        super().__init__("windows", LOOK_SECONDS, record)
        self._cluster = cluster
        self._closings = closings
        self._before = time.monotonic()

    def _look(self) -> Iterator[str]:
        at_work = {str(pod["metadata"]["labels"]["smbferry.io/task"]) for pod in self._cluster.transfers()}
        lease = self._cluster.request("GET", LEASE)
        now = time.monotonic()
        passed, self._before = now - self._before, now
        if passed > LOOK_SECONDS + SLOW or not is_fresh(lease, datetime.now(UTC)):
            passed = 0.0
        for task in self._closings.passed(passed, at_work):
            yield f"an agent of {task} works though its windows have been closed for more than {ENOUGH:.0f} s"


def is_fresh(lease: Object, now: datetime) -> bool:
    """Whether an operator holds the lease and has renewed it lately."""
    renewed, holder = lease["spec"].get("renewTime"), lease["spec"].get("holderIdentity")
    return bool(holder and renewed) and (now - datetime.fromisoformat(str(renewed))).total_seconds() < STALE
