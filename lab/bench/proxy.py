"""A TCP proxy that delays: `python -m lab.bench.proxy DELAY_MS ADDRESS PORT` prints the port that it listens on.

Each direction is late by the delay and loses nothing of its bandwidth: what has arrived waits in a queue until it is
due, while more is received. One thread serves all connections with select(2), whose timeout is exact to microseconds
where epoll's is to milliseconds.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field

CHUNK = 256 << 10
# Per direction, in bytes: 10 GB/s for 5 ms is less, so a link's own speed is never what the queue bounds.
QUEUED = 64 << 20
SOCKET_BUFFER = 4 << 20


@dataclass(eq=False, slots=True)
class Direction:
    """From one socket to the other, late by `delay` seconds.

    `waiting` holds (due, buffer, bytes that are not sent yet). Buffers are used again: fresh memory for every chunk
    costs more than everything else.
    """

    source: socket.socket
    sink: socket.socket
    delay: float
    pool: list[memoryview]
    waiting: deque[tuple[float, memoryview, memoryview]] = field(default_factory=deque)
    queued: int = 0
    ended: bool = False
    blocked: bool = False

    @property
    def hungry(self) -> bool:
        """Whether it takes more from its source."""
        return not self.ended and self.queued < QUEUED

    def receive(self, now: float) -> None:
        """Take what is there."""
        buffer = self.pool.pop() if self.pool else memoryview(bytearray(CHUNK))
        try:
            count = self.source.recv_into(buffer)
        except BlockingIOError:
            self.pool.append(buffer)
            return
        except OSError:  # a client that is done may reset: that is an end like another
            count = 0
        self.ended = count == 0
        self.waiting.append((now + self.delay, buffer, buffer[:count]))
        self.queued += count

    def send(self, now: float) -> None:
        """Pass on what is due, until the sink takes no more. The end of a stream is passed on too."""
        while self.waiting and self.waiting[0][0] <= now:
            due, buffer, data = self.waiting[0]
            if not data:
                self.waiting.popleft()
                self.pool.append(buffer)
                _shut(self.sink, socket.SHUT_WR)
                continue
            try:
                count = self.sink.send(data)
            except BlockingIOError:
                self.blocked = True
                return
            except OSError:  # nobody takes it any more
                self.waiting.clear()
                self.ended = True
                _shut(self.source, socket.SHUT_RDWR)
                return
            self.queued -= count
            if count < len(data):
                self.waiting[0] = (due, buffer, data[count:])
            else:
                self.waiting.popleft()
                self.pool.append(buffer)

    @property
    def done(self) -> bool:
        """Whether nothing will come any more and all has been passed on."""
        return self.ended and not self.waiting


class Proxy:
    """Listens on loopback and connects to `target` for every client."""

    def __init__(self, target: tuple[str, int], delay: float) -> None:
        self._target = target
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._directions: list[Direction] = []
        self._pool: list[memoryview] = []

    def serve(self) -> None:
        """Serve until the process is ended."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Wait for the next thing to do, and do it."""
        now = time.monotonic()
        due = [way.waiting[0][0] for way in self._directions if way.waiting and not way.blocked]
        readers, writers, _ = select.select(
            [self._listener, *(way.source for way in self._directions if way.hungry)],
            [way.sink for way in self._directions if way.blocked],
            [],
            max(0.0, min(due) - now) if due else None,
        )
        now = time.monotonic()
        ready, open_again = set(readers), set(writers)
        for way in self._directions:
            if way.source in ready:
                way.receive(now)
            if way.sink in open_again:
                way.blocked = False
            if not way.blocked:
                way.send(now)
        self._drop_done()
        if self._listener in ready:
            self._accept()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(self._target)
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        ways = ((client, server), (server, client))
        self._directions += [Direction(source, sink, self._delay, self._pool) for source, sink in ways]

    def _drop_done(self) -> None:
        """Close pairs of which both directions are done."""
        done = {way.source: way for way in self._directions if way.done}
        for way in list(done.values()):
            if way.sink in done:
                way.source.close()
                self._directions.remove(way)


def _shut(sock: socket.socket, how: int) -> None:
    try:
        sock.shutdown(how)
    except OSError:  # the peer was faster
        return


if __name__ == "__main__":
    proxy = Proxy((sys.argv[2], int(sys.argv[3])), float(sys.argv[1]) / 1000)
    sys.stdout.write(f"{proxy.port}\n")
    sys.stdout.flush()
    proxy.serve()
