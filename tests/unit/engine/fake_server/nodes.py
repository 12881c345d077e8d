"""What a server in memory is made of: nodes, handles, and requests as a fault sees them."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from smbferry_engine.wire.security import owner_and_group

SESSION, TREE = 0x1122334455667788, 7
DIRECTORY = 0x10
SPARSE = 0x200
DEDUP = 0x80000013
EVERYTHING_SHARED = 7
RELATED = b"\xff" * 16
OPEN_REPARSE_POINT = 0x200000
DELETE_ON_CLOSE = 0x1000
ACCOUNT = "account"
PLAIN_ENTRIES, FULL_ENTRIES = 1, 38


@dataclass
class Node:
    """A file or folder."""

    data: bytearray | None = None
    children: dict[str, "Node"] = field(default_factory=dict)
    attributes: int = 0x20
    times: list[int] = field(default_factory=lambda: [10_000, 20_000, 30_000, 40_000])
    security: dict[int, bytes] = field(default_factory=dict)
    reparse: bool = False
    reparse_tag: int = 0
    node_id: int = 0
    links: int = 1
    sparse: bool = False
    created: bool = False  # by the account that the engine is
    allocated: int | None = None
    allocated_ranges: list[tuple[int, int]] = field(default_factory=list)

    def descriptor(self, path: str) -> bytes:
        """Owner and group, and access list, each as they were set last.

        Where nobody set any they are those of `path`, or of the account that created it.
        """
        owner = dacl = descriptor(ACCOUNT if self.created else path)
        if not self.security:
            return owner
        for parts, data in self.security.items():
            owner = data if parts & 1 and struct.unpack_from("<I", data, 4)[0] else owner
            dacl = data if parts & 4 else dacl
        user, group = owner_and_group(owner)
        control, (at,) = dacl[2:4], struct.unpack_from("<I", dacl, 16)
        acl = dacl[at : at + struct.unpack_from("<H", dacl, at + 2)[0]] if at else b""
        after = 20 + len(user) + len(group)
        fixed = struct.pack("<BB2sIIII", 1, 0, control, 20, 20 + len(user), 0, after if acl else 0)
        return fixed + user + group + acl

    def set_descriptor(self, parts: int, data: bytes) -> None:
        """Take parts of one; what was set of them before counts no more."""
        self.security.pop(parts, None)
        self.security[parts] = data

    @property
    def is_directory(self) -> bool:
        return self.data is None

    @property
    def wire_attributes(self) -> int:
        kind = (DIRECTORY if self.is_directory else 0) | (0x400 if self.reparse else 0)
        return self.attributes | kind | (SPARSE if self.sparse else 0)


def folder(**children: Node) -> Node:
    return Node(None, dict(children), 0)


def file(data: bytes = b"", *, time: int = 30_000, attributes: int = 0x20) -> Node:
    return Node(bytearray(data), attributes=attributes, times=[10_000, 20_000, time, 40_000])


def descriptor(who: str = "", *, entries: tuple[bytes, ...] = (), control: int = 0x8004) -> bytes:
    """A self-relative security descriptor whose owner and group are made of `who`, with these entries in its DACL."""
    sid = struct.pack("<BB6sII", 1, 2, bytes([0, 0, 0, 0, 0, 5]), 21, zlib.crc32(who.encode("utf-8", "surrogatepass")))
    acl = struct.pack("<BBHHH", 2, 0, 8 + sum(map(len, entries)), len(entries), 0) + b"".join(entries)
    return struct.pack("<BBHIIII", 1, 0, control, 20, 20, 0, 20 + len(sid)) + sid + acl


@dataclass
class Request:
    """One request as a fault sees it."""

    command: int
    body: bytes
    name: str | None
    node: Node | None


Fault = Callable[[Request], int | None]


@dataclass
class Handle:
    path: str
    node: Node
    listed: int = 0
    delete: bool = False
    raw: bool = False
    tree: int = TREE
    access: int = 0
    share: int = EVERYTHING_SHARED
    client: object = None
