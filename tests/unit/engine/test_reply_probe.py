"""How long a server takes to reply, however late somebody looks."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from lab.fake_server import FakeServer, Link, Request, folder
from lab.fake_server.world import end

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.session import reply_probe
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect import Connected
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.reply_probe import ReplyProbe
from smbferry_engine.session.stamped import StampedSocket
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import SERVER_UNREACHABLE

EVIDENCE = Evidence(
    "", "3.1.1", "AES-128-GCM", "", "", share_encryption_required=True, max_read_size=1, max_write_size=1
)


class Server:
    """A fake server behind a listening socket; `down` refuses connections."""

    def __init__(self) -> None:
        self.server = FakeServer(folder(data=folder()))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.down = False
        self.commands: list[int] = []
        self.server.faults.append(self._note)

    def _note(self, request: Request) -> None:
        self.commands.append(request.command)

    def connect(self, _endpoint: Endpoint, *, deadline_seconds: float, chunk: int) -> Connected:
        assert 0 < deadline_seconds <= 10
        assert chunk <= 1 << 20
        if self.down:
            raise EngineError(SERVER_UNREACHABLE, "it is down")
        self.connections += 1
        ours = socket.create_connection(self.listener.getsockname())
        theirs, _ = self.listener.accept()
        link = Link(self.server)
        threading.Thread(target=self._serve, args=(theirs, link), daemon=True).start()
        return Connected(Channel(ours, link.session, "server:445"), EVIDENCE, 0)

    @staticmethod
    def _serve(theirs: socket.socket, link: Link) -> None:
        with theirs, contextlib.suppress(OSError):
            while data := theirs.recv(1 << 20):
                for sealed in link.answers_to(data):
                    theirs.sendall(sealed)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    played = Server()
    monkeypatch.setattr(reply_probe, "connect", played.connect)
    with played.listener:
        yield played


def probe_of(driver: Driver) -> ReplyProbe:
    return ReplyProbe(driver.scheduler, replace(end("share"), path="/data"), driver.beside)


def test_a_probe_opens_and_closes_the_folder_on_a_session_of_its_own(server: Server) -> None:
    driver = Driver([])
    probe = probe_of(driver)

    async def main() -> list[float | None]:
        return [await probe.ask() for _ in range(3)]

    times = driver.run(main())
    assert all(seconds is not None and 0 < seconds < 5 for seconds in times)
    assert server.commands == [Command.CREATE, Command.CLOSE] * 3
    assert (server.connections, len(driver.beside), probe.waits) == (1, 1, 0.0)
    probe.close()
    assert driver.beside == []


def test_a_refusal_is_a_reply_too(server: Server) -> None:
    server.server.faults.append(lambda request: NtStatus.ACCESS_DENIED if request.command == Command.CREATE else None)
    driver = Driver([])
    probe = probe_of(driver)
    assert driver.run(probe.ask()) is not None
    probe.close()


@pytest.mark.fault(203)
def test_a_probe_connects_again_after_its_session_was_lost_and_says_if_it_cannot(server: Server) -> None:
    driver = Driver([])
    probe = probe_of(driver)
    assert driver.run(probe.ask()) is not None
    driver.beside[0].fail(EngineError(SERVER_UNREACHABLE, "cut"))
    assert driver.run(probe.ask()) is not None
    assert server.connections == 2
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
            assert stamped.sendmsg([b"ping"]) == 4
            assert stamped.sends == 1
            far.sendall(b"pong")
            received = time.clock_gettime(time.CLOCK_REALTIME)
            buffer = bytearray(10)
            assert select.select([stamped], [], [], 10.0)[0]
            count = stamped.recv_into(memoryview(buffer)[:4])
            assert bytes(buffer[:count]) == b"pong"
            assert stamped.received_at is not None
            assert stamped.sent_at <= stamped.received_at <= received + 0.05
