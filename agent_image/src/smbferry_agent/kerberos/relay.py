"""A loopback relay between libkrb5 and the KDCs that observes what libkrb5 does not report.

libkrb5 does all cryptography and connects to 127.0.0.1. The relay forwards its requests to the KDCs in order over TCP
(RFC 4120 section 7.2.2) and reads the unencrypted fields: which KDC answered, how fast, its clock, error codes and key
versions. It also enforces the limit on wrong keys: after two refused keys it forwards no request with
pre-authentication.
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

from smbferry_agent.kerberos.error_codes import ErrorCode
from smbferry_agent.kerberos.facts import Attempt, AttemptOutcome, Exchange, Kdc
from smbferry_agent.kerberos.messages import KdcError, KdcReply, KdcRequest, MessageError, read_answer, read_request

MAX_REFUSED_KEYS: Final = 2
_MAX_MESSAGE: Final = 1 << 20
_CONNECT_TIMEOUT: Final = 2.0
_ANSWER_TIMEOUT: Final = 4.0
# libkrb5 times out after ten seconds and sends the request again; all KDCs must have been tried by then.
_REQUEST_DEADLINE: Final = 8.0

Candidates = Callable[[], Sequence[Kdc]]


class Relay:
    """A context manager with a listener and a thread per realm.

    Args:
        realms: by realm, a function that finds its KDCs; called at the first request.
    """

    def __init__(self, realms: Mapping[str, Candidates]) -> None:
        self._realms = {realm: _Realm(find) for realm, find in realms.items()}
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._attempts: list[Attempt] = []
        self._refused_keys = 0
        self._closed = threading.Event()
        self._listeners: dict[str, socket.socket] = {}
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for name, realm in self._realms.items():
            listener = socket.create_server(("127.0.0.1", 0))
            self._listeners[name] = listener
            thread = threading.Thread(target=self._serve, args=(listener, realm), name=f"kdc-relay-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        for listener in self._listeners.values():
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept(); close() alone would not
        for thread in self._threads:
            thread.join(_REQUEST_DEADLINE)
        for listener in self._listeners.values():
            listener.close()

    def addresses(self) -> dict[str, list[tuple[str, int]]]:
        """The listeners' addresses by realm, for the rendered krb5.conf."""
        return {name: [("127.0.0.1", listener.getsockname()[1])] for name, listener in self._listeners.items()}

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All answered requests so far."""
        with self._lock:
            return tuple(self._exchanges)

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All connections to KDCs so far."""
        with self._lock:
            return tuple(self._attempts)

    def _serve(self, listener: socket.socket, realm: "_Realm") -> None:
        while not self._closed.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return  # shut down by __exit__
            # A closed connection or an invalid request ends only this connection.
            with contextlib.suppress(OSError, EOFError, MessageError), client:
                client.settimeout(_ANSWER_TIMEOUT)
                message = _receive(client)
                answer = self._forward(message, read_request(message), realm)
                if answer is not None:
                    client.sendall(struct.pack(">I", len(answer)) + answer)

    def _forward(self, message: bytes, request: KdcRequest, realm: "_Realm") -> bytes | None:
        """The answer of the first KDC that answers, None if none does."""
        deadline = time.monotonic() + _REQUEST_DEADLINE
        for kdc in realm.in_order():
            with self._lock:
                if request.proves_key and self._refused_keys >= MAX_REFUSED_KEYS:
                    return None
            left = deadline - time.monotonic()
            if left <= 0 or self._closed.is_set():
                return None
            data = self._ask(kdc, message, request, left)
            if data is not None:
                realm.prefer(kdc)
                return data
        return None

    def _ask(self, kdc: Kdc, message: bytes, request: KdcRequest, left: float) -> bytes | None:
        data: bytes | None = None
        try:
            with socket.create_connection((kdc.address, kdc.port), min(left, _CONNECT_TIMEOUT)) as upstream:
                upstream.settimeout(min(left, _ANSWER_TIMEOUT))
                sent = datetime.now(UTC)
                upstream.sendall(struct.pack(">I", len(message)) + message)
                data = _receive(upstream)
                answer = read_answer(data)
                if isinstance(answer, KdcError) and answer.code == ErrorCode.SERVICE_UNAVAILABLE:
                    outcome = AttemptOutcome.UNAVAILABLE
                else:
                    outcome = self._note(Exchange(kdc, request, answer, sent, datetime.now(UTC)))
        except ConnectionRefusedError:
            outcome = AttemptOutcome.REFUSED
        except TimeoutError:
            outcome = AttemptOutcome.TIMEOUT
        except (EOFError, ConnectionError):
            outcome = AttemptOutcome.CLOSED
        except OSError:
            outcome = AttemptOutcome.UNREACHABLE
        except MessageError:
            outcome = AttemptOutcome.NONSENSE
        with self._lock:
            self._attempts.append(Attempt(kdc, outcome))
        return data if outcome is AttemptOutcome.ANSWERED else None

    def _note(self, exchange: Exchange) -> AttemptOutcome:
        with self._lock:
            self._exchanges.append(exchange)
            if exchange.request.proves_key and _refuses_key(exchange.answer):
                self._refused_keys += 1
        return AttemptOutcome.ANSWERED


class _Realm:
    """A realm's KDCs, found once; the one that answered last is first."""

    def __init__(self, find: Candidates) -> None:
        self._find = find
        self._kdcs: list[Kdc] | None = None

    def in_order(self) -> list[Kdc]:
        if self._kdcs is None:
            self._kdcs = list(self._find())
        return list(self._kdcs)

    def prefer(self, kdc: Kdc) -> None:
        if self._kdcs and self._kdcs[0] != kdc:
            self._kdcs.remove(kdc)
            self._kdcs.insert(0, kdc)


def _refuses_key(answer: KdcError | KdcReply) -> bool:
    return isinstance(answer, KdcError) and answer.code == ErrorCode.PREAUTH_FAILED


def _receive(source: socket.socket) -> bytes:
    (length,) = struct.unpack(">I", _exactly(source, 4))
    if not 0 < length <= _MAX_MESSAGE:
        raise MessageError(f"expected a message of at most {_MAX_MESSAGE} bytes, got {length}")
    return _exactly(source, length)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
