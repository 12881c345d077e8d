"""Objects of one namespace of a cluster, read and written with the user's permissions.

Writes are merge patches of a few fields with a field manager of their own, so a tool that owns other fields keeps them.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, Self

from smbferry_api.crd import TRANSFER_RUN, TRANSFER_TASK, Kind
from smbferry_api.exit_codes import ExitCode
from smbferry_api.explain import did_you_mean
from smbferry_api.names import FIELD_MANAGER_CLI, GROUP, VERSION
from smbferry_cli.api import TIMEOUT, AwayError, KubeTransport, Request, Response, Transport, as_json
from smbferry_cli.exits import ClusterError
from smbferry_cli.kinds import plural

Object = dict[str, Any]

PAGE: Final = 500
"""Objects per page of a list."""
TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA: Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_OK: Final = range(200, 300)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _SERVER = 401, 403, 404, 429, 500
_WRITING: Final = {"fieldManager": FIELD_MANAGER_CLI}


class MissingError(ClusterError):
    """The object does not exist."""


class Cluster:
    """Access to one namespace of a cluster. A context manager."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self._transport = transport
        self.namespace = namespace

    @classmethod
    def connect(cls, chosen: argparse.Namespace, timeout: tuple[float, float | None] = TIMEOUT) -> Self:
        """Connects to the cluster of the arguments kubeconfig, context and namespace.

        Raises:
            ClusterError: the kubeconfig or the context does not exist.
        """
        transport = KubeTransport(chosen.kubeconfig, chosen.context, timeout)
        return cls(transport, chosen.namespace or transport.namespace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    # All methods raise ClusterError if the user may not do this, and AwayError if the API server does not answer.

    def task(self, name: str) -> Object:
        """Returns the TransferTask. Raises as `find` does."""
        return self.find(TRANSFER_TASK, name)

    def run(self, name: str) -> Object | None:
        """Returns the TransferRun, or None if it does not exist."""
        return self.get(TRANSFER_RUN, name)

    def get(self, kind: Kind, name: str) -> Object | None:
        """Returns the object, or None if it does not exist."""
        try:
            return self._object(self._of("get", kind, name))
        except MissingError:
            return None

    def find(self, kind: Kind, name: str) -> Object:
        """Returns the object.

        Raises:
            MissingError: it does not exist; the message has a similar name.
        """
        found = self.get(kind, name)
        if found is None:
            raise self.missing(kind, name)
        return found

    def missing(self, kind: Kind, name: str) -> MissingError:
        """Returns the error for an object that does not exist, with a similar name if there is one."""
        try:
            similar = did_you_mean(name, self.names(kind))
        except ClusterError:  # the user may read the object, but not list others
            similar = ""
        said = f'{kind.kind} "{name}" not found in namespace "{self.namespace}"'
        more = similar or f"; smbferry get {plural(kind)} --all-namespaces lists all {plural(kind)}"
        return MissingError(f"{said}{more}", ExitCode.CONFIGURATION)

    def objects(self, kind: Kind, selector: str = "", *, everywhere: bool = False) -> list[Object]:
        """Returns the objects of the namespace, or of all namespaces."""
        pages = self._pages(self._listing(kind, selector, everywhere=everywhere))
        return [_of_kind(item, kind) for page in pages for item in page.get("items") or ()]

    def names(self, kind: Kind) -> list[str]:
        """Returns the names of the namespace's objects."""
        pages = self._pages(replace(self._listing(kind), accept=METADATA))
        return [str(item["metadata"]["name"]) for page in pages for item in page.get("items") or ()]

    def namespaces(self) -> list[str]:
        """Returns the names of all namespaces."""
        pages = self._pages(Request("list", "", "v1", "namespaces", accept=METADATA))
        return [str(item["metadata"]["name"]) for page in pages for item in page.get("items") or ()]

    def table(self, kind: Kind, name: str = "", selector: str = "", *, everywhere: bool = False) -> list[Object]:
        """Returns what `kubectl get` shows, a metav1.Table per page: of one object, or of a list."""
        if name:
            return [self._object(replace(self._of("get", kind, name), accept=TABLE))]
        return list(self._pages(replace(self._listing(kind, selector, everywhere=everywhere), accept=TABLE)))

    def create(self, kind: Kind, body: Object) -> Object:
        """Creates an object.

        Raises:
            ClusterError: the API server refuses it.
        """
        return self._object(replace(self._of("create", kind), query=_WRITING, body=body))

    def patch(self, kind: Kind, name: str, change: Mapping[str, Any]) -> Object:
        """Merges a change into an object.

        Raises:
            MissingError: it does not exist; the message has a similar name.
            ClusterError: the API server refuses the change.
        """
        try:
            return self._object(replace(self._of("patch", kind, name), query=_WRITING, body=change))
        except MissingError:
            raise self.missing(kind, name) from None

    def pods(self, selector: str) -> list[Object]:
        """Returns the pods of the namespace that have these labels."""
        query = {"labelSelector": selector}
        pages = self._pages(Request("list", "", "v1", "pods", self.namespace, query=query))
        return [item for page in pages for item in page.get("items") or ()]

    def at(self, namespace: str) -> "Cluster":
        """The same cluster, of another namespace."""
        return Cluster(self._transport, namespace)

    def listed(
        self, group: str, version: str, resource: str, selector: str = "", *, everywhere: bool = False
    ) -> Iterator[Object]:
        """Yields objects of any kind, of the namespace or of all namespaces."""
        query = {"labelSelector": selector} if selector else {}
        where = None if everywhere else self.namespace
        for page in self._pages(Request("list", group, version, resource, where, query=query)):
            yield from page.get("items") or ()

    def metrics(self, pod: str, port: int) -> str:
        """Returns what a pod exposes for Prometheus, by way of the API server."""
        name = f"{pod}:{port}"
        request = Request("get", "", "v1", "pods/proxy", self.namespace, name, accept="*/*", below="metrics")
        return self._send(request).read().decode(errors="replace")

    def version(self) -> str:
        """Returns the version of the API server."""
        return str(self._object(Request("get", "", "", "version")).get("gitVersion", "unknown"))

    def log(self, pod: str, options: Mapping[str, str], *, follows: bool) -> Iterator[bytes]:
        """Yields the lines of a pod's log.

        Args:
            options: query parameters, such as container and tailLines.
            follows: waits for further lines until the container ends.

        Raises:
            MissingError: the pod does not exist.
        """
        query = {**options, **({"follow": "true"} if follows else {})}
        request = Request("get", "", "v1", "pods/log", self.namespace, pod, query, accept="*/*", follows=follows)
        return self._send(request).lines()

    def _of(self, verb: str, kind: Kind, name: str = "") -> Request:
        return Request(verb, GROUP, VERSION, kind.plural, self.namespace, name)

    def _listing(self, kind: Kind, selector: str = "", *, everywhere: bool = False) -> Request:
        query = {"labelSelector": selector} if selector else {}
        return Request("list", GROUP, VERSION, kind.plural, None if everywhere else self.namespace, query=query)

    def _pages(self, request: Request) -> Iterator[Object]:
        query = {**request.query, "limit": str(PAGE)}
        while True:
            page = self._object(replace(request, query=query))
            yield page
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query["continue"] = following

    def _object(self, request: Request) -> Object:
        return as_json(self._send(request).read())

    def _send(self, request: Request) -> Response:
        answer = self._transport.send(request)
        if answer.status in _OK:
            return answer
        raise refusal(request, answer.status, answer.reason, as_json(answer.read()))


def refusal(request: Request, status: int, reason: str, body: Object) -> ClusterError:
    """Returns the error for an unsuccessful answer.

    Args:
        body: a metav1.Status, or empty if something else answered.
    """
    what = f"{request.resource}.{request.group}" if request.group else request.resource
    where = f'in namespace "{request.namespace}"' if request.namespace else "in all namespaces"
    message = " ".join(str(body.get("message") or reason).split())
    if status == _UNAUTHORIZED:
        return ClusterError("the API server did not accept your credentials; log in again", ExitCode.CONFIGURATION)
    if status == _FORBIDDEN and body.get("reason", "Forbidden") == "Forbidden" and " cannot " in message:
        said = f"you may not {request.verb} {what} {where}; your role needs the verb {request.verb} on {what}"
        role = "view" if request.method == "GET" else "edit"
        return ClusterError(f"{said}, which the ClusterRole {role} includes", ExitCode.CONFIGURATION)
    if status == _NOT_FOUND and (body.get("details") or {}).get("name"):
        return MissingError(message, ExitCode.CONFIGURATION)
    if status == _NOT_FOUND:
        said = f"the cluster does not serve {what} of version {request.version}"
        return ClusterError(f"{said}; install smbferry's chart, or choose another --context", ExitCode.CONFIGURATION)
    if status >= _SERVER or status == _TOO_MANY:
        return AwayError(f"the API server answered {status} {message}", ExitCode.NETWORK)
    return ClusterError(f"the API server refused to {request.verb} {what} {where}: {message}", ExitCode.CONFIGURATION)


def _of_kind(item: Object, kind: Kind) -> Object:
    """Returns an item of a list with its type, which the API server leaves out in some lists."""
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind.kind, **item}
