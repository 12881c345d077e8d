"""CREATE (2.2.13, 2.2.14) with the contexts that the engine uses, and CLOSE (2.2.15, 2.2.16)."""

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, entries_in, slice_of, unpack
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import encode_name

_REQUEST = struct.Struct("<HBBIQQIIIIIHHII")
_RESPONSE = struct.Struct("<HBBIQQQQQQII16sII")
_CONTEXT = struct.Struct("<IHHHHI")
_MAXIMAL_ACCESS = struct.Struct("<II")
_DISK_ID = struct.Struct("<16s")
_TIMEWARP = struct.Struct("<Q")
_CLOSE_REQUEST = struct.Struct("<HHI16s")
_CLOSE_RESPONSE = struct.Struct("<HHIQQQQQQI")
_REQUEST_SIZE = 57
_RESPONSE_SIZE = 89
_CLOSE_REQUEST_SIZE = 24
_CLOSE_RESPONSE_SIZE = 60
_IMPERSONATION = 2
_NAME_OFFSET = HEADER_SIZE + _REQUEST.size
_CONTEXT_NAME = 8
_ALIGNMENT = 8
_CLOSE_QUERY_ATTRIBUTES = 0x0001

FILE_CREATED = 2  # CreateAction (2.2.14)
MAXIMAL_ACCESS_CONTEXT = b"MxAc"
DISK_ID_CONTEXT = b"QFid"
_DESCRIPTOR_CONTEXT = b"SecD"
_TIMEWARP_CONTEXT = b"TWrp"


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
    """ShareAccess: what others may do with a file while it is open (2.2.13)."""

    READ = 1
    WRITE = 2
    DELETE = 4


class Disposition(IntEnum):
    """CreateDisposition: what CREATE does if the name exists or not (2.2.13)."""

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
    """An open file: times in 100 ns since 1601, sizes in bytes, attributes of MS-FSCC 2.6.

    ``disk_id`` identifies a file or folder on its server; 0 if it was not requested or returned. ``allocated`` is its
    size on disk.
    """

    action: int
    creation_time: int
    access_time: int
    write_time: int
    change_time: int
    size: int
    attributes: int
    file_id: bytes
    maximal_access: int | None
    disk_id: int = 0
    allocated: int = 0


class CloseReply(NamedTuple):
    """The attributes of a file when it was closed; ``known`` if they were requested and the server returned them."""

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
    contexts: tuple[bytes, ...] = (),
    descriptor: bytes | None = None,
    snapshot: int = 0,
) -> bytes:
    r"""CREATE of ``name`` (relative to the share, ``\`` separated, empty for its root), with no oplock.

    ``contexts`` are the names of create contexts without data (2.2.13.2). ``descriptor`` is the raw security descriptor
    of a file or folder that is created (SMB2_CREATE_SD_BUFFER, 2.2.13.2.2). ``snapshot`` is the time of the snapshot to
    open it in (in 100 ns since 1601; SMB2_CREATE_TIMEWARP_TOKEN, 2.2.13.2.7), 0 for the file as it is.
    """
    path = encode_name(name)
    body = path or b"\0\0"
    context_offset = context_length = 0
    given = [(context, b"") for context in contexts]
    if descriptor is not None:
        given.append((_DESCRIPTOR_CONTEXT, descriptor))
    if snapshot:
        given.append((_TIMEWARP_CONTEXT, _TIMEWARP.pack(snapshot)))
    if given:
        body += bytes(-(_NAME_OFFSET + len(body)) % _ALIGNMENT)
        context_offset = _NAME_OFFSET + len(body)
        asked = _encode_contexts(given)
        context_length = len(asked)
        body += asked
    fixed = _REQUEST.pack(
        _REQUEST_SIZE, 0, 0, _IMPERSONATION, 0, 0, access, attributes, share, disposition, options,
        _NAME_OFFSET, len(path), context_offset, context_length,
    )  # fmt: skip
    return fixed + body


