"""What is offered to real servers in NEGOTIATE and SESSION_SETUP, and whoever stands between and alters it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.file_server import FileServer
from tests.interop.engine.network import Proxy

from smbferry_engine import EngineError, probe_share

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from tests.interop.engine.tickets import Tickets

DIALECTS, CIPHERS = ("3.1.1", "3.0.2"), ("AES-256-GCM", "AES-128-CCM")
OLDER = "server min protocol = SMB3_02"  # the domain's own server has 3.1.1 alone
NEGOTIATE, SESSION_SETUP = 0, 1
COMMAND_AT, BODY = 4 + 12, 4 + 64
# RFC 4178 section 4.2: the frame of NegTokenInit, and mechanisms in it.
SPNEGO_OID = bytes.fromhex("06062b0601050502")
MECHANISMS = bytes.fromhex("300b06092a864886f712010202")
NTLM_OID = bytes.fromhex("060a2b06010401823702020a")


def command(frame: bytes) -> int | None:
    """The command of a frame in the clear."""
    return int.from_bytes(frame[COMMAND_AT : COMMAND_AT + 2], "little") if frame[4:8] == b"\xfeSMB" else None


@pytest.mark.parametrize(("protocol", "dialect"), [("SMB3_11", "3.1.1"), ("SMB3_02", "3.0.2")])
def test_the_newest_dialect_that_both_have_is_taken(
    tickets: Tickets, domain: Domain, protocol: str, dialect: str
) -> None:
    seen: list[int] = []

    def look(frame: bytes) -> bytes:
        if command(frame) == NEGOTIATE:
            count = struct.unpack_from("<H", frame, BODY + 2)[0]
            seen.extend(struct.unpack_from(f"<{count}H", frame, BODY + 36))
        return frame

    with (
        FileServer(domain, OLDER, f"server max protocol = {protocol}").running() as server,
        Proxy(domain, lambda frame, _: frame, port=server.port, upstream=look).running() as proxy,
    ):
        facts = probe_share(
            proxy.through(tickets.endpoint("src", "/", dialects=DIALECTS, ciphers=CIPHERS)), deadline_seconds=10
        )
    assert facts.evidence.dialect == dialect
    assert seen == [0x0302, 0x0311], "both, in one request"


def without_the_newer_dialect(frame: bytes) -> bytes:
    """A NEGOTIATE that offers 3.0.2 alone, as a client without 3.1.1 sends it."""
    if command(frame) != NEGOTIATE:
        return frame
    body = bytearray(frame[BODY : BODY + 38])
    struct.pack_into("<H", body, 2, 1)
    struct.pack_into("<Q", body, 28, 0)
    struct.pack_into("<H", body, 36, 0x0302)
    message = frame[4:BODY] + bytes(body)
    return struct.pack(">I", len(message)) + message


@pytest.mark.fault(94)
def test_a_dialect_that_is_taken_out_on_the_way_is_noticed(tickets: Tickets, domain: Domain) -> None:
    with (
        FileServer(domain, OLDER).running() as server,
        Proxy(domain, lambda frame, _: frame, port=server.port, upstream=without_the_newer_dialect).running() as proxy,
        pytest.raises(EngineError) as caught,
    ):
        probe_share(
            proxy.through(tickets.endpoint("src", "/", dialects=DIALECTS, ciphers=CIPHERS)), deadline_seconds=10
        )
    assert caught.value.reason == "ProtocolViolation", caught.value.message
    assert caught.value.failure_class == "Policy"
    assert "FSCTL_VALIDATE_NEGOTIATE_INFO" in caught.value.message


@pytest.mark.fault(95)
def test_a_server_that_takes_spnego_alone_is_served(tickets: Tickets, domain: Domain) -> None:
    """A real server behind one who lets no other token through; Kerberos is all that it holds."""
    tokens: list[bytes] = []

    def only_spnego(frame: bytes) -> bytes | None:
        if command(frame) == SESSION_SETUP:
            offset, length = struct.unpack_from("<HH", frame, BODY + 12)
            tokens.append(frame[4 + offset : 4 + offset + length])
            if tokens[-1][:1] != b"\x60" or SPNEGO_OID not in tokens[-1][:16]:
                return None
        return frame

    with Proxy(domain, lambda frame, _: frame, upstream=only_spnego).running() as proxy:
        facts = probe_share(proxy.through(tickets.endpoint("src", "/")), deadline_seconds=10)
    assert facts.evidence.principal == tickets.reader.principal
    assert len(tokens) == 1
    assert MECHANISMS in tokens[0][:64]
    assert NTLM_OID not in tokens[0]
    assert b"NTLMSSP" not in tokens[0]
