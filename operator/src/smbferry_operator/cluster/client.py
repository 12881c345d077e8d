"""A small client over the official one's transport and credentials: paths and JSON in, JSON out, our own errors.

Blocking calls run in threads; nothing else in the operator blocks.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, TypeVar

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from smbferry_api import API_VERSION
from smbferry_api.crd import KINDS
from smbferry_api.names import FIELD_MANAGER_OPERATOR
from smbferry_operator.cluster.answers import error_of
from smbferry_operator.cluster.errors import (
    ClusterError,
    ConflictError,
    NotFoundError,
    NotLeadingError,
    UnavailableError,
)
from smbferry_operator.model import Key, Kind, Manifest

logger = logging.getLogger(__name__)

R = TypeVar("R")

REQUEST_TIMEOUT: Final = 60.0
SHORTEST_WRITE: Final = 0.1
"""A write that has fewer seconds than this is not begun."""
PAGE: Final = 500
APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
STREAM_SECONDS: Final = 300

_COLLECTIONS: Final[dict[str, tuple[str, str]]] = {
    **{kind.kind: (f"/apis/{API_VERSION}", kind.plural) for kind in KINDS},
    "Job": ("/apis/batch/v1", "jobs"),
    "Pod": ("/api/v1", "pods"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a kind, and as of when."""

    items: list[Manifest]
    version: int


def collection_path(kind: str, namespace: str | None) -> str:
    """Where the objects of a kind are, in one namespace or in all."""
    base, plural = _COLLECTIONS[kind]
    return f"{base}/namespaces/{namespace}/{plural}" if namespace else f"{base}/{plural}"


def _page_query(selector: str, following: str) -> dict[str, str]:
    given = {"limit": str(PAGE), "labelSelector": selector, "continue": following}
    return {name: value for name, value in given.items() if value}


Permit = Callable[[], float]


def _always() -> float:
    return inf


