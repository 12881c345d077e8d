"""A client for what an agent may do: read an object, and write the status of an object.

The pod's token is read again for each request, because the kubelet rotates it.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import urllib3

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_api.names import API_VERSION, FIELD_MANAGER_AGENT, PLURALS
from smbferry_api.reasons import API_SERVER_REFUSED, API_SERVER_UNREACHABLE

_log = logging.getLogger(__name__)
R = TypeVar("R")
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=15.0)
_OK: Final = 200
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 401, 403, 404, 409, 429, 500
_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"
TRIES: Final = 5
_PAUSE: Final = 2.0  # seconds before the second attempt; longer by as much before each further one


class ObjectNotFoundError(Exception):
    """The object does not exist."""


class PermissionWithdrawnError(AgentError):
    """This agent's ServiceAccount has no permission or does not exist (HTTP 401, 403).

    This happens while its object is being deleted, and for a moment after an API server's start.
    """


class ConflictError(AgentError):
    """The object has changed since it was read (HTTP 409)."""


def is_refused(error: AgentError) -> bool:
    """Whether the permission is missing."""
    return isinstance(error, PermissionWithdrawnError)


def may_pass(error: AgentError) -> bool:
    """Whether a retry may succeed: the API server is unreachable, or has just started."""
    return error.reason is API_SERVER_UNREACHABLE or is_refused(error)


def repeated(request: Callable[[], R], *, tries: int = TRIES, worth: Callable[[AgentError], bool] = may_pass) -> R:
    """Makes a request, and retries it with growing pauses after errors that may pass.

    Raises:
        ObjectNotFoundError: the object does not exist.
        AgentError: the last attempt failed, or a retry cannot help.
    """
    for attempt in range(1, tries):
        try:
            return request()
        except AgentError as error:
            if not worth(error):
                raise
            _log.warning("the API server does not serve the request; retrying", extra=fields(detail=error.message))
            time.sleep(_PAUSE * attempt)
    return request()


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Identifies an object of our kinds."""

    kind: str
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Its URL path."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURALS[self.kind]}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class ApiClient:
    """A client of one API server. Thread-safe."""

    def __init__(self, server: str, token_file: Path, ca_file: Path) -> None:
        self._server = server
        self._token_file = token_file
        self._pool = urllib3.PoolManager(
            cert_reqs="CERT_REQUIRED", ca_certs=str(ca_file), timeout=_TIMEOUT, retries=False
        )

    @classmethod
    def in_cluster(cls) -> "ApiClient":
        """Connects with the pod's service account.

        Raises:
            AgentError: not in a pod.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise AgentError(API_SERVER_UNREACHABLE, "Expected to run in a pod; KUBERNETES_SERVICE_HOST is not set.")
        shown = f"[{host}]" if ":" in host else host
        return cls(f"https://{shown}:{port}", SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt")

    def get(self, key: ObjectKey) -> dict[str, Any]:
        """Reads an object.

        Raises:
            ObjectNotFoundError: it does not exist.
            AgentError: the API server is unreachable, or refuses.
        """
        return self._request("GET", key.path, key)

    def apply_status(
        self, key: ObjectKey, status: dict[str, Any], version: str, manager: str = FIELD_MANAGER_AGENT
    ) -> dict[str, Any]:
        """Writes a field manager's part of the status by server-side apply; fields that it leaves out are removed.

        Args:
            version: the resourceVersion of the object.

        Raises:
            ConflictError: it has another version.
            ObjectNotFoundError: the object does not exist.
            AgentError: the API server is unreachable, or refuses.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "metadata": {"name": key.name, "namespace": key.namespace, "resourceVersion": version},
            "status": status,
        }
        query = f"?fieldManager={manager}&force=true"
        return self._request("PATCH", f"{key.path}/status{query}", key, json.dumps(body).encode())

    def merge_status(self, key: ObjectKey, status: dict[str, Any], version: str) -> dict[str, Any]:
        """Changes single fields of the status by a merge patch (RFC 7396); None removes a field.

        Args:
            version: the resourceVersion of the object.

        Raises:
            ConflictError: it has another version.
            ObjectNotFoundError: the object does not exist.
            AgentError: the API server is unreachable, or refuses.
        """
        body = {"metadata": {"resourceVersion": version}, "status": status}
        return self._request("PATCH", f"{key.path}/status", key, json.dumps(body).encode(), _MERGE)

    def _request(
        self, method: str, path: str, key: ObjectKey, body: bytes | None = None, content: str = _APPLY
    ) -> dict[str, Any]:
        try:
            token = self._token_file.read_text().strip()
            response = self._pool.request(
                method,
                self._server + path,
                body=body,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Accept": "application/json",
                    "Content-Type": content,
                    "User-Agent": FIELD_MANAGER_AGENT,
                },
            )
            answer = _parse(response.data)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise AgentError(API_SERVER_UNREACHABLE, f"{method} of {key}: {type(error).__name__}.") from error
        if response.status == _OK:
            return answer
        said = str(answer.get("message", ""))[:500]
        if response.status == _NOT_FOUND:
            raise ObjectNotFoundError(f"{key} was not found: {said}")
        # The API server answers 500 to a field that is not in its CRD: the CRDs are older than the agent.
        mismatch = "field not declared in schema" in said
        passing = response.status in {_UNAUTHORIZED, _TOO_MANY} or (response.status >= _SERVER_ERROR and not mismatch)
        reason = API_SERVER_UNREACHABLE if passing else API_SERVER_REFUSED
        failure = {
            _UNAUTHORIZED: PermissionWithdrawnError,
            _FORBIDDEN: PermissionWithdrawnError,
            _CONFLICT: ConflictError,
        }.get(response.status, AgentError)
        raise failure(reason, f"{method} of {key} ended with HTTP {response.status}: {said}")


def _parse(data: bytes) -> dict[str, Any]:
    """The answer's JSON object. A proxy may answer with something else."""
    try:
        answer = json.loads(data)
    except ValueError:
        return {"message": "the answer is not JSON"}
    return answer if isinstance(answer, dict) else {"message": "the answer is not a JSON object"}
