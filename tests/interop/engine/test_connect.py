"""What the engine says of the domain's servers before any data moves, and of everything that stands in the way."""

from __future__ import annotations

import datetime
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from smbferry_engine import Endpoint, EngineError, FailureClass, probe_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain
    from tests.interop.engine.support import Bench
    from tests.interop.engine.tickets import Tickets


def refused(endpoint: Endpoint, *, within: float = 10) -> EngineError:
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        probe_share(endpoint, deadline_seconds=within)
    assert time.monotonic() - started < within + 5
    assert caught.value.message
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("cipher", ["AES-128-GCM", "AES-256-GCM", "AES-128-CCM", "AES-256-CCM"])
def test_a_share_is_opened_with_each_cipher_and_says_what_protects_it(
    bench: Bench, tickets: Tickets, cipher: str
) -> None:
    facts = probe_share(tickets.endpoint("dst", bench.destination.path, ciphers=(cipher,)), deadline_seconds=10)
    assert (facts.evidence.cipher, facts.evidence.dialect) == (cipher, "3.1.1")
    assert "required" in facts.evidence.signing
    assert facts.evidence.share_encryption_required
    assert facts.evidence.max_read_size >= 1 << 20
    assert 0 < facts.free_bytes <= facts.total_bytes
    assert {"READ_DATA", "WRITE_DATA", "DELETE"} <= set(facts.maximal_access_names)
    skew = facts.server_system_time - datetime.datetime.now(datetime.UTC)
    assert abs(skew.total_seconds()) < 60


@pytest.mark.fault(22)
def test_a_share_that_does_not_demand_encryption_is_encrypted_all_the_same(tickets: Tickets) -> None:
    facts = probe_share(tickets.endpoint("plain", "/"), deadline_seconds=10)
    assert not facts.evidence.share_encryption_required
    assert facts.evidence.cipher.startswith("AES-")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


CASES: list[tuple[str, Callable[[Tickets], Endpoint], FailureClass]] = [
    ("ShareNotFound", lambda t: t.endpoint("nothere", "/"), FailureClass.ACCESS),
    ("PathNotFound", lambda t: t.endpoint("src", "/not/here"), FailureClass.ACCESS),
    ("ShareAccessDenied", lambda t: t.endpoint("dst", "/", user=t.reader), FailureClass.ACCESS),
    ("EncryptionNotSupported", lambda t: t.endpoint("src", "/", port=1445), FailureClass.POLICY),
    ("DialectRefused", lambda t: t.endpoint("src", "/", port=1446), FailureClass.POLICY),
    (
        "ServerRefused",
        lambda t: t.endpoint("src", "/", addresses=("127.0.0.1",), port=closed_port()),
        FailureClass.NETWORK,
    ),
    (
        "ServicePrincipalUnknown",
        lambda t: t.endpoint("src", "/", service_principal="cifs/nobody.corp.example.com"),
        FailureClass.IDENTITY,
    ),
    ("TicketMissing", lambda t: t.endpoint("src", "/", ccache="FILE:/nonexistent/ccache"), FailureClass.IDENTITY),
    ("EndpointInvalid", lambda t: t.endpoint("src", "/a/../b"), FailureClass.CONFIGURATION),
    ("EndpointInvalid", lambda t: t.endpoint("x\\..\\C$", "/"), FailureClass.CONFIGURATION),
    ("EndpointInvalid", lambda t: t.endpoint("src", "/", service_principal="host/x"), FailureClass.CONFIGURATION),
    ("EndpointInvalid", lambda t: t.endpoint("src", "/", ciphers=("RC4",)), FailureClass.CONFIGURATION),
]


@pytest.mark.fault(55)
@pytest.mark.verdict("No ticket in the credential cache", "Invalid share or path")
@pytest.mark.parametrize(("reason", "make", "kind"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)])
def test_what_stands_in_the_way_is_named(
    tickets: Tickets, reason: str, make: Callable[[Tickets], Endpoint], kind: FailureClass
) -> None:
    error = refused(make(tickets))
    assert (error.reason, error.failure_class) == (reason, kind)


def test_a_second_address_is_tried_when_the_first_is_dead(tickets: Tickets, domain: Domain) -> None:
    endpoint = tickets.endpoint("src", "/", addresses=("127.0.0.1", domain.address))
    assert probe_share(endpoint, deadline_seconds=20).total_bytes


@pytest.mark.verdict("Server does not answer")
def test_a_server_that_accepts_and_says_nothing_ends_at_the_deadline(tickets: Tickets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = refused(tickets.endpoint("src", "/", addresses=("127.0.0.1",), port=port), within=2)
    assert error.reason == "DeadlineExceeded"


@pytest.mark.verdict("Violation of MS-SMB2")
@pytest.mark.parametrize(
    "noise",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x04abcd", b"\0\0\0\x50\xfeSMB" + bytes(76)],
    ids=["http", "tiny", "empty"],
)
def test_a_server_that_is_none_is_named(tickets: Tickets, noise: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(noise)
                peer.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        error = refused(tickets.endpoint("src", "/", addresses=("127.0.0.1",), port=port), within=5)
        thread.join(10)
    assert error.reason in {"ProtocolViolation", "ConnectionLost"}


@pytest.mark.fault(60)
def test_a_server_without_the_services_key_is_named_and_gets_nothing(tickets: Tickets, domain: Domain) -> None:
    with domain.user(prefix="rogue") as rogue:
        principal = f"cifs/{rogue.name}.corp.example.com"
        domain.samba_tool("spn", "add", principal, rogue.name)
        error = refused(tickets.endpoint("src", "/", service_principal=principal))
    assert (error.reason, error.failure_class) == ("ServerKeyMismatch", FailureClass.IDENTITY)
