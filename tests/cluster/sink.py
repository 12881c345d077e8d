"""A sink of CloudEvents as a pod: it accepts every request and writes it to its log, one line of JSON each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lab.support.cluster.kube import KubectlError

if TYPE_CHECKING:
    from lab.support.cluster.kube import Kube, Object

NAME = "sink"
PORT = 8080
PROGRAM = f"""
import json
from aiohttp import web

async def take(request):
    body = (await request.read()).decode()
    print(json.dumps({{"headers": {{k.lower(): v for k, v in request.headers.items()}}, "body": body}}), flush=True)
    return web.Response(status=202)

application = web.Application()
application.add_routes([web.post("/hook", take)])
web.run_app(application, port={PORT}, print=None, access_log=None)
"""


class Sink:
    """The pod, which comes and goes, behind a Service, which stays. What it has taken is kept here."""

    def __init__(self, kube: Kube, image: str) -> None:
        self._kube = kube
        self._image = image
        self.taken: list[Object] = []

    def url(self) -> str:
        """Where it listens while it is up."""
        ports = [{"port": PORT, "targetPort": PORT}]
        self._kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": NAME},
                "spec": {"selector": {"app": NAME}, "ports": ports},
            }
        )
        service = self._kube.get("service", NAME)
        assert service is not None
        return f"http://{service['spec']['clusterIP']}:{PORT}/hook"

    def start(self) -> None:
        """Starts the pod, and waits until it listens."""
        self._kube.apply(pod(self._image))
        self._kube.wait("pod", NAME, "ready", _is_ready, timeout=60)

    def stop(self) -> None:
        """Kills the pod, after what it has taken was kept."""
        self._keep()
        self._kube.kubectl("delete", "pod", NAME, "--grace-period=0", "--force", "--wait=true")

    def events(self) -> list[Object]:
        """All that it has taken, over all its lives: headers, and the event."""
        return [*self.taken, *self._now()]

    def _keep(self) -> None:
        self.taken += self._now()

    def _now(self) -> list[Object]:
        try:
            lines = self._kube.kubectl("logs", NAME).splitlines()
        except KubectlError:  # it is down
            return []
        return [dict(json.loads(line)) for line in lines if line.startswith("{")]


def pod(image: str) -> Object:
    """The pod, as the restricted standard wants it."""
    container: dict[str, Any] = {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", PROGRAM],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": {"app": NAME}}, "spec": spec}


def _is_ready(found: Object) -> bool:
    conditions = found.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
