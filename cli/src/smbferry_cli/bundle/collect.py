"""Reads what a bundle contains from the cluster. It asks for no Secret and no ConfigMap."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from smbferry_api.agent_contract import AGENT_CONTAINER
from smbferry_api.crd import KINDS
from smbferry_api.names import LABEL_COMPONENT, LABEL_MANAGED_BY, MANAGED_BY_OPERATOR
from smbferry_cli.bundle.archive import Contents
from smbferry_cli.bundle.redact import cleaned, scrubbed
from smbferry_cli.cluster import Cluster, Object
from smbferry_cli.exits import ClusterError
from smbferry_cli.text import safe

AGENTS: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY_OPERATOR}"
OPERATORS: Final = f"{LABEL_COMPONENT}=operator"
OPERATOR_CONTAINER: Final = "operator"
METRICS_PORT: Final = 8081
MOST_PODS: Final = 200
"""Agents whose logs are read, the newest first."""
MOST_BYTES: Final = 1 << 20
"""Of each log."""
OWN_KINDS: Final = frozenset(kind.kind for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to collect."""

    everywhere: bool
    """All namespaces instead of the cluster's own."""
    operator_namespace: str
    lines: int
    """Of each log, the last ones."""


class Collector:
    """Fills the contents, and notes what the user may not read."""

    def __init__(self, cluster: Cluster, wanted: Wanted) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self.contents = Contents()
        self._images: Counter[str] = Counter()

    def collect(self, version: str) -> Contents:
        """Reads everything.

        Raises:
            ClusterError: no object of smbferry's kinds may be read.
        """
        self._objects()
        pods = list(self._try("pods of agents", self._agents()))
        self._events({_key(pod) for pod in pods})
        self._logs(pods)
        self._operator()
        versions: dict[str, Any] = {"smbferry": version, "images": dict(sorted(self._images.items()))}
        for found in self._try("version of Kubernetes", self._text(self._cluster.version)):
            versions["kubernetes"] = found
        self.contents.add_json("versions.json", versions)
        return self.contents

    def _try(self, what: str, found: Iterable[Any]) -> Iterator[Any]:
        """What is found until it may not be read any more."""
        try:
            yield from found
        except ClusterError as error:
            self.contents.miss(what, safe(str(error)))

    def _objects(self) -> None:
        conditions, refusals = [], []
        for kind in KINDS:
            try:
                found = self._cluster.objects(kind, everywhere=self._wanted.everywhere)
            except ClusterError as error:
                self.contents.miss(kind.plural, safe(str(error)))
                refusals.append(error)
                continue
            self._add("objects", kind.plural, found)
            conditions += [line for obj in found for line in _conditions(obj)]
        if len(refusals) == len(KINDS):
            raise refusals[0]
        self.contents.add("conditions.txt", "".join(f"{line}\n" for line in sorted(conditions)))

    def _agents(self) -> Iterator[Object]:
        """The agents' pods; their Jobs and they themselves are added on the way."""
        everywhere = self._wanted.everywhere
        jobs = self._try("Jobs of agents", self._cluster.listed("batch", "v1", "jobs", AGENTS, everywhere=everywhere))
        self._add("objects", "jobs", list(jobs))
        pods = list(self._cluster.listed("", "v1", "pods", AGENTS, everywhere=everywhere))
        self._add("objects", "pods", pods)
        self._count_images(pods)
        yield from pods

    def _events(self, pods: set[tuple[str, str]]) -> None:
        def ours(event: Object) -> bool:
            about = event.get("involvedObject") or {}
            return about.get("kind") in OWN_KINDS or (str(about.get("namespace")), str(about.get("name"))) in pods

        listed = self._cluster.listed("", "v1", "events", everywhere=self._wanted.everywhere)
        self._add("events", "events", [event for event in self._try("events", listed) if ours(event)])

    def _logs(self, pods: list[Object]) -> None:
        newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
        for pod in newest[:MOST_PODS]:
            self._log("logs", pod, AGENT_CONTAINER)
        if len(newest) > MOST_PODS:
            self.contents.miss("logs of agents", f"{len(newest) - MOST_PODS} older pods are left out")

    def _operator(self) -> None:
        namespace = self._wanted.operator_namespace
        there = self._cluster.at(namespace)
        pods = list(self._try("the operator's pods", there.listed("", "v1", "pods", OPERATORS)))
        if not pods:
            self.contents.miss("the operator", f'no pods with {OPERATORS} were read in namespace "{namespace}"')
        self._count_images(pods)
        for pod in pods:
            name = pod["metadata"]["name"]
            self.contents.add_json(f"operator/{name}.json", cleaned(pod))
            self._log("operator", pod, OPERATOR_CONTAINER)
            self._log("operator", pod, OPERATOR_CONTAINER, previous=True)
            for text in self._try(f"metrics of {name}", self._text(partial(there.metrics, name, METRICS_PORT))):
                self.contents.add(f"operator/{name}.metrics.txt", scrubbed(text))

    def _text(self, read: Callable[[], str]) -> Iterator[str]:
        yield read()

    def _log(self, folder: str, pod: Object, container: str, *, previous: bool = False) -> None:
        namespace, name = _key(pod)
        if previous and not _restarted(pod, container):
            return
        query = {"container": container, "tailLines": str(self._wanted.lines), "limitBytes": str(MOST_BYTES)}
        ending = ".previous.log" if previous else ".log"
        query |= {"previous": "true"} if previous else {}
        lines = self._try(f"log of {namespace}/{name}", self._lines(namespace, name, query))
        text = [scrubbed(line.decode(errors="replace")) for line in lines]
        if text:
            where = f"{folder}/{name}" if folder == "operator" else f"{folder}/{namespace}/{name}"
            self.contents.add(f"{where}{ending}", "\n".join(text) + "\n")

    def _lines(self, namespace: str, pod: str, query: dict[str, str]) -> Iterator[bytes]:
        yield from self._cluster.at(namespace).log(pod, query, follows=False)

    def _add(self, folder: str, plural: str, objects: list[Object]) -> None:
        by_namespace: dict[str, list[Object]] = {}
        for obj in objects:
            by_namespace.setdefault(str(obj["metadata"].get("namespace", "")), []).append(cleaned(obj))
        for namespace, found in by_namespace.items():
            found.sort(key=lambda obj: str(obj["metadata"]["name"]))
            self.contents.add_json(f"{folder}/{namespace}/{plural}.json", found)

    def _count_images(self, pods: list[Object]) -> None:
        for pod in pods:
            self._images.update(str(c.get("image")) for c in (pod.get("spec") or {}).get("containers") or ())


def _key(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"])


def _restarted(pod: Object, container: str) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(s.get("name") == container and s.get("restartCount") for s in statuses)


def _conditions(obj: Object) -> Iterator[str]:
    namespace, name = _key(obj)
    for found in (obj.get("status") or {}).get("conditions") or ():
        words = (found.get(part) for part in ("type", "status", "reason", "lastTransitionTime"))
        message = scrubbed(json.dumps(found.get("message", ""), ensure_ascii=False))
        yield safe(" ".join((namespace, f"{obj['kind']}/{name}", *map(str, words), message)))
