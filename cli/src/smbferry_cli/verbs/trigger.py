"""`smbferry trigger`: creates a TransferRun of a task, and may wait for its end."""

import argparse
import json
from typing import Any, Final

from smbferry_api.crd import TRANSFER_RUN
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import API_VERSION, LABEL_TASK
from smbferry_cli import tables
from smbferry_cli.cluster import Cluster, Object
from smbferry_cli.exits import ClusterError
from smbferry_cli.kinds import Reference
from smbferry_cli.progress import view_of
from smbferry_cli.terminal import console, reader_may_leave
from smbferry_cli.verbs.waiting import Clock
from smbferry_cli.watch import Watched, Watcher, ignore, without_managers

MAX_STEM: Final = 57
"""What the API server keeps of generateName, without the hyphen."""
MAX_LABEL: Final = 63


def run_manifest(found: Object, namespace: str, chosen: argparse.Namespace) -> Object:
    """Returns the manifest of a run of the task that was found, with the task's className."""
    task = str(found["metadata"]["name"])
    spec: dict[str, Any] = {"taskRef": {"name": task}}
    if class_name := found["spec"].get("className"):
        spec["className"] = class_name
    for field, value in (
        ("dryRun", chosen.dry_run),
        ("survey", chosen.survey),
        ("measureDestination", chosen.measure_destination),
        ("ignoreWindows", chosen.ignore_windows),
    ):
        spec |= {field: True} if value else {}
    for field, value in (("priority", chosen.priority), ("ttlAfterFinished", chosen.ttl)):
        spec |= {field: value} if value is not None else {}
    labels = {"labels": {LABEL_TASK: task}} if len(task) <= MAX_LABEL else {}
    return {
        "apiVersion": API_VERSION,
        "kind": TRANSFER_RUN.kind,
        "metadata": {"generateName": f"{task[:MAX_STEM].rstrip('-.')}-", "namespace": namespace, **labels},
        "spec": spec,
    }


def trigger(chosen: argparse.Namespace, cluster: Cluster, clock: Clock) -> ExitCode:
    """Creates the run and prints its name. With --wait, follows it and ends with its exit code.

    Raises:
        ClusterError: there is no such task, the API server refuses the run, or it does not end in time.
    """
    found = cluster.task(chosen.task.name)
    created = cluster.create(TRANSFER_RUN, run_manifest(found, cluster.namespace, chosen))
    run = Reference(TRANSFER_RUN, created["metadata"]["name"])
    if chosen.output == "json":
        if not chosen.wait:
            print(json.dumps(without_managers(created), indent=4))
    else:
        print(run if chosen.output == "name" else f"{run} created", flush=True)
    return _wait(run, chosen, cluster, clock) if chosen.wait else ExitCode.DONE


def _wait(run: Reference, chosen: argparse.Namespace, cluster: Cluster, clock: Clock) -> ExitCode:
    watched = Watched(ExitCode.DONE)  # if the reader closes the pipe
    with reader_may_leave(), view_of(console(to_stderr=True)) as view:
        pause = clock.until(
            chosen.timeout,
            f"{run.typed} to end",
            f"it continues; smbferry watch {run.typed} shows it, smbferry cancel {run.name} cancels it",
        )
        watched = Watcher(cluster, chosen.task.name, view, ignore, pause, run=run.name).follow()
    if watched.run is None:
        raise ClusterError(f"expected {run.typed} to end, but it was deleted", ExitCode.CANCELLED)
    with reader_may_leave():
        if chosen.output == "json":
            print(json.dumps(without_managers(watched.run), indent=4))
        elif chosen.output == "text":
            console().print(tables.summary(watched.name, watched.status, dry_run=watched.dry_run))
    return watched.code