class Cluster:
    """The API server."""

    def __init__(self, api: client.ApiClient, connections: int = 1, permit: Permit = _always) -> None:
        self._api = api
        self._permit = permit
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="api")

    @classmethod
    def connect(cls, connections: int, permit: Permit = _always) -> "Cluster":
        """Takes the pod's own credentials, or outside of a cluster those of KUBECONFIG.

        Args:
            connections: how many requests go on at once.
            permit: for how many more seconds this operator may write; asked before each write.

        Raises:
            ClusterError: neither is there.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the client publishes no types for it
        except config.ConfigException:
            try:
                config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the client publishes no types for it
            except (config.ConfigException, OSError) as error:
                raise ClusterError(
                    f"no credentials for an API server: neither a pod's service account nor KUBECONFIG ({error})"
                ) from error
        configuration.connection_pool_maxsize = connections
        configuration.retries = 0  # a request that is repeated unseen would outlive its permit
        return cls(client.ApiClient(configuration), connections, permit)

    async def get(self, kind: str, namespace: str, name: str, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """One object as it stands now.

        Raises:
            NotFoundError: there is none.
            UnavailableError: to be repeated.
        """
        path = f"{collection_path(kind, namespace)}/{name}"
        return await self._call(lambda: self._request("GET", path, {}, None, timeout), f"{kind} {namespace}/{name}")

    async def create(self, body: Manifest, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """Creates an object.

        Raises:
            AlreadyExistsError: one of this name exists.
            ConflictError: it collided with another write, such as a quota's: to be repeated.
            RefusedError: it is not acceptable.
            UnavailableError: to be repeated.
        """
        path = collection_path(body["kind"], body["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER_OPERATOR}
        return await self._call(lambda: self._request("POST", path, query, body, timeout), body["kind"])

    async def replace(self, body: Manifest, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """Changes an object if it still has the resourceVersion that `body` names.

        Raises:
            ConflictError: it has changed since.
            UnavailableError: it is unknown whether it was changed.
        """
        meta = body["metadata"]
        path = f"{collection_path(body['kind'], meta['namespace'])}/{meta['name']}"
        query = {"fieldManager": FIELD_MANAGER_OPERATOR}
        return await self._call(lambda: self._request("PUT", path, query, body, timeout), body["kind"])

    async def apply(self, body: Manifest) -> Manifest:
        """Creates or changes an object by server-side apply, winning conflicts: it is ours.

        Raises:
            RefusedError: it is not acceptable.
            UnavailableError: to be repeated.
        """
        meta = body["metadata"]
        path = f"{collection_path(body['kind'], meta['namespace'])}/{meta['name']}"
        return await self._call(lambda: self._request("PATCH", path, _APPLYING, body), body["kind"])

    async def apply_status(self, key: Key, uid: str, status: Manifest) -> Manifest:
        """Writes our part of a status; the uid keeps it from a namesake.

        Raises:
            NotFoundError: the object is gone.
            ConflictError: it is another object by now.
            UnavailableError: to be repeated.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid},
            "status": status,
        }
        path = f"{collection_path(key.kind, key.namespace)}/{key.name}/status"
        return await self._call(lambda: self._request("PATCH", path, _APPLYING, body), f"{key.kind} status")

    async def delete(self, key: Key, uid: str = "") -> None:
        """Deletes an object in the background; one that is gone is fine.

        Args:
            uid: keeps a namesake that was made since from being deleted in its place.

        Raises:
            UnavailableError: to be repeated.
        """
        path = f"{collection_path(key.kind, key.namespace)}/{key.name}"
        query = {"propagationPolicy": "Background"}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}} if uid else None
        try:
            await self._call(lambda: self._request("DELETE", path, query, body), key.kind)
        except NotFoundError:
            return
        except ConflictError:  # by its uid: this one is gone
            if not uid:
                raise

    async def pages(self, kind: Kind, namespace: str | None, selector: str = "") -> AsyncIterator[Listing]:
        """All objects of a kind, a few hundred at a time, all as of one moment and without their managedFields.

        Raises:
            NotFoundError: the API server does not know the kind.
            UnavailableError: to be repeated from the beginning.
        """
        path, following = collection_path(kind, namespace), ""
        while True:
            query = _page_query(selector, following)
            page, following = await self._call(partial(self._page, path, query), f"list of {kind}")
            yield page
            if not following:
                return

    def _page(self, path: str, query: dict[str, str], accept: str = JSON) -> tuple[Listing, str]:
        """A page, and what the next one is asked for with; empty where this was the last."""
        page = self._request("GET", path, query, None, accept=accept)
        for item in page["items"]:
            item["metadata"].pop("managedFields", None)  # the larger half of an object, and nobody's here
        metadata = page["metadata"]
        return Listing(page["items"], int(metadata["resourceVersion"])), metadata.get("continue") or ""

    def list_metadata(self, kind: str, namespace: str | None) -> Listing:
        """The metadata, and nothing else, of all objects of a kind; blocks.

        Raises:
            ClusterError: to be repeated.
        """
        with _converting(f"list of {kind} metadata"):
            items: list[Manifest] = []
            following = ""
            while True:
                query = _page_query("", following)
                page, following = self._page(collection_path(kind, namespace), query, METADATA.format("List"))
                items += page.items
                if not following:
                    return Listing(items, page.version)

    def stream_metadata(self, kind: str, namespace: str | None, version: int) -> Iterator[Manifest]:
        """Watch events with nothing of the objects but their metadata, until the server ends the stream; blocks.

        Raises:
            ClusterError: to be repeated from a list.
        """
        query = {"watch": "true", "resourceVersion": str(version), "timeoutSeconds": str(STREAM_SECONDS)}
        with _converting(f"watch of {kind} metadata"):
            path = collection_path(kind, namespace)
            timeout = STREAM_SECONDS + REQUEST_TIMEOUT
            answer = self._respond("GET", path, query, None, timeout, accept=METADATA.format(""))
            try:
                for line in answer.response:
                    yield json.loads(line)
            finally:
                answer.response.close()

    async def _call(self, request: Callable[[], R], what: str) -> R:
        with _converting(what):
            return await asyncio.get_running_loop().run_in_executor(self._threads, request)

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Manifest | None,
        timeout: float = REQUEST_TIMEOUT,
        *,
        accept: str = JSON,
    ) -> Manifest:
        text = self._respond(method, path, query, body, timeout, accept=accept).read()
        answer: Manifest = json.loads(text)
        return answer

    def _respond(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: Manifest | None,
        timeout: float,
        *,
        accept: str,
    ) -> Any:
        """The response, whose body has not been read yet."""
        if method != "GET" and (permitted := self._permit()) < inf:
            if permitted < SHORTEST_WRITE:
                raise NotLeadingError(f"{method} {path}: not sent, as this operator does not lead")
            timeout = min(timeout, permitted)
            query = {**query, "timeout": f"{int(timeout * 1000)}ms"}  # the server lets go of it then, too
        headers = {"Accept": accept, "Content-Type": APPLY if method == "PATCH" else JSON}
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=timeout)
        if not 200 <= response.status <= 299:  # noqa: PLR2004 - HTTP's success class
            text = response.read()  # type: ignore[no-untyped-call] # the client publishes no types for it
            raise ApiException(status=response.status, reason=response.reason, body=text.decode(errors="replace"))
        return response


@contextmanager
def _converting(what: str) -> Iterator[None]:
    """Turns whatever goes wrong with a request into one of our errors."""
    try:
        yield
    except ApiException as error:
        raise error_of(error.status or 0, error.body or "", str(error.reason), what) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnavailableError(f"{what}: the API server could not be reached: {error}") from error


_APPLYING: Final = {"fieldManager": FIELD_MANAGER_OPERATOR, "force": "true"}
