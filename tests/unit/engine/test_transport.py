"""The loop around sockets: a socket pair stands for the network, a list for the clock."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from lab.fake_server import FakeServer, Link, file, folder, make_session

from smbferry_engine.core.calls import Call, open_request, read_request
from smbferry_engine.core.states import SessionEvent
from smbferry_engine.errors import EngineError
from smbferry_engine.session import logoff
from smbferry_engine.session.channel import ANSWER_DEADLINE, IDLE_ECHO, Channel
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.logoff import log_off
from smbferry_engine.wire.header import FLAG_ASYNC, Command
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import RUN_CANCELLED


@dataclass
class Wire:
    """A channel, and the server at the other end of its socket."""

    channel: Channel
    peer: socket.socket
    link: Link

    def serve(self) -> None:
        """Answer what has been sent."""
        self.peer.settimeout(0)
        try:
            data = self.peer.recv(1 << 20)
        except BlockingIOError:
            return
        for sealed in self.link.answers_to(data):
            self.peer.sendall(sealed)


@pytest.fixture
def wire() -> Iterator[Wire]:
    ours, theirs = socket.socketpair()
    link = Link(FakeServer(folder(f=file(b"x"))))
    wire = Wire(Channel(ours, link.session, "server:445"), theirs, link)
    yield wire
    wire.channel.close()
    theirs.close()


def asked(wire: Wire) -> Call:
    call = wire.channel.session.call(open_request("f", access=1))
    wire.channel.send()
    return call


def test_a_call_goes_out_and_its_reply_comes_back(wire: Wire) -> None:
    async def main() -> int:
        (reply,) = await wire.channel.session.call(open_request("f", access=1))
        return reply.status

    driver = Driver([wire.channel])
    assert driver.run(main(), lambda _now: wire.serve()) == 0


def test_silence_is_first_asked_about_and_then_ended(wire: Wire) -> None:
    call = asked(wire)
    for now in (100.0, 100.0 + ANSWER_DEADLINE / 2):
        wire.channel.check_deadline(now)
    assert not call.done
    assert wire.channel._liveness.echo is not None
    wire.channel.check_deadline(100.5 + ANSWER_DEADLINE)
    assert isinstance(call.error, EngineError)
    assert call.error.reason == "DeadlineExceeded"
    assert wire.channel.socket.fileno() < 0


@pytest.mark.fault(4)
def test_a_server_that_lives_but_never_answers_is_ended_too(wire: Wire) -> None:
    call = asked(wire)
    now = 100.0
    while not call.done and now < 100.0 + 3 * ANSWER_DEADLINE:
        wire.channel.check_deadline(now)
        wire.channel.send()
        now += 1.0
        if wire.channel.socket.fileno() < 0:
            break
        wire.link.echo_only(wire.peer)
        wire.channel.receive(now)
    assert isinstance(call.error, EngineError)
    assert now < 105.0 + ANSWER_DEADLINE


def test_a_server_that_says_it_takes_longer_gets_longer_as_long_as_it_lives(wire: Wire) -> None:
    call = asked(wire)
    wire.peer.recv(1 << 20)
    message = FakeServer.message(Command.CREATE, NtStatus.PENDING, 5, bytes(8), flags=FLAG_ASYNC)
    wire.peer.sendall(wire.link.seal(message))
    wire.channel.receive(100.0)
    wire.channel.check_deadline(100.0)
    now = 100.0
    while now < 100.0 + 3 * ANSWER_DEADLINE:
        now += 1.0
        wire.channel.check_deadline(now)
        wire.channel.send()
        wire.link.echo_only(wire.peer)
        wire.channel.receive(now)
    assert not call.done
    for step in range(30):
        wire.channel.check_deadline(now + step)
    assert call.done


def test_an_idle_connection_is_kept_alive(wire: Wire) -> None:
    call = asked(wire)
    wire.serve()
    wire.channel.receive(100.0)
    assert call.done
    assert not wire.channel.session.busy
    wire.channel.check_deadline(101.0 + IDLE_ECHO)
    assert wire.channel.session.busy


def test_an_end_of_the_connection_is_named(wire: Wire) -> None:
    call = asked(wire)
    wire.peer.close()
    wire.channel.receive(1.0)
    assert isinstance(call.error, EngineError)
    assert call.error.reason == "ConnectionLost"
    wire.channel.send()


def test_of_a_large_frame_much_is_awaited_and_never_more_than_is_to_come(wire: Wire) -> None:
    size = 1 << 20
    link = Link(wire.link.server, make_session(chunk=size))
    channel = Channel(wire.channel.socket, link.session, "server:445")
    channel.session.call(read_request(0, size))
    channel.send()
    sealed = link.seal(FakeServer.message(Command.READ, 0, 5, bytes(size)))
    wire.peer.settimeout(0)
    at = 0
    for end, awaited in ((40, 16), (56, 256 << 10), (56 + size, 64)):
        while at < end:
            with contextlib.suppress(BlockingIOError):
                at += wire.peer.send(sealed[at:end])
            channel.receive(1.0)
        assert channel.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == awaited


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\0\0\0\x50\xfeSMB" + bytes(76), "PlaintextReply"), (b"HTTP/1.1 400", "ProtocolViolation")]
)
def test_a_broken_stream_is_named(wire: Wire, data: bytes, reason: str) -> None:
    call = asked(wire)
    wire.peer.sendall(data)
    wire.channel.receive(1.0)
    assert isinstance(call.error, EngineError)
    assert call.error.reason == reason


def test_a_run_that_waits_for_nothing_is_a_bug_not_a_hang(wire: Wire) -> None:
    async def main() -> None:
        await Call(())

    with pytest.raises(EngineError) as caught:
        Driver([wire.channel]).run(main())
    assert caught.value.reason == "InternalError"


def test_whoever_ticks_may_stop_everything(wire: Wire) -> None:
    ended: list[int] = []

    async def main() -> None:
        try:
            await wire.channel.session.call(open_request("f", access=1))
        finally:
            ended.append(1)

    def tick(_now: float) -> None:
        raise EngineError(RUN_CANCELLED, "enough")

    with pytest.raises(EngineError):
        Driver([wire.channel]).run(main(), tick)
    assert ended == [1]


@pytest.mark.parametrize(
    ("late", "reason"), [(None, "DeadlineExceeded"), (EngineError(RUN_CANCELLED, "too long"), "RunCancelled")]
)
def test_work_that_takes_too_long_is_ended(wire: Wire, late: EngineError | None, reason: str) -> None:
    clock = iter(range(100))
    driver = Driver([wire.channel], clock=lambda: float(next(clock)))

    async def main() -> None:
        await driver.scheduler.sleep(1_000)

    with pytest.raises(EngineError) as caught:
        driver.run_within(main(), 5.0, late)
    assert caught.value.reason == reason
    assert next(clock) < 20


def test_a_session_is_ended_at_the_server_before_its_connection_is_cut(wire: Wire) -> None:
    asked(wire)
    unsent = wire.channel.session.call(open_request("never sent", access=1))

    def answer() -> None:
        with contextlib.suppress(OSError):
            while data := wire.peer.recv(1 << 20):
                for sealed in wire.link.answers_to(data):
                    wire.peer.sendall(sealed)

    serving = threading.Thread(target=answer)
    serving.start()
    log_off(wire.channel)
    assert wire.channel.socket.fileno() < 0
    serving.join()
    assert [request.command for request in wire.link.server.requests] == [Command.CREATE, Command.LOGOFF]
    assert isinstance(unsent.error, EngineError)


def test_a_server_that_does_not_let_go_of_a_session_is_left_in_bounded_time(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logoff, "_SECONDS", 0.0)
    caplog.set_level("INFO")
    log_off(wire.channel)
    assert wire.channel.socket.fileno() < 0
    assert "LOGOFF" in caplog.text


def test_nothing_is_asked_of_a_session_that_has_ended(wire: Wire) -> None:
    wire.channel.session.life.apply(SessionEvent.ENDED)
    log_off(wire.channel)
    wire.peer.settimeout(5)
    assert wire.peer.recv(1) == b""
