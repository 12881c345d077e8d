"""`smbferry cancel`, `suspend` and `resume`: each changes one field of a spec."""

import argparse
from collections.abc import Callable

from smbferry_api.crd import TRANSFER_RUN, TRANSFER_TASK
from smbferry_api.exit_codes import ExitCode
from smbferry_cli.cluster import Cluster, Object
from smbferry_cli.kinds import Reference
from smbferry_cli.verbs.waiting import Clock, wait_for
from smbferry_cli.watch import status_of


def cancel(chosen: argparse.Namespace, cluster: Cluster, clock: Clock) -> ExitCode:
    """Cancels runs. With --wait, waits until they have ended.

    Raises:
        ClusterError: there is no such run or task, or a run does not end in time.
    """
    runs = list(chosen.runs)
    if chosen.task:
        cluster.task(chosen.task.name)
        runs += _active_runs(cluster, chosen.task.name)
        if not runs:
            print(f"{chosen.task} has no active run")
    active = [run for run in runs if _cancel(cluster, run)]
    if chosen.wait:
        advice = "its agents have not stopped yet; smbferry get runs -o wide shows the reason"
        for run in active:
            _wait(cluster, run, clock.until(chosen.timeout, f"{run.typed} to end", advice))
    return ExitCode.DONE


def _active_runs(cluster: Cluster, task: str) -> list[Reference]:
    runs = [run for run in cluster.objects(TRANSFER_RUN) if run["spec"]["taskRef"]["name"] == task]
    return [Reference(TRANSFER_RUN, run["metadata"]["name"]) for run in runs if not _end(run)]


def _end(run: Object) -> str:
    """The final state; empty while the run is active."""
    state = status_of(run).state
    return state.value if state is not None and state.ended else ""


def _cancel(cluster: Cluster, run: Reference) -> bool:
    """Whether the run was active."""
    end = _end(cluster.find(TRANSFER_RUN, run.name))
    if end:
        print(f"{run} has already ended: {end}")
        return False
    cluster.patch(TRANSFER_RUN, run.name, {"spec": {"cancel": True}})
    print(f"{run} is being cancelled", flush=True)
    return True


def _wait(cluster: Cluster, run: Reference, pause: Callable[[float], None]) -> None:
    def ended() -> str | None:
        found = cluster.run(run.name)
        if found is None:
            return "was deleted"
        end = _end(found)
        return f"has ended: {end}" if end else None

    print(f"{run} {wait_for(ended, pause)}", flush=True)


def suspend(chosen: argparse.Namespace, cluster: Cluster, _clock: Clock) -> ExitCode:
    """Suspends tasks: no run starts automatically.

    Raises:
        ClusterError: there is no such task, or it may not be changed.
    """
    for task in _tasks(chosen.tasks, cluster, everything=chosen.all):
        _set(cluster, task, {"suspend": True}, "suspended")
    return ExitCode.DONE


def resume(chosen: argparse.Namespace, cluster: Cluster, _clock: Clock) -> ExitCode:
    """Resumes tasks, and runs that wait for the windows of their task.

    Raises:
        ClusterError: there is no such object, or it may not be changed.
    """
    for run in chosen.objects:
        if run.kind is TRANSFER_RUN:
            _set(cluster, run, {"ignoreWindows": True}, "resumed; it ignores the windows of its task")
    tasks = [task for task in chosen.objects if task.kind is TRANSFER_TASK]
    for task in _tasks(tasks, cluster, everything=chosen.all):
        _set(cluster, task, {"suspend": False}, "resumed")
    return ExitCode.DONE


def _tasks(named: list[Reference], cluster: Cluster, *, everything: bool) -> list[Reference]:
    return [Reference(TRANSFER_TASK, name) for name in cluster.names(TRANSFER_TASK)] if everything else named


def _set(cluster: Cluster, what: Reference, change: dict[str, bool], done: str) -> None:
    before = cluster.find(what.kind, what.name)["spec"]
    if all(before.get(field, False) == value for field, value in change.items()):
        print(f"{what} unchanged")
        return
    cluster.patch(what.kind, what.name, {"spec": change})
    print(f"{what} {done}", flush=True)
