"""A relay before the domain's KDC that counts how often a key was proved or tried: what a lockout policy counts."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain

# PA-DATA of type 2, PA-ENC-TIMESTAMP: [1] INTEGER 2, then [2] (RFC 4120 section 5.2.7).
PROOF = bytes.fromhex("a103020102a2")
TGS_REQ = 0x6C  # [APPLICATION 12], after the four bytes of the length
PATIENCE_SECONDS = 30


class CountingKdc:
    """Listens on TCP, as `kdc` says, and counts requests by their bytes alone.

    `proofs` prove a key, right or wrong; `ticket_requests` ask for the ticket of a service.
    """

    def __init__(self, domain: Domain, host: str = "127.0.0.1") -> None:
        self._upstream = (domain.address, 88)
        self._listener = socket.create_server((host, 0))
        self._lock = threading.Lock()
        self.kdc = f"{host}:{self._listener.getsockname()[1]}"
        self.proofs = 0
        self.ticket_requests = 0

    @classmethod
    def reachable(cls, domain: Domain) -> Self:
        """At this machine's address towards the domain: a KDC on loopback would be refused."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((domain.address, 88))  # sends nothing: it only picks the address to send from
            return cls(domain, probe.getsockname()[0])

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serves until the context is left."""
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._attend, args=(client,), daemon=True).start()

    def _attend(self, client: socket.socket) -> None:
        with suppress(ConnectionError):  # who hangs up has seen enough
            self._pass_on(client)

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream, PATIENCE_SECONDS) as upstream:
            client.settimeout(PATIENCE_SECONDS)
            message = _message(client)
            if not message:
                return  # somebody looked whether the port is open
            with self._lock:
                self.proofs += PROOF in message
                self.ticket_requests += message[4] == TGS_REQ
            upstream.sendall(message)
            client.sendall(_message(upstream))


def _message(source: socket.socket) -> bytes:
    """A message with its length before it (RFC 4120 section 7.2.2); empty at the end of the stream."""
    with source.makefile("rb") as stream:
        head = stream.read(4)
        return head + stream.read(struct.unpack(">I", head)[0]) if head else b""
