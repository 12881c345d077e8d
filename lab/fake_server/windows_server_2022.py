"""Windows Server 2022 on NTFS, or on FAT32."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from lab.fake_server.nodes import DIRECTORY, Node
from lab.fake_server.personality import INFO_LENGTH_MISMATCH, SUCCESS, Personality

from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from lab.fake_server.nodes import Handle

# MS-FSCC 2.1.2.1, reparse tags.
SYMLINK, MOUNT_POINT = 0xA000000C, 0xA0000003
# A placeholder of a cloud provider (OneDrive), and a file that Azure File Sync has tiered away.
CLOUD_6, STORAGE_SYNC = 0x9000601A, 0x8000001E
# MS-FSCC 2.6, file attributes.
READONLY, SPARSE, OFFLINE, RECALL_ON_DATA_ACCESS = 0x1, 0x200, 0x1000, 0x400000
_SECOND = 10_000_000
_DAY = 86_400 * _SECOND
# FILE_RENAME_INFORMATION_TYPE_2 with its one character of a name, padded to eight bytes (MS-FSCC 2.4.42.2).
_LEAST_RENAME = 24


class WindowsServer2022(Personality):
    """NTFS; with ``fat``, a share on a FAT32 volume."""

    def __init__(self, *, fat: bool = False) -> None:
        # MS-FSA 2.1.5.10.37: symbolic links take SeCreateSymbolicLinkPrivilege.
        self.creates_symlinks = True
        # MS-FSA, product behavior: FAT has neither streams nor extended attributes; NTFS folds the names of the latter.
        self.holds_streams = self.holds_eas = not fat
        self.upper_case_eas = True
        if fat:
            # Win32, "File Times": FAT keeps creation to 10 ms, write to 2 s, access to a day; it has no change time.
            self.time_grains = (_SECOND // 100, _DAY, 2 * _SECOND, 1)

    def judge_open(self, node: Node, *, open_reparse_point: bool) -> int:
        # MS-SMB2 2.2.2.2.1: a symbolic link is the client's to follow. A junction is followed by the server.
        if node.reparse_tag == SYMLINK and not open_reparse_point:
            return NtStatus.STOPPED_ON_SYMLINK
        return SUCCESS

    def judge_link(self, node: Node, tag: int) -> int:
        return SUCCESS if self.creates_symlinks or tag != SYMLINK else NtStatus.PRIVILEGE_NOT_HELD

    def judge_rename(self, data: bytes, target: Node | None, opens: list[Handle]) -> int:
        # MS-FSA 2.1.5.15.11: a buffer smaller than the structure.
        if len(data) < _LEAST_RENAME:
            return INFO_LENGTH_MISMATCH
        if target is None or not data[0]:
            return SUCCESS
        # MS-FSCC 2.4.42: "the target file was open and ReplaceIfExists is nonzero"; MS-FSA 2.1.5.15.11: the same for a
        # target that is a folder or read-only.
        if opens or target.is_directory or target.attributes & READONLY:
            return NtStatus.ACCESS_DENIED
        return SUCCESS


def symlink(target: str = "..\\target", *, to_folder: bool = False, time: int = 30_000) -> Node:
    """A relative symbolic link to a file or folder (MS-FSCC 2.1.2.4: substitute name, then print name, then flags)."""
    name = target.encode("utf-16-le", "surrogatepass")
    content = struct.pack("<HHHHI", 0, len(name), len(name), len(name), 1) + name + name
    data = struct.pack("<IHH", SYMLINK, len(content), 0) + content
    kind = None if to_folder else bytearray()
    attributes = DIRECTORY if to_folder else 0x20
    times = [10_000, 20_000, time, 40_000]
    return Node(kind, {}, attributes, times, reparse=True, reparse_tag=SYMLINK, reparse_data=data)


def junction(target: str = "\\??\\D:\\data", *, shown: str = "D:\\data", time: int = 30_000) -> Node:
    """A folder that stands for another one (MS-FSCC 2.1.2.5: each name is followed by a NUL)."""
    name, print_name = (text.encode("utf-16-le") for text in (target, shown))
    content = struct.pack("<HHHH", 0, len(name), len(name) + 2, len(print_name)) + name + b"\0\0" + print_name + b"\0\0"
    data = struct.pack("<IHH", MOUNT_POINT, len(content), 0) + content
    times = [10_000, 20_000, time, 40_000]
    return Node(None, {}, DIRECTORY, times, reparse=True, reparse_tag=MOUNT_POINT, reparse_data=data)


def cloud_file(data: bytes) -> Node:
    """A placeholder whose content comes from the cloud when it is read (MS-FSCC 2.6, RECALL_ON_DATA_ACCESS)."""
    return Node(bytearray(data), attributes=0x20 | RECALL_ON_DATA_ACCESS | SPARSE, reparse=True, reparse_tag=CLOUD_6)


def cloud_folder(**children: Node) -> Node:
    """A synchronized folder: it has a tag, and is a folder like any other."""
    return Node(None, dict(children), DIRECTORY, reparse=True, reparse_tag=CLOUD_6)


def tiered_file(data: bytes) -> Node:
    """A file that Azure File Sync has tiered ("Cloud tiering overview": attributes L, O, P and M)."""
    attributes = 0x20 | SPARSE | OFFLINE | RECALL_ON_DATA_ACCESS
    return Node(bytearray(data), attributes=attributes, reparse=True, reparse_tag=STORAGE_SYNC)
