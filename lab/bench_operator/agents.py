"""What agents would write, as their pods are only played: the verdicts of a check, the phases and counters of a run."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from lab.bench_operator.judges import Change
from lab.bench_operator.scene import AGENT, checked
from lab.support.cluster.api import OWN, WATCH_SECONDS, Api, Object
from lab.support.cluster.pods import server_of
from lab.support.verdicts import IDENTITY_IS_WELL, LOCATION_IS_WELL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

COMPONENT = "app.kubernetes.io/component"
OWNER = "smbferry.io/owner-name"
TRANSFER = "transfer"
LOCATION_OPTION, ONLY_LOCATIONS = "--location=", "--only-locations"
ANSWERING = 4
COUNTERS = {
    "files": {"listed": 10, "toTransfer": 10, "transferred": 10},
    "bytes": {"toTransfer": 10, "transferred": 10},
}
IDENTITY, LOCATION = "KerberosIdentity", "SmbLocation"
_PLURALS = {IDENTITY: "kerberosidentities", LOCATION: "smblocations"}
_VERDICTS = {IDENTITY: IDENTITY_IS_WELL, LOCATION: LOCATION_IS_WELL}


@dataclass(frozen=True)
class Subject:
    """An object that a check's Job checks."""

    kind: str
    name: str


def subjects(job: Object) -> Iterator[Subject]:
    """What a check's Job checks: one object, or an identity and locations of it that its arguments name."""
    metadata, (container,) = job["metadata"], job["spec"]["template"]["spec"]["containers"]
    arguments = container.get("args") or ()
    if metadata["labels"][COMPONENT] == "check-location":
        yield Subject(LOCATION, metadata["annotations"][OWNER])
        return
    if ONLY_LOCATIONS not in arguments:
        yield Subject(IDENTITY, metadata["annotations"][OWNER])
    for argument in arguments:
        if argument.startswith(LOCATION_OPTION):
            yield Subject(LOCATION, argument.removeprefix(LOCATION_OPTION).partition("=")[0])


def is_over(job: Object) -> bool:
    """Whether the Job has ended."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(c["type"] in {"Complete", "Failed"} and c["status"] == "True" for c in conditions)


class Agents:
    """A context manager: answers each Job as soon as it can, and notes when each came and ended.

    Who watches does not write: a Job that comes while another is answered would seem to come later.
    """

    def __init__(self, api: Api, namespace: str, check_seconds: float = 3600.0) -> None:
        """Creates agents that have not started.

        Args:
            check_seconds: after how long a location or an identity is to be checked again.
        """
        self._api = api
        self._namespace = namespace
        self._check_seconds = check_seconds
        self._left = threading.Event()
        self._unanswered: SimpleQueue[Object | None] = SimpleQueue()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._answering = [threading.Thread(target=self._answer_all, daemon=True) for _ in range(ANSWERING)]
        self.seen: dict[str, float] = {}
        """When a run's first Job came, by task."""
        self.changes: list[Change] = []
        """Of all Jobs of runs."""
        self.check_jobs: list[float] = []
        """When each Job of a check came."""
        self.checks: dict[str, list[float]] = {}
        """When each location was checked."""
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        for thread in (self._watching, *self._answering):
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._watching.join(2 * WATCH_SECONDS)
        for _ in self._answering:
            self._unanswered.put(None)
        for thread in self._answering:
            thread.join(15)
        if self.errors and error is None:
            raise self.errors[0]

    def _watch(self) -> None:
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs"
        try:
            for type_, job in self._api.watch(path, COMPONENT, self._left.is_set):
                self.note(type_, job, time.monotonic())
        except Exception as error:  # noqa: BLE001 - it is raised where the context is left
            self.errors.append(error)

    def note(self, type_: str, job: Object, now: float) -> None:
        """Takes in an event of a Job."""
        labels = job["metadata"]["labels"]
        if type_ == "ADDED" and not is_over(job):
            self._unanswered.put(job)
            if labels[COMPONENT] == TRANSFER:
                self.seen.setdefault(labels["smbferry.io/task"], now)
            else:
                self.check_jobs.append(now)
        if labels[COMPONENT] == TRANSFER:
            begins = type_ != "DELETED" and not is_over(job)
            self.changes.append(Change(now, server_of(job), job["metadata"]["annotations"][OWNER], begins))

    def _answer_all(self) -> None:
        while (job := self._unanswered.get()) is not None:
            try:
                self._answer(job)
            except Exception as error:  # noqa: BLE001 - it is raised where the context is left
                self.errors.append(error)

    def _answer(self, job: Object) -> None:
        if job["metadata"]["labels"][COMPONENT] == TRANSFER:
            name = job["metadata"]["annotations"][OWNER]
            self._apply("TransferRun", "transferruns", name, {"counters": COUNTERS, "phases": _PHASES})
            return
        for subject in subjects(job):
            about = {"identityGeneration": 1} if subject.kind == LOCATION else {}
            status = checked(_VERDICTS[subject.kind], self._check_seconds, **about)
            self._apply(subject.kind, _PLURALS[subject.kind], subject.name, status)
            if subject.kind == LOCATION:
                self.checks.setdefault(subject.name, []).append(time.monotonic())

    def _apply(self, kind: str, plural: str, name: str, status: Object) -> None:
        self._api.apply_status(f"{OWN}/namespaces/{self._namespace}/{plural}/{name}", kind, status, AGENT)


_PHASES = {name: {"state": "Succeeded"} for name in ("preflight", "prepare", "transfer", "verify")}
