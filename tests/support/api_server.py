"""A small HTTPS server on loopback that behaves as an API server does towards an agent."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smbferry_agent.report.api_client import ApiClient
from smbferry_agent.report.object_status import ObjectStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from smbferry_agent.report.api_client import ObjectKey

UID = "uid-1"
"""Of every object that has no other."""


class ApiServer:
    """Objects by path; every request is kept."""

    def __init__(self, folder: Path) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.tokens: list[str] = []
        self.status = 200
        self.raw: bytes | None = None
        self.before_patch: Callable[[], object] | None = None
        self.token_file = folder / "token"
        self.ca_file = folder / "ca.crt"
        self.rotate_token("first")
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(self.ca_file), folder / "server.key")
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def client(self) -> ApiClient:
        return ApiClient(self.address, self.token_file, self.ca_file)

    def status_of(self, key: ObjectKey) -> ObjectStatus:
        """The status of the object that has the usual uid."""
        return ObjectStatus(self.client(), key, UID)

    def rotate_token(self, token: str) -> None:
        self.token_file.write_text(token + "\n")

    def seen(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.requests) >= count, 5)

    def answer(self, method: str, path: str, token: str, body: bytes, content: str = "") -> tuple[int, bytes]:
        with self._changed:
            self.tokens.append(token)
            self.requests.append((method, path, json.loads(body) if body else None))
            self._changed.notify_all()
        found = self.objects.get(path.partition("?")[0].removesuffix("/status"))
        status = 404 if self.status == 200 and found is None else self.status
        if found is not None:
            found.setdefault("metadata", {}).setdefault("uid", UID)
            found["metadata"].setdefault("resourceVersion", "1")
        if status == 200 and method == "PATCH" and found is not None:
            status = self._patch(found, json.loads(body), merges=content == "application/merge-patch+json")
        return status, self.raw or json.dumps(found if status == 200 else {"message": "no"}).encode()

    def _patch(self, found: dict[str, Any], change: dict[str, Any], *, merges: bool) -> int:
        """RFC 7396 or server-side apply, if the object is still what the client has read. A uid is not looked at."""
        hook, self.before_patch = self.before_patch, None
        if hook is not None:
            hook()
        with self._changed:
            version = change.pop("metadata", {}).get("resourceVersion")
            if version not in {None, found["metadata"]["resourceVersion"]}:
                return 409
            if merges:
                _merge(found, change)
            found["metadata"]["resourceVersion"] = str(len(self.requests))
            return 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = self.headers.get("Authorization", "")
                content = self.headers.get("Content-Type", "")
                status, answer = server.answer(self.command, self.path, token, body, content)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = handle_one  # noqa: N815 (http.server's own name; the same below)
            do_PATCH = handle_one  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing on the terminal."""

        return Handler


def _merge(target: dict[str, Any], change: dict[str, Any]) -> None:
    for name, value in change.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(name, {}), value)
        else:
            target[name] = value


def certificate(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, its key beside it as server.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    path.with_name("server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
