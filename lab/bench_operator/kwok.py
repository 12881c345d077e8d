"""Nodes that are only played (kwok): the scheduler, Jobs and pods are real, no container is ever started."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smblab import daemon, gobuild
from lab.smblab.settings import current
from lab.support.cluster.api import MERGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.smblab.progress import Progress
    from lab.support.cluster.api import Api, Object

NODES = 10
STAGES = Path(__file__).with_name("stages.yaml")
TYPE = "type=kwok"
EXITS = {8: "3", 9: "13"}
"""Agents that end otherwise than well ask for these nodes."""
HOLDS = 7
"""Agents that never end ask for this node."""


def program(progress: Progress) -> Path:
    """kwok, built from its Go module where it is not in the lab's cache."""
    settings = current()
    docker = daemon.find(settings)
    if docker is None:
        raise SystemExit("the lab is not up: run `make lab-up` first")
    return gobuild.tool(settings, docker, progress, "kwok")


def node(number: int) -> Object:
    """A node with room for any number of agents."""
    exit_label = {"exit": EXITS[number]} if number in EXITS else {"hold": "true"} if number == HOLDS else {}
    capacity = {"cpu": "1000", "memory": "1000Gi", "pods": "2000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"kwok-{number}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"type": "kwok", "kubernetes.io/os": "linux", **exit_label},
        },
        "status": {"allocatable": capacity, "capacity": capacity, "nodeInfo": {"kubeletVersion": "fake"}},
    }


@contextmanager
def nodes(api: Api, kwok: Path, kubeconfig: Path, log: Path) -> Iterator[None]:
    """Played nodes alone take new pods meanwhile; the real ones are cordoned."""
    real = [item["metadata"]["name"] for item in api.request("GET", "/api/v1/nodes")["items"]]
    command: list[str | Path] = [
        kwok,
        "--kubeconfig",
        kubeconfig,
        "--manage-nodes-with-label-selector",
        TYPE,
        "--config",
        STAGES,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            for name in real:
                _cordon(api, name, cordoned=True)
            for number in range(NODES):
                api.request("POST", "/api/v1/nodes", node(number))
            _wait(api, process, log)
            yield
        finally:
            for name in real:
                _cordon(api, name, cordoned=False)
            for number in range(NODES):
                api.request("DELETE", f"/api/v1/nodes/kwok-{number}")
            process.terminate()
            process.wait(30)


def _cordon(api: Api, name: str, *, cordoned: bool) -> None:
    change = {"spec": {"unschedulable": cordoned}}
    api.request("PATCH", f"/api/v1/nodes/{name}", change, MERGE)


def _wait(api: Api, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while True:
        items = api.request("GET", f"/api/v1/nodes?labelSelector={TYPE}")["items"]
        ready = [
            item
            for item in items
            if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
        ]
        if len(ready) == NODES:
            return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"kwok's nodes are not ready:\n{log.read_text()[-2000:]}")
        time.sleep(0.5)
