"""What agents would write, as their pods are only played: the verdict of a check, the phases and counters of a run."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from lab.bench_operator.scene import AGENT, checked
from lab.support.cluster.api import OWN, WATCH_SECONDS, Api, Object
from lab.support.verdicts import IDENTITY_IS_WELL, LOCATION_IS_WELL

from smbferry_api.agent_contract import LOCATION_OPTION, ONLY_LOCATIONS_OPTION

if TYPE_CHECKING:
    from types import TracebackType

COMPONENT = "app.kubernetes.io/component"
OWNER = "smbferry.io/owner-name"
TRANSFER = "transfer"
COUNTERS = {
    "files": {"listed": 10, "toTransfer": 10, "transferred": 10},
    "bytes": {"toTransfer": 10, "transferred": 10},
}


class Agents:
    """A context manager: answers each Job as soon as it can. `seen` has when a run's Job came, by task.

    Who watches does not write: a Job that comes while another is answered would seem to come later.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._left = threading.Event()
        self._unanswered: SimpleQueue[Object | None] = SimpleQueue()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._answering = threading.Thread(target=self._answer_all, daemon=True)
        self.seen: dict[str, float] = {}
        self.checks = 0

    def __enter__(self) -> Self:
        self._watching.start()
        self._answering.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._watching.join(2 * WATCH_SECONDS)
        self._unanswered.put(None)
        self._answering.join(15)

    def _watch(self) -> None:
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        for type_, job in self._api.watch(path, COMPONENT, self._left.is_set):
            if type_ == "ADDED":
                labels = job["metadata"]["labels"]
                if labels[COMPONENT] == TRANSFER:
                    self.seen.setdefault(labels["smbferry.io/task"], time.monotonic())
                self._unanswered.put(job)

    def _answer_all(self) -> None:
        while (job := self._unanswered.get()) is not None:
            self._answer(job)

    def _answer(self, job: Object) -> None:
        labels, owner = job["metadata"]["labels"], job["metadata"]["annotations"][OWNER]
        if labels[COMPONENT] == TRANSFER:
            self._apply("TransferRun", "transferruns", owner, {"counters": COUNTERS, "phases": _PHASES})
            return
        self.checks += 1
        (container,) = job["spec"]["template"]["spec"]["containers"]
        if ONLY_LOCATIONS_OPTION not in container["args"]:
            self._apply("KerberosIdentity", "kerberosidentities", owner, checked(IDENTITY_IS_WELL))
        for argument in container["args"]:
            if argument.startswith(f"{LOCATION_OPTION}="):
                status = checked(LOCATION_IS_WELL, identityGeneration=1)
                self._apply("SmbLocation", "smblocations", argument.split("=")[1], status)

    def _apply(self, kind: str, plural: str, name: str, status: Object) -> None:
        self._api.apply_status(f"{OWN}/namespaces/{self._namespace}/{plural}/{name}", kind, status, AGENT)


_PHASES = {name: {"state": "Succeeded"} for name in ("preflight", "prepare", "transfer", "verify")}
