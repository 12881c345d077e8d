"""What the figures were measured on: the machine, the programs' versions, and what the bench itself costs."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from lab.bench.cases import ROUND_TRIP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.support.domain.domain import Domain

CEILING_BYTES = 1 << 30
BLOCK = 1 << 20
TRIPS = 100


def describe(domain: Domain) -> dict[str, object]:
    """What a reader needs to judge the figures, from title to value."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, shared by clients and server",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "server": f"Samba {domain.run('smbd', '--version').text.split()[-1]}, shares on tmpfs, encryption required",
        "rclone": _said("rclone", "version").split()[1],
        "smbclient": _said("smbclient", "--version").split()[-1],
        "smbprotocol": version("smbprotocol"),
        "python": platform.python_version(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def start_seconds(command: tuple[str, ...]) -> float:
    """How long a program takes to start and end, doing nothing: the best of five."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        best = min(best, time.perf_counter() - started)
    return best


@contextmanager
def delay_proxy(address: str, port: int, delay_seconds: float) -> Iterator[int]:
    """The proxy in a process of its own; yields the port on loopback at which it listens."""
    command = (sys.executable, "-m", "lab.bench.proxy", str(delay_seconds * 1000), address, str(port))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the proxy was started without its standard output")
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=10)
        if process.stdout is not None:
            process.stdout.close()


def proxy_ceiling() -> dict[str, float]:
    """What the delay proxy can carry at most, against loopback itself, in bytes per second; and its round trip in s."""
    with _sink() as port:
        loopback = _pour(port)
        with delay_proxy("127.0.0.1", port, ROUND_TRIP / 2) as delayed:
            proxied = _pour(delayed)
    with _echo() as port, delay_proxy("127.0.0.1", port, ROUND_TRIP / 2) as delayed:
        trip = _trip(delayed)
    return {"loopback_bytes_per_second": loopback, "bytes_per_second": proxied, "round_trip_seconds": trip}


def _pour(port: int) -> float:
    """Send much; the rate up to the sink's word that it has all of it."""
    block = memoryview(bytearray(BLOCK))
    with socket.create_connection(("127.0.0.1", port)) as sock:
        started = time.perf_counter()
        for _ in range(CEILING_BYTES // BLOCK):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(1)
        return CEILING_BYTES / (time.perf_counter() - started)


def _trip(port: int) -> float:
    """Seconds from a byte to its echo, on average."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        started = time.perf_counter()
        for _ in range(TRIPS):
            sock.sendall(b"x")
            sock.recv(1)
        return (time.perf_counter() - started) / TRIPS


@contextmanager
def _sink() -> Iterator[int]:
    """A server that drops what it gets and says one byte at the end of it."""

    def drain(client: socket.socket) -> None:
        buffer = memoryview(bytearray(BLOCK))
        while client.recv_into(buffer):
            pass
        client.sendall(b"x")

    with _server(drain) as port:
        yield port


@contextmanager
def _echo() -> Iterator[int]:
    """A server that says again what it hears."""

    def echo(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := client.recv(BLOCK):
            client.sendall(data)

    with _server(echo) as port:
        yield port


@contextmanager
def _server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # the listener was closed: the measurement is over
                return
            with client:
                serve(client)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
