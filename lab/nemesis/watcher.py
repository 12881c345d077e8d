"""Looks on: whether ever two runs write to one destination, and what the objects and logs say at the end."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lab.nemesis.lookout import Lookout
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import KubectlError
from lab.support.cluster.leaks import leaks

from smbferry_api.names import ANNOTATION_TRIGGER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.record import Record
    from lab.support.cluster.api import Object
    from lab.support.cluster.kube import Kube

LOOK_SECONDS = 1.0
DESTINATION = "smbferry.io/destination"
INDEX = "batch.kubernetes.io/job-completion-index"
LARGE, DEEP = "large", 32 << 20
"""The task with one large file, and how much must be written when its agent is killed for its run to be judged."""
KINDS = "kerberosidentities,smblocations,transfertasks,transferruns,jobs,pods,roles,events"


class Watcher(Lookout):
    """Looks at the agents' pods."""

    def __init__(self, cluster: Cluster, record: Record) -> None:
        super().__init__("I6", LOOK_SECONDS, record)
        self._cluster = cluster
        self.most = 0
        """Agents at work at once."""

    def _look(self) -> Iterator[str]:
        pods = list(self._cluster.transfers())
        self.most = max(self.most, len(pods))
        return two_writers(pods)


def two_writers(pods: Iterable[Object]) -> Iterator[str]:
    """Where more than one run, or two agents with the same work, are at a destination; nested counts as the same."""
    at: dict[tuple[str, ...], list[Object]] = defaultdict(list)
    for pod in pods:
        where = pod["metadata"].get("annotations", {}).get(DESTINATION)
        if where:
            at[tuple(where.casefold().rstrip("/").split("/"))].append(pod)
    for place, here in at.items():
        beneath = [pod for other, some in at.items() if other[: len(place)] == place for pod in some]
        runs = {pod["metadata"]["labels"]["smbferry.io/run"] for pod in beneath}
        if len(runs) > 1:
            yield f"{sorted(runs)} write to {'/'.join(place)} at once"
        work = [
            (pod["metadata"]["labels"]["smbferry.io/run"], pod["metadata"]["labels"].get(INDEX, "")) for pod in here
        ]
        for twice in {w for w in work if work.count(w) > 1}:
            yield f"two agents do the same work of {twice} at once"


def doubled_runs(runs: Iterable[Object]) -> Iterator[str]:
    """Triggers for which more than one run was made."""
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in runs:
        trigger = run["metadata"].get("annotations", {}).get(ANNOTATION_TRIGGER, "")
        seen[run["spec"]["taskRef"]["name"], trigger].append(run["metadata"]["name"])
    for (task, trigger), names in seen.items():
        if len(names) > 1:
            yield f"{task}, {trigger}: {names}"


def resumed(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of what the record has of runs: those that needed more than one agent and succeeded."""
    return [run for run in runs if run["attempts"] > 1 and run["state"] == "Succeeded"]


def begun_anew(runs: Iterable[dict[str, Any]], told: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs whose agent was killed deep in their large file (``told`` of the faults), and that wrote all of it again.

    What was replaced at the source while a run went on is another file, which must be written from its beginning.
    """
    deep = {fault["run"] for fault in told if fault.get("written", 0) >= DEEP}
    return [
        run
        for run in resumed(runs)
        if run["task"] == LARGE
        and run["run"] in deep
        and not any(path.startswith(f"{LARGE}/") for path in run["edited"])
        and run["bytes"]["written"] >= run["bytes"]["toTransfer"]
    ]


def secrets_told(kube: Kube, keys: Iterable[bytes]) -> list[bytes]:
    """Keys that stand in logs, events, statuses or anything else that is not a Secret."""
    text = [kube.kubectl("get", KINDS, "-o", "yaml", "--show-managed-fields")]
    for namespace, selector in (
        (kube.namespace, "app.kubernetes.io/managed-by=smbferry-operator"),
        (SYSTEM, "app.kubernetes.io/component=operator"),
    ):
        names = kube.kubectl("get", "pods", "--namespace", namespace, "--selector", selector, "-o", "name").split()
        text += [_log(kube, namespace, name) for name in names]
    return leaks("\n".join(text).encode(), keys)


def _log(kube: Kube, namespace: str, name: str) -> str:
    try:
        return kube.kubectl("logs", "--namespace", namespace, name)
    except KubectlError as error:  # one that has just gone
        return str(error)
