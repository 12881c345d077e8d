"""The NEGOTIATE reply (2.2.4) of SMB 3.1.1, without contexts that the client did not send."""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE

# StructureSize, SecurityMode, DialectRevision, NegotiateContextCount, ServerGuid, Capabilities, sizes and times,
# SecurityBufferOffset, SecurityBufferLength, NegotiateContextOffset.
_RESPONSE = struct.Struct("<HHHH16sI28sHHI")
_RESPONSE_SIZE = 65
_CONTEXT = struct.Struct("<HHI")
_ALIGNMENT = 8
_SMB_3_1_1: Final = 0x0311
_MOST_CONTEXTS = 64
# Up to SMB2_GLOBAL_CAP_ENCRYPTION; newer servers also set SMB2_GLOBAL_CAP_NOTIFICATIONS (0x80).
_KNOWN_CAPABILITIES = 0x7F


class ContextType(IntEnum):
    """The negotiate contexts that the client sends (2.2.3.1)."""

    PREAUTH_INTEGRITY = 1
    ENCRYPTION = 2
    SIGNING = 8


def only_known(body: bytes) -> bytes:
    """Return the body of a NEGOTIATE reply without unknown contexts and capabilities, which are ignored (3.2.5.2).

    The reply of an older dialect is returned unchanged: it has no contexts, and its capabilities are validated later.

    Raises:
        WireError: the body ends too early, or a context that may come once comes twice.
    """
    size, mode, dialect, count, guid, capabilities, sizes, offset, length, contexts_at = _fields(body)
    check_structure_size(size, _RESPONSE_SIZE, "negotiate")
    if dialect != _SMB_3_1_1:
        return body
    token = slice_of(body, offset - HEADER_SIZE, length, _RESPONSE.size, "negotiate token")
    if count > _MOST_CONTEXTS:
        raise WireError(f"negotiate: expected at most {_MOST_CONTEXTS} contexts, got {count}")
    kept: dict[int, bytes] = {}
    for kind, context in _contexts(body, contexts_at - HEADER_SIZE, count):
        if kind in kept:
            raise WireError(f"negotiate: expected one context of type {kind}, got two")
        if kind in set(ContextType):
            kept[kind] = context
    start = _RESPONSE.size + len(token) + -len(token) % _ALIGNMENT
    known, token_at = capabilities & _KNOWN_CAPABILITIES, HEADER_SIZE + _RESPONSE.size
    fixed = _RESPONSE.pack(size, mode, dialect, len(kept), guid, known, sizes, token_at, length, HEADER_SIZE + start)
    out = bytearray((fixed + bytes(token)).ljust(start, b"\0"))
    for context in kept.values():
        out += bytes(-len(out) % _ALIGNMENT) + context
    return bytes(out)


def _fields(body: bytes) -> tuple[int, int, int, int, bytes, int, bytes, int, int, int]:
    if len(body) < _RESPONSE.size:
        raise WireError(f"negotiate: expected {_RESPONSE.size} bytes, the message has {len(body)}")
    return _RESPONSE.unpack_from(body)


def _contexts(body: bytes, at: int, count: int) -> Iterator[tuple[int, bytes]]:
    """Type and bytes, header included, of each context."""
    for _ in range(count):
        at += -at % _ALIGNMENT
        if at < _RESPONSE.size:
            raise WireError(f"negotiate: expected contexts behind the fixed part, got them at {at}")
        kind, length, _ = unpack(_CONTEXT, body, at, "negotiate context")
        end = at + _CONTEXT.size + length
        if end > len(body):
            raise WireError(f"negotiate: expected a context of {length} bytes at {at}, the message has {len(body)}")
        yield kind, body[at:end]
        at = end
