"""`smbferry watch`: follows a task's run in a cluster until it has ended."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from smbferry_api.exit_codes import ExitCode
from smbferry_api.run_status import RunState, TransferRunStatus
from smbferry_api.served import read_status
from smbferry_cli import tables
from smbferry_cli.cluster import AwayError, Cluster
from smbferry_cli.exits import code_of
from smbferry_cli.progress import View, view_of
from smbferry_cli.terminal import console, reader_may_leave
from smbferry_cli.text import safe
from smbferry_cli.watching import held_up, standing

INTERVAL_SECONDS: Final = 1.0

Emit = Callable[[dict[str, Any]], None]
"""Told each object as it changes."""


class Objects(Protocol):
    """What is read, again and again: see `cluster.Cluster`."""

    def task(self, name: str) -> dict[str, Any]:
        """The TransferTask."""

    def run(self, name: str) -> dict[str, Any] | None:
        """The TransferRun; None where it is gone."""


@dataclass(frozen=True, slots=True)
class Watched:
    """How it ended: by a run, or, where `run` is None, because there is none to come."""

    code: ExitCode
    run: dict[str, Any] | None = None

    @property
    def status(self) -> TransferRunStatus:
        """The run's status."""
        return status_of(self.run or {})

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.run["metadata"]["name"]) if self.run else ""

    @property
    def dry_run(self) -> bool:
        """Whether it only counted."""
        return bool(self.run and (self.run.get("spec") or {}).get("dryRun"))


def status_of(run: dict[str, Any]) -> TransferRunStatus:
    """A TransferRun's status, of which a newer smbferry may have written more than is known here."""
    return read_status(TransferRunStatus, run.get("status") or {})[0]


class Watcher:
    """Looks once a second; says what changes, once each."""

    def __init__(
        self, objects: Objects, task: str, view: View, emit: Emit, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._objects = objects
        self._task = task
        self._view = view
        self._emit = emit
        self._sleep = sleep
        self._said = ""
        self._seen: dict[str, str] = {}
        self._run: str | None = None

    def follow(self) -> Watched:
        """Until a run has ended, or none will come.

        Raises:
            ClusterError: the task is not there, or may not be read; at the first look also where nobody answers.
        """
        watched = self._look()
        while watched is None:
            self._sleep(INTERVAL_SECONDS)
            try:
                watched = self._look()
            except AwayError as error:
                self._say(f"{error}. Asking again.")
        return watched

    def _look(self) -> Watched | None:
        if self._run is None:
            return self._look_at_task()
        run = self._objects.run(self._run)
        if run is None:
            self._say(f"{self._run}: the run was deleted.")
            self._run = None
            return None
        self._changed(run)
        status = status_of(run)
        self._view.show(status)
        self._say(f"{self._run}: {why}" if (why := held_up(status)) else "")
        return Watched(code_of(status), run) if status.state and status.state.ended else None

    def _look_at_task(self) -> Watched | None:
        task = self._objects.task(self._task)
        self._changed(task)
        stands = standing(task)
        if stands.run:
            self._run = stands.run
            return self._look()
        self._say(f"{self._task}: {stands.why}")
        if stands.waits:
            self._view.show(TransferRunStatus(state=RunState.QUEUED))
            return None
        last = self._objects.run(stands.last) if stands.last else None
        if last is None:
            return Watched(stands.code)
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


def watch_command(arguments: argparse.Namespace) -> ExitCode:
    """`smbferry watch`."""
    as_json = arguments.output == "json"
    watched = Watched(ExitCode.DONE)  # where nobody reads on
    with (
        Cluster(arguments.kubeconfig, arguments.context, arguments.namespace) as cluster,
        reader_may_leave(),
        view_of(console(to_stderr=True)) as view,
    ):
        watched = Watcher(cluster, arguments.task, view, _print_line if as_json else _nothing).follow()
    if watched.run and not as_json:
        with reader_may_leave():
            console().print(tables.summary(watched.name, watched.status, dry_run=watched.dry_run))
    return watched.code


def _print_line(obj: dict[str, Any]) -> None:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    print(json.dumps({**obj, "metadata": metadata}, separators=(",", ":")), flush=True)


def _nothing(_obj: dict[str, Any]) -> None:
    """Where only the view is wanted."""
