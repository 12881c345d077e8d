"""Requests to the API server with the user's kubeconfig: HTTP in, HTTP out. `cluster` knows what they mean."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.exits import ClusterError

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
TIMEOUT: Final = (5.0, 15.0)
"""Seconds to connect, and to wait for a response."""
_METHODS: Final = {"create": "POST", "patch": "PATCH"}


class AwayError(ClusterError):
    """The API server does not answer; this may be temporary."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, in the words of a role: a verb on a resource.

    Args:
        resource: plural, with its subresource: `pods/log`.
        version: empty for what is not of the API, such as `version`.
        below: further path, behind the subresource.
        name: empty for a collection.
        namespace: None for all namespaces, or for a resource without namespaces.
        follows: True for a stream without an end.
    """

    verb: str
    group: str
    version: str
    resource: str
    namespace: str | None = None
    name: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    accept: str = JSON
    follows: bool = False
    below: str = ""

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS.get(self.verb, "GET")

    @property
    def content_type(self) -> str:
        """The type of the body."""
        return MERGE_PATCH if self.verb == "patch" else JSON

    @property
    def path(self) -> str:
        """The path of the URL. Names are checked where they are read, see `kinds`."""
        if not self.version:
            return f"/{self.resource}"
        base = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        plural, _, subresource = self.resource.partition("/")
        parts = ("namespaces", self.namespace) if self.namespace else ()
        return "/".join(part for part in (base, *parts, plural, self.name, subresource, self.below) if part)


class Response(Protocol):
    """An answer; its body is read by one of the two methods."""

    status: int
    reason: str

    def read(self) -> bytes:
        """Returns the whole body."""

    def lines(self) -> Iterator[bytes]:
        """Yields the lines of the body as they arrive, without their ends."""


class Transport(Protocol):
    """Sends requests, see `KubeTransport`."""

    def send(self, request: Request) -> Response:
        """Returns the answer, whatever its status is.

        Raises:
            AwayError: there is none.
        """

    def close(self) -> None:
        """Closes all connections."""


class KubeTransport:
    """The cluster of a kubeconfig.

    Args:
        kubeconfig: None for $KUBECONFIG or ~/.kube/config.
        context: None for the current one.

    Raises:
        ClusterError: the kubeconfig or the context does not exist.
    """

    def __init__(
        self, kubeconfig: str | None, context: str | None, timeout: tuple[float, float | None] = TIMEOUT
    ) -> None:
        known = client.Configuration()
        known.retries = False  # the caller retries and reports it
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # it has none
                config_file=kubeconfig, context=context, client_configuration=known
            )
            self.namespace = _namespace(kubeconfig, context)
        except (ConfigException, OSError) as error:
            raise ClusterError(f"cannot use the kubeconfig: {error}", ExitCode.CONFIGURATION) from error
        if not known.verify_ssl:
            # The kubeconfig says so; kubectl does not repeat it with every request either.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._api = client.ApiClient(known)
        self._timeout = timeout

    def close(self) -> None:
        """Closes all connections."""
        self._api.close()  # type: ignore[no-untyped-call]  # it has none

    def send(self, request: Request) -> Response:
        """Returns the answer, whatever its status is.

        Raises:
            AwayError: there is none.
        """
        raw = self._api.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        try:
            timeout = (self._timeout[0], None) if request.follows else self._timeout
            return _Answer(self._api.call_api(*raw, _request_timeout=timeout))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _away(error) from error


class _Answer:
    def __init__(self, answer: Any) -> None:
        self.status = int(answer.status)
        self.reason = str(answer.reason)
        self._body = answer.response

    def read(self) -> bytes:
        try:
            return bytes(self._body.read())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _away(error) from error

    def lines(self) -> Iterator[bytes]:
        begun = b""
        try:
            for part in self._body.stream(1 << 16, decode_content=True):
                *whole, begun = (begun + part).split(b"\n")
                yield from whole
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _away(error) from error
        finally:
            self._body.close()
        if begun:
            yield begun


def _away(error: Exception) -> AwayError:
    return AwayError(f"expected an answer from the API server, got none: {error}", ExitCode.NETWORK)


def contexts(kubeconfig: str | None) -> list[str]:
    """Returns the names of the kubeconfig's contexts.

    Raises:
        ClusterError: the kubeconfig does not exist.
    """
    try:
        found, _ = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # it has none
            config_file=kubeconfig
        )
    except (ConfigException, OSError) as error:
        raise ClusterError(f"cannot use the kubeconfig: {error}", ExitCode.CONFIGURATION) from error
    return [str(one["name"]) for one in found]


def _namespace(kubeconfig: str | None, context: str | None) -> str:
    known, current = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # it has none
        config_file=kubeconfig
    )
    chosen = next((c for c in known if c["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


def as_json(body: bytes) -> dict[str, Any]:
    """Returns the body's object; an empty one if it has none, such as what a proxy says."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
