"""File attributes (MS-FSCC 2.6) and reparse tags (MS-FSCC 2.1.2.1), and what they say about an entry."""

from typing import Final

from smbferry_engine.wire.directory import DirectoryEntry

READONLY = 0x00000001
HIDDEN = 0x00000002
SYSTEM = 0x00000004
DIRECTORY = 0x00000010
ARCHIVE = 0x00000020
NORMAL = 0x00000080
TEMPORARY = 0x00000100
SPARSE = 0x00000200
REPARSE_POINT = 0x00000400
COMPRESSED = 0x00000800
OFFLINE = 0x00001000
NOT_CONTENT_INDEXED = 0x00002000
ENCRYPTED = 0x00004000
INTEGRITY_STREAM = 0x00008000
RECALL_ON_OPEN = 0x00040000
RECALL_ON_DATA_ACCESS = 0x00400000

# OFFLINE and the two RECALL attributes say on which tier the source stores the content: they are not copied.
COPIED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE | TEMPORARY | NOT_CONTENT_INDEXED
# Every server can store these four, so only they are compared.
COMPARED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE
# Some servers set ARCHIVE on a folder when something is created in it, so it is not compared on folders.
COMPARED_ON_FOLDERS = READONLY | HIDDEN | SYSTEM

_NAME_SURROGATE: Final = 0x20000000
# DFS links lead to another server although their tags lack that bit.
_DFS, _DFSR = 0x8000000A, 0x80000012
_LINKS: Final = frozenset({0, _DFS, _DFSR})
# These consist only of the reparse point; they have no content.
_SPECIAL: Final = {
    0x80000014: "an NFS special file",
    0x8000001B: "an application's execution alias",
    0x80000023: "a Unix socket",
    0x80000024: "a Linux named pipe",
    0x80000025: "a Linux character device",
    0x80000026: "a Linux block device",
}


def is_link(entry: DirectoryEntry) -> bool:
    """Return whether it is a link (symbolic link, junction, mount point, DFS link), which is never followed.

    A reparse point whose tag the server does not report (0) counts as one.
    """
    tag = entry.reparse_tag
    return bool(entry.attributes & REPARSE_POINT) and (bool(tag & _NAME_SURROGATE) or tag in _LINKS)


def is_data_elsewhere(entry: DirectoryEntry) -> bool:
    """Return whether it is a reparse point that is a file or folder whose content a filter of the server stores:
    deduplicated, compressed, tiered, in a cloud. It is opened without FILE_OPEN_REPARSE_POINT.
    """
    return bool(entry.attributes & REPARSE_POINT) and not is_link(entry) and entry.reparse_tag not in _SPECIAL


def has_no_eas(entry: DirectoryEntry) -> bool:
    """Return whether a listing said that it has no extended attributes: only one with file ids says anything, and not
    about a reparse point, whose tag is in the same field.
    """
    return bool(entry.file_id) and not entry.reparse_tag and not entry.attributes & REPARSE_POINT


def special_kind(entry: DirectoryEntry) -> str | None:
    """Return what it is, in words, if it is neither link nor file nor folder; otherwise None."""
    return _SPECIAL.get(entry.reparse_tag) if entry.attributes & REPARSE_POINT else None
