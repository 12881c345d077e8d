"""CREATE (2.2.13, 2.2.14) with the contexts that the engine uses, and CLOSE (2.2.15, 2.2.16)."""

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import encode_name

_REQUEST = struct.Struct("<HBBIQQIIIIIHHII")
_RESPONSE = struct.Struct("<HBBIQQQQQQII16sII")
_CONTEXT = struct.Struct("<IHHHHI")
_MAXIMAL_ACCESS = struct.Struct("<II")
_CLOSE_REQUEST = struct.Struct("<HHI16s")
_CLOSE_RESPONSE = struct.Struct("<HHIQQQQQQI")
_REQUEST_SIZE = 57
_RESPONSE_SIZE = 89
_CLOSE_REQUEST_SIZE = 24
_CLOSE_RESPONSE_SIZE = 60
_IMPERSONATION = 2
_NAME_OFFSET = HEADER_SIZE + _REQUEST.size
_CLOSE_QUERY_ATTRIBUTES = 0x0001

MAXIMAL_ACCESS_CONTEXT = b"MxAc"


class Access(IntFlag):
    """Access mask bits (2.2.13.1)."""

    READ_DATA = 0x00000001
    WRITE_DATA = 0x00000002
    APPEND_DATA = 0x00000004
    READ_EA = 0x00000008
    WRITE_EA = 0x00000010
    EXECUTE = 0x00000020
    DELETE_CHILD = 0x00000040
    READ_ATTRIBUTES = 0x00000080
    WRITE_ATTRIBUTES = 0x00000100
    DELETE = 0x00010000
    READ_CONTROL = 0x00020000
    WRITE_DAC = 0x00040000
    WRITE_OWNER = 0x00080000
    SYNCHRONIZE = 0x00100000
    ACCESS_SYSTEM_SECURITY = 0x01000000


class Share(IntFlag):
    """What others may do with a file while it is open (2.2.13)."""

    READ = 1
    WRITE = 2
    DELETE = 4


class Disposition(IntEnum):
    """What CREATE does when the name exists, or does not (2.2.13)."""

    OPEN = 1
    CREATE = 2
    OPEN_IF = 3
    OVERWRITE_IF = 5


class CreateOption(IntFlag):
    """CreateOptions (2.2.13)."""

    DIRECTORY_FILE = 0x00000001
    SEQUENTIAL_ONLY = 0x00000004
    NON_DIRECTORY_FILE = 0x00000040
    DELETE_ON_CLOSE = 0x00001000
    OPEN_FOR_BACKUP_INTENT = 0x00004000
    OPEN_REPARSE_POINT = 0x00200000


class CreateReply(NamedTuple):
    """An open file: times in 100 ns since 1601, sizes in bytes, attributes of MS-FSCC 2.6."""

    action: int
    creation_time: int
    access_time: int
    write_time: int
    change_time: int
    size: int
    attributes: int
    file_id: bytes
    maximal_access: int | None


class CloseReply(NamedTuple):
    """A file as it was when it was closed; ``known`` only if the request asked for it and the server complied."""

    known: bool
    creation_time: int
    access_time: int
    write_time: int
    change_time: int
    size: int
    attributes: int


def encode_create(
    name: str,
    *,
    access: int,
    disposition: int,
    options: int,
    share: int,
    attributes: int = 0,
    query_maximal_access: bool = False,
) -> bytes:
    r"""CREATE of ``name`` (relative to the share, ``\`` separated, empty for its root), with no oplock."""
    path = encode_name(name)
    context = b""
    context_offset = 0
    body = path or b"\0\0"
    if query_maximal_access:
        body += bytes(-(_NAME_OFFSET + len(body)) % 8)
        context_offset = _NAME_OFFSET + len(body)
        context = _CONTEXT.pack(0, _CONTEXT.size, len(MAXIMAL_ACCESS_CONTEXT), 0, 0, 0)
        context += MAXIMAL_ACCESS_CONTEXT + bytes(4)
    fixed = _REQUEST.pack(
        _REQUEST_SIZE, 0, 0, _IMPERSONATION, 0, 0, access, attributes, share, disposition, options,
        _NAME_OFFSET, len(path), context_offset, len(context),
    )  # fmt: skip
    return fixed + body + context


def decode_create(message: bytes | memoryview) -> CreateReply:
    """A successful CREATE reply (2.2.14)."""
    fields = unpack(_RESPONSE, message, HEADER_SIZE, "create")
    check_structure_size(fields[0], _RESPONSE_SIZE, "create")
    (_, _, _, action, creation, access, write, change, _, size, attributes, _, file_id, offset, length) = fields
    contexts = slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "create contexts")
    return CreateReply(
        action, creation, access, write, change, size, attributes,
        file_id,  # type: ignore[arg-type]  # struct gives bytes for "16s"
        _maximal_access(contexts),
    )  # fmt: skip


def _maximal_access(contexts: memoryview) -> int | None:
    """The answer to a maximal access context (2.2.14.2.5), if the server gave one."""
    offset = 0
    while len(contexts):
        following, name_offset, name_length, _, data_offset, data_length = unpack(_CONTEXT, contexts, offset, "context")
        end = offset + following if following else len(contexts)
        if end > len(contexts) or (following and following < _CONTEXT.size):
            raise WireError(f"context: the next one lies at {following}, outside {len(contexts)} bytes")
        context = contexts[offset:end]
        if bytes(slice_of(context, name_offset, name_length, _CONTEXT.size, "context name")) == MAXIMAL_ACCESS_CONTEXT:
            data = slice_of(context, data_offset, data_length, _CONTEXT.size, "context data")
            status, mask = unpack(_MAXIMAL_ACCESS, data, 0, "maximal access")
            return mask if status == 0 else None
        if not following:
            break
        offset = end
    return None


def encode_close(file_id: bytes, *, query_attributes: bool = False) -> bytes:
    """CLOSE; with ``query_attributes`` the reply says what the file was like at the end."""
    return _CLOSE_REQUEST.pack(_CLOSE_REQUEST_SIZE, _CLOSE_QUERY_ATTRIBUTES if query_attributes else 0, 0, file_id)


def decode_close(message: bytes | memoryview) -> CloseReply:
    """A successful CLOSE reply (2.2.16)."""
    fields = unpack(_CLOSE_RESPONSE, message, HEADER_SIZE, "close")
    check_structure_size(fields[0], _CLOSE_RESPONSE_SIZE, "close")
    _, flags, _, creation, access, write, change, _, size, attributes = fields
    known = bool(flags & _CLOSE_QUERY_ATTRIBUTES)
    return CloseReply(known, creation, access, write, change, size, attributes)
