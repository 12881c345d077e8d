"""Reads objects over one kept connection: a kubectl for every look would take the processor from what is tested."""

from __future__ import annotations

import functools
import json
from http import HTTPStatus
from typing import Any

from kubernetes import config
from urllib3.exceptions import HTTPError

GROUPS = ("api/v1", "apis/smbferry.io/v1alpha1", "apis/batch/v1", "apis/rbac.authorization.k8s.io/v1",
          "apis/networking.k8s.io/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1")  # fmt: skip


class RestError(Exception):
    """The API server is away, or refused; the message is what it said."""


class Rest:
    """The API server that a kubeconfig's context names, asked as its user."""

    def __init__(self, kubeconfig: str) -> None:
        self._api = config.new_client_from_config(config_file=kubeconfig)  # type: ignore[no-untyped-call]  # it has none
        self._paths: dict[str, tuple[str, str, bool]] = {}

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """An object by any name that kubectl knows its kind by; None where there is none.

        Raises:
            LookupError: no kind has that name.
            RestError: the API server is away, or refused.
        """
        found = self._ask(f"{self._place(namespace, kind)}/{name}")
        return None if found is None else dict(found)

    def list(self, namespace: str, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """All objects of a kind in the namespace. Raises as `get` does."""
        found = self._ask(self._place(namespace, kind), labelSelector=selector)
        return [] if found is None else list(found["items"])

    def _place(self, namespace: str, kind: str) -> str:
        word = kind.lower().partition(".")[0]
        if word not in self._paths:
            self._discover()
        if word not in self._paths:
            raise LookupError(f"the API server knows no kind {kind} in {', '.join(GROUPS)}")
        group, plural, namespaced = self._paths[word]
        return f"/{group}/namespaces/{namespace}/{plural}" if namespaced else f"/{group}/{plural}"

    def _discover(self) -> None:
        for group in GROUPS:
            # Our own group is not there before the chart is installed.
            for kind in (self._ask(f"/{group}") or {"resources": ()})["resources"]:
                if "/" not in kind["name"]:
                    names = (kind["name"], kind["singularName"], kind["kind"].lower(), *kind.get("shortNames", ()))
                    self._paths |= dict.fromkeys(names, (group, kind["name"], kind["namespaced"]))

    def _ask(self, path: str, **query: str) -> Any:
        """The answer; None where there is nothing at that path."""
        wanted = [(name, value) for name, value in query.items() if value]
        request = self._api.param_serialize(
            "GET",
            path,
            query_params=wanted,
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request)
            data = response.read()
        except HTTPError as error:
            raise RestError(f"{path}: {error}") from error
        if response.status == HTTPStatus.NOT_FOUND:
            return None
        if response.status != HTTPStatus.OK:
            raise RestError(f"{path}: {response.status} {response.reason}")
        return json.loads(data)


@functools.cache
def rest(kubeconfig: str) -> Rest:
    """One for each process."""
    return Rest(kubeconfig)
