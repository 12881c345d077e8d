"""Turns the status of a reply into an error where the server refused (MS-ERREF 2.3.1)."""

from smbferry_engine.core.calls import (
    Reply,
)
from smbferry_engine.errors import EngineError, FileError, FileReason
from smbferry_engine.wire.data import decode_write
from smbferry_engine.wire.info import decode_internal, decode_standard
from smbferry_engine.wire.status import CLOUD_FILE_STATUSES, NtStatus, status_name
from smbferry_words.reasons import SESSION_ENDED

_SESSION_GONE = frozenset(
    {
        NtStatus.NETWORK_NAME_DELETED,
        NtStatus.USER_SESSION_DELETED,
        NtStatus.NETWORK_SESSION_EXPIRED,
    }
)
_UNREADABLE = "its content is stored elsewhere, and the server could not provide it"
_BY_STATUS: dict[int, tuple[FileReason, str]] = {
    NtStatus.ACCESS_DENIED: (FileReason.ACCESS_DENIED, "the server denied access"),
    NtStatus.CANNOT_DELETE: (FileReason.ACCESS_DENIED, "the server does not permit its deletion (read-only?)"),
    NtStatus.MEDIA_WRITE_PROTECTED: (FileReason.ACCESS_DENIED, "the share is read-only"),
    NtStatus.SHARING_VIOLATION: (FileReason.SHARING_VIOLATION, "another program holds it open"),
    NtStatus.FILE_LOCK_CONFLICT: (FileReason.SHARING_VIOLATION, "another program has locked part of it"),
    NtStatus.OBJECT_NAME_NOT_FOUND: (FileReason.FILE_VANISHED, "it was listed but is gone now"),
    NtStatus.OBJECT_PATH_NOT_FOUND: (FileReason.FILE_VANISHED, "its folder was listed but is gone now"),
    NtStatus.NO_SUCH_FILE: (FileReason.FILE_VANISHED, "it was listed but is gone now"),
    NtStatus.DELETE_PENDING: (FileReason.FILE_VANISHED, "it is being deleted"),
    NtStatus.OBJECT_NAME_INVALID: (FileReason.NAME_NOT_REPRESENTABLE, "the server does not accept the name"),
    NtStatus.ILLEGAL_CHARACTER: (FileReason.NAME_NOT_REPRESENTABLE, "the server can't store a character of the name"),
    NtStatus.FILE_IS_A_DIRECTORY: (FileReason.TYPE_CONFLICT, "expected a file, got a folder"),
    NtStatus.NOT_A_DIRECTORY: (FileReason.TYPE_CONFLICT, "expected a folder, got a file"),
    NtStatus.PATH_NOT_COVERED: (FileReason.REPARSE_POINT_SKIPPED, "a folder above it is a DFS link"),
    NtStatus.STOPPED_ON_SYMLINK: (FileReason.REPARSE_POINT_SKIPPED, "a folder above it is a link"),
    NtStatus.DISK_FULL: (FileReason.DESTINATION_FULL, "there is no space left for it"),
    NtStatus.QUOTA_EXCEEDED: (FileReason.QUOTA_EXCEEDED, "a quota is used up"),
    NtStatus.FILE_IS_OFFLINE: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_INVALID: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_MISMATCH: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_DATA_INVALID: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.IO_REPARSE_TAG_NOT_HANDLED: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    NtStatus.REPARSE_POINT_NOT_RESOLVED: (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE),
    **dict.fromkeys(CLOUD_FILE_STATUSES, (FileReason.REPARSE_POINT_UNREADABLE, _UNREADABLE)),
    NtStatus.INVALID_OWNER: (FileReason.OWNER_NOT_PERMITTED, "the account may not set this owner"),
    NtStatus.PRIVILEGE_NOT_HELD: (FileReason.SECURITY_NOT_PERMITTED, "the account lacks the privilege"),
}


def status_error(status: int, operation: str) -> EngineError | FileError:
    """Return the error for a server's refusal; ``operation`` names what was tried: "opening the source file"."""
    if status in _SESSION_GONE:
        return EngineError(SESSION_ENDED, f"{operation}: the server has ended the session ({status_name(status)})")
    reason, words = _BY_STATUS.get(status, (FileReason.FILE_FAILED, "the server refused"))
    return FileError(reason, f"{operation}: {words} ({status_name(status)})", status=status)


def check(reply: Reply, operation: str) -> Reply:
    """Return the reply if the request succeeded; raises the error for its status otherwise."""
    if reply.status != NtStatus.SUCCESS:
        raise status_error(reply.status, operation)
    return reply


def links_in(reply: Reply) -> int:
    """Return how many names a file has, from the reply to FileStandardInformation; 1 where the server does not say."""
    return decode_standard(reply.message).links if reply.status == NtStatus.SUCCESS else 1


def number_in(reply: Reply) -> int:
    """Return the number that all names of a file have, from the reply to FileInternalInformation; 0 where the server
    does not say.
    """
    return decode_internal(reply.message) if reply.status == NtStatus.SUCCESS else 0


def check_written(reply: Reply, length: int) -> None:
    """Raise :class:`FileError` unless the server took all ``length`` bytes of a WRITE."""
    count = decode_write(check(reply, "writing the file").message)
    if count != length:
        raise FileError(
            FileReason.FILE_FAILED, f"writing the file: expected the server to take {length} bytes, got {count}"
        )
