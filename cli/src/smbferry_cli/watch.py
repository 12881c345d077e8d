"""`smbferry watch`: follows a task's run in a cluster until it ends."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from smbferry_api.crd import TRANSFER_RUN
from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_api.served import read_status
from smbferry_cli import tables
from smbferry_cli.api import AwayError
from smbferry_cli.cluster import Cluster
from smbferry_cli.exits import code_of
from smbferry_cli.progress import View, view_of
from smbferry_cli.terminal import console, reader_may_leave
from smbferry_cli.text import safe
from smbferry_cli.watching import blocking_condition, next_run

INTERVAL_SECONDS: Final = 1.0

Emit = Callable[[dict[str, Any]], None]
"""Called with each changed object."""


class Objects(Protocol):
    """Source of the objects, see `cluster.Cluster`."""

    def task(self, name: str) -> dict[str, Any]:
        """Returns the TransferTask."""

    def run(self, name: str) -> dict[str, Any] | None:
        """Returns the TransferRun, or None if it does not exist."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The result: a finished run, or None if no run is due."""

    code: ExitCode
    run: dict[str, Any] | None = None

    @property
    def status(self) -> TransferRunStatus:
        """The status of the run."""
        return status_of(self.run or {})

    @property
    def name(self) -> str:
        """The name of the run."""
        return str(self.run["metadata"]["name"]) if self.run else ""

    @property
    def dry_run(self) -> bool:
        """True for a dry run."""
        return bool(self.run and (self.run.get("spec") or {}).get("dryRun"))


def status_of(run: dict[str, Any]) -> TransferRunStatus:
    """Returns the status of a TransferRun without unknown fields of newer versions."""
    return read_status(TransferRunStatus, run.get("status") or {})[0]


class Watcher:
    """Polls once per second and reports each change once.

    Args:
        run: the run to follow; None for the task's active or next one.
    """

    def __init__(
        self, objects: Objects, task: str, view: View, emit: Emit, sleep: Callable[[float], None] = time.sleep,
        *, run: str | None = None,
    ) -> None:  # fmt: skip
        self._objects = objects
        self._task = task
        self._view = view
        self._emit = emit
        self._sleep = sleep
        self._said = ""
        self._seen: dict[str, str] = {}
        self._run = run
        self._only = run is not None

    def follow(self) -> Watched:
        """Waits until a run has ended or none is due. If a certain run was asked for and is deleted, there is none.

        Raises:
            ClusterError: the task does not exist or may not be read, or the first request gets no answer.
        """
        watched = self._look()
        while watched is None:
            self._sleep(INTERVAL_SECONDS)
            try:
                watched = self._look()
            except AwayError as error:
                self._say(f"{error}. Retrying.")
        return watched

    def _look(self) -> Watched | None:
        if self._run is None:
            return self._look_at_task()
        run = self._objects.run(self._run)
        if run is None:
            self._say(f"{self._run}: the run was deleted.")
            self._run = None
            return Watched(ExitCode.CONFIGURATION) if self._only else None
        self._changed(run)
        status = status_of(run)
        self._view.show(status)
        self._say(f"{self._run}: {why}" if (why := blocking_condition(status)) else "")
        return Watched(code_of(status), run) if status.state and status.state.ended else None

    def _look_at_task(self) -> Watched | None:
        task = self._objects.task(self._task)
        self._changed(task)
        found = next_run(task)
        if found.run:
            self._run = found.run
            return self._look()
        self._say(f"{self._task}: {found.why}")
        if found.waits:
            self._view.show(TransferRunStatus(state=RunState.QUEUED))
            return None
        last = self._objects.run(found.last) if found.last else None
        if last is None:
            return Watched(found.code)
        self._changed(last)
        return Watched(code_of(status_of(last)), last)

    def _say(self, text: str) -> None:
        if text and text != self._said:
            self._view.say(safe(text))
        self._said = text

    def _changed(self, obj: dict[str, Any]) -> None:
        key = f"{obj.get('kind')}/{obj['metadata']['name']}"
        version = str(obj["metadata"].get("resourceVersion"))
        if self._seen.get(key) != version:
            self._seen[key] = version
            self._emit(obj)


def watch_in(cluster: Cluster, arguments: argparse.Namespace, sleep: Callable[[float], None]) -> ExitCode:
    """`smbferry watch`.

    Raises:
        ClusterError: there is no such task or run, or it may not be read.
    """
    as_json = arguments.output == "json"
    run = arguments.object.name if arguments.object.kind is TRANSFER_RUN else None
    if run is not None:
        cluster.find(TRANSFER_RUN, run)
    watched = Watched(ExitCode.DONE)  # if the reader closes the pipe
    with reader_may_leave(), view_of(console(to_stderr=True)) as view:
        emit = _print_line if as_json else ignore
        watched = Watcher(cluster, arguments.object.name, view, emit, sleep, run=run).follow()
    if watched.run and not as_json:
        with reader_may_leave():
            console().print(tables.summary(watched.name, watched.status, dry_run=watched.dry_run))
    return watched.code


def _print_line(obj: dict[str, Any]) -> None:
    print(json.dumps(without_managers(obj), separators=(",", ":")), flush=True)


def without_managers(obj: dict[str, Any]) -> dict[str, Any]:
    """Returns the object without metadata.managedFields, which nobody reads."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def ignore(_obj: dict[str, Any]) -> None:
    """Ignores the object."""
