"""What a server says before there is a session: negotiate contexts and SPNEGO tokens, by hand-made bytes."""

from __future__ import annotations

import struct

import pytest
from smbprotocol.connection import SMB2NegotiateResponse

from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.negotiate import only_known
from smbferry_engine.wire.spnego import (
    MECHANISMS,
    NegotiationReply,
    NegotiationState,
    decode_reply,
    encode_mic,
    encode_offer,
)

PREAUTH = struct.pack("<HHH", 1, 4, 1) + b"salt"
GCM = struct.pack("<HH", 1, 2)


def context(kind: int, data: bytes) -> bytes:
    return struct.pack("<HHI", kind, len(data), 0) + data


LAYOUT = "<HHHH16sI28sHHI"
SIZES = struct.pack("<III16x", 1 << 20, 1 << 20, 1 << 20)


def reply(
    *contexts: bytes, token: bytes = b"token", dialect: int = 0x0311, count: int | None = None, capabilities: int = 0x7F
) -> bytes:
    """The body of a NEGOTIATE reply; its contexts begin on a multiple of eight."""
    start = 64 + len(token) + -len(token) % 8
    count = len(contexts) if count is None else count
    guid = bytes(range(16))
    out = struct.pack(LAYOUT, 65, 1, dialect, count, guid, capabilities, SIZES, 128, len(token), 64 + start) + token
    for each in contexts:
        out += bytes(-len(out) % 8) + each
    return out


@pytest.mark.parametrize(
    "unknown",
    [
        context(3, struct.pack("<HHIH", 1, 0, 0, 1)),  # compression
        context(6, struct.pack("<I", 1)),  # transport
        context(7, struct.pack("<HHIH", 1, 0, 0, 0)),  # RDMA transform
        context(0x100, bytes(16)),  # POSIX extensions
        context(0xBEEF, b""),
    ],
)
def test_a_context_that_nobody_asked_for_is_ignored(unknown: bytes) -> None:
    known = (context(1, PREAUTH), context(2, GCM))
    kept = only_known(reply(known[0], unknown, known[1], context(0x7777, b"abc")))
    assert kept == reply(*known)
    parsed = SMB2NegotiateResponse()
    parsed.unpack(kept)
    assert [each["context_type"].get_value() for each in parsed["negotiate_context_list"].get_value()] == [1, 2]


def test_a_capability_that_nobody_knows_is_ignored() -> None:
    parsed = SMB2NegotiateResponse()
    parsed.unpack(only_known(reply(context(1, PREAUTH), capabilities=0xFFFF_FFC4)))
    assert parsed["capabilities"].get_value() == 0x44


def test_a_reply_of_an_older_dialect_has_no_contexts_and_stays_as_it_is() -> None:
    body = reply(dialect=0x0302, count=0x4141)
    assert only_known(body) == body


@pytest.mark.parametrize(
    "body",
    [
        reply(context(1, PREAUTH), context(2, GCM), context(2, GCM)),
        reply(context(1, PREAUTH), count=2),
        reply(context(1, PREAUTH))[:-1],
        reply(context(1, PREAUTH), count=60_000),
        reply()[:63],
        b"",
        struct.pack(LAYOUT, 65, 1, 0x0311, 1, bytes(16), 0, SIZES, 128, 0, 70) + bytes(40),
        struct.pack(LAYOUT, 65, 1, 0x0311, 1, bytes(16), 0, SIZES, 128, 0, 2**32 - 1) + bytes(40),
        struct.pack(LAYOUT, 65, 1, 0x0311, 0, bytes(16), 0, SIZES, 20, 8, 0) + bytes(40),
        struct.pack(LAYOUT, 64, 1, 0x0311, 0, bytes(16), 0, SIZES, 128, 0, 0) + bytes(40),
    ],
)
def test_a_reply_that_breaks_the_protocol_is_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        only_known(body)


def test_the_offer_names_kerberos_and_nothing_else() -> None:
    # RFC 4178 section 4.2.1: [APPLICATION 0] { SPNEGO, [0] { [0] { Kerberos }, [2] token } }
    head = bytes.fromhex("6025 06062b0601050502 a01b 3019 a00d 300b 06092a864886f712010202 a208 0406")
    assert encode_offer(b"AP-REQ") == head + b"AP-REQ"
    assert bytes.fromhex("300b06092a864886f712010202") == MECHANISMS


def test_a_long_offer_has_long_lengths() -> None:
    offer = encode_offer(bytes(3000))
    assert offer[:4] == bytes.fromhex("6082") + struct.pack(">H", len(offer) - 4)
    assert offer.endswith(bytes.fromhex("04820bb8") + bytes(3000))


ACCEPTED = bytes.fromhex("a003 0a0100")
KERBEROS, MS_KERBEROS = (bytes.fromhex(f"a10b 06092a8648{oid}f712010202") for oid in ("86", "82"))
NTLM = bytes.fromhex("a10c 060a2b06010401823702020a")


def answer(*fields: bytes) -> bytes:
    content = b"".join(fields)
    return bytes([0xA1, len(content) + 2, 0x30, len(content)]) + content


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (answer(ACCEPTED), NegotiationReply(NegotiationState.ACCEPT_COMPLETED, True, b"", b"")),
        (
            answer(ACCEPTED, KERBEROS, b"\xa2\x05\x04\x03abc", b"\xa3\x04\x04\x02hi"),
            NegotiationReply(NegotiationState.ACCEPT_COMPLETED, True, b"abc", b"hi"),
        ),
        (answer(ACCEPTED, MS_KERBEROS), NegotiationReply(NegotiationState.ACCEPT_COMPLETED, True, b"", b"")),
        (answer(ACCEPTED, NTLM), NegotiationReply(NegotiationState.ACCEPT_COMPLETED, False, b"", b"")),
        (answer(b"\xa0\x03\x0a\x01\x03"), NegotiationReply(NegotiationState.REQUEST_MIC, True, b"", b"")),
        (answer(), NegotiationReply(None, True, b"", b"")),
        (encode_mic(b"mic"), NegotiationReply(None, True, b"", b"mic")),
    ],
)
def test_an_answer_is_read(token: bytes, expected: NegotiationReply) -> None:
    assert decode_reply(token) == expected


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"\xa1",
        b"\xa1\x80",
        b"\xa1\x85\0\0\0\0\x01\0",
        b"\xa1\x82\xff",
        b"\xa1\x04\x30\x05\0\0",
        answer(b"\xa0\x03\x0a\x01\x04"),
        answer(b"\xa0\x04\x0a\x02\0\0"),
        answer(b"\xa0\x02\x0a\0"),
        answer(b"\xa2\x03\x04\x03a"),
        answer(b"\xa2\x03\x05\x01a"),
        answer(ACCEPTED) + b"\0\0",
        b"NTLMSSP\0",
        encode_offer(b"a client's token"),
    ],
)
def test_what_is_no_answer_is_refused(token: bytes) -> None:
    with pytest.raises(WireError):
        decode_reply(token)
