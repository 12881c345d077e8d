"""A KDC on loopback that answers every request alike: what no real KDC can be brought to say."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERB_ERR_TYPE_EXTENDED = 3  # MS-KILE section 2.2.2
AS_REQ = 0x6A  # the tag that the message begins with


def der(tag: int, *parts: bytes) -> bytes:
    """One value with its tag and length."""
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + struct.pack(">H", size)
    return bytes([tag]) + length + content


def integer(value: int) -> bytes:
    """An INTEGER in DER."""
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def text(value: str) -> bytes:
    """A GeneralString in DER (RFC 4120 5.2.1)."""
    return der(0x1B, value.encode())


def field(number: int, value: bytes) -> bytes:
    """A field of a SEQUENCE, by its context-specific tag."""
    return der(0xA0 + number, value)


def krb_error(
    code: int, realm: str, *, e_data: bytes | None = None, ahead: timedelta = timedelta(0), service: str | None = None
) -> bytes:
    """A KRB-ERROR (RFC 4120 section 5.9.1) by a clock that is so far ahead; about krbtgt/REALM or another service."""
    now = datetime.now(UTC) + ahead
    names = der(0x30, *map(text, (service or f"krbtgt/{realm}").split("/")))
    fields = [
        field(0, integer(5)),
        field(1, integer(30)),
        field(4, der(0x18, now.strftime("%Y%m%d%H%M%SZ").encode())),
        field(5, integer(now.microsecond)),
        field(6, integer(code)),
        field(9, text(realm)),
        field(10, der(0x30, field(0, integer(2)), field(1, names))),
    ]
    if e_data is not None:
        fields.append(field(12, der(0x04, e_data)))
    return der(0x7E, der(0x30, *fields))


def pa_data(kind: int, value: bytes) -> bytes:
    """PA-DATA, which has the shape of Windows' KERB-ERROR-DATA, too."""
    return der(0x30, field(1, integer(kind)), field(2, der(0x04, value)))


def nt_status(status: int) -> bytes:
    """A KERB-EXT-ERROR (MS-KILE section 2.2.1)."""
    return struct.pack("<III", status, 0, 1)


def _asked(kdc: tuple[str, int], message: bytes) -> bytes:
    with socket.create_connection(kdc, 10) as real, real.makefile("rb") as answer:
        real.sendall(struct.pack(">I", len(message)) + message)
        return answer.read(struct.unpack(">I", answer.read(4))[0])


@contextmanager
def stub_kdc(answer: Callable[[], bytes], *, logon: tuple[str, int] | None = None) -> Iterator[str]:
    """Yields its host:port. Each request over TCP gets one answer, and the connection is closed.

    With `logon`, the address of a real KDC, that one answers AS-REQs, so that only service tickets are the stub's.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            head = self.rfile.read(4)
            if len(head) == 4:
                message = self.rfile.read(struct.unpack(">I", head)[0])
                data = _asked(logon, message) if logon and message[0] == AS_REQ else answer()
                self.wfile.write(struct.pack(">I", len(data)) + data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
