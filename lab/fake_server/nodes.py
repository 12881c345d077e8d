"""What a server in memory is made of: nodes, handles, and requests as a fault sees them."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from smbferry_engine.wire.security import owner_and_group

SESSION, TREE = 0x1122334455667788, 7
DIRECTORY = 0x10
SPARSE = 0x200
STORED_AS = 0x8800  # compressed, with checksums: no SET_INFO changes these (MS-FSCC 2.6)
DEDUP = 0x80000013
EVERYTHING_SHARED = 7
RELATED = b"\xff" * 16
OPEN_REPARSE_POINT = 0x200000
DELETE_ON_CLOSE = 0x1000
SACL_CONTROL = 0x2A30  # the bits of a control word that concern the audit list (MS-DTYP 2.4.6)
ACCOUNT = "account"
DOMAIN = (1_000, 2_000, 3_000)  # every account is of the domain S-1-5-21-1000-2000-3000
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
    reparse_data: bytes = b""
    node_id: int = 0
    links: int = 1
    sparse: bool = False
    created: bool = False  # by the account that the engine is
    allocated: int | None = None
    allocated_ranges: list[tuple[int, int]] = field(default_factory=list)
    streams: dict[str, "Node"] = field(default_factory=dict)
    eas: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)  # name → flags and value
    # What a hostile server answers in place of the lists of streams and of extended attributes.
    told_streams: bytes | None = None
    told_eas: bytes | None = None

    def descriptor(self, path: str) -> bytes:
        """Owner and group, access list, and audit list, each as they were set last.

        Where nobody set any they are those of `path`, or of the account that created it.
        """
        owner = dacl = descriptor(ACCOUNT if self.created else path)
        sacl = b""
        if not self.security:
            return owner
        for parts, data in self.security.items():
            owner = data if parts & 1 and struct.unpack_from("<I", data, 4)[0] else owner
            dacl = data if parts & 4 else dacl
            sacl = data if parts & 8 else sacl
        user, group = owner_and_group(owner)
        access, audit = _list_at(dacl, 16), _list_at(sacl, 12)
        control = struct.unpack_from("<H", dacl, 2)[0] & ~SACL_CONTROL
        control |= struct.unpack_from("<H", sacl, 2)[0] & SACL_CONTROL if audit else 0
        after = 20 + len(user) + len(group)
        at = after if audit else 0, after + len(audit) if access else 0
        fixed = struct.pack("<BBHIIII", 1, 0, control, 20, 20 + len(user), *at)
        return fixed + user + group + audit + access

    def set_descriptor(self, parts: int, data: bytes) -> None:
        """Take parts of one; what was set of them before counts no more."""
        self.security.pop(parts, None)
        self.security[parts] = data

    def beside(self, streams: dict[str, bytes] | None = None, *, eas: dict[bytes, bytes] | None = None) -> "Node":
        """This node, with streams and extended attributes."""
        self.streams.update({name: file(content) for name, content in (streams or {}).items()})
        self.eas.update({name: (0, value) for name, value in (eas or {}).items()})
        return self

    @property
    def attached(self) -> tuple[dict[str, bytes], dict[bytes, bytes]]:
        """The content of its streams and the values of its extended attributes, by name."""
        streams = {name: bytes(node.data or b"") for name, node in self.streams.items()}
        return streams, {name: value for name, (_, value) in self.eas.items()}

    @property
    def is_directory(self) -> bool:
        return self.data is None

    @property
    def wire_attributes(self) -> int:
        kind = (DIRECTORY if self.is_directory else 0) | (0x400 if self.reparse else 0)
        return self.attributes | kind | (SPARSE if self.sparse else 0)


def _list_at(data: bytes, field_at: int) -> bytes:
    """The access list whose offset stands at `field_at` of a descriptor; empty if there is none."""
    (at,) = struct.unpack_from("<I", data, field_at) if data else (0,)
    return data[at : at + struct.unpack_from("<H", data, at + 2)[0]] if at else b""


def folder(**children: Node) -> Node:
    return Node(None, dict(children), 0)


def file(data: bytes = b"", *, time: int = 30_000, attributes: int = 0x20) -> Node:
    return Node(bytearray(data), attributes=attributes, times=[10_000, 20_000, time, 40_000])


def descriptor(who: str = "", *, entries: tuple[bytes, ...] = (), control: int = 0x8004) -> bytes:
    """A self-relative security descriptor whose owner and group are made of `who`, with these entries in its DACL."""
    rid = zlib.crc32(who.encode("utf-8", "surrogatepass"))
    sid = struct.pack("<BB6s5I", 1, 5, bytes([0, 0, 0, 0, 0, 5]), 21, *DOMAIN, rid)
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
    snapshot: int = 0
    owner: Node | None = None  # of a stream: the file or folder that it belongs to
