"""`smbferry logs`: the logs of an object's agents, each line with its pod's name if there are several."""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from smbferry_api.agent_contract import AGENT_CONTAINER, LOCATION_OPTION
from smbferry_api.crd import KERBEROS_IDENTITY, SMB_LOCATION, TRANSFER_RUN, TRANSFER_TASK
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import LABEL_OWNER_UID
from smbferry_api.served import read_status
from smbferry_api.task import TransferTaskStatus
from smbferry_cli.cluster import Cluster, MissingError, Object
from smbferry_cli.exits import ClusterError
from smbferry_cli.kinds import Reference
from smbferry_cli.terminal import reader_may_leave
from smbferry_cli.text import safe
from smbferry_cli.verbs.streams import Streams, tell_gone
from smbferry_cli.verbs.waiting import INTERVAL_SECONDS, Clock, wait_for
from smbferry_cli.watch import status_of
from smbferry_cli.watching import blocking_condition

_OVER: Final = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that has ended."""
_ABOUT: Final = b'"location": '
"""The field of a line that is about one of the locations of a check."""


def logs(chosen: argparse.Namespace, cluster: Cluster, clock: Clock) -> ExitCode:
    """Prints the logs.

    Raises:
        ClusterError: there is no such object, or none of its agents has left a log.
    """
    owner = _owner(chosen.object, cluster)
    options = options_of(chosen)
    with reader_may_leave():
        if chosen.follow:
            _follow(owner, options, cluster, clock)
        else:
            _print_all(owner, options, cluster)
    return ExitCode.DONE


def options_of(chosen: argparse.Namespace) -> dict[str, str]:
    """Returns the query of a pod's log."""
    since = None if chosen.since is None else max(1, int(chosen.since.total_seconds()))
    given = {"tailLines": chosen.tail, "sinceSeconds": since, "timestamps": "true" if chosen.timestamps else None}
    return {"container": AGENT_CONTAINER} | {name: str(value) for name, value in given.items() if value is not None}


# --- Whose agents ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owner:
    """A run, an identity or a location, with what it was when it was found.

    Attributes:
        works: whose agents work for it: of a location, those of its identity. None if that does not exist.
    """

    what: Reference
    found: Object
    works: Object | None

    def pods(self, cluster: Cluster) -> list["Pod"]:
        """Returns its agents' pods, oldest first."""
        if self.works is None:
            return []
        found = cluster.pods(f"{LABEL_OWNER_UID}={self.works['metadata']['uid']}")
        return pods_of(obj for obj in found if self.what.kind is not SMB_LOCATION or carries(obj, self.found))

    def concerns(self, line: bytes) -> bool:
        """Whether a line of their logs is not only about another location."""
        if self.what.kind is not SMB_LOCATION or _ABOUT not in line:
            return True
        return _ABOUT + json.dumps(self.what.name).encode() in line


def carries(pod: Object, location: Object) -> bool:
    """Whether the pod is one of a check that carries the location. Pure."""
    meta, containers = location["metadata"], (pod.get("spec") or {}).get("containers") or ()
    argument = f"{LOCATION_OPTION}={meta['name']}={meta['uid']}"
    return any(argument in (container.get("args") or ()) for container in containers)


def _owner(what: Reference, cluster: Cluster) -> Owner:
    """Finds the object: for a name alone a run or, if there is none, a task; for a task, its active or last run."""
    if what.kind is TRANSFER_RUN:
        run = cluster.run(what.name)
        task = cluster.get(TRANSFER_TASK, what.name) if run is None else None
        if task is None:
            found = run or cluster.find(TRANSFER_RUN, what.name)
            return Owner(what, found, found)
    elif what.kind is TRANSFER_TASK:
        task = cluster.task(what.name)
    else:
        found = cluster.find(what.kind, what.name)
        return Owner(what, found, _identity_of(found, cluster) if what.kind is SMB_LOCATION else found)
    status = read_status(TransferTaskStatus, task.get("status") or {})[0]
    name = status.active_run or (status.last_run.name if status.last_run else None)
    if name is None:
        said = f"expected a run of task/{what.name}, got none: it has not run yet"
        raise ClusterError(f"{said}; smbferry trigger {what.name} starts one", ExitCode.CONFIGURATION)
    run = cluster.run(name)
    if run is None:
        said = f"expected run/{name}, the last one of task/{what.name}, got none: it was removed, and its logs with it"
        raise ClusterError(f"{said}; history in the task's spec keeps more runs", ExitCode.CONFIGURATION)
    return Owner(Reference(TRANSFER_RUN, name), run, run)


def _identity_of(location: Object, cluster: Cluster) -> Object | None:
    name = ((location.get("spec") or {}).get("identityRef") or {}).get("name")
    return cluster.get(KERBEROS_IDENTITY, name) if name else None


# --- Which pods ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pod:
    """An agent's pod."""

    name: str
    created: str
    started: bool
    """The container has started, so it has a log."""
    over: bool
    why: str
    """What it waits for, if it has not started."""


