"""One API server over kept connections: a kubectl for every look would take the processor from what is tested."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import urllib3
from kubernetes import client, config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Object = dict[str, Any]
OWN = "/apis/smbferry.io/v1alpha1"
CONNECTIONS = 12
WATCH_SECONDS = 30
JSON, APPLY, MERGE = "application/json", "application/apply-patch+yaml", "application/merge-patch+json"
_AWAY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE,
         HTTPStatus.GATEWAY_TIMEOUT)  # fmt: skip


class ApiError(Exception):
    """The API server is away, or refused; the message is what it said, `status` HTTP's code where it answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def away(self) -> bool:
        """Whether it is only not there yet."""
        return self.status is None or self.status in _AWAY


def connection(kubeconfig: Path | str) -> client.Configuration:
    """What a kubeconfig's context says: `host`, and the paths `ssl_ca_cert`, `cert_file` and `key_file`."""
    known = client.Configuration()
    config.load_kube_config(  # type: ignore[no-untyped-call]  # it has none
        config_file=str(kubeconfig), client_configuration=known
    )
    return known


class Api:
    """The API server that a kubeconfig's context names, asked as its user. Safe to share between threads."""

    def __init__(self, kubeconfig: Path | str) -> None:
        known = connection(kubeconfig)
        self._server = str(known.host)
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS + 8,
            ca_certs=known.ssl_ca_cert,
            cert_file=known.cert_file,
            key_file=known.key_file,
            retries=urllib3.Retry(3, backoff_factor=0.2, status_forcelist=(429, 503), allowed_methods=None),
        )

    def request(self, method: str, path: str, body: Object | None = None, kind: str = JSON) -> Object:
        """One request; its JSON answer. A thing that exists already is fine.

        Raises:
            ApiError: the API server is away, or refused.
        """
        encoded = None if body is None else json.dumps(body).encode()
        answer = self._ask(method, path, body=encoded, headers={"Content-Type": kind})
        return dict(json.loads(answer.data))

    def get(self, path: str) -> Object | None:
        """What is at the path; None where there is nothing.

        Raises:
            ApiError: the API server is away, or refused.
        """
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def text(self, path: str) -> str:
        """A plain text, such as the API server's own metrics. Raises as `get` does."""
        return self._ask("GET", path).data.decode()

    def apply_status(self, path: str, kind: str, status: Object, manager: str) -> None:
        """Server-side apply of a part of a status."""
        namespace, name = path.split("/")[-3], path.rsplit("/", 1)[1]
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "smbferry.io/v1alpha1", "kind": kind, "metadata": metadata, "status": status}
        self.request("PATCH", f"{path}/status?fieldManager={manager}&force=true", body, APPLY)

    def watch(self, path: str, selector: str, ended: Callable[[], bool]) -> Iterator[tuple[str, Object]]:
        """Events of a collection from now on, until `ended`, which is asked every WATCH_SECONDS.

        The watch is made anew then, and what comes in that moment comes late: so not more often.
        """
        version = self.request("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
        while not ended():
            query = f"{path}?watch=1&timeoutSeconds={WATCH_SECONDS}&resourceVersion={version}&labelSelector={selector}"
            response = self._ask("GET", query, preload_content=False)
            for line in lines(response.stream(65536)):
                event = json.loads(line)
                version = event["object"]["metadata"].get("resourceVersion", version)
                yield event["type"], event["object"]
            response.release_conn()

    def _ask(self, method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._pool.request(method, self._server + path, **more)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"{method} {path}: {error}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST and answer.status != HTTPStatus.CONFLICT:
            raise ApiError(f"{method} {path}: HTTP {answer.status}: {answer.data[:300]!r}", answer.status)
        return answer


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines of a stream."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def at_once(work: Iterable[Callable[[], object]]) -> None:
    """Do it all, several at a time; the first error is raised."""
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result()
