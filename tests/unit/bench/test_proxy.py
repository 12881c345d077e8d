"""The proxy that delays: late by its delay, whole, and in order."""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from lab.bench.proxy import Direction

Made = Callable[[float], tuple[Direction, socket.socket, socket.socket]]


@pytest.fixture
def direction() -> Iterator[Made]:
    with ExitStack() as stack:

        def made(delay: float) -> tuple[Direction, socket.socket, socket.socket]:
            client, source, sink, server = map(stack.enter_context, (*socket.socketpair(), *socket.socketpair()))
            for sock in (source, sink):
                sock.setblocking(False)
            return Direction(source, sink, delay, [], deque()), client, server

        yield made


@pytest.fixture
def now() -> float:
    return time.monotonic()


def test_what_arrives_is_passed_on_when_it_is_due_and_not_before(direction: Made, now: float) -> None:
    way, client, server = direction(0.005)
    server.setblocking(False)
    client.sendall(b"hello")
    way.receive(now)
    way.send(now + 0.004)
    with pytest.raises(BlockingIOError):
        server.recv(10)
    way.send(now + 0.005)
    assert server.recv(10) == b"hello"


def test_the_end_of_a_stream_comes_after_everything_before_it(direction: Made, now: float) -> None:
    way, client, server = direction(0.0)
    client.sendall(b"last words")
    way.receive(now)
    client.close()
    way.receive(now)
    assert not way.hungry
    way.send(now)
    assert (server.recv(100), server.recv(100)) == (b"last words", b"")
    assert way.done


def test_a_sink_that_takes_no_more_keeps_the_rest_for_later(direction: Made, now: float) -> None:
    way, client, server = direction(0.0)
    client.setblocking(False)
    sent = received = 0
    while not way.blocked:
        sent += client.send(b"x" * 65536)
        way.receive(now)
        way.send(now)
    way.blocked = False
    server.settimeout(5)
    while received < sent:
        received += len(server.recv(1 << 20))
        way.blocked = False
        way.receive(now)
        way.send(now)
    assert received == sent
    assert way.queued == 0
