"""The SMB2 packet header (2.2.1), the encryption header (2.2.41) and the frame around both (2.1)."""

import struct
from enum import IntEnum
from typing import NamedTuple

from smbferry_engine.wire.errors import WireError

HEADER_SIZE = 64
TRANSFORM_SIZE = 52
FRAME_PREFIX = 4
MAX_FRAME = 0xFFFFFF

PROTOCOL_ID = b"\xfeSMB"
TRANSFORM_ID = b"\xfdSMB"
COMPRESSION_ID = b"\xfcSMB"

FLAG_RESPONSE = 0x00000001
FLAG_ASYNC = 0x00000002
FLAG_RELATED = 0x00000004
FLAG_DFS = 0x10000000

UNSOLICITED_MESSAGE_ID = 0xFFFFFFFFFFFFFFFF
RELATED_FILE_ID = b"\xff" * 16

_HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
_NO_SIGNATURE = bytes(16)
_TRANSFORM = struct.Struct("<4s16s16sIHHQ")
_TRANSFORM_AAD = struct.Struct("<16sIHHQ")
_FRAME = struct.Struct(">I")
_ENCRYPTED = 0x0001
TAG_SIZE = 16
AAD_OFFSET = 20


class Command(IntEnum):
    """Commands (2.2.1.2) that the engine sends or receives."""

    NEGOTIATE = 0
    SESSION_SETUP = 1
    LOGOFF = 2
    TREE_CONNECT = 3
    TREE_DISCONNECT = 4
    CREATE = 5
    CLOSE = 6
    FLUSH = 7
    READ = 8
    WRITE = 9
    LOCK = 10
    IOCTL = 11
    CANCEL = 12
    ECHO = 13
    QUERY_DIRECTORY = 14
    CHANGE_NOTIFY = 15
    QUERY_INFO = 16
    SET_INFO = 17
    OPLOCK_BREAK = 18


class Header(NamedTuple):
    """What a reply's header says; ``next_command`` is relative to this header, 0 for the last of a compound."""

    status: int
    command: int
    credits: int
    flags: int
    next_command: int
    message_id: int
    async_id: int
    tree_id: int
    session_id: int


def encode_header_into(
    buffer: bytearray | memoryview,
    offset: int,
    *,
    command: int,
    charge: int,
    credit_request: int,
    flags: int,
    next_command: int,
    message_id: int,
    tree_id: int,
    session_id: int,
) -> None:
    """Write a request header (2.2.1.2) in place; encrypted messages carry no signature."""
    _HEADER.pack_into(
        buffer,
        offset,
        PROTOCOL_ID,
        HEADER_SIZE,
        charge,
        0,
        command,
        credit_request,
        flags,
        next_command,
        message_id,
        0,
        tree_id,
        session_id,
        _NO_SIGNATURE,
    )


def decode_header(message: bytes | bytearray | memoryview, offset: int, end: int) -> Header:
    """Read the reply header at ``offset`` of a message that ends at ``end`` (2.2.1.1 when async, else 2.2.1.2)."""
    if offset + HEADER_SIZE > end:
        raise WireError(f"header: expected {HEADER_SIZE} bytes at {offset}, the frame ends at {end}")
    (
        protocol,
        size,
        _charge,
        status,
        command,
        credits_,
        flags,
        next_command,
        message_id,
        low,
        tree_id,
        session_id,
        _,
    ) = _HEADER.unpack_from(message, offset)
    if protocol != PROTOCOL_ID or size != HEADER_SIZE:
        raise WireError(f"header: expected an SMB2 header at {offset}, got {protocol!r} of size {size}")
    if not flags & FLAG_RESPONSE:
        raise WireError("header: expected a reply, got a request")
    if next_command and (next_command < HEADER_SIZE or next_command % 8 or offset + next_command + HEADER_SIZE > end):
        raise WireError(f"header: the next message of the compound lies at {next_command}, outside the frame")
    async_id = low | tree_id << 32 if flags & FLAG_ASYNC else 0
    return Header(status, command, credits_, flags, next_command, message_id, async_id, tree_id, session_id)


class Transform(NamedTuple):
    """A frame's encryption header: everything needed to decrypt what follows."""

    signature: bytes
    nonce: bytes
    aad: bytes
    original_size: int
    session_id: int


def transform_aad(nonce: bytes, size: int, session_id: int) -> bytes:
    """Return the authenticated part of the encryption header (2.2.41 from Nonce on) for a message of ``size`` bytes."""
    return _TRANSFORM_AAD.pack(nonce, size, 0, _ENCRYPTED, session_id)


def frame_prefix(length: int) -> bytes:
    """Return the Direct TCP header (2.1) of a frame of ``length`` bytes."""
    if length > MAX_FRAME:
        raise WireError(f"frame: {length} bytes exceed what a frame may hold")
    return _FRAME.pack(length)


def decode_frame_length(prefix: bytes | bytearray | memoryview) -> int:
    """Length of the frame behind a 4-byte Direct TCP header; its first byte must be zero."""
    (value,) = _FRAME.unpack_from(prefix, 0)
    if value > MAX_FRAME:
        raise WireError(f"frame: expected a Direct TCP header, got 0x{value:08x}")
    return int(value)


def decode_transform(data: bytes | bytearray | memoryview, offset: int) -> Transform:
    """Read the encryption header at ``offset``; the caller has checked that all 52 bytes are there."""
    protocol, signature, nonce, size, _reserved, flags, session_id = _TRANSFORM.unpack_from(data, offset)
    if protocol != TRANSFORM_ID:
        raise WireError(f"transform: expected an encrypted frame, got {protocol!r}")
    if flags != _ENCRYPTED:
        raise WireError(f"transform: expected flags 0x0001, got 0x{flags:04x}")
    return Transform(signature, nonce, bytes(data[offset + AAD_OFFSET : offset + TRANSFORM_SIZE]), size, session_id)
