"""What the engine's tests against the real domain share: endpoints with tickets, a watcher, a network that fails."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import gssapi

from smbferry_engine import Endpoint, FileFailure, FileRecord, Options, Result, SecurityDescriptors, transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.domain import Directory, Domain, User

    from smbferry_engine import Counters, Evidence, ServerSideFact, SideName

MIB = 1 << 20


@dataclass
class Tickets:
    """Credential caches of the tests' own users, filled once by libkrb5 from keytabs of the domain."""

    domain: Domain
    scratch: Path
    reader: User
    writer: User
    _caches: dict[str, str] = field(default_factory=dict)

    def of(self, user: User) -> str:
        """The ccache of `user`."""
        if user.name not in self._caches:
            keytab = self.scratch / f"{user.name}.keytab"
            keytab.write_bytes(user.keytab())
            ccache = f"FILE:{self.scratch / user.name}"
            name = gssapi.Name(user.principal, gssapi.NameType.kerberos_principal)
            store = {"client_keytab": f"FILE:{keytab}", "ccache": ccache}
            credentials = gssapi.Credentials(name=name, usage="initiate", store=store)
            assert credentials.lifetime
            self._caches[user.name] = ccache
        return self._caches[user.name]

    def endpoint(self, share: str, path: str, *, user: User | None = None, **changes: object) -> Endpoint:
        """One side; by default as the user for that share."""
        who = user or (self.writer if share == "dst" else self.reader)
        made = Endpoint(
            server=self.domain.server,
            port=445,
            share=share,
            path=path,
            addresses=(self.domain.address,),
            service_principal=f"cifs/{self.domain.server}",
            principal=who.principal,
            ccache=self.of(who),
            krb5_config=os.environ["KRB5_CONFIG"],
        )
        return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Watcher:
    """An observer that remembers."""

    failures: list[FileFailure] = field(default_factory=list)
    records: list[FileRecord] = field(default_factory=list)
    phases: list[tuple[str, str]] = field(default_factory=list)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    facts: list[ServerSideFact] = field(default_factory=list)
    on_progress: Callable[[Counters], None] = lambda _counters: None

    def phase(self, name: str, state: str) -> None:
        self.phases.append((name, state))

    def progress(self, counters: Counters) -> None:
        self.on_progress(counters)

    def failure(self, failure: FileFailure) -> None:
        self.failures.append(failure)

    def record(self, record: FileRecord) -> None:
        self.records.append(record)

    def security(self, side: SideName, evidence: Evidence) -> None:
        self.evidence[side] = evidence

    def server_side(self, fact: ServerSideFact) -> None:
        self.facts.append(fact)

    @property
    def reasons(self) -> dict[str, str]:
        """Path → reason of every failure."""
        return {failure.path: failure.reason for failure in self.failures}


@dataclass
class Bench:
    """A source and a destination folder of the test's own, and the engine between them."""

    tickets: Tickets
    source: Directory
    destination: Directory
    watcher: Watcher = field(default_factory=Watcher)

    def ends(self) -> tuple[Endpoint, Endpoint]:
        """Both sides."""
        return self.tickets.endpoint("src", self.source.path), self.tickets.endpoint("dst", self.destination.path)

    def copy(
        self,
        *,
        ends: tuple[Endpoint, Endpoint] | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        **options: object,
    ) -> Result:
        """Transfer with the given options; no descriptors unless asked for."""
        chosen = Options(**{"security_descriptors": SecurityDescriptors.NONE, **options})  # type: ignore[arg-type]
        self.watcher = replace(self.watcher, failures=[], records=[], phases=[], evidence={}, facts=[])
        source, destination = ends or self.ends()
        return transfer(source, destination, chosen, self.watcher, cancelled=cancelled)


class Proxy:
    """A TCP proxy on loopback before the file server; `downstream` may change, hold or break what the server sends.

    `downstream(frame, count)` gets each whole frame of the server's and how many bytes went before; it returns what
    to send instead, or None to end the connection.
    """

    def __init__(self, domain: Domain, downstream: Callable[[bytes, int], bytes | None]) -> None:
        self._target = (domain.address, 445)
        self._downstream = downstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for sock in (self._listener, *self._sockets):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            thread.join(5)

    def through(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, reached by way of this proxy."""
        return replace(endpoint, addresses=("127.0.0.1",), port=self.port)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    @staticmethod
    def _up(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(MIB):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        before = 0
        with contextlib.suppress(OSError):
            stream = server.makefile("rb")
            while prefix := stream.read(4):
                frame = prefix + stream.read(int.from_bytes(prefix, "big"))
                changed = self._downstream(frame, before)
                before += len(frame)
                if changed is None:
                    break
                client.sendall(changed)
            client.shutdown(socket.SHUT_RDWR)
