"""What a server in memory does with files: every command that the engine sends, on a tree of nodes."""

from __future__ import annotations

import struct

from lab.fake_server.hard_links import HardLinks
from lab.fake_server.nodes import (
    DELETE_ON_CLOSE,
    OPEN_REPARSE_POINT,
    PLAIN_ENTRIES,
    RELATED,
    STORED_AS,
    Handle,
    Node,
)
from lab.fake_server.volume import SECTOR, UNIT

from smbferry_engine.times import to_datetime
from smbferry_engine.wire.header import HEADER_SIZE
from smbferry_engine.wire.status import NtStatus

_ERROR = b"\x09\0\0\0\0\0\0\0\0"
# Rights that change something (MS-SMB2 2.2.13.1.1): data, attributes, EAs, children, deletion, descriptor.
_CHANGES = 0x000D0156


class Files(HardLinks):
    """The commands that an engine sends to an open, on a volume."""

    def _create(self, body: bytes, name: str) -> tuple[int, bytes, bytes]:
        access, attributes, _, disposition, options = struct.unpack_from("<5I", body, 24)
        parent_path, _, leaf = name.rpartition("\\")
        if ":" in leaf:
            return self._create_stream(body, parent_path, leaf)
        snapshot = _snapshot_of(body)
        node = self.find(name, snapshot)
        parent = self.find(parent_path, snapshot)
        refused = self._judge_snapshot(snapshot, access, disposition)
        if not refused and node is not None and disposition == 2:
            refused = NtStatus.OBJECT_NAME_COLLISION
        if refused:
            return refused, _ERROR, RELATED
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
            return self._opened(body, name, node, created=True)
        if disposition == 5 and node.data is not None:
            node.data = bytearray()
        return self._opened(body, name, node)

    def _create_stream(self, body: bytes, folder: str, leaf: str) -> tuple[int, bytes, bytes]:
        """The CREATE of a stream of a file or folder that is there."""
        name, _, stream = leaf.partition(":")
        path = f"{folder}\\{name}" if folder else name
        access, _, _, disposition = struct.unpack_from("<4I", body, 24)
        snapshot = _snapshot_of(body)
        owner = self.find(path, snapshot)
        refused = self._judge_snapshot(snapshot, access, disposition)
        if owner is None or refused:
            return refused or NtStatus.OBJECT_NAME_NOT_FOUND, _ERROR, RELATED
        status, node = self._stream(owner, stream, disposition)
        if status:
            return status, _ERROR, RELATED
        return self._opened(body, f"{path}:{stream}", node, owner=owner)

    def _opened(
        self, body: bytes, name: str, node: Node, *, created: bool = False, owner: Node | None = None
    ) -> tuple[int, bytes, bytes]:
        access, _, share, _, options = struct.unpack_from("<5I", body, 24)
        refused = self._judge_open(node, access, share, options)
        if refused:
            return refused, _ERROR, RELATED
        file_id = struct.pack("<QQ", self._next_handle, 1)
        self._next_handle += 1
        # What such a file itself holds is a hole; its content is given to whoever does not ask for the point itself.
        raw = bool(node.reparse_tag and options & OPEN_REPARSE_POINT)
        self.handles[file_id] = Handle(
            name, node, raw=raw, tree=self._tree, access=access, share=share, client=self.client,
            delete=bool(options & DELETE_ON_CLOSE), snapshot=_snapshot_of(body), owner=owner,
        )  # fmt: skip
        size = len(node.data or b"")
        allocated = size if node.allocated is None else node.allocated
        contexts = self._contexts(body, node)
        reply = struct.pack(
            "<HBBI4QQQII16sII", 89, 0, 0, 2 if created else 1, *node.times, allocated, size, node.wire_attributes, 0,
            file_id, HEADER_SIZE + 88 if contexts else 0, len(contexts),
        )  # fmt: skip
        return 0, reply + contexts, file_id

    def _judge_snapshot(self, snapshot: int, access: int, disposition: int) -> int:
        if snapshot and (access & _CHANGES or disposition != 1):
            return NtStatus.MEDIA_WRITE_PROTECTED
        # MS-SMB2 3.3.5.9.4: a snapshot that is not there.
        return NtStatus.OBJECT_NAME_NOT_FOUND if snapshot and snapshot not in self.snapshots else 0

    def _judge_open(self, node: Node, access: int, share: int, options: int) -> int:
        if options & 0x40 and node.is_directory:
            return NtStatus.FILE_IS_A_DIRECTORY
        if options & 1 and not node.is_directory:
            return NtStatus.NOT_A_DIRECTORY
        if self._conflicts(node, access, share):
            return NtStatus.SHARING_VIOLATION
        return self.personality.judge_open(node, open_reparse_point=bool(options & OPEN_REPARSE_POINT))

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
        elif control in (0x0009C040, 0x0009C280):
            handle.node.attributes |= STORED_AS & (0x800 if control == 0x0009C040 else 0x8000)
            status, output = 0 if handle.access & 3 == 3 else NtStatus.ACCESS_DENIED, b""
        elif control == 0x000900A8:
            status, output = self._get_reparse_point(handle.node, struct.unpack_from("<I", body, 44)[0])
        elif control == 0x000900A4:
            status, output = self._set_reparse_point(handle.node, given), b""
        elif control == 0x000940CF:
            status, output = self._allocated_ranges(given, handle)
        elif control == 0x00144064:
            status, output = self._snapshots(struct.unpack_from("<I", body, 44)[0])
        else:
            status, output = self._copy_chunks(given, handle)
        fixed = struct.pack(
            "<HHI16s6I", 49, 0, control, file_id, HEADER_SIZE + 48, 0, HEADER_SIZE + 48, len(output), 0, 0
        )
        return status, fixed + output

    def _snapshots(self, limit: int) -> tuple[int, bytes]:
        """SRV_SNAPSHOT_ARRAY (MS-SMB2 2.2.32.2, 3.3.5.15.1), the newest first."""
        tokens = [f"@GMT-{to_datetime(time):%Y.%m.%d-%H.%M.%S}\0" for time in sorted(self.snapshots, reverse=True)]
        array = "".join([*tokens, "\0"]).encode("utf-16-le")
        if not tokens:
            return 0, struct.pack("<III", 0, 0, 0) + bytes(4)
        if 12 + len(array) > limit:
            return self.personality.short_snapshots_status, struct.pack("<III", len(tokens), 0, len(array)) + bytes(4)
        return 0, struct.pack("<III", len(tokens), len(tokens), len(array)) + array

    def _get_reparse_point(self, node: Node, limit: int) -> tuple[int, bytes]:
        """MS-FSA 2.1.5.10.12."""
        if not node.reparse:
            return NtStatus.NOT_A_REPARSE_POINT, b""
        data = node.reparse_data[:limit]
        return (0 if data == node.reparse_data else NtStatus.BUFFER_OVERFLOW), data

    def _set_reparse_point(self, node: Node, given: bytes) -> int:
        """MS-FSA 2.1.5.10.37."""
        tag = struct.unpack_from("<I", given)[0]
        refused = self.personality.judge_link(node, tag)
        if refused:
            return refused
        if node.children:
            return NtStatus.DIRECTORY_NOT_EMPTY
        if node.reparse and node.reparse_tag != tag:
            return NtStatus.IO_REPARSE_TAG_MISMATCH
        node.reparse, node.reparse_tag, node.reparse_data = True, tag, given
        self._changed(node)
        return 0

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
        self.handles.pop(file_id, None)  # a snapshot takes what is open in it along
        node = handle.node
        if handle.delete and handle.owner is not None:
            streams = handle.owner.streams
            handle.owner.streams = {name: stream for name, stream in streams.items() if stream is not node}
        elif handle.delete:
            parent_path, _, leaf = handle.path.rpartition("\\")
            parent = self.find(parent_path)
            if parent is not None:
                names = [name for name, child in parent.children.items() if child is node]
                parent.children.pop(leaf if leaf in names or not names else names[0], None)
                node.links -= 1
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
        longest = self.personality.longest_stream
        if handle.owner is not None and longest is not None and offset + length > longest:
            full = NtStatus.DISK_FULL
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
        kind, info_class, limit = body[2], body[3], struct.unpack_from("<I", body, 4)[0]
        if kind == 1 and info_class in (15, 22):
            status, data = self._ea_list(handle) if info_class == 15 else self._stream_list(handle)
            if status:
                return status, _ERROR
            status, data = (NtStatus.BUFFER_OVERFLOW, data[:limit]) if len(data) > limit else (0, data)
            return status, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data
        if kind == 2 and info_class == 5:
            data = self._volume_attributes()
            return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data
        if kind == 1:
            size = len(handle.node.data or b"")
            allocated = size if handle.node.allocated is None else handle.node.allocated
            data = struct.pack("<QQIBBH", allocated, size, handle.node.links, False, handle.node.is_directory, 0)
            data = struct.pack("<Q", handle.node.node_id) if info_class == 6 else data
            return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data
        if kind == 2:
            total, free = (count // (UNIT * SECTOR) for count in self._space(handle.path))
            data = struct.pack("<QQQII", total, free, free, UNIT, SECTOR)
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
            kept = handle.node.attributes & STORED_AS
            handle.node.attributes = attributes & ~STORED_AS | kept if attributes else handle.node.attributes
        elif info_class == 20:
            content, size = handle.node.data, struct.unpack("<Q", data)[0]
            assert content is not None
            full = self._full(handle.path, max(0, size - len(content)))
            if full:
                return full, _ERROR
            content[:] = content[:size].ljust(size, b"\0")
            self._changed(handle.node)
        elif info_class == 15:
            return self._set_eas(handle, data), b"\x02\0"
        elif info_class == 13:
            handle.delete = bool(data[0])
        elif info_class in (10, 11):
            return self._rename(handle, data) if info_class == 10 else self._add_name(handle, data), b"\x02\0"
        return 0, b"\x02\0"

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
        if there is not None:
            there.links -= 1
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
    # EaSize (MS-FSCC 2.4.18): what the list takes, or the tag of a reparse point.
    ea_size = sum(9 + len(name) + len(value) for name, (_, value) in node.eas.items())
    size_or_tag = struct.pack("<I", node.reparse_tag or ea_size)
    short_name = bytes(26)
    return {
        2: size_or_tag,
        3: size_or_tag + short_name,
        37: size_or_tag + short_name + struct.pack("<HQ", 0, node.node_id),
        38: size_or_tag + struct.pack("<IQ", 0, node.node_id),
    }[entry_class]


def _snapshot_of(body: bytes) -> int:
    """The time in the timewarp token of a CREATE (MS-SMB2 2.2.13.2.7), 0 without one."""
    given = _context(body, b"TWrp")
    return 0 if given is None else int.from_bytes(given, "little")


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
