"""The transport of smbprotocol's handshake: deadlines, a guard against plaintext, and the hand-over of the socket.

smbprotocol 1.17 accepts a plaintext reply on an encrypted session, waits in ``select`` (which breaks at descriptor
1024), and sends under a lock that it shares with close. It needs only the few methods of a transport that are here.
"""

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from smbferry_engine.errors import EngineError
from smbferry_engine.session.channel import tune_socket
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import FRAME_PREFIX, HEADER_SIZE, TRANSFORM_ID, decode_frame_length, frame_prefix
from smbferry_words.reasons import (
    DEADLINE_EXCEEDED,
    PLAINTEXT_REPLY,
    PROTOCOL_VIOLATION,
    SERVER_REFUSED,
    SERVER_UNREACHABLE,
)

_MAX_HANDSHAKE_FRAME = 1 << 20
_LEAST_ATTEMPT = 2.0
# NEGOTIATE response (2.2.4): SystemTime lies 40 bytes into the body.
_SYSTEM_TIME = struct.Struct("<Q")
_SYSTEM_TIME_OFFSET = HEADER_SIZE + 40


def dial(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers before ``deadline`` (monotonic seconds)."""
    failures: list[str] = []
    refused = True
    for index, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - index)
        try:
            sock = socket.create_connection((address, port), timeout=max(share, _LEAST_ATTEMPT))
        except OSError as error:
            refused = refused and isinstance(error, ConnectionRefusedError)
            failures.append(f"{address}: {error.strerror or 'no answer in time'}")
        else:
            tune_socket(sock)
            return sock
    reason = SERVER_REFUSED if refused and failures else SERVER_UNREACHABLE
    raise EngineError(reason, f"expected a connection to port {port}; {'; '.join(failures) or 'no address was given'}")


class HandshakeTransport:
    """Replaces smbprotocol's ``Tcp``: every wait ends at ``deadline`` (monotonic seconds)."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._deadline = deadline
        self._wake = os.pipe()
        self._watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), self._expire)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._released = False
        self.connected = True
        self.encrypted_only = False
        self.failure: EngineError | None = None
        self.server_system_time = 0
        self._first_reply = True

    def connect(self) -> None:
        """Do nothing: the socket is connected already."""

    def close(self) -> None:
        """Close the connection; safe from any thread."""
        self.connected = False
        self._watchdog.cancel()
        if not self._released:
            with contextlib.suppress(OSError):  # no longer connected
                self._socket.shutdown(socket.SHUT_RDWR)

    def dispose(self) -> None:
        """Close descriptors once no thread waits on them."""
        self.close()
        if not self._released:
            self._socket.close()
        for end in self._wake:
            os.close(end)

    def _expire(self) -> None:
        self.failure = self.failure or EngineError(
            DEADLINE_EXCEEDED, "expected the handshake to end within its deadline, the server did not answer in time"
        )
        self.close()

    def release(self) -> socket.socket:
        """End the receiving thread and return the socket."""
        self._released = True
        self._watchdog.cancel()
        os.write(self._wake[1], b"x")
        return self._socket

    def send(self, message: Any) -> None:
        """Send one message (bytes, or a structure of smbprotocol) as a frame."""
        data: bytes = message if isinstance(message, bytes) else message.pack()
        self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
        self._socket.sendall(frame_prefix(len(data)) + data)

    def recv(self, _timeout: float) -> bytes:
        """Return the next frame; empty when the connection has ended or was handed over."""
        prefix = self._exactly(FRAME_PREFIX)
        if not prefix:
            return b""
        try:
            length = decode_frame_length(prefix)
        except WireError as error:
            return self._refuse(EngineError(PROTOCOL_VIOLATION, str(error)))
        if length > _MAX_HANDSHAKE_FRAME:
            return self._refuse(
                EngineError(
                    PROTOCOL_VIOLATION,
                    f"expected a handshake frame of at most {_MAX_HANDSHAKE_FRAME} bytes, got {length}",
                )
            )
        message = self._exactly(length)
        if self.encrypted_only and message and not message.startswith(TRANSFORM_ID):
            return self._refuse(EngineError(PLAINTEXT_REPLY, "expected an encrypted reply, got an unencrypted one"))
        if self._first_reply and len(message) >= _SYSTEM_TIME_OFFSET + _SYSTEM_TIME.size:
            self._first_reply = False
            (self.server_system_time,) = _SYSTEM_TIME.unpack_from(message, _SYSTEM_TIME_OFFSET)
        return message

    def _refuse(self, error: EngineError) -> bytes:
        self.failure = self.failure or error
        self.close()
        return b""

    def _exactly(self, length: int) -> bytes:
        buffer = bytearray()
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._wake[0], select.POLLIN)
        while len(buffer) < length:
            ready = {descriptor for descriptor, _ in poller.poll(1000)}
            if not self.connected or self._wake[0] in ready:
                return b""
            if not ready:
                continue
            try:
                piece = self._socket.recv(length - len(buffer))
            except OSError:
                piece = b""
            if not piece:
                self.close()
                return b""
            buffer += piece
        return bytes(buffer)
