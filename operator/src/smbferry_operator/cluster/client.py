"""A small client on the transport and credentials of the official one: JSON in, JSON out, our own errors.

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
from smbferry_api.names import FIELD_MANAGER_OPERATOR, LABEL_CLASS, LABEL_MANAGED_BY, MANAGED_BY_OPERATOR
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
REVIEW_TIMEOUT: Final = 5.0
"""Shorter than a scrape."""
SHORTEST_WRITE: Final = 0.1
"""A write that has less time than this, in seconds, is not started."""
STATUS_TRIES: Final = 5
"""How often a status is written at most while others change the object."""
PAGE: Final = 500
"""Objects per page of a list."""
APPLY: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
STREAM_SECONDS: Final = 300

_COLLECTIONS: Final[dict[str, tuple[str, str]]] = {
    **{kind.kind: (f"/apis/{API_VERSION}", kind.plural) for kind in KINDS},
    "Job": ("/apis/batch/v1", "jobs"),
    "Pod": ("/api/v1", "pods"),
    "Namespace": ("/api/v1", "namespaces"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Event": ("/apis/events.k8s.io/v1", "events"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases"),
    "TokenReview": ("/apis/authentication.k8s.io/v1", "tokenreviews"),
    "SubjectAccessReview": ("/apis/authorization.k8s.io/v1", "subjectaccessreviews"),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a kind, and the list's resourceVersion."""

    items: list[Manifest]
    version: int


def selector_of(kind: Kind, class_name: str) -> str:
    """The label selector of a kind's lists and watches: of Jobs and pods only those that operators of the class made.

    Args:
        class_name: empty for the default class.
    """
    if kind not in {Kind.JOB, Kind.POD}:
        return ""
    of_class = f"{LABEL_CLASS}={class_name}" if class_name else f"!{LABEL_CLASS}"
    return f"{LABEL_MANAGED_BY}={MANAGED_BY_OPERATOR},{of_class}"


