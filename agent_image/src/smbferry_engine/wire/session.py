"""SESSION_SETUP (2.2.5, 2.2.6) that authenticates an existing session again."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.header import HEADER_SIZE

_REQUEST = struct.Struct("<HBBIIHHQ")
_RESPONSE = struct.Struct("<HHHH")
_REQUEST_SIZE = 25
_RESPONSE_SIZE = 9
_TOKEN_OFFSET = HEADER_SIZE + _REQUEST.size
_SIGNING_REQUIRED = 0x02
_CAPABILITY_DFS = 0x00000001
_IS_GUEST = 0x0001
_IS_NULL = 0x0002


class SessionReply(NamedTuple):
    """The server's reply. ``nobody``: the session is guest or anonymous; ``token`` is the server's token."""

    nobody: bool
    token: bytes


def encode_session_setup(token: bytes) -> bytes:
    """SESSION_SETUP with a GSS token, on the session that the header names."""
    fixed = _REQUEST.pack(_REQUEST_SIZE, 0, _SIGNING_REQUIRED, _CAPABILITY_DFS, 0, _TOKEN_OFFSET, len(token), 0)
    return fixed + token


def decode_session_setup(message: bytes | memoryview) -> SessionReply:
    """Decode a successful SESSION_SETUP reply."""
    size, flags, offset, length = unpack(_RESPONSE, message, HEADER_SIZE, "session setup")
    check_structure_size(size, _RESPONSE_SIZE, "session setup")
    token = slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "session setup token")
    return SessionReply(bool(flags & (_IS_GUEST | _IS_NULL)), bytes(token))
