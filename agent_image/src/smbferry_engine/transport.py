"""Sockets around lanes: one thread, one poll, a deadline on every wait."""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from smbferry_engine.core.calls import Call, empty_request
from smbferry_engine.core.errors import PlaintextReplyError, ProtocolError
from smbferry_engine.core.lane import Lane
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import (
    CONNECTION_LOST,
    DEADLINE_EXCEEDED,
    INTERNAL_ERROR,
    PLAINTEXT_REPLY,
    PROTOCOL_VIOLATION,
    EngineError,
)
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command

if TYPE_CHECKING:
    from smbferry_engine.renewal import SessionRenewal

T = TypeVar("T")

# A server that says nothing at all for this long, an ECHO included, is gone.
ANSWER_DEADLINE = 20.0
IDLE_ECHO = 60.0
# A server that says of a request that it takes longer (flushing a large file) gets this many times as long.
_PATIENCE_WHEN_TOLD = 6
TICK = 0.25
_FRAMES_PER_TURN = 32
# Of a large frame so much is awaited before we are woken: a turn for every few packets costs more than what it brings.
_WORTH_WAKING_FOR = 256 * 1024
_USER_TIMEOUT_MS = int(ANSWER_DEADLINE * 1000)


def tune_socket(sock: socket.socket) -> None:
    """No Nagle, keep-alive, and an end to unacknowledged data (TCP_USER_TIMEOUT).

    Buffer sizes are left to the kernel, whose own tuning goes further than what SO_RCVBUF may ask for.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


class Channel:
    """A lane and its socket. Errors of either end the lane; they are converted here, once."""

    def __init__(self, sock: socket.socket, lane: Lane, peer: str, *, deadline: float | None = None) -> None:
        sock.settimeout(0)
        self.socket = sock
        self.lane = lane
        self.peer = peer
        self.renewal: SessionRenewal | None = None
        self._deadline = ANSWER_DEADLINE if deadline is None else deadline
        self._last_heard = 0.0
        self._last_answer = 0.0
        self._answers = 0
        self._was_waiting = False
        self._echo: Call | None = None
        self._wakes_at = 1

    def send(self) -> None:
        """Seal and send until the socket is full, credits are spent or nothing is left."""
        if self.lane.failure is not None:
            return
        try:
            while True:
                while self.lane.fill_writer():
                    pass
                if self.lane.writer.idle:
                    return
                self.lane.writer.taken(self.socket.sendmsg(self.lane.writer.pending()))
        except BlockingIOError:
            return
        except (OSError, ProtocolError, WireError) as error:
            self.fail(error)

    def receive(self, now: float) -> None:
        """Take what has arrived and hand whole frames to the lane."""
        if self.lane.failure is not None:
            return
        frames = 0
        try:
            while frames < _FRAMES_PER_TURN:
                count = self.socket.recv_into(self.lane.reader.want())
                if count == 0:
                    raise ConnectionResetError("the server closed the connection")
                self._last_heard = now
                frame = self.lane.reader.received(count)
                if frame is not None:
                    self.lane.deliver(frame)
                    frames += 1
        except BlockingIOError:
            self._wake_at(min(len(self.lane.reader.want()), _WORTH_WAKING_FOR))
        except (OSError, ProtocolError, WireError) as error:
            self.fail(error)

    def _wake_at(self, count: int) -> None:
        """Have the kernel report no fewer than so many bytes (socket(7), SO_RCVLOWAT), all of which are to come."""
        if count != self._wakes_at:
            self._wakes_at = count
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def check_deadline(self, now: float) -> None:
        """Cut the connection when the server owes an answer and has been silent too long; keep idle ones alive."""
        if not self.lane.waiting:
            self._was_waiting = False
            if self._last_heard and now - self._last_heard > IDLE_ECHO:
                self._send_echo()
            return
        if not self._was_waiting:
            self._was_waiting = True
            self._last_heard = self._last_answer = now
        if self.lane.answers != self._answers:
            self._answers = self.lane.answers
            self._last_answer = now
        self._judge_silence(now - self._last_heard, now - self._last_answer)

    def keep_session(self) -> None:
        """Do what keeps the session alive beyond its ticket, where somebody is there to do so."""
        if self.renewal is None or self.lane.failure is not None:
            return
        try:
            self.renewal.tick()
        except (EngineError, ProtocolError, WireError) as error:
            self.fail(error)

    def leave_session(self) -> None:
        """Let the session end with its ticket: this server was seen to refuse to authenticate one again."""
        self.renewal, self.lane.renewable = None, False

    def _judge_silence(self, silent: float, unanswered: float) -> None:
        """``silent`` seconds without a byte, ``unanswered`` without a final reply to anything but an ECHO."""
        patience = self._deadline * (_PATIENCE_WHEN_TOLD if self.lane.told_to_wait else 1)
        if silent > self._deadline or unanswered > patience:
            limit = self._deadline if silent > self._deadline else patience
            message = f"an answer from {self.peer} within {limit:.0f} s expected, none came"
            self.fail(EngineError(DEADLINE_EXCEEDED, message))
        elif silent > self._deadline / 3:
            self._send_echo()

    def _send_echo(self) -> None:
        """Ask whether anybody is there, unless that has been asked already."""
        if self._echo is None or self._echo.done:
            self._echo = self.lane.call(empty_request(Command.ECHO))

    def fail(self, error: Exception) -> None:
        """End the lane: every call on it fails with the converted error."""
        self.lane.fail(self._convert(error))
        self.close()

    def _convert(self, error: Exception) -> EngineError:
        if isinstance(error, EngineError):
            return error
        if isinstance(error, PlaintextReplyError):
            return EngineError(PLAINTEXT_REPLY, f"{self.peer}: {error}")
        if isinstance(error, (ProtocolError, WireError)):
            return EngineError(PROTOCOL_VIOLATION, f"{self.peer}: {error}")
        return EngineError(CONNECTION_LOST, f"the connection to {self.peer} was lost: {error}")

    def close(self) -> None:
        """Cut the socket, now."""
        if self.socket.fileno() < 0:
            return
        with contextlib.suppress(OSError):  # the peer was faster; closing is all that is left either way
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Driver:
    """Runs coroutines against channels until the main one ends. ``clock`` is monotonic seconds."""

    def __init__(self, channels: list[Channel], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.channels = channels
        self.scheduler = Scheduler()
        self._clock = clock
        self.scheduler.advance(clock())

    def run(self, main: Coroutine[Any, None, T], tick: Callable[[float], None] | None = None) -> T:
        """Run ``main`` to its end; ``tick(now)`` is called a few times a second and may raise to stop everything."""
        task = self.scheduler.spawn(main)
        poller = _Poller(self.channels)
        try:
            next_tick = self._clock()
            while True:
                self.scheduler.run_ready()
                if task.done:
                    return task.result()
                for channel in self.channels:
                    channel.send()
                now = self._clock()
                if now >= next_tick:
                    next_tick = now + TICK
                    self._tick(now, tick)
                self._wait(poller, now, next_tick)
                self.scheduler.advance(self._clock())
        except (ProtocolError, WireError) as error:
            # A codec met what no honest server sends, in a coroutine that was reading a reply.
            raise EngineError(PROTOCOL_VIOLATION, str(error)) from error
        finally:
            self.scheduler.close_all()

    def _tick(self, now: float, tick: Callable[[float], None] | None) -> None:
        for channel in self.channels:
            # Bytes too few to be woken for are signs of life, too.
            channel.receive(now)
            channel.check_deadline(now)
            channel.keep_session()
        if tick is not None:
            tick(now)

    def _wait(self, poller: "_Poller", now: float, next_tick: float) -> None:
        """Poll for as long as nothing else can go on, then receive."""
        timer = self.scheduler.next_timer()
        if self.scheduler.idle and timer is None and not any(channel.lane.busy for channel in self.channels):
            raise EngineError(INTERNAL_ERROR, "every task waits and nothing is under way")
        until = 0.0 if not self.scheduler.idle else min(next_tick, timer if timer is not None else next_tick) - now
        for channel in poller.readable(max(0.0, until)):
            channel.receive(self._clock())


class _Poller:
    """poll(2) over channels that may be replaced meanwhile; the kernel is told only what has changed."""

    def __init__(self, channels: list[Channel]) -> None:
        self._channels = channels
        self._poll = select.poll()
        self._told: dict[int, int] = {}

    def readable(self, seconds: float) -> list[Channel]:
        """Wait until a channel can go on; those of them that have something to receive, an error included."""
        by_descriptor = {channel.socket.fileno(): channel for channel in self._channels}
        by_descriptor.pop(-1, None)
        for gone in self._told.keys() - by_descriptor.keys():
            self._poll.unregister(gone)
            del self._told[gone]
        for descriptor, channel in by_descriptor.items():
            events = select.POLLIN if channel.lane.writer.idle else select.POLLIN | select.POLLOUT
            if self._told.get(descriptor) != events:
                self._told[descriptor] = events
                self._poll.register(descriptor, events)
        ready = self._poll.poll(seconds * 1000)
        return [by_descriptor[descriptor] for descriptor, events in ready if events & ~select.POLLOUT]
