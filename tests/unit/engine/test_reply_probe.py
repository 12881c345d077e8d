"""How long a server takes to reply, however late somebody looks."""

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.fake_server import Request, folder
from lab.fake_server.world import end
from tests.unit.engine.socket_servers import SocketServers, socket_servers

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.session import reply_probe
from smbferry_engine.session.connect import Connected
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.reply_probe import ReplyProbe
from smbferry_engine.session.stamped import StampedSocket
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import SERVER_UNREACHABLE


class Server:
    """A server behind a socket, and the commands that it gets; while it is `down`, nobody can connect."""

    def __init__(self, behind: SocketServers) -> None:
        self.behind = behind
        self.played = behind.servers["share"]
        self.down = False
        self.commands: list[int] = []
        self.played.faults.append(self._note)

    def _note(self, request: Request) -> None:
        self.commands.append(request.command)

    def connect(self, side: Endpoint, *, deadline_seconds: float, chunk: int) -> Connected:
        if self.down:
            raise EngineError(SERVER_UNREACHABLE, "it is down")
        return self.behind.connect(side, deadline_seconds=deadline_seconds, chunk=chunk)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with socket_servers(share=folder()) as behind:
        made = Server(behind)
        monkeypatch.setattr(reply_probe, "connect", made.connect)
        yield made


def probe_of(driver: Driver) -> ReplyProbe:
    return ReplyProbe(driver.scheduler, replace(end("share"), path="/data"), driver.beside)


def measure(driver: Driver, probe: ReplyProbe) -> float:
    """Ask until the kernel says when the reply came: just after the first socket wants to know it may not."""
    while (seconds := driver.run(probe.ask())) is None:
        pass
    return seconds


def test_a_probe_opens_and_closes_the_folder_on_a_session_of_its_own(server: Server) -> None:
    driver = Driver([])
    probe = probe_of(driver)
    times = [measure(driver, probe) for _ in range(3)]
    assert all(0 < seconds < 5 for seconds in times)
    assert len(server.commands) >= 6
    assert server.commands == [Command.CREATE, Command.CLOSE] * (len(server.commands) // 2)
    assert (len(server.behind.connected), len(driver.beside), probe.waits) == (1, 1, 0.0)
    probe.close()
    assert driver.beside == []


def test_a_refusal_is_a_reply_too(server: Server) -> None:
    server.played.faults.append(lambda request: NtStatus.ACCESS_DENIED if request.command == Command.CREATE else None)
    driver = Driver([])
    probe = probe_of(driver)
    assert measure(driver, probe) > 0
    probe.close()


@pytest.mark.fault(203)
def test_a_probe_connects_again_after_its_session_was_lost_and_says_if_it_cannot(server: Server) -> None:
    driver = Driver([])
    probe = probe_of(driver)
    assert measure(driver, probe) > 0
    driver.beside[0].fail(EngineError(SERVER_UNREACHABLE, "cut"))
    assert measure(driver, probe) > 0
    assert len(server.behind.connected) == 2
    driver.beside[0].fail(EngineError(SERVER_UNREACHABLE, "cut"))
    server.down = True
    with pytest.raises(EngineError, match="it is down"):
        driver.run(probe.ask())
    assert driver.beside == []


def test_without_the_kernels_time_nothing_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    del server

    def unstamped(self: StampedSocket, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:
        return socket.socket.recv_into(self, buffer, nbytes, flags)

    monkeypatch.setattr(StampedSocket, "recv_into", unstamped)
    driver = Driver([])
    probe = probe_of(driver)
    assert driver.run(probe.ask()) is None
    probe.close()


def test_a_stamped_socket_says_when_the_kernel_received_however_late_it_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as far:
        near, _ = listener.accept()
        with StampedSocket.take_over(near) as stamped:
            sends, received = 0, 0.0
            while stamped.received_at is None:
                sends += stamped.sendmsg([b"ping"]) == 4
                far.sendall(b"pong")
                received = time.clock_gettime(time.CLOCK_REALTIME)
                buffer = bytearray(10)
                assert select.select([stamped], [], [], 10.0)[0]
                count = stamped.recv_into(memoryview(buffer)[:4])
                assert bytes(buffer[:count]) == b"pong"
            assert stamped.sends == sends
            assert stamped.sent_at <= stamped.received_at <= received + 0.05
