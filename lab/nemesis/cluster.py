"""The API server for those who expect it to be away now and then."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from lab.support.cluster.api import APPLY, MERGE, OWN, Api, ApiError, Object

if TYPE_CHECKING:
    from collections.abc import Iterator

AWAY = 240.0
"""Seconds for which an answer is waited for."""


class Cluster:
    """One namespace; every request is repeated until the API server answers."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """One request.

        Raises:
            ApiError: the API server refused, or was away for too long.
        """
        until = time.monotonic() + AWAY
        while True:
            try:
                return self._api.request(method, path, body, kind)
            except ApiError as error:
                starting = error.status == HTTPStatus.FORBIDDEN  # one that has just started knows no roles yet
                if not (error.away or starting) or time.monotonic() > until:
                    raise
                time.sleep(1)

    def apply(self, plural: str, body: Object) -> None:
        """Server-side apply, as a GitOps tool does it."""
        name = body["metadata"]["name"]
        self.request("PATCH", f"{self.path(plural)}/{name}?fieldManager=nemesis&force=true", body, APPLY)

    def patch(self, plural: str, name: str, change: Object) -> None:
        """Merges a change into an object."""
        self.request("PATCH", f"{self.path(plural)}/{name}", change, MERGE)

    def list(self, plural: str, selector: str = "") -> list[Object]:
        """All objects of a kind."""
        query = f"?labelSelector={selector}" if selector else ""
        return list(self.request("GET", f"{self.path(plural)}{query}")["items"])

    def transfers(self) -> Iterator[Object]:
        """The pods of agents at work: those whose container runs."""
        for pod in self.list("pods", "app.kubernetes.io/component=transfer"):
            if any("running" in c.get("state", {}) for c in pod.get("status", {}).get("containerStatuses", [])):
                yield pod

    def path(self, plural: str) -> str:
        """Where the objects of a kind are."""
        base = {"pods": "/api/v1", "events": "/api/v1", "jobs": "/apis/batch/v1"}.get(plural, OWN)
        return f"{base}/namespaces/{self.namespace}/{plural}"
