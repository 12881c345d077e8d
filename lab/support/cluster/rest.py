"""Reads objects by the names that kubectl knows their kinds by."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from urllib.parse import quote

from lab.support.cluster.api import OWN, Api

if TYPE_CHECKING:
    from lab.support.cluster.api import Object

GROUPS = ("/api/v1", OWN, "/apis/batch/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/networking.k8s.io/v1",
          "/apis/apps/v1", "/apis/coordination.k8s.io/v1", "/apis/apiextensions.k8s.io/v1")  # fmt: skip


class Rest:
    """Objects of one API server."""

    def __init__(self, kubeconfig: str) -> None:
        self._api = Api(kubeconfig)
        self._paths: dict[str, tuple[str, str, bool]] = {}

    def get(self, namespace: str, kind: str, name: str) -> Object | None:
        """An object by any name that kubectl knows its kind by; None where there is none.

        Raises:
            LookupError: no kind has that name.
            ApiError: the API server is away, or refused.
        """
        return self._api.get(f"{self._place(namespace, kind)}/{name}")

    def list(self, namespace: str, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind in the namespace. Raises as `get` does."""
        query = f"?labelSelector={quote(selector)}" if selector else ""
        found = self._api.get(f"{self._place(namespace, kind)}{query}")
        return [] if found is None else list(found["items"])

    def _place(self, namespace: str, kind: str) -> str:
        word = kind.lower().partition(".")[0]
        if word not in self._paths:
            self._discover()
        if word not in self._paths:
            raise LookupError(f"the API server knows no kind {kind} in {', '.join(GROUPS)}")
        group, plural, namespaced = self._paths[word]
        return f"{group}/namespaces/{namespace}/{plural}" if namespaced else f"{group}/{plural}"

    def _discover(self) -> None:
        for group in GROUPS:
            # Our own group is not there before the chart is installed.
            for kind in (self._api.get(group) or {"resources": ()})["resources"]:
                if "/" not in kind["name"]:
                    names = (kind["name"], kind["singularName"], kind["kind"].lower(), *kind.get("shortNames", ()))
                    self._paths |= dict.fromkeys(names, (group, kind["name"], kind["namespaced"]))


@functools.cache
def rest(kubeconfig: str) -> Rest:
    """One for each process."""
    return Rest(kubeconfig)
