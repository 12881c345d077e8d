"""Does what the plan says: each fault by the means that reality has for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import docker  # type: ignore[import-untyped]  # it publishes no types
from lab.nemesis.plan import Fault, Kind
from lab.support.cluster.api import MERGE, ApiError
from lab.support.cluster.chart import SYSTEM
from lab.support.cluster.kube import holder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.nemesis.cluster import Cluster
    from lab.nemesis.neighbor import Neighbor
    from lab.nemesis.place import Place
    from lab.support.cluster.api import Object

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/smbferry-operator"
OPERATORS = f"/api/v1/namespaces/{SYSTEM}/pods?labelSelector=app.kubernetes.io/component=operator"
NODES = "/api/v1/nodes"
# Goes on by itself, whatever becomes of who has paused it.
PAUSE = """pids=$(grep -ls "$1" /proc/[0-9]*/cgroup | cut -d/ -f3)
kill -STOP $pids; sleep "$2"; kill -CONT $pids"""
KILL = 'for found in $(grep -ls "$1" /proc/[0-9]*/cgroup); do kill -9 "$(basename "$(dirname "$found")")"; done; true'
DOWN_SECONDS = 2.0
PAUSED_SECONDS = 20.0
"""How long the API server stands still: less than its kubelet needs to take it for dead."""
DRAINED_SECONDS = 15.0
FULL_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Takeover:
    """How long nobody led, and whether another operator stood by when the leader was killed.

    Where none did, both have been killed before, and what is waited for is the kubelet, which starts a container that
    was killed time and again later and later.
    """

    seconds: float
    stood_by: bool


class Faults:
    """Strikes; `told` has what was struck and when."""

    def __init__(self, cluster: Cluster, place: Place, neighbor: Neighbor, environment: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._place = place
        self._neighbor = neighbor
        self._docker = docker.from_env(environment=dict(environment))
        self.told: list[dict[str, Any]] = []
        self.takeovers: list[Takeover] = []
        self._about: dict[str, Any] = {}
        self._do: dict[Kind, Callable[[float], str]] = {
            Kind.AGENT_KILLED: self._kill_agent,
            Kind.AGENT_EVICTED: self._evict_agent,
            Kind.AGENT_DELETED: self._delete_agent,
            Kind.JOB_DELETED: self._delete_job,
            Kind.OPERATOR_KILLED: self._kill_operator,
            Kind.SESSIONS_KILLED: lambda _: f"{len(self._place.server.kill_serving())} sessions",
            Kind.SERVER_RESTARTED: self._restart_server,
            Kind.CONNECTIONS_RESET: lambda _: self._place.signal_relay("USR1"),
            Kind.CONNECTIONS_HELD: lambda _: self._place.signal_relay("USR2"),
            Kind.API_SERVER_KILLED: self._kill_api_server,
            Kind.API_SERVER_PAUSED: self._pause_api_server,
            Kind.NODE_DRAINED: self._drain_node,
            Kind.OBJECTS_FORGED: lambda pick: self._neighbor.forge(self._agent(pick)),
            Kind.FOLDER_FILLED: lambda _: self._place.fill(FULL_SECONDS),
        }

    def strike(self, fault: Fault, now: float) -> None:
        """One fault. Where there is no victim nothing is done, and that is told, too."""
        victim = self._do[fault.kind](fault.pick)
        self.told.append({"at": round(now, 1), "kind": fault.kind.value, "victim": victim, **self._about})
        self._about = {}

    def _agent(self, pick: float) -> Object | None:
        pods = sorted(self._cluster.transfers(), key=lambda pod: str(pod["metadata"]["name"]))
        return pods[int(pick * len(pods))] if pods else None

    def _kill_agent(self, pick: float) -> str:
        """SIGKILL, as the kernel does it to one that takes too much memory."""
        pod = self._agent(pick)
        if pod is None:
            return ""
        (status,) = pod["status"]["containerStatuses"]
        run = pod["metadata"]["labels"]["smbferry.io/run"]
        self._about = {"run": run, "written": self._place.in_flight(pod["metadata"]["labels"]["smbferry.io/task"])}
        self._kill_container(pod["spec"]["nodeName"], status)
        return str(pod["metadata"]["name"])

    def _evict_agent(self, pick: float) -> str:
        pod = self._agent(pick)
        if pod is None:
            return ""
        return self._evict(str(pod["metadata"]["name"]))

    def _evict(self, name: str) -> str:
        metadata = {"name": name, "namespace": self._cluster.namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        return self._if_there("POST", f"{self._cluster.path('pods')}/{name}/eviction", name, body)

    def _drain_node(self, pick: float) -> str:
        """As `kubectl drain` does it, of one node with an agent: no new pods there, and those of ours evicted."""
        pod = self._agent(pick)
        if pod is None:
            return ""
        node = str(pod["spec"]["nodeName"])
        self._cordon(node, unschedulable=True)
        try:
            agents = [str(p["metadata"]["name"]) for p in self._cluster.transfers() if p["spec"]["nodeName"] == node]
            for name in agents:
                self._evict(name)
            time.sleep(DRAINED_SECONDS)
        finally:
            self._cordon(node, unschedulable=False)
        return f"{node}: {', '.join(agents)}"

    def _cordon(self, node: str, *, unschedulable: bool) -> None:
        self._cluster.request("PATCH", f"{NODES}/{node}", {"spec": {"unschedulable": unschedulable}}, MERGE)

    def _delete_agent(self, pick: float) -> str:
        pod = self._agent(pick)
        if pod is None:
            return ""
        name = str(pod["metadata"]["name"])
        return self._if_there("DELETE", f"{self._cluster.path('pods')}/{name}?gracePeriodSeconds=1", name)

    def _delete_job(self, pick: float) -> str:
        pod = self._agent(pick)
        if pod is None:
            return ""
        name = str(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
        return self._if_there("DELETE", f"{self._cluster.path('jobs')}/{name}?propagationPolicy=Background", name)

    def _if_there(self, method: str, path: str, name: str, body: Object | None = None) -> str:
        try:
            self._cluster.request(method, path, body)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return f"{name} (was gone)"
        return name

    def _kill_operator(self, _pick: float) -> str:
        """The one that leads, without a word; another has to take over."""
        leader = self._leader()
        if not leader:
            return ""
        pod = leader.partition("_")[0]
        operators = {p["metadata"]["name"]: p for p in self._cluster.request("GET", OPERATORS)["items"]}
        stood_by = any(_is_ready(other) for name, other in operators.items() if name != pod)
        (status,) = operators[pod]["status"]["containerStatuses"]
        self._kill_container(operators[pod]["spec"]["nodeName"], status)
        began = time.monotonic()
        while self._leader() in {leader, ""}:
            if time.monotonic() - began > 120:
                raise TimeoutError(f"nobody took over from {leader}")
            time.sleep(0.5)
        self.takeovers.append(Takeover(round(time.monotonic() - began, 1), stood_by))
        return pod

    def _leader(self) -> str:
        return holder(self._cluster.request("GET", LEASE))

    def _restart_server(self, _pick: float) -> str:
        self._place.server.kill()
        time.sleep(DOWN_SECONDS)
        self._place.server.start()
        return f"port {self._place.server.port}"

    def _kill_api_server(self, _pick: float) -> str:
        pod, status = self._api_server()
        self._kill_container(pod["spec"]["nodeName"], status)
        return str(pod["metadata"]["name"])

    def _pause_api_server(self, _pick: float) -> str:
        """It answers nobody for a while, with all connections open."""
        pod, status = self._api_server()
        node = self._docker.containers.get(pod["spec"]["nodeName"])
        words = ["sh", "-c", PAUSE, "sh", _container(status), str(PAUSED_SECONDS)]
        code, output = node.exec_run(words)
        if code:
            raise RuntimeError(f"the API server could not be paused: {output.decode(errors='replace')}")
        return str(pod["metadata"]["name"])

    def _api_server(self) -> tuple[Object, Object]:
        """Its pod, and the status of its container."""
        query = "/api/v1/namespaces/kube-system/pods?labelSelector=component=kube-apiserver"
        (pod,) = self._cluster.request("GET", query)["items"]
        (status,) = pod["status"]["containerStatuses"]
        return pod, status

    def _kill_container(self, node: str, status: Object) -> None:
        """Every process of it, as its node sees them."""
        container = _container(status)
        if not container:
            return
        code, output = self._docker.containers.get(node).exec_run(["sh", "-c", KILL, "sh", container])
        if code:
            raise RuntimeError(f"{node}: {container} could not be killed: {output.decode(errors='replace')}")


def _container(status: Object) -> str:
    """Its id at its node; empty where it has none yet."""
    return str(status.get("containerID", "")).removeprefix("containerd://")


def _is_ready(pod: Object) -> bool:
    """Whether it says so, and its container runs: a kubelet is a moment late to tell of one that was killed."""
    conditions = pod["status"].get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and all("running" in each["state"] for each in pod["status"].get("containerStatuses") or ())
