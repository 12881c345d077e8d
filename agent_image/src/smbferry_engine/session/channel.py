"""A session and its socket, with a deadline for every answer."""

import contextlib
import socket
from typing import TYPE_CHECKING, TypeVar

from smbferry_engine.core.calls import Call, empty_request
from smbferry_engine.core.errors import PlaintextReplyError, ProtocolError
from smbferry_engine.core.session import Session
from smbferry_engine.errors import EngineError
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_words.reasons import CONNECTION_LOST, DEADLINE_EXCEEDED, PLAINTEXT_REPLY, PROTOCOL_VIOLATION

if TYPE_CHECKING:
    from smbferry_engine.session.renewal import SessionRenewal

T = TypeVar("T")

# A server that sends nothing for so many seconds, not even an answer to ECHO, is gone.
ANSWER_DEADLINE = 20.0
IDLE_ECHO = 60.0
# After an interim reply (flushing a large file), the server gets this many times as long.
_PATIENCE_WHEN_TOLD = 6
_FRAMES_PER_TURN = 32
# Bytes of a large frame to wait for: waking up for every few packets costs more than it gains.
_WORTH_WAKING_FOR = 256 * 1024
_USER_TIMEOUT_MS = int(ANSWER_DEADLINE * 1000)


def tune_socket(sock: socket.socket) -> None:
    """Disable Nagle's algorithm, enable keep-alive, limit unacknowledged data (TCP_USER_TIMEOUT).

    Buffer sizes are left to the kernel, which tunes beyond what SO_RCVBUF allows.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


class Liveness:
    """Watches how long a server is silent, and sends ECHOes. Times are monotonic seconds."""

    def __init__(self, session: Session, deadline: float) -> None:
        self._session = session
        self._deadline = deadline
        self._last_answer = 0.0
        self._answers = 0
        self._was_waiting = False
        self.last_heard = 0.0
        self.echo: Call | None = None

    def exceeded(self, now: float) -> float | None:
        """Return the deadline in seconds if it has passed; None while the server may still answer."""
        session = self._session
        if not session.waiting:
            self._was_waiting = False
            if self.last_heard and now - self.last_heard > IDLE_ECHO:
                self._send_echo()
            return None
        if not self._was_waiting:
            self._was_waiting = True
            self.last_heard = self._last_answer = now
        if session.replies.answers != self._answers:
            self._answers = session.replies.answers
            self._last_answer = now
        return self._judge(now - self.last_heard, now - self._last_answer)

    def _judge(self, silent: float, unanswered: float) -> float | None:
        """Judge ``silent`` seconds without a byte, and ``unanswered`` seconds without a final reply to anything but
        ECHO.
        """
        patience = self._deadline * (_PATIENCE_WHEN_TOLD if self._session.has_interim_reply else 1)
        if silent > self._deadline:
            return self._deadline
        if unanswered > patience:
            return patience
        if silent > self._deadline / 3:
            self._send_echo()
        return None

    def _send_echo(self) -> None:
        """Send an ECHO, unless one is outstanding."""
        if self.echo is None or self.echo.done:
            self.echo = self._session.call(empty_request(Command.ECHO))


class Channel:
    """A session and its socket. An error of either ends the session, and is converted here."""

    def __init__(self, sock: socket.socket, session: Session, peer: str, *, deadline: float | None = None) -> None:
        sock.settimeout(0)
        self.socket = sock
        self.session = session
        self.peer = peer
        self.renewal: SessionRenewal | None = None
        self._liveness = Liveness(session, ANSWER_DEADLINE if deadline is None else deadline)
        self._wakes_at = 1

    def send(self) -> None:
        """Encrypt and send until the socket is full, credits are spent or nothing is left."""
        if self.session.life.failure is not None:
            return
        try:
            while True:
                while self.session.fill_writer():
                    pass
                if self.session.writer.idle:
                    return
                self.session.writer.taken(self.socket.sendmsg(self.session.writer.pending()))
        except BlockingIOError:
            return
        except (OSError, ProtocolError, WireError) as error:
            self.fail(error)

    def receive(self, now: float) -> None:
        """Receive what has arrived and deliver complete frames to the session."""
        if self.session.life.failure is not None:
            return
        frames = 0
        try:
            while frames < _FRAMES_PER_TURN:
                count = self.socket.recv_into(self.session.reader.want())
                if count == 0:
                    raise ConnectionResetError("the server closed the connection")
                self._liveness.last_heard = now
                frame = self.session.reader.received(count)
                if frame is not None:
                    self.session.deliver(frame)
                    frames += 1
        except BlockingIOError:
            self._wake_at(min(len(self.session.reader.want()), _WORTH_WAKING_FOR))
        except (OSError, ProtocolError, WireError) as error:
            self.fail(error)

    def _wake_at(self, count: int) -> None:
        """Have the kernel report at least ``count`` bytes, all of which are still to come (socket(7), SO_RCVLOWAT)."""
        if count != self._wakes_at:
            self._wakes_at = count
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def check_deadline(self, now: float) -> None:
        """Cut the connection when the server owes an answer and has been silent too long; keep idle ones alive."""
        limit = self._liveness.exceeded(now)
        if limit is not None:
            message = f"expected an answer from {self.peer} within {limit:.0f} s, got none"
            self.fail(EngineError(DEADLINE_EXCEEDED, message))

    def keep_session(self) -> None:
        """Renew the session before its ticket ends, if it can be renewed."""
        if self.renewal is None or self.session.failure is not None:
            return
        try:
            self.renewal.tick()
        except (EngineError, ProtocolError, WireError) as error:
            self.fail(error)

    def leave_session(self) -> None:
        """Do not renew the session: this server has refused to authenticate one again."""
        self.renewal, self.session.life.renewable = None, False

    def fail(self, error: Exception) -> None:
        """End the session: every call on it fails with the converted error."""
        self.session.fail(self._convert(error))
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
        """Close the socket at once."""
        if self.socket.fileno() < 0:
            return
        with contextlib.suppress(OSError):  # the peer was faster
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
