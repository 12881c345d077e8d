"""File attributes (MS-FSCC 2.6) and reparse tags (MS-FSCC 2.1.2.1), and what they make of an entry of a listing."""

from typing import Final

from smbferry_engine.wire.directory import DirectoryEntry

READONLY = 0x00000001
HIDDEN = 0x00000002
SYSTEM = 0x00000004
DIRECTORY = 0x00000010
ARCHIVE = 0x00000020
NORMAL = 0x00000080
TEMPORARY = 0x00000100
REPARSE_POINT = 0x00000400
OFFLINE = 0x00001000
NOT_CONTENT_INDEXED = 0x00002000

# OFFLINE and the two RECALL attributes tell on which tier the source keeps the content: they are no part of the file.
COPIED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE | TEMPORARY | NOT_CONTENT_INDEXED
# Servers differ in what they can hold; these four every one can, so only they make two files differ.
COMPARED_ATTRIBUTES = READONLY | HIDDEN | SYSTEM | ARCHIVE
# A write sets ARCHIVE on a folder's parent nowhere, but creating in it does on some servers: not compared there.
COMPARED_ON_FOLDERS = READONLY | HIDDEN | SYSTEM

_NAME_SURROGATE: Final = 0x20000000
# Leads elsewhere though its tag does not have that bit: the target is on another server.
_DFS, _DFSR = 0x8000000A, 0x80000012
_LINKS: Final = frozenset({0, _DFS, _DFSR})
# What each of these is lies in the reparse point; there is nothing behind it that could be read.
_SPECIAL: Final = {
    0x80000014: "an NFS special file",
    0x8000001B: "an application's execution alias",
    0x80000023: "a Unix socket",
    0x80000024: "a Linux named pipe",
    0x80000025: "a Linux character device",
    0x80000026: "a Linux block device",
}


def is_link(entry: DirectoryEntry) -> bool:
    """Whether it only names something else (symbolic link, junction, mount point, DFS link): never followed.

    A reparse point whose tag its server does not tell (0) is taken for one.
    """
    tag = entry.reparse_tag
    return bool(entry.attributes & REPARSE_POINT) and (bool(tag & _NAME_SURROGATE) or tag in _LINKS)


def is_data_elsewhere(entry: DirectoryEntry) -> bool:
    """Whether it is a reparse point that is a file or folder all the same, whose content its server keeps in a way of
    its own: deduplicated, compressed, tiered, in a cloud. To be opened without OPEN_REPARSE_POINT.
    """
    return bool(entry.attributes & REPARSE_POINT) and not is_link(entry) and entry.reparse_tag not in _SPECIAL


def special_kind(entry: DirectoryEntry) -> str | None:
    """What it is where it is neither link nor file nor folder, in words; else None."""
    return _SPECIAL.get(entry.reparse_tag) if entry.attributes & REPARSE_POINT else None