def pods_of(objects: Iterable[Object]) -> list[Pod]:
    """Returns the pods, oldest first. Pure."""
    return sorted((_pod(obj) for obj in objects), key=lambda pod: (pod.created, pod.name))


def _pod(obj: Object) -> Pod:
    status = obj.get("status") or {}
    containers: Iterable[Mapping[str, Any]] = status.get("containerStatuses") or ()
    state = next((c.get("state") or {} for c in containers if c.get("name") == AGENT_CONTAINER), {})
    waiting = state.get("waiting") or {}
    conditions: Iterable[Mapping[str, Any]] = status.get("conditions") or ()
    unmet: Mapping[str, Any] = next((c for c in conditions if c.get("status") == "False"), {})
    why = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message")))) or unmet.get("message", "")
    return Pod(
        name=obj["metadata"]["name"],
        created=str(obj["metadata"].get("creationTimestamp", "")),
        started="running" in state or "terminated" in state,
        over=status.get("phase") in _OVER,
        why=why or f"its phase is {status.get('phase', 'unknown')}",
    )


def nothing(owner: Owner) -> ClusterError:
    """Returns the error for an object without pods. Pure."""
    if owner.what.kind is not TRANSFER_RUN:
        said = f"expected pods of checks of {owner.what.typed}, got none: they are removed 5 minutes after a check"
        return ClusterError(f"{said}; smbferry recheck {owner.what.typed} starts another one", ExitCode.CONFIGURATION)
    status = status_of(owner.found)
    if (served_by := status.served_by) is not None:
        said = f"expected pods of {owner.what.typed}, got none: its agents work in namespace {served_by.namespace}"
        advice = f"smbferry logs run/{served_by.name} --namespace {served_by.namespace}"
        return ClusterError(f"{said}, where its SmbLocations are; {advice} shows their logs", ExitCode.CONFIGURATION)
    if status.state is not None and status.state.ended:
        said = f"expected pods of {owner.what.typed}, got none: they were removed after the run had ended"
        advice = f"smbferry watch {owner.what.typed} shows its summary and its failures"
        return ClusterError(f"{said}; {advice}", ExitCode.CONFIGURATION)
    why = safe(blocking_condition(status)) or "its agent has not been created yet"
    said = f"expected pods of {owner.what.typed}, got none: {why}"
    return ClusterError(f"{said}; with --follow, the command waits for them", ExitCode.CONFIGURATION)


# --- Output ----------------------------------------------------------------------------------------------------------


def _print_all(owner: Owner, options: Mapping[str, str], cluster: Cluster) -> None:
    pods = owner.pods(cluster)
    if not pods:
        raise nothing(owner)
    for pod in pods:
        if pod.started:
            prefix = f"[{pod.name}] " if len(pods) > 1 else ""
            try:
                for line in filter(owner.concerns, cluster.log(pod.name, options, follows=False)):
                    _print(prefix, line)
            except MissingError as error:
                tell_gone(pod.name, error)
        else:
            print(f"smbferry: {pod.name} has not started: {safe(pod.why)}", file=sys.stderr)


def _follow(owner: Owner, options: Mapping[str, str], cluster: Cluster, clock: Clock) -> None:
    """Prints lines as they arrive, of pods that exist and of those to come, until the agents' work has ended."""
    streams = Streams(lambda name: cluster.log(name, options, follows=True))
    said = set[str]()
    while True:
        over, pods = wait_for(partial(_look, owner, cluster), clock.sleep)
        if over and not pods and not streams.was_open:
            raise nothing(replace(owner, found=cluster.get(owner.what.kind, owner.what.name) or owner.found))
        for pod in pods:
            if pod.started:
                streams.open(pod.name)
            elif (news := f"smbferry: {pod.name} has not started: {safe(pod.why)}") not in said:
                said.add(news)
                print(news, file=sys.stderr)
        for name, line in streams.lines(INTERVAL_SECONDS):
            if owner.concerns(line):
                _print(f"[{name}] " if len(pods) > 1 else "", line)
        if streams.is_open:
            continue
        if over and (owner.what.kind is TRANSFER_RUN or all(pod.over for pod in pods)):
            return
        clock.sleep(INTERVAL_SECONDS)


def _look(owner: Owner, cluster: Cluster) -> tuple[bool, list[Pod]]:
    over = _is_over(owner, cluster)  # before the pods are listed: none is created afterwards
    return over, owner.pods(cluster)


def _is_over(owner: Owner, cluster: Cluster) -> bool:
    """Whether no further pods will come. A check has only those that it has."""
    if owner.what.kind is not TRANSFER_RUN:
        return True
    run = cluster.run(owner.what.name)
    if run is None:
        return True
    state = status_of(run).state
    return state is not None and state.ended


def _print(prefix: str, line: bytes) -> None:
    print(f"{prefix}{safe(line.decode(errors='replace'))}", flush=True)
