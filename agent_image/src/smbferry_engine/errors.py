"""The two exceptions of a transfer: one for the whole run, one for a single file or folder.

Exceptions of libraries are converted to these once, where they occur: in ``session.connect`` and ``session.channel``.
"""

from enum import StrEnum

from smbferry_words import reasons
from smbferry_words.failure_class import FailureClass
from smbferry_words.reason import Reason


class EngineError(Exception):
    """The whole operation failed. ``message`` says what was expected and what was got."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason.name}: {message}")
        self.failure_class = reason.failure or FailureClass.BUG
        self.reason = reason.name
        self.message = message
        self.remedy = reason.remedy


class FileError(Exception):
    """One file or folder failed; the run records it and goes on. ``status`` is the NTSTATUS, 0 if none."""

    def __init__(self, reason: str, message: str, *, status: int = 0) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.status = status


class FileReason(StrEnum):
    """Names of the reasons for which one file or folder can fail."""

    NAME_NOT_REPRESENTABLE = reasons.NAME_NOT_REPRESENTABLE.name
    CASE_COLLISION = reasons.CASE_COLLISION.name
    REPARSE_POINT_SKIPPED = reasons.REPARSE_POINT_SKIPPED.name
    REPARSE_POINT_UNREADABLE = reasons.REPARSE_POINT_UNREADABLE.name
    DIRECTORY_LOOP = reasons.DIRECTORY_LOOP.name
    SHARING_VIOLATION = reasons.SHARING_VIOLATION.name
    SOURCE_CHANGED = reasons.SOURCE_CHANGED.name
    HASH_MISMATCH = reasons.HASH_MISMATCH.name
    METADATA_MISMATCH = reasons.METADATA_MISMATCH.name
    FILE_VANISHED = reasons.FILE_VANISHED.name
    MIRROR_NOT_CONFIRMED = reasons.MIRROR_NOT_CONFIRMED.name
    NOT_APPROVED = reasons.NOT_APPROVED.name
    TYPE_CONFLICT = reasons.TYPE_CONFLICT.name
    ACCESS_DENIED = reasons.ACCESS_DENIED.name
    OWNER_NOT_PERMITTED = reasons.OWNER_NOT_PERMITTED.name
    SECURITY_NOT_PERMITTED = reasons.SECURITY_NOT_PERMITTED.name
    ACCESS_LIST_TOO_LARGE = reasons.ACCESS_LIST_TOO_LARGE.name
    DESTINATION_FULL = reasons.DESTINATION_FULL.name
    QUOTA_EXCEEDED = reasons.QUOTA_EXCEEDED.name
    STREAM_NOT_CARRIED = reasons.STREAM_NOT_CARRIED.name
    EXTENDED_ATTRIBUTE_NOT_CARRIED = reasons.EXTENDED_ATTRIBUTE_NOT_CARRIED.name
    FOLDER_FAILED = reasons.FOLDER_FAILED.name
    FILE_FAILED = reasons.FILE_FAILED.name


NO_ROOM = frozenset({FileReason.DESTINATION_FULL, FileReason.QUOTA_EXCEEDED})
