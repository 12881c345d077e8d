"""One task under the faults: it is changed, started and cancelled again and again, and every end is looked at."""

from __future__ import annotations

import abc
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.nemesis.windows import ALWAYS, CLOSED_SECONDS, closed_now
from lab.support.cluster.kube import ended

from smbferry_api.names import ANNOTATION_TRIGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.record import Record
    from lab.nemesis.windows import Closings
    from lab.support.cluster.api import Object
    from lab.support.domain.machine import Directory

START_SECONDS, END_SECONDS = 120.0, 720.0
"""How long a run may take to be made, and to end: seven attempts with Kubernetes' pauses between them."""
TEMPORARY = ".smbferry"
KEEP_ALL = {"succeeded": 100, "failed": 100}


class Player(abc.ABC):
    """Plays with the task of this name. `may_edit`: nobody else has a part in its source."""

    def __init__(
        self,
        name: str,
        seed: int,
        cluster: Cluster,
        record: Record,
        *,
        destination: Directory,
        may_edit: bool = True,
        closings: Closings | None = None,
    ) -> None:
        """Creates a player that has not begun.

        Args:
            closings: where it tells that the windows of its task are closed; None if it has none.
        """
        self.name = name
        self._chance = random.Random(f"{seed}:{name}")
        self._cluster = cluster
        self._record = record
        self._destination = destination
        self._may_edit = may_edit
        self._closings = closings
        self._round = 0

    @abc.abstractmethod
    def prepare(self) -> None:
        """The folders and the first version of the source."""

    @abc.abstractmethod
    def _edit(self) -> list[str]:
        """Another version of some files; each is there from one moment to the next. Says of which."""

    @abc.abstractmethod
    def _task(self, trigger: str) -> Object:
        """The task that makes a run of this trigger."""

    @abc.abstractmethod
    def _judge(self, run: Object, edited: Sequence[str]) -> None:
        """What must hold of both sides; `edited` was changed while it ran: it may be there as it was, or as it is."""

    def play(self, over: Callable[[], bool]) -> None:
        """Rounds until it is over."""
        disturbances = ["none", "none", "none", "cancel", "edit"]
        if self._closings is not None:
            self._play_round("close")
            disturbances += ["close"] * 5
        while not over():
            self._play_round(self._chance.choice(disturbances))

    def settle(self) -> None:
        """A last run in peace: it must succeed, and leave nothing but what is at the source."""
        name = self._start("last")
        if name is None or not self._end(name, "last"):
            return
        if left := [path for path in self._destination.tree() if TEMPORARY in path]:
            self._record.violated("I1", f"{self.name}: temporaries are left: {left}")

    def _play_round(self, disturbance: str) -> None:
        """One run from its trigger to its end, and what must hold then."""
        self._round += 1
        if self._round > 1 and self._may_edit:
            self._edit()
        name = self._start(f"round-{self._round}")
        if name is None:
            return
        pause = self._chance.uniform(1, 8)
        edited: list[str] = []
        if disturbance == "cancel":
            time.sleep(pause)
            self._cluster.patch("transferruns", name, {"spec": {"cancel": True}})
        elif disturbance == "edit" and self._may_edit:
            time.sleep(pause)
            edited = self._edit()
        elif disturbance == "close" and self._closings is not None:
            time.sleep(pause)
            self._close(self._closings)
        self._end(name, disturbance, edited)

    def _close(self, closings: Closings) -> None:
        """The windows of the task are closed for a while."""
        self._cluster.patch("transfertasks", self.name, {"spec": {"windows": [closed_now(datetime.now(UTC))]}})
        with closings.closed(self.name):
            time.sleep(CLOSED_SECONDS)
        self._cluster.patch("transfertasks", self.name, {"spec": {"windows": [ALWAYS]}})

    def _start(self, trigger: str) -> str | None:
        self._cluster.apply("transfertasks", self._task(trigger))
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if runs := self._of(trigger):
                return str(runs[0]["metadata"]["name"])
            time.sleep(1)
        self._record.violated("I4", f"{self.name}: no run for trigger {trigger} within {START_SECONDS:.0f} s")
        return None

    def _of(self, trigger: str) -> list[Object]:
        runs = self._cluster.list("transferruns", f"smbferry.io/task={self.name}")
        return [run for run in runs if run["metadata"].get("annotations", {}).get(ANNOTATION_TRIGGER) == trigger]

    def _end(self, name: str, disturbance: str, edited: Sequence[str] = ()) -> bool:
        """Waits for the end of a run and judges it; whether there was one in time."""
        until = time.monotonic() + END_SECONDS
        run: Object = {}
        while time.monotonic() < until:
            run = self._cluster.request("GET", f"{self._cluster.path('transferruns')}/{name}")
            if ended(run):
                self._judge_status(name, run["status"], disturbance, edited)
                self._judge(run, edited)
                return True
            time.sleep(1)
        self._record.violated("I4", f"{name} has not ended within {END_SECONDS:.0f} s: {run.get('status')}")
        return False

    def _judge_status(self, name: str, status: dict[str, Any], disturbance: str, edited: Sequence[str]) -> None:
        self._record.runs.append(_noted(self.name, name, status, disturbance, edited))
        if status["state"] == "Failed":
            failure = status.get("failure") or {}
            if not failure.get("reason") or not failure.get("remedy"):
                self._record.violated("I4", f"{name} failed without a reason and a remedy: {failure}")
        if status["state"] == "Cancelled" and disturbance != "cancel":
            self._record.violated("I4", f"{name} was cancelled by nobody")
        if status["state"] != "Succeeded" and disturbance == "last":
            self._record.violated("I2", f"{name}: in peace it ended {status['state']}: {status}")


def _noted(task: str, name: str, status: dict[str, Any], disturbance: str, edited: Sequence[str]) -> dict[str, Any]:
    counters = status.get("counters") or {}
    return {
        "task": task,
        "run": name,
        "state": status["state"],
        "disturbance": disturbance,
        "edited": list(edited),
        "attempts": status.get("attempts", 0),
        "duration": status.get("duration", ""),
        "bytes": counters.get("bytes", {}),
        "failure": (status.get("failure") or {}).get("reason", ""),
    }
