"""What a server in memory does with files: every command that the engine sends, on a tree of nodes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tests.unit.engine.fake_server.nodes import (
    DELETE_ON_CLOSE,
    OPEN_REPARSE_POINT,
    PLAIN_ENTRIES,
    RELATED,
    TREE,
    Handle,
    Node,
    folder,
)
from tests.unit.engine.fake_server.personality import Personality

from smbferry_engine.upcase import upcase
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.engine.fake_server.nodes import Fault, Request

# Which access (MS-SMB2 2.2.13.1.1) needs which sharing by everybody else (MS-FSA 2.1.5.1.2.2): read, write, delete.
_READS, _WRITES, _DELETES = 0x21, 0x06, 0x10000
_SHARED_FOR = ((_READS, 1), (_WRITES, 2), (_DELETES, 4))
_ERROR = b"\x09\0\0\0\0\0\0\0\0"
_UNIT, _SECTOR = 8, 512


class Files:
    """A tree of nodes and the opens of it; `personality` is what the product does otherwise.

    `quotas` are folders, by path from the share's root, and the bytes that each may hold; `room` is that of the volume.
    """

    def __init__(
        self, root: Node | None = None, *, credits_granted: int = 64, personality: Personality | None = None
    ) -> None:
        self.personality = personality or Personality()
        self.quotas: dict[str, int] = {}
        self.room: int | None = None
        self.client: object = None
        self.credits: dict[object, int] = {}
        self.most_credits = self.personality.most_credits
        self.first_credits = self.most_credits
        self.root = root or folder()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.credits_granted = credits_granted
        self.tells_disk_ids = True
        self.entries_per_page = 1_000_000
        self.handles: dict[bytes, Handle] = {}
        self.before_reply: Callable[[list[bytes]], list[bytes]] = lambda replies: replies
        self.clock = 1_000_000
        self.trees: dict[int, str] = {TREE: ""}
        self.session_flags = 0
        self.ranges_per_reply = 1_000
        self.copy_limits = (256, 1 << 20, 16 << 20)
        self._tree = TREE
        self._next_handle = 1
        self._next_node = 100
        self.fold: Callable[[str], str] = upcase
        self._number(self.root)

    def _number(self, node: Node) -> None:
        self._next_node += 1
        node.node_id = node.node_id or self._next_node
        for child in node.children.values():
            self._number(child)

    def find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for part in [part for part in path.split("\\") if part]:
            if node is None or not node.is_directory:
                return None
            node = next((c for n, c in node.children.items() if self.fold(n) == self.fold(part)), None)
        return node

    def hold(self, path: str, *, access: int = _READS, share: int = 0) -> bytes:
        """Somebody else opens a file, with an access and a sharing; returns what :meth:`release` takes."""
        node = self.find(path)
        assert node is not None
        file_id = struct.pack("<QQ", self._next_handle, 2)
        self._next_handle += 1
        self.handles[file_id] = Handle(path, node, access=access, share=share, client="somebody")
        return file_id

    def release(self, file_id: bytes) -> None:
        """Close what :meth:`hold` opened."""
        del self.handles[file_id]

    def meet(self, client: object, credits_: int) -> None:
        """A client's connection begins, and the server has noticed that its last one ended: those opens are closed."""
        self.handles = {key: handle for key, handle in self.handles.items() if handle.client is not client}
        self.credits[client] = credits_

    def _conflicts(self, node: Node, access: int, share: int) -> bool:
        """Whether an open is at odds with those that there are."""
        for other in [handle for handle in self.handles.values() if handle.node is node]:
            for needs, bit in _SHARED_FOR:
                if (access & needs and not other.share & bit) or (other.access & needs and not share & bit):
                    return True
        return False

    def _full(self, path: str, growth: int) -> int:
        """The status of adding so many bytes to a file."""
        for quota, most in self.quotas.items():
            inside = path.upper().startswith(quota.upper() + "\\")
            if inside and self._held(self.find(quota)) + growth > most:
                return self.personality.quota_status
        if self.room is not None and self._held(self.root) + growth > self.room:
            return NtStatus.DISK_FULL
        return 0

    def _held(self, node: Node | None) -> int:
        if node is None:
            return 0
        return len(node.data or b"") + sum(self._held(child) for child in node.children.values())

    def _space(self, path: str) -> tuple[int, int]:
        """Total and free bytes as they are seen at a path."""
        if self.personality.tells_quota:
            for quota, most in self.quotas.items():
                if (path + "\\").upper().startswith(quota.upper() + "\\"):
                    return most, max(0, most - self._held(self.find(quota)))
        if self.room is None:
            return 1000 * _UNIT * _SECTOR, 400 * _UNIT * _SECTOR
        return self.room, max(0, self.room - self._held(self.root))

    def tree(self, node: Node | None = None, prefix: str = "") -> dict[str, bytes | None]:
        """Every path with its content; None for folders."""
        found: dict[str, bytes | None] = {}
        for name, child in (node or self.root).children.items():
            path = f"{prefix}/{name}"
            found[path] = None if child.data is None else bytes(child.data)
            found.update(self.tree(child, path) if child.is_directory else {})
        return found

    def _create(self, body: bytes, name: str) -> tuple[int, bytes, bytes]:
        access, attributes, share, disposition, options = struct.unpack_from("<5I", body, 24)
        node = self.find(name)
        parent_path, _, leaf = name.rpartition("\\")
        parent = self.find(parent_path)
        if node is not None and disposition == 2:
            return NtStatus.OBJECT_NAME_COLLISION, _ERROR, RELATED
        if node is None:
            if parent is None:
                return NtStatus.OBJECT_PATH_NOT_FOUND, _ERROR, RELATED
            if disposition == 1:
                return NtStatus.OBJECT_NAME_NOT_FOUND, _ERROR, RELATED
            self.clock += 1
            node = Node(None if options & 1 else bytearray(), attributes=attributes, times=[self.clock] * 4)
            node.created = True
            given = _context(body, b"SecD")
            if given is not None:
                node.set_descriptor(7, given)
            self._number(node)
            parent.children[leaf] = node
            self._touch(parent)
        elif disposition == 5 and node.data is not None:
            node.data = bytearray()
        refused = self._judge_open(node, access, share, options)
        if refused:
            return refused, _ERROR, RELATED
        file_id = struct.pack("<QQ", self._next_handle, 1)
        self._next_handle += 1
        # What such a file itself holds is a hole; its content is given to whoever does not ask for the point itself.
        raw = bool(node.reparse_tag and options & OPEN_REPARSE_POINT)
        self.handles[file_id] = Handle(
            name, node, raw=raw, tree=self._tree, access=access, share=share, client=self.client,
            delete=bool(options & DELETE_ON_CLOSE),
        )  # fmt: skip
        size = len(node.data or b"")
        allocated = size if node.allocated is None else node.allocated
        contexts = self._contexts(body, node)
        reply = struct.pack("<HBBI4QQQII16sII", 89, 0, 0, 1, *node.times, allocated, size, node.wire_attributes, 0,
                            file_id, HEADER_SIZE + 88 if contexts else 0, len(contexts))  # fmt: skip
        return 0, reply + contexts, file_id

    def _judge_open(self, node: Node, access: int, share: int, options: int) -> int:
        if options & 0x40 and node.is_directory:
            return NtStatus.FILE_IS_A_DIRECTORY
        if options & 1 and not node.is_directory:
            return NtStatus.NOT_A_DIRECTORY
        if self._conflicts(node, access, share):
            return NtStatus.SHARING_VIOLATION
        return self.personality.judge_open(node, itself=bool(options & OPEN_REPARSE_POINT))

    def _ioctl(self, body: bytes, handle: Handle, file_id: bytes) -> tuple[int, bytes]:
        control, start, length = *struct.unpack_from("<I", body, 4), *struct.unpack_from("<II", body, 24)
        given = body[start - HEADER_SIZE : start - HEADER_SIZE + length]
        if control in self.personality.missing_controls:
            return self.personality.missing_control_status, _ERROR
        if control == 0x00140078:
            status, output = 0, file_id + bytes(16)
        elif control == 0x000900C4:
            handle.node.sparse = True
            status, output = 0, b""
        elif control == 0x000940CF:
            status, output = self._allocated_ranges(given, handle)
        else:
            status, output = self._copy_chunks(given, handle)
        fixed = struct.pack(
            "<HHI16s6I", 49, 0, control, file_id, HEADER_SIZE + 48, 0, HEADER_SIZE + 48, len(output), 0, 0
        )
        return status, fixed + output

    def _allocated_ranges(self, given: bytes, handle: Handle) -> tuple[int, bytes]:
        begin, length = struct.unpack("<QQ", given)
        ranges = [(at, size) for at, size in handle.node.allocated_ranges if begin <= at < begin + length]
        some = ranges[: self.ranges_per_reply]
        status = 0 if some == ranges else NtStatus.BUFFER_OVERFLOW
        return status, b"".join(struct.pack("<QQ", *each) for each in some)

    def _copy_chunks(self, given: bytes, handle: Handle) -> tuple[int, bytes]:
        if given[:16] not in self.handles:
            return NtStatus.OBJECT_NAME_NOT_FOUND, b""
        source, count = self.handles[given[:16]].node.data, struct.unpack_from("<I", given, 24)[0]
        chunks = [struct.unpack_from("<QQI", given, 32 + 24 * index) for index in range(count)]
        most, each, total = self.copy_limits
        lengths = [length for _, _, length in chunks]
        if count > most or max(lengths) > each or sum(lengths) > total:
            return NtStatus.INVALID_PARAMETER, struct.pack("<III", *self.copy_limits)
        target = handle.node.data
        assert source is not None
        assert target is not None
        for start, at, length in chunks:
            if start + length > len(source):
                return NtStatus.INVALID_VIEW_SIZE, struct.pack("<III", 0, 0, 0)
            target[len(target) :] = bytes(max(0, at + length - len(target)))
            target[at : at + length] = source[start : start + length]
        return 0, struct.pack("<III", count, 0, sum(lengths))

    def _contexts(self, body: bytes, node: Node) -> bytes:
        """The answer to the one context that was asked for."""
        if _context(body, b"MxAc") is not None:
            asked, data = b"MxAc", struct.pack("<II", 0, 0x1F01FF)
        elif _context(body, b"QFid") is not None and self.tells_disk_ids:
            asked, data = b"QFid", struct.pack("<QQ16x", node.node_id, 1)
        else:
            return b""
        return struct.pack("<IHHHHI", 0, 16, 4, 0, 24, len(data)) + asked + bytes(4) + data

    def _close(self, body: bytes, handle: Handle, file_id: bytes) -> tuple[int, bytes]:
        del self.handles[file_id]
        node = handle.node
        if handle.delete:
            parent_path, _, leaf = handle.path.rpartition("\\")
            parent = self.find(parent_path)
            if parent is not None:
                key = next((name for name, child in parent.children.items() if child is node), leaf)
                parent.children.pop(key, None)
                self._touch(parent)
        size = len(node.data or b"")
        return 0, struct.pack("<HHI4QQQI", 60, 1, 0, *node.times, size, size, node.wire_attributes)

    def _read(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        length, offset = struct.unpack_from("<IQ", body, 4)
        data = bytes((handle.node.data or b"")[offset : offset + length])
        if handle.raw:
            data = bytes(len(data))
        if not data:
            return NtStatus.END_OF_FILE, _ERROR
        return 0, struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0) + data

    def _write(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        start, length, offset = struct.unpack_from("<HIQ", body, 2)
        data = body[start - HEADER_SIZE : start - HEADER_SIZE + length]
        target = handle.node.data
        assert target is not None
        full = self._full(handle.path, max(0, offset + length - len(target)))
        if full:
            return full, _ERROR
        target[len(target) :] = bytes(max(0, offset + length - len(target)))
        target[offset : offset + length] = data
        self.clock += 1
        handle.node.times[2:] = self.clock, self.clock
        return 0, struct.pack("<HHIIHH", 17, 0, length, 0, 0, 0)

    def _flush(self, _body: bytes, _handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        return 0, b"\x04\0\0\0"

    def _query_directory(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        if body[2] in self.personality.missing_listing_classes:
            return self.personality.missing_listing_status, _ERROR
        entries = [(".", handle.node), ("..", self.root), *handle.node.children.items()][handle.listed :]
        at, length = struct.unpack_from("<HH", body, 24)
        name = body[at - HEADER_SIZE : at - HEADER_SIZE + length].decode("utf-16-le", "surrogatepass")
        if name != "*":
            entries = [entry for entry in entries if self.fold(entry[0]) == self.fold(name)]
        entries = entries[: self.entries_per_page]
        if not entries:
            return NtStatus.NO_MORE_FILES, _ERROR
        handle.listed += len(entries)
        out = b""
        for index, (name, node) in enumerate(entries):
            raw = name.encode("utf-16-le", "surrogatepass")
            size = len(node.data or b"")
            entry = struct.pack("<I4QQQII", 0, *node.times, size, size, node.wire_attributes, len(raw))
            entry += _behind_name_length(body[2], node) + raw
            total = 4 + len(entry)
            pad = -total % 8 if index < len(entries) - 1 else 0
            out += struct.pack("<I", total + pad if index < len(entries) - 1 else 0) + entry + bytes(pad)
        return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(out)) + out

    def _query_info(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        kind = body[2]
        if kind == 1:
            size = len(handle.node.data or b"")
            allocated = size if handle.node.allocated is None else handle.node.allocated
            data = struct.pack("<QQIBBH", allocated, size, handle.node.links, False, handle.node.is_directory, 0)
            return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data
        if kind == 2:
            total, free = (count // (_UNIT * _SECTOR) for count in self._space(handle.path))
            data = struct.pack("<QQQII", total, free, free, _UNIT, _SECTOR)
        else:
            data = handle.node.descriptor(handle.path)
        return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data

    def _set_info(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        kind, info_class, length = body[2], body[3], struct.unpack_from("<I", body, 4)[0]
        data = body[32 : 32 + length]
        if kind == 3:
            handle.node.set_descriptor(struct.unpack_from("<I", body, 12)[0], data)
            self._changed(handle.node)
        elif info_class == 4:
            *times, attributes, _ = struct.unpack("<4QII", data)
            self._changed(handle.node)
            times = [new or old for new, old in zip(times, handle.node.times, strict=True)]
            handle.node.times = self.personality.stored(times)
            handle.node.attributes = attributes or handle.node.attributes
        elif info_class == 20:
            content, size = handle.node.data, struct.unpack("<Q", data)[0]
            assert content is not None
            full = self._full(handle.path, max(0, size - len(content)))
            if full:
                return full, _ERROR
            content[:] = content[:size].ljust(size, b"\0")
            self._changed(handle.node)
        elif info_class == 13:
            handle.delete = bool(data[0])
        elif info_class == 10:
            return self._rename(handle, data), b"\x02\0"
        return 0, b"\x02\0"

    def _changed(self, node: Node) -> None:
        """The change time moves with everything that happens to a file."""
        self.clock += 1
        node.times[3] = self.clock

    def _touch(self, parent: Node) -> None:
        """What happens in a folder moves its time."""
        self.clock += 1
        parent.times[2] = self.clock

    def _rename(self, handle: Handle, data: bytes) -> int:
        new = data[20 : 20 + struct.unpack_from("<I", data, 16)[0]].decode("utf-16-le", "surrogatepass")
        there = self.find(new)
        there = None if there is handle.node else there  # only the case of its name changes
        opens = [other for other in self.handles.values() if there is not None and other.node is there]
        refused = self.personality.judge_rename(data, there, opens)
        if refused:
            return refused
        if there is not None and not data[0]:
            return NtStatus.OBJECT_NAME_COLLISION
        for path in (handle.path, new):
            parent = self.find(path.rpartition("\\")[0])
            assert parent is not None
            for name in [n for n in parent.children if self.fold(n) == self.fold(path.rpartition("\\")[2])]:
                del parent.children[name]
        target = self.find(new.rpartition("\\")[0])
        assert target is not None
        target.children[new.rpartition("\\")[2]] = handle.node
        self._touch(target)
        handle.path = new
        return 0


def _behind_name_length(entry_class: int, node: Node) -> bytes:
    """What an entry of a listing has between the length of its name and the name (MS-FSCC 2.4.10 to 2.4.22)."""
    if entry_class == PLAIN_ENTRIES:
        return b""
    size_or_tag = struct.pack("<I", node.reparse_tag)
    short_name = bytes(26)
    return {
        2: size_or_tag,
        3: size_or_tag + short_name,
        37: size_or_tag + short_name + struct.pack("<HQ", 0, node.node_id),
        38: size_or_tag + struct.pack("<IQ", 0, node.node_id),
    }[entry_class]


def _context(body: bytes, name: bytes) -> bytes | None:
    """The data of the context of that name in a CREATE, if there is one."""
    offset, length = struct.unpack_from("<II", body, 48)
    at = offset - HEADER_SIZE
    while length:
        following, name_at, _, _, data_at, size = struct.unpack_from("<IHHHHI", body, at)
        if body[at + name_at :][:4] == name:
            return body[at + data_at :][:size]
        if not following:
            break
        at += following
    return None