def collection_path(kind: str, namespace: str | None) -> str:
    """The URL path of a kind, in one namespace or in all."""
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
        """Connects with the pod's service account, or outside of a cluster with KUBECONFIG.

        Args:
            connections: the number of concurrent requests.
            permit: for how many more seconds this operator may write; asked before each write.

        Raises:
            ClusterError: neither exists.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the client publishes no types for it
        except config.ConfigException:
            try:
                config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the client publishes no types for it
            except (config.ConfigException, OSError) as error:
                raise ClusterError(f"expected a pod's service account or KUBECONFIG, got neither ({error})") from error
        configuration.connection_pool_maxsize = connections
        configuration.retries = 0  # an automatic retry would outlive the permit
        return cls(client.ApiClient(configuration), connections, permit)

    async def get(self, kind: str, namespace: str, name: str, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """Reads one object.

        Raises:
            NotFoundError: it does not exist.
            UnavailableError: retry.
        """
        path = f"{collection_path(kind, namespace)}/{name}"
        return await self._call(lambda: self._request("GET", path, {}, None, timeout), f"{kind} {namespace}/{name}")

    async def create(self, body: Manifest, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """Creates an object.

        Raises:
            AlreadyExistsError: an object of this name exists.
            ConflictError: it collided with another write, such as a quota's: retry.
            RefusedError: it is not accepted.
            UnavailableError: retry.
        """
        path = collection_path(body["kind"], body["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER_OPERATOR}
        return await self._call(lambda: self._request("POST", path, query, body, timeout), body["kind"])

    async def review(self, kind: str, spec: Manifest, timeout: float = REVIEW_TIMEOUT) -> Manifest:
        """Asks about a token (TokenReview) or a permission (SubjectAccessReview); returns the status.

        Raises:
            RefusedError: the operator may not ask.
            UnavailableError: retry.
        """
        base, _ = _COLLECTIONS[kind]
        body = {"apiVersion": base.removeprefix("/apis/"), "kind": kind, "spec": spec}
        path = collection_path(kind, None)
        answer = await self._call(lambda: self._request("POST", path, {}, body, timeout), kind)
        status: Manifest = answer.get("status") or {}
        return status

    async def replace(self, body: Manifest, timeout: float = REQUEST_TIMEOUT) -> Manifest:
        """Replaces an object if it still has the resourceVersion in `body`.

        Raises:
            ConflictError: it has changed since.
            UnavailableError: it is unknown whether it was replaced.
        """
        meta = body["metadata"]
        path = f"{collection_path(body['kind'], meta['namespace'])}/{meta['name']}"
        query = {"fieldManager": FIELD_MANAGER_OPERATOR}
        return await self._call(lambda: self._request("PUT", path, query, body, timeout), body["kind"])

    async def apply(self, body: Manifest) -> Manifest:
        """Creates or changes an object by server-side apply; forces conflicts, as the operator owns it.

        Raises:
            RefusedError: it is not accepted.
            UnavailableError: retry.
        """
        meta = body["metadata"]
        path = f"{collection_path(body['kind'], meta['namespace'])}/{meta['name']}"
        return await self._call(lambda: self._request("PATCH", path, _APPLYING, body), body["kind"])

    async def apply_status(self, key: Key, uid: str, status: Manifest, version: str = "") -> Manifest:
        """Writes the operator's part of a status, if the object still has this uid.

        The API server ignores a uid in the status of a custom resource, but not a resourceVersion. So each write names
        the version of an object with this uid; if another write was faster, the object is read again.

        Args:
            version: the last known resourceVersion of the object; empty if unknown.

        Raises:
            NotFoundError: the object does not exist, or another object has its name.
            ConflictError: others wrote each time: retry.
            UnavailableError: retry.
        """
        for _ in range(STATUS_TRIES - 1):
            try:
                return await self._apply_status(key, status, version or await self._version(key, uid))
            except ConflictError:
                version = ""
        return await self._apply_status(key, status, await self._version(key, uid))

    async def _version(self, key: Key, uid: str) -> str:
        """The resourceVersion of the object with this uid.

        Raises:
            NotFoundError: there is none.
        """
        meta = (await self.get(key.kind.value, key.namespace, key.name))["metadata"]
        if meta["uid"] != uid:
            raise NotFoundError(f"{key}: expected the object with uid {uid}, got another one of the same name")
        return str(meta["resourceVersion"])

    async def _apply_status(self, key: Key, status: Manifest, version: str) -> Manifest:
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind.value,
            "metadata": {"name": key.name, "namespace": key.namespace, "resourceVersion": version},
            "status": status,
        }
        path = f"{collection_path(key.kind, key.namespace)}/{key.name}/status"
        return await self._call(lambda: self._request("PATCH", path, _APPLYING, body), f"{key.kind} status")

    async def delete(self, key: Key, uid: str = "") -> None:
        """Deletes an object in the background; succeeds if it does not exist.

        Args:
            uid: delete only the object with this uid, not a new one of the same name.

        Raises:
            UnavailableError: retry.
        """
        path = f"{collection_path(key.kind, key.namespace)}/{key.name}"
        query = {"propagationPolicy": "Background"}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}} if uid else None
        try:
            await self._call(lambda: self._request("DELETE", path, query, body), key.kind)
        except NotFoundError:
            return
        except ConflictError:  # another uid: the object was deleted before
            if not uid:
                raise

    async def pages(self, kind: Kind, namespace: str | None, selector: str = "") -> AsyncIterator[Listing]:
        """Lists all objects of a kind by pages, at one resourceVersion, without managedFields.

        Raises:
            NotFoundError: the API server does not know the kind.
            UnavailableError: retry from the first page.
        """
        path, following = collection_path(kind, namespace), ""
        while True:
            query = _page_query(selector, following)
            page, following = await self._call(partial(self._page, path, query), f"list of {kind}")
            yield page
            if not following:
                return

    def _page(self, path: str, query: dict[str, str], accept: str = JSON) -> tuple[Listing, str]:
        """A page, and the token for the next one, empty if this is the last."""
        page = self._request("GET", path, query, None, accept=accept)
        for item in page["items"]:
            item["metadata"].pop("managedFields", None)  # more than half of an object's size, and unused here
        metadata = page["metadata"]
        return Listing(page["items"], int(metadata["resourceVersion"])), metadata.get("continue") or ""

    def list_metadata(self, kind: str, namespace: str | None) -> Listing:
        """Lists only the metadata of all objects of a kind; blocks.

        Raises:
            ClusterError: retry.
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
        """Yields watch events that contain only metadata, until the server ends the stream; blocks.

        Raises:
            ClusterError: list again, then watch.
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
        """The response; its body has not been read."""
        if method != "GET" and (permitted := self._permit()) < inf:
            if permitted < SHORTEST_WRITE:
                raise NotLeadingError(f"{method} {path}: not sent, because this operator does not lead")
            timeout = min(timeout, permitted)
            query = {**query, "timeout": f"{int(timeout * 1000)}ms"}  # the server gives up at the same time
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
    """Converts errors of a request to ours."""
    try:
        yield
    except ApiException as error:
        raise error_of(error.status or 0, error.body or "", str(error.reason), what) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnavailableError(f"{what}: the API server could not be reached: {error}") from error


_APPLYING: Final = {"fieldManager": FIELD_MANAGER_OPERATOR, "force": "true"}
