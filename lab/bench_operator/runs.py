"""The runs of the bench as a watch shows them: who stands in line since when, and who has ended."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from lab.bench_operator.judges import Waiter
from lab.bench_operator.scene import KEPT, priority_of
from lab.support.cluster.api import OWN, WATCH_SECONDS
from lab.support.cluster.kube import ended

if TYPE_CHECKING:
    from types import TracebackType

    from lab.support.cluster.api import Api, Object

SMB_PORT = 445


class Runs:
    """A context manager. Runs that had ended before the bench are not among them."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._path = f"{OWN}/namespaces/{namespace}/transferruns"
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._error: Exception | None = None
        self._known: dict[str, Object] = {}
        self._waiters: dict[str, Waiter] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(2 * WATCH_SECONDS)
        if self._error is not None and error is None:
            raise self._error

    def _watch(self) -> None:
        try:
            for type_, run in self._api.watch(self._path, f"{KEPT}!=true", self._left.is_set):
                self.note(type_, run, time.monotonic())
        except Exception as error:  # noqa: BLE001 - it is raised where the context is left
            self._error = error

    def note(self, type_: str, run: Object, now: float) -> None:
        """Takes in an event."""
        name = run["metadata"]["name"]
        if type_ == "DELETED":
            self._known.pop(name, None)
            return
        self._known[name] = run
        if waits_for_a_limit(run) and name not in self._waiters:
            self._waiters[name] = _waiter(run, now)

    def of(self, prefix: str) -> list[Object]:
        """The runs of the tasks with such names."""
        return [run for run in list(self._known.values()) if run["spec"]["taskRef"]["name"].startswith(prefix)]

    def are_over(self, prefix: str, count: int) -> bool:
        """Whether so many runs of these tasks exist, and all have ended."""
        runs = self.of(prefix)
        return len(runs) >= count and all(map(ended, runs))

    @property
    def queued(self) -> int:
        """How many wait for a limit now."""
        return sum(map(waits_for_a_limit, list(self._known.values())))

    @property
    def waiters(self) -> list[Waiter]:
        """Whoever has stood in line."""
        return list(self._waiters.values())


def waits_for_a_limit(run: Object) -> bool:
    """Whether it stands in line."""
    return bool(run.get("status", {}).get("queue"))


def _waiter(run: Object, now: float) -> Waiter:
    meta, server = run["metadata"], str(run["status"]["queue"]["waitingFor"]).rpartition(" ")[2]
    turn = (-priority_of(run["spec"]["taskRef"]["name"]), str(meta["creationTimestamp"]), str(meta["uid"]))
    return Waiter(meta["name"], f"{server}:{SMB_PORT}", turn, now)
