"""A network that fails at will: a TCP proxy on loopback before the file server, and one that delays."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.support.environment import engine_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.domain.machine import Machine

    from smbferry_engine import Endpoint

MIB = 1 << 20
# More connections than wait for a listener with a backlog of none.
FILLERS = 4


class Proxy:
    """Passes everything on; `downstream` may change, hold or break what the server sends.

    `downstream(frame, count)` gets each whole frame of the server's and how many bytes went before; it returns what
    to send instead, or None to end the connection. `resets` makes that end a reset (RST). `upstream(frame)` does the
    same to the client's frames, where it is given.
    A connection that `carries` only so many bytes, up and down together, ends when they have gone; `deaths` counts
    those, `passed` all bytes.
    """

    def __init__(
        self,
        machine: Machine,
        downstream: Callable[[bytes, int], bytes | None],
        *,
        port: int = 445,
        resets: bool = False,
        upstream: Callable[[bytes], bytes | None] | None = None,
        carries: int | None = None,
    ) -> None:
        self._target = (machine.address, port)
        self._downstream = downstream
        self._resets = resets
        self._upstream = upstream
        self._carries = carries
        self.deaths = 0
        self.passed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._servers: list[socket.socket] = []
        self._swallows = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Serve until the end of the block."""
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            for sock in (self._listener, *self._clients, *self._servers):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
            thread.join(5)

    def through(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint, reached by way of this proxy."""
        return replace(endpoint, addresses=("127.0.0.1",), port=self.port)

    def black_hole(self) -> None:
        """From now on nothing is answered: what comes is lost, and the kernel drops packets that open a connection.

        It does so because the queue of those that wait to be accepted is full.
        """
        self._swallows.set()
        self._listener.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._clients.append(filler)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while not self._swallows.is_set():
                client, _ = self._listener.accept()
                self._clients.append(client)
                if self._swallows.is_set():
                    return
                server = socket.create_connection(self._target)
                self._servers.append(server)
                gone = [0]
                threading.Thread(target=self._up, args=(client, server, gone), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server, gone), daemon=True).start()

    def _carry(self, gone: list[int], count: int) -> bool:
        """Whether so many bytes still get through."""
        if self._carries is not None and gone[0] <= self._carries < gone[0] + count:
            self.deaths += 1
        gone[0] += count
        self.passed += count
        return self._carries is None or gone[0] <= self._carries

    def _up(self, client: socket.socket, server: socket.socket, gone: list[int]) -> None:
        with contextlib.suppress(OSError):
            if self._upstream is not None:
                self._change_upstream(self._upstream, client, server)
            while data := client.recv(MIB):
                if not self._carry(gone, len(data)):
                    self._end(client, server)
                    return
                if not self._swallows.is_set():
                    server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _change_upstream(
        self, change: Callable[[bytes], bytes | None], client: socket.socket, server: socket.socket
    ) -> None:
        stream = client.makefile("rb", buffering=0)
        while prefix := stream.read(4):
            frame = prefix
            while len(frame) < 4 + int.from_bytes(prefix, "big") and (more := client.recv(MIB)):
                frame += more
            changed = change(frame)
            if changed is None:
                client.shutdown(socket.SHUT_RDWR)
                return
            server.sendall(changed)

    def _down(self, client: socket.socket, server: socket.socket, gone: list[int]) -> None:
        before = 0
        with contextlib.suppress(OSError):
            stream = server.makefile("rb")
            while prefix := stream.read(4):
                frame = prefix + stream.read(int.from_bytes(prefix, "big"))
                changed = self._downstream(frame, before)
                before += len(frame)
                if changed is None or not self._carry(gone, len(frame)):
                    break
                if self._swallows.is_set():
                    continue
                client.sendall(changed)
        # However the server ended, by closing or by dying with a reset: its client hears of it.
        with contextlib.suppress(OSError):
            self._end(client, server)

    def _end(self, client: socket.socket, server: socket.socket) -> None:
        if self._resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
            # Wakes the thread that receives, so that nobody uses the socket any more when it is closed.
            client.shutdown(socket.SHUT_RD)
            client.close()
        else:
            client.shutdown(socket.SHUT_RDWR)
        server.shutdown(socket.SHUT_RDWR)


def once(count: int, act: Callable[[], None]) -> Callable[[bytes, int], bytes | None]:
    """Let everything pass, and `act` once when `count` bytes of the server's have gone by."""
    done: list[bool] = []

    def downstream(frame: bytes, before: int) -> bytes:
        if before >= count and not done:
            done.append(True)
            act()
        return frame

    return downstream


@contextlib.contextmanager
def delayed(machine: Machine, endpoint: Endpoint, *, round_trip_ms: float) -> Iterator[Endpoint]:
    """The endpoint behind a proxy that makes each round trip so much longer, and loses no bandwidth."""
    command = [sys.executable, "-m", "lab.bench.proxy", str(round_trip_ms / 2), machine.address, str(endpoint.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=engine_environment()) as process:
        assert process.stdout is not None
        try:
            yield replace(endpoint, addresses=("127.0.0.1",), port=int(process.stdout.readline()))
        finally:
            process.kill()
