"""SPNEGO tokens (RFC 4178 section 4.2) of a client that offers only Kerberos."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, NamedTuple

from smbferry_engine.wire.errors import WireError

_APPLICATION, _SEQUENCE, _ENUMERATED, _OID, _OCTETS = 0x60, 0x30, 0x0A, 0x06, 0x04
_RESPONSE = 0xA1
# The numbers of NegTokenInit's and NegTokenResp's fields.
_MECHANISMS, _INIT_TOKEN = 0, 2
_STATE, _CHOSEN, _TOKEN, _MIC = 0, 1, 2, 3
_LONG, _MOST_LENGTH_BYTES = 0x80, 4
_SPNEGO_OID: Final = bytes.fromhex("06062b0601050502")
_KERBEROS_OID: Final = bytes.fromhex("06092a864886f712010202")  # 1.2.840.113554.1.2.2
# Another OID that Windows uses for Kerberos, with a truncated bit (RFC 4178 appendix C): 1.2.840.48018.1.2.2.
_KERBEROS_OIDS: Final = frozenset({_KERBEROS_OID, bytes.fromhex("06092a864882f712010202")})


class NegotiationState(IntEnum):
    """negState of NegTokenResp."""

    ACCEPT_COMPLETED = 0
    ACCEPT_INCOMPLETE = 1
    REJECT = 2
    REQUEST_MIC = 3


class NegotiationReply(NamedTuple):
    """A server's NegTokenResp. Missing fields: ``state`` is None, tokens are empty.

    ``kerberos``: False if the server chose another mechanism than the one that was offered.
    """

    state: NegotiationState | None
    kerberos: bool
    token: bytes
    mic: bytes


def _tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < _LONG:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG | len(length)]) + length + content


def _field(number: int, *parts: bytes) -> bytes:
    return _tlv(0xA0 | number, *parts)


MECHANISMS: Final = _tlv(_SEQUENCE, _KERBEROS_OID)
"""The MechTypeList that :func:`encode_offer` sends: what a mechListMIC is a checksum of."""


def encode_offer(token: bytes) -> bytes:
    """NegTokenInit with Kerberos as its only mechanism and that mechanism's first ``token``."""
    init = _tlv(_SEQUENCE, _field(_MECHANISMS, MECHANISMS), _field(_INIT_TOKEN, _tlv(_OCTETS, token)))
    return _tlv(_APPLICATION, _SPNEGO_OID, _field(0, init))


def encode_mic(mic: bytes) -> bytes:
    """NegTokenResp with only the client's mechListMIC."""
    return _tlv(_RESPONSE, _tlv(_SEQUENCE, _field(_MIC, _tlv(_OCTETS, mic))))


def decode_reply(data: bytes) -> NegotiationReply:
    """Decode the server's NegTokenResp.

    Raises:
        WireError: the bytes are malformed.
    """
    fields = {
        tag & 0x1F: content
        for tag, content in _elements(_only(_only(data, _RESPONSE, "a reply"), _SEQUENCE, "a reply"))
    }
    state, chosen = fields.get(_STATE), fields.get(_CHOSEN)
    return NegotiationReply(
        None if state is None else _state(_only(state, _ENUMERATED, "a state")),
        chosen is None or chosen in _KERBEROS_OIDS,
        _only(fields[_TOKEN], _OCTETS, "a token") if _TOKEN in fields else b"",
        _only(fields[_MIC], _OCTETS, "a MIC") if _MIC in fields else b"",
    )


def _state(content: bytes) -> NegotiationState:
    number = int.from_bytes(content, "big")
    if len(content) != 1 or number not in set(NegotiationState):
        raise WireError(f"SPNEGO: expected a state from 0 to 3, got {content[:8].hex() or 'nothing'}")
    return NegotiationState(number)


def _only(data: bytes, tag: int, what: str) -> bytes:
    """Return the content of the one element in ``data``."""
    elements = list(_elements(data))
    if [found for found, _ in elements] != [tag]:
        found = ", ".join(f"0x{each:02x}" for each, _ in elements) or "nothing"
        raise WireError(f"SPNEGO: expected {what} of tag 0x{tag:02x}, got {found}")
    return elements[0][1]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element in ``data``."""
    at = 0
    while at < len(data):
        tag, at = data[at], at + 1
        size, at = _length(data, at)
        if at + size > len(data):
            raise WireError(f"SPNEGO: expected {size} bytes at {at}, the token has {len(data)}")
        yield tag, data[at : at + size]
        at += size


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return a DER length at ``at``, and where its content begins."""
    if at >= len(data):
        raise WireError("SPNEGO: expected a length, the token ends")
    first = data[at]
    if first < _LONG:
        return first, at + 1
    count = first & ~_LONG
    if not 1 <= count <= _MOST_LENGTH_BYTES or at + 1 + count > len(data):
        raise WireError(f"SPNEGO: expected a length of 1 to {_MOST_LENGTH_BYTES} bytes, got one of {count}")
    return int.from_bytes(data[at + 1 : at + 1 + count], "big"), at + 1 + count
