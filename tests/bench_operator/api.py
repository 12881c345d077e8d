"""The API server as a bench needs it: many small requests at once, and watches."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import urllib3
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Object = dict[str, Any]
OWN = "/apis/smbferry.io/v1alpha1"
CONNECTIONS = 12
_CONFLICT = 409


class Api:
    """One API server, by its kubeconfig's client certificate. Safe to share between threads."""

    def __init__(self, kubeconfig: Path, scratch: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        files = {}
        for name, data in (
            ("ca", cluster["certificate-authority-data"]),
            ("certificate", user["client-certificate-data"]),
            ("key", user["client-key-data"]),
        ):
            files[name] = scratch / name
            files[name].touch(mode=0o600)
            files[name].write_bytes(base64.b64decode(data))
        self._server = str(cluster["server"])
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS + 8,
            ca_certs=str(files["ca"]),
            cert_file=str(files["certificate"]),
            key_file=str(files["key"]),
            retries=urllib3.Retry(3, backoff_factor=0.2, status_forcelist=(429, 503), allowed_methods=None),
        )

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """One request; its JSON answer. A thing that exists already is fine.

        Raises:
            RuntimeError: the API server refused.
        """
        encoded = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, self._server + path, body=encoded, headers={"Content-Type": kind})
        if answer.status >= 400 and answer.status != _CONFLICT:
            raise RuntimeError(f"{method} {path}: HTTP {answer.status}: {answer.data[:300]!r}")
        return dict(json.loads(answer.data))

    def text(self, path: str) -> str:
        """A plain text, such as the API server's own metrics."""
        return self._pool.request("GET", self._server + path).data.decode()

    def apply_status(self, path: str, kind: str, status: Object, manager: str) -> None:
        """Server-side apply of a part of a status."""
        namespace, name = path.split("/")[-3], path.rsplit("/", 1)[1]
        metadata = {"name": name, "namespace": namespace}
        body = {"apiVersion": "smbferry.io/v1alpha1", "kind": kind, "metadata": metadata, "status": status}
        query = f"{path}/status?fieldManager={manager}&force=true"
        self.request("PATCH", query, body, "application/apply-patch+yaml")

    def watch(self, path: str, selector: str, ended: Callable[[], bool]) -> Iterator[tuple[str, Object]]:
        """Events of a collection from now on, until `ended`; watches that the server closes are made anew."""
        version = self.request("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
        while not ended():
            query = f"{path}?watch=1&timeoutSeconds=5&resourceVersion={version}&labelSelector={selector}"
            response = self._pool.request("GET", self._server + query, preload_content=False)
            for line in lines(response.stream(65536)):
                event = json.loads(line)
                version = event["object"]["metadata"].get("resourceVersion", version)
                yield event["type"], event["object"]
            response.release_conn()


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