def _encode_contexts(contexts: list[tuple[bytes, bytes]]) -> bytes:
    """Names of four bytes with their data (2.2.13.2), each aligned to eight."""
    encoded = bytearray()
    last = len(contexts) - 1
    for index, (name, data) in enumerate(contexts):
        at = _CONTEXT.size + _CONTEXT_NAME if data else 0
        size = _CONTEXT.size + _CONTEXT_NAME + len(data)
        padding = 0 if index == last else -size % _ALIGNMENT
        following = 0 if index == last else size + padding
        encoded += _CONTEXT.pack(following, _CONTEXT.size, len(name), 0, at, len(data))
        encoded += name.ljust(_CONTEXT_NAME, b"\0") + data + bytes(padding)
    return bytes(encoded)


def decode_create(message: bytes | memoryview) -> CreateReply:
    """Decode a successful CREATE reply (2.2.14)."""
    fields = unpack(_RESPONSE, message, HEADER_SIZE, "create")
    check_structure_size(fields[0], _RESPONSE_SIZE, "create")
    (_, _, _, action, creation, access, write, change, allocated, size, attributes, _, file_id, offset, length) = fields
    maximal_access, disk_id = None, 0
    if length:
        data = slice_of(message, offset, length, HEADER_SIZE + _RESPONSE.size, "create contexts")
        contexts = _decode_contexts(data)
        maximal_access = _maximal_access(contexts.get(MAXIMAL_ACCESS_CONTEXT))
        disk_id = _disk_id(contexts.get(DISK_ID_CONTEXT))
    return CreateReply(
        action, creation, access, write, change, size, attributes,
        file_id,  # type: ignore[arg-type]  # struct gives bytes for "16s"
        maximal_access, disk_id, allocated,
    )  # fmt: skip


def _decode_contexts(data: memoryview) -> dict[bytes, memoryview]:
    """Return names and data of the reply's create contexts (2.2.14.2)."""
    found: dict[bytes, memoryview] = {}
    for fields, start, end in entries_in(_CONTEXT, data, "context"):
        _, name_offset, name_length, _, data_offset, data_length = fields
        context = data[start:end]
        name = bytes(slice_of(context, name_offset, name_length, _CONTEXT.size, "context name"))
        found[name] = slice_of(context, data_offset, data_length, _CONTEXT.size, "context data")
    return found


def _maximal_access(data: memoryview | None) -> int | None:
    """Return the maximal access (2.2.14.2.5), None if the server returned none."""
    if data is None:
        return None
    status, mask = unpack(_MAXIMAL_ACCESS, data, 0, "maximal access")
    return mask if status == 0 else None


def _disk_id(data: memoryview | None) -> int:
    """Return file id and volume id (2.2.14.2.9) as one number, 0 if the server returned none."""
    if not data:
        return 0
    (identity,) = unpack(_DISK_ID, data, 0, "id on disk")
    return int.from_bytes(identity, "little")  # type: ignore[arg-type]  # struct gives bytes for "16s"


def encode_close(file_id: bytes, *, query_attributes: bool = False) -> bytes:
    """CLOSE; with ``query_attributes``, the reply has the file's attributes."""
    return _CLOSE_REQUEST.pack(_CLOSE_REQUEST_SIZE, _CLOSE_QUERY_ATTRIBUTES if query_attributes else 0, 0, file_id)


def decode_close(message: bytes | memoryview) -> CloseReply:
    """Decode a successful CLOSE reply (2.2.16)."""
    fields = unpack(_CLOSE_RESPONSE, message, HEADER_SIZE, "close")
    check_structure_size(fields[0], _CLOSE_RESPONSE_SIZE, "close")
    _, flags, _, creation, access, write, change, _, size, attributes = fields
    known = bool(flags & _CLOSE_QUERY_ATTRIBUTES)
    return CloseReply(known, creation, access, write, change, size, attributes)
