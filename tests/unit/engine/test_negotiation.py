"""NEGOTIATE over real sockets with a server of a few lines: what is offered, and what may come back."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lab.fake_server.world import end

from smbferry_engine.errors import EngineError
from smbferry_engine.session.connect import connect
from smbferry_engine.session.connect_errors import Reached, convert
from smbferry_engine.session.negotiation import Agreed, drop, negotiate, offered, open_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from smbferry_engine.model import Endpoint

HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
PREAUTH = struct.pack("<HHIHHH", 1, 10, 0, 1, 4, 1) + b"salt"
GCM_256, GCM_128, CCM_128 = 4, 2, 1
ALL = 0x7F


def encryption(*ciphers: int) -> bytes:
    return struct.pack(f"<HHIH{len(ciphers)}H", 2, 2 + 2 * len(ciphers), 0, len(ciphers), *ciphers)


def offer(request: bytes) -> tuple[list[int], list[int]]:
    """Dialects and ciphers of a NEGOTIATE request."""
    count = struct.unpack_from("<H", request, 64 + 2)[0]
    dialects = list(struct.unpack_from(f"<{count}H", request, 64 + 36))
    at, contexts = struct.unpack_from("<IH", request, 64 + 28)
    ciphers: list[int] = []
    assert at % 8 == 0, "contexts are aligned"
    for _ in range(contexts if 0x0311 in dialects else 0):
        kind, length = struct.unpack_from("<HH", request, at)
        if kind == 2:
            ciphers = list(struct.unpack_from(f"<{(length - 2) // 2}H", request, at + 10))
        at += 8 + length + -length % 8
    return dialects, ciphers


def answer(request: bytes, *contexts: bytes, dialect: int = 0x0311, capabilities: int = ALL) -> bytes:
    message_id = HEADER.unpack_from(request)[8]
    header = HEADER.pack(b"\xfeSMB", 64, 0, 0, 0, 1, 1, 0, message_id, 0, 0, 0, bytes(16))
    body = struct.pack("<HHHH16sIIIIQQHHI", 65, 1, dialect, len(contexts), bytes(range(16)), capabilities,
                       1 << 20, 1 << 20, 1 << 20, 1, 0, 128, 0, 128)  # fmt: skip
    for each in contexts:
        body += bytes(-len(body) % 8) + each
    return header + body


@contextmanager
def server(reply: Callable[[bytes], bytes]) -> Iterator[tuple[Endpoint, list[bytes]]]:
    """Answers the first request on each connection; the list are these requests."""
    seen: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            size = struct.unpack(">I", self.request.recv(4, socket.MSG_WAITALL))[0]
            seen.append(self.request.recv(size, socket.MSG_WAITALL))
            said = reply(seen[-1])
            self.request.sendall(struct.pack(">I", len(said)) + said)
            self.request.recv(1)  # until the client leaves

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
        yield replace(end("src"), addresses=("127.0.0.1",), port=listener.server_address[1]), seen
        listener.shutdown()


def agreed(endpoint: Endpoint) -> Agreed:
    deadline = time.monotonic() + 10
    connection = open_connection(endpoint, deadline)
    try:
        return negotiate(connection, endpoint, deadline)
    except EngineError:
        raise
    except Exception as error:
        raise convert(error, endpoint, Reached()) from error
    finally:
        drop(connection)


BOTH = {"dialects": ("3.1.1", "3.0.2"), "ciphers": ("AES-256-GCM", "AES-128-CCM")}


def test_both_dialects_are_in_one_request_and_the_newer_one_is_taken() -> None:
    with server(lambda request: answer(request, PREAUTH, encryption(GCM_256))) as (endpoint, seen):
        found = agreed(replace(endpoint, **BOTH))  # type: ignore[arg-type]  # the fields' own types
    assert (found.dialect, found.cipher) == ("3.1.1", "AES-256-GCM")
    assert [offer(request) for request in seen] == [([0x0302, 0x0311], [4, 1])]


def test_a_server_without_the_newer_one_takes_the_other() -> None:
    with server(lambda request: answer(request, dialect=0x0302)) as (endpoint, seen):
        found = agreed(replace(endpoint, **BOTH))  # type: ignore[arg-type]  # the fields' own types
    assert (found.dialect, found.cipher) == ("3.0.2", "AES-128-CCM")
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("ciphers", "dialects", "expected"),
    [
        (("AES-128-GCM",), ("3.1.1", "3.0.2"), ("3.1.1",)),
        (("AES-128-GCM", "AES-128-CCM"), ("3.1.1", "3.0.2"), ("3.1.1", "3.0.2")),
        (("AES-128-CCM",), ("3.0.2",), ("3.0.2",)),
    ],
)
def test_a_dialect_is_offered_with_a_cipher_of_its_own_alone(
    ciphers: tuple[str, ...], dialects: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert offered(replace(end("src"), ciphers=ciphers, dialects=dialects)) == expected


def test_a_dialect_without_a_permitted_cipher_is_said_so() -> None:
    with pytest.raises(EngineError) as caught:
        offered(replace(end("src"), ciphers=("AES-128-GCM",), dialects=("3.0.2",)))
    assert caught.value.reason == "CipherNotOffered"


@pytest.mark.parametrize("dialect", [0x0210, 0x0300, 0x0302, 0x0202])
def test_a_dialect_that_was_not_offered_is_refused(dialect: int) -> None:
    with (
        server(lambda request: answer(request, dialect=dialect)) as (endpoint, _),
        pytest.raises(EngineError) as caught,
    ):
        agreed(replace(endpoint, ciphers=("AES-256-GCM",), dialects=("3.1.1",)))
    assert caught.value.reason == "DialectRefused"


@pytest.mark.fault(100)
def test_contexts_and_capabilities_that_nobody_knows_are_ignored() -> None:
    odd = struct.pack("<HHI", 0xBEEF, 3, 0) + b"odd"
    with server(lambda request: answer(request, PREAUTH, odd, encryption(GCM_256), capabilities=0xFF)) as (endpoint, _):
        assert agreed(replace(endpoint, ciphers=("AES-256-GCM",))).cipher == "AES-256-GCM"


def ccm_only(request: bytes) -> bytes:
    _, ciphers = offer(request)
    return answer(request, PREAUTH, encryption(CCM_128 if CCM_128 in ciphers else 0))


def silent_of_it(request: bytes) -> bytes:
    _, ciphers = offer(request)
    return answer(request, PREAUTH, *([encryption(CCM_128)] if CCM_128 in ciphers else []))


@pytest.mark.fault(101)
@pytest.mark.parametrize("reply", [ccm_only, silent_of_it], ids=["says 0", "says nothing"])
def test_a_server_with_other_ciphers_alone_is_told_from_one_with_none(reply: Callable[[bytes], bytes]) -> None:
    with server(reply) as (endpoint, seen), pytest.raises(EngineError) as caught:
        agreed(replace(endpoint, ciphers=("AES-256-GCM", "AES-128-GCM")))
    assert caught.value.reason == "CipherNotOffered"
    assert "it offers AES-128-CCM" in caught.value.message
    assert [sorted(offer(request)[1]) for request in seen] == [[2, 4], [1, 2, 3, 4]]


def test_a_server_that_does_not_encrypt_is_said_to_offer_none() -> None:
    with (
        server(lambda request: answer(request, PREAUTH, capabilities=0x3F)) as (endpoint, _),
        pytest.raises(EngineError) as caught,
    ):
        agreed(replace(endpoint, ciphers=("AES-256-GCM",)))
    assert caught.value.reason == "EncryptionNotSupported"


def test_a_second_question_that_is_not_answered_leaves_the_first_answer() -> None:
    asked: list[bytes] = []

    def once(request: bytes) -> bytes:
        asked.append(request)
        return answer(request, PREAUTH) if len(asked) == 1 else b"\xfeSMB"

    with server(once) as (endpoint, _), pytest.raises(EngineError) as caught:
        agreed(replace(endpoint, ciphers=("AES-256-GCM",)))
    assert caught.value.reason == "EncryptionNotSupported"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("contexts", "reason"),
    [
        ((PREAUTH, encryption(GCM_128)), "CipherNotOffered"),
        ((encryption(GCM_256),), "ProtocolViolation"),
        ((PREAUTH, PREAUTH, encryption(GCM_256)), "ProtocolViolation"),
        ((PREAUTH, encryption()), "ProtocolViolation"),
        ((PREAUTH, encryption(99)), "ProtocolViolation"),
        ((PREAUTH, encryption(GCM_256)[:-1]), "ProtocolViolation"),
    ],
)
def test_what_was_not_offered_or_can_not_be_read_is_refused(contexts: tuple[bytes, ...], reason: str) -> None:
    with server(lambda request: answer(request, *contexts)) as (endpoint, _), pytest.raises(EngineError) as caught:
        agreed(replace(endpoint, ciphers=("AES-256-GCM",)))
    assert caught.value.reason == reason, caught.value.message


@pytest.mark.parametrize(("closes", "reason"), [(False, "DeadlineExceeded"), (True, "ConnectionLost")])
def test_a_server_without_an_answer_is_told_by_what_the_connection_did(closes: bool, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        endpoint = replace(end("src"), addresses=("127.0.0.1",), port=listener.getsockname()[1])
        ended = pool.submit(connect, endpoint, deadline_seconds=0.5)
        peer, _ = listener.accept()
        with peer:
            peer.recv(4, socket.MSG_WAITALL)
            if closes:
                peer.shutdown(socket.SHUT_RDWR)
            with pytest.raises(EngineError) as caught:
                ended.result(10)
    assert caught.value.reason == reason
