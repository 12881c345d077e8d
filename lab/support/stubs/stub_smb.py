"""A file server that is real until the session is set up, and then answers as a test says: what Samba never does."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.support.stubs.stub_kdc import der, field, integer

if TYPE_CHECKING:
    from collections.abc import Iterator

MORE_PROCESSING_REQUIRED = 0xC0000016
SUCCESS = 0
# MS-SMB2 2.2.1.2: what the header of a reply repeats of the request, and what it sets.
HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
SESSION_SETUP, SERVER_TO_REDIR, SESSION_ID = 1, 1, 0x1122334455
# RFC 1964 section 1.1: the mechanism's frame, the kinds of token in it.
KRB5_OID = bytes.fromhex("06092a864886f712010202")
NTLM_OID = bytes.fromhex("060a2b06010401823702020a")
AP_REP, KRB_ERROR = b"\x02\x00", b"\x03\x00"
# RFC 4178 section 4.2.2: negState.
ACCEPT_COMPLETED, ACCEPT_INCOMPLETE, REJECT = 0, 1, 2


class StubServer:
    """Where it listens, and what came in after its answer to the session setup."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.after: list[bytes] = []


def gss_token(kind: bytes, message: bytes) -> bytes:
    """A token of the Kerberos mechanism."""
    return der(0x60, KRB5_OID, kind, message)


def negotiated(token: bytes, state: int = ACCEPT_COMPLETED, mechanism: bytes = KRB5_OID) -> bytes:
    """What a server answers by SPNEGO: NegTokenResp."""
    inner = [field(2, der(0x04, token))] if token else []
    return der(0xA1, der(0x30, field(0, der(0x0A, bytes([state]))), field(1, mechanism), *inner))


def ap_rep_of_another_key() -> bytes:
    """An AP-REP (RFC 4120 section 5.5.2) that proves nothing: its encrypted part is noise."""
    encrypted = der(0x30, field(0, integer(18)), field(2, der(0x04, bytes(range(80)))))
    return der(0x6F, der(0x30, field(0, integer(5)), field(1, integer(15)), field(2, encrypted)))


@contextmanager
def stub_server(upstream: tuple[str, int], status: int, token: bytes = b"") -> Iterator[StubServer]:
    """Negotiates as the real server does, then answers the session setup with this status and security token."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(upstream, 10) as real:
                real.sendall(_frame(self.request))
                self.request.sendall(_frame(real))
            self.request.sendall(_answer(_frame(self.request), status, token))
            while frame := _frame(self.request):
                stub.after.append(frame)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub = StubServer(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield stub
        finally:
            server.shutdown()


def _answer(request: bytes, status: int, token: bytes) -> bytes:
    fields = HEADER.unpack_from(request, 4)
    header = HEADER.pack(
        b"\xfeSMB", 64, fields[2], status, SESSION_SETUP, 32, SERVER_TO_REDIR, 0, fields[8], 0, 0, SESSION_ID, bytes(16)
    )
    if status in {SUCCESS, MORE_PROCESSING_REQUIRED}:
        body = struct.pack("<HHHH", 9, 0, 72, len(token)) + token  # 2.2.6
    else:
        body = struct.pack("<HBBIB", 9, 0, 0, 0, 0)  # 2.2.2
    return struct.pack(">I", len(header) + len(body)) + header + body


def _frame(source: socket.socket) -> bytes:
    """One frame with its length in front; nothing at the end of the stream."""
    with source.makefile("rb", buffering=0) as stream:
        head = _exactly(stream, 4)
        return head + _exactly(stream, struct.unpack(">I", head)[0]) if head else b""


def _exactly(stream: socket.SocketIO, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = stream.read(count - len(data))
        if not part:
            return b""
        data += part
    return data
