"""QUERY_INFO (2.2.37, 2.2.38), SET_INFO (2.2.39) and the classes of MS-FSCC that they carry."""

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, slice_of, unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.names import encode_name
from smbferry_engine.wire.security import asking_for_inheritance

_QUERY_REQUEST = struct.Struct("<HBBIHHIII16s")
_QUERY_RESPONSE = struct.Struct("<HHI")
_SET_REQUEST = struct.Struct("<HBBIHHI16s")
_BASIC = struct.Struct("<QQQQII")
_RENAME = struct.Struct("<B7xQI")
# Windows refuses a buffer smaller than the whole structure, which ends with a name of one character and padding.
_LEAST_RENAME = 24
_FULL_SIZE = struct.Struct("<QQQII")
_STANDARD = struct.Struct("<QQIBB2x")
_INTERNAL = struct.Struct("<Q")
_QUERY_REQUEST_SIZE = 41
_QUERY_RESPONSE_SIZE = 9
_SET_REQUEST_SIZE = 33
_SET_BUFFER_OFFSET = HEADER_SIZE + _SET_REQUEST.size
_FILE_BASIC = 4
_FILE_STANDARD = 5
_FILE_INTERNAL = 6
_FILE_RENAME = 10
_FILE_LINK = 11
_FILE_DISPOSITION = 13
_FILE_FULL_EA = 15
_FILE_END_OF_FILE = 20
_FILE_STREAM = 22
_FS_ATTRIBUTE = 5
_FS_FULL_SIZE = 7
_FS_ATTRIBUTE_FIXED = struct.Struct("<IiI")
# The name of the file system follows; longer ones are cut off.
_FS_ATTRIBUTE_LIMIT = _FS_ATTRIBUTE_FIXED.size + 64
_RESTART_SCAN = 0x01  # Flags (2.2.37): the list of extended attributes from its beginning


class InfoType(IntEnum):
    """InfoType (2.2.37)."""

    FILE = 1
    FILESYSTEM = 2
    SECURITY = 3


class SecurityPart(IntFlag):
    """Parts of a security descriptor (2.2.37, AdditionalInformation)."""

    OWNER = 0x1
    GROUP = 0x2
    DACL = 0x4
    SACL = 0x8


# A plain integer: it is combined once per file, and IntFlag is slow at that.
OWNER_AND_GROUP = int(SecurityPart.OWNER | SecurityPart.GROUP)


class FileSystemSize(NamedTuple):
    """Space for the caller, quotas counted, in bytes."""

    total: int
    free: int


class FileStandard(NamedTuple):
    """Sizes in bytes, and how many names the file has."""

    allocated: int
    size: int
    links: int
    delete_pending: bool
    directory: bool


def _query(
    info_type: int, info_class: int, file_id: bytes, limit: int, additional: int = 0, *, flags: int = 0
) -> bytes:
    return _QUERY_REQUEST.pack(_QUERY_REQUEST_SIZE, info_type, info_class, limit, 0, 0, 0, additional, flags, file_id)


def _set(info_type: int, info_class: int, file_id: bytes, data: bytes, additional: int = 0) -> bytes:
    fixed = _SET_REQUEST.pack(
        _SET_REQUEST_SIZE, info_type, info_class, len(data), _SET_BUFFER_OFFSET, 0, additional, file_id
    )
    return fixed + data


def encode_query_size(file_id: bytes) -> bytes:
    """FileFsFullSizeInformation (MS-FSCC 2.5.4)."""
    return _query(InfoType.FILESYSTEM, _FS_FULL_SIZE, file_id, _FULL_SIZE.size)


def encode_query_standard(file_id: bytes) -> bytes:
    """FileStandardInformation (MS-FSCC 2.4.46)."""
    return _query(InfoType.FILE, _FILE_STANDARD, file_id, _STANDARD.size)


def encode_query_internal(file_id: bytes) -> bytes:
    """FileInternalInformation (MS-FSCC 2.4)."""
    return _query(InfoType.FILE, _FILE_INTERNAL, file_id, _INTERNAL.size)


def encode_query_volume(file_id: bytes) -> bytes:
    """FileFsAttributeInformation (MS-FSCC 2.5.1)."""
    return _query(InfoType.FILESYSTEM, _FS_ATTRIBUTE, file_id, _FS_ATTRIBUTE_LIMIT)


def encode_query_streams(file_id: bytes, limit: int) -> bytes:
    """FileStreamInformation (MS-FSCC 2.4), up to ``limit`` bytes."""
    return _query(InfoType.FILE, _FILE_STREAM, file_id, limit)


def encode_query_extended_attributes(file_id: bytes, limit: int) -> bytes:
    """FileFullEaInformation (MS-FSCC 2.4.16), up to ``limit`` bytes."""
    return _query(InfoType.FILE, _FILE_FULL_EA, file_id, limit, flags=_RESTART_SCAN)


def encode_query_security(file_id: bytes, parts: int, limit: int) -> bytes:
    """QUERY_INFO for the file's security descriptor (MS-DTYP 2.4.6), self-relative, up to ``limit`` bytes."""
    return _query(InfoType.SECURITY, 0, file_id, limit, parts)


def decode_query(message: bytes | memoryview) -> memoryview:
    """Return the output of a successful QUERY_INFO reply."""
    size, offset, length = unpack(_QUERY_RESPONSE, message, HEADER_SIZE, "query info")
    check_structure_size(size, _QUERY_RESPONSE_SIZE, "query info")
    return slice_of(message, offset, length, HEADER_SIZE + _QUERY_RESPONSE.size, "query info")


def decode_size(message: bytes | memoryview) -> FileSystemSize:
    """Total and free bytes from a FileFsFullSizeInformation reply."""
    total, caller_free, _, sectors, sector_bytes = unpack(_FULL_SIZE, decode_query(message), 0, "file system size")
    unit = sectors * sector_bytes
    return FileSystemSize(total * unit, caller_free * unit)


def decode_volume_flags(message: bytes | memoryview) -> int:
    """FileSystemAttributes from a FileFsAttributeInformation reply; the name of the file system may be cut off."""
    flags, _, _ = unpack(_FS_ATTRIBUTE_FIXED, decode_query(message), 0, "file system attributes")
    return flags


def decode_standard(message: bytes | memoryview) -> FileStandard:
    """From a FileStandardInformation reply."""
    allocated, size, links, delete_pending, directory = unpack(_STANDARD, decode_query(message), 0, "file standard")
    return FileStandard(allocated, size, links, bool(delete_pending), bool(directory))


def decode_internal(message: bytes | memoryview) -> int:
    """Return the number of the file from a FileInternalInformation reply, the same for all of its names."""
    (number,) = unpack(_INTERNAL, decode_query(message), 0, "file internal")
    return int(number)


def encode_set_basic(
    file_id: bytes, *, creation: int = 0, access: int = 0, write: int = 0, attributes: int = 0
) -> bytes:
    """FileBasicInformation (MS-FSCC 2.4.7); zero leaves a field unchanged, the server sets the change time."""
    return _set(InfoType.FILE, _FILE_BASIC, file_id, _BASIC.pack(creation, access, write, 0, attributes, 0))


def encode_rename(file_id: bytes, name: str, *, replace: bool) -> bytes:
    """FileRenameInformation (MS-FSCC 2.4.42.2) to ``name``, given from the share's root."""
    return _set(InfoType.FILE, _FILE_RENAME, file_id, _new_name(name, replace=replace))


def encode_link(file_id: bytes, name: str, *, replace: bool) -> bytes:
    """FileLinkInformation (MS-FSCC 2.4.28.2): one more name, given from the share's root."""
    return _set(InfoType.FILE, _FILE_LINK, file_id, _new_name(name, replace=replace))


def _new_name(name: str, *, replace: bool) -> bytes:
    path = encode_name(name)
    if not path:
        raise WireError("expected a new name, got none")
    return (_RENAME.pack(replace, 0, len(path)) + path).ljust(_LEAST_RENAME, b"\0")


def encode_disposition(file_id: bytes, *, delete: bool) -> bytes:
    """FileDispositionInformation (MS-FSCC 2.4.11): whether the file is deleted when it is closed."""
    return _set(InfoType.FILE, _FILE_DISPOSITION, file_id, struct.pack("<B", delete))


def encode_end_of_file(file_id: bytes, size: int) -> bytes:
    """FileEndOfFileInformation (MS-FSCC 2.4.14)."""
    return _set(InfoType.FILE, _FILE_END_OF_FILE, file_id, struct.pack("<Q", size))


def encode_set_extended_attributes(file_id: bytes, attributes: bytes) -> bytes:
    """FileFullEaInformation (MS-FSCC 2.4.16) with an encoded list; those that it does not name stay."""
    return _set(InfoType.FILE, _FILE_FULL_EA, file_id, attributes)


def encode_set_security(file_id: bytes, parts: int, descriptor: bytes) -> bytes:
    """Set ``parts`` of a security descriptor from a raw self-relative one; inherited entries stay inherited."""
    return _set(InfoType.SECURITY, 0, file_id, asking_for_inheritance(descriptor), parts)
