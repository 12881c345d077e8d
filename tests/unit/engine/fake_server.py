"""An SMB server in memory: real frames and encryption, a tree of nodes, and faults that no real one shows on demand.

It speaks only what the engine sends. Tests change its behaviour by `faults`: functions that look at one request and may
return a status to answer with instead of doing it.
"""

import contextlib
import socket
import struct
import zlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from smbferry_engine.core.crypto import CIPHERS, Opener, Sealer
from smbferry_engine.core.frames import LANDING, BufferPool, FrameReader, FrameWriter
from smbferry_engine.core.lane import Lane, SessionFacts
from smbferry_engine.core.tasks import Scheduler
from smbferry_engine.errors import CONNECTION_LOST, EngineError
from smbferry_engine.wire.header import FLAG_ASYNC, FLAG_RELATED, FLAG_RESPONSE, HEADER_SIZE, Command
from smbferry_engine.wire.status import NtStatus

HEADER = struct.Struct("<4sHHIHHIIQIIQ16s")
SESSION, TREE = 0x1122334455667788, 7
KEY_UP, KEY_DOWN = bytes(range(16)), bytes(range(16, 32))
SUITE = CIPHERS["AES-128-GCM"]
CHUNK = 128 * 1024
RELATED = b"\xff" * 16
DIRECTORY = 0x10
OPEN_REPARSE_POINT = 0x200000
DEDUP = 0x80000013
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
    opens: int = 0
    links: int = 1
    sparse: bool = False
    allocated: int | None = None
    allocated_ranges: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_directory(self) -> bool:
        return self.data is None

    @property
    def wire_attributes(self) -> int:
        return self.attributes | (DIRECTORY if self.is_directory else 0) | (0x400 if self.reparse else 0)


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


class FakeServer:
    """Handles decrypted compounds; `output` are the plaintext replies in order of sending."""

    def __init__(self, root: Node | None = None, *, credits_granted: int = 64) -> None:
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
            node = next((c for n, c in node.children.items() if n.upper() == part.upper()), None)
        return node

    def tree(self, node: Node | None = None, prefix: str = "") -> dict[str, bytes | None]:
        """Every path with its content; None for folders."""
        found: dict[str, bytes | None] = {}
        for name, child in (node or self.root).children.items():
            path = f"{prefix}/{name}"
            found[path] = None if child.data is None else bytes(child.data)
            found.update(self.tree(child, path) if child.is_directory else {})
        return found

    def handle(self, compound: bytes) -> bytes:
        """All requests of one compound, answered as one compound."""
        offset, replies = 0, []
        last_id, failed = RELATED, 0
        while True:
            fields = HEADER.unpack_from(compound, offset)
            command, flags, following, message_id = fields[4], fields[6], fields[7], fields[8]
            end = offset + following if following else len(compound)
            body = compound[offset + HEADER_SIZE : end]
            self._tree = fields[10]
            if not flags & FLAG_RELATED:
                last_id, failed = RELATED, 0
            if failed:
                status, reply = failed, b"\x09\0\0\0\0\0\0\0\0"
            else:
                status, reply, last_id = self._one(command, body, last_id)
                if command == Command.CREATE and status:
                    failed = status
            granted, tree = self.credits_granted, self._tree
            replies.append(self.message(command, status, message_id, reply, credits_=granted, tree=tree))
            if not following:
                break
            offset = end
        return self.join(self.before_reply(replies))

    @staticmethod
    def message(
        command: int,
        status: int,
        message_id: int,
        body: bytes,
        *,
        credits_: int = 1,
        flags: int = 0,
        session: int = SESSION,
        tree: int = TREE,
    ) -> bytes:
        low, tree = (0x55, 0) if flags & FLAG_ASYNC else (0, tree)
        header = HEADER.pack(
            b"\xfeSMB",
            64,
            1,
            status,
            command,
            credits_,
            flags | FLAG_RESPONSE,
            0,
            message_id,
            low,
            tree,
            session,
            bytes(16),
        )
        return header + body

    @staticmethod
    def join(replies: list[bytes]) -> bytes:
        out = bytearray()
        for index, reply in enumerate(replies):
            if index == len(replies) - 1:
                return bytes(out + reply)
            padded = reply + bytes(-len(reply) % 8)
            out += padded[:20] + struct.pack("<I", len(padded)) + padded[24:]
        return bytes(out)

    def _one(self, command: int, body: bytes, last_id: bytes) -> tuple[int, bytes, bytes]:
        name = None
        if command == Command.CREATE:
            length = struct.unpack_from("<H", body, 46)[0]
            name = body[56 : 56 + length].decode("utf-16-le", "surrogatepass")
        file_id = _file_id(command, body)
        file_id = last_id if file_id == RELATED else file_id
        handle = self.handles.get(file_id)
        request = Request(command, body, name, handle.node if handle else None)
        self.requests.append(request)
        for fault in self.faults:
            status = fault(request)
            if status is not None:
                return status, b"\x09\0\0\0\0\0\0\0\0", file_id
        if command == Command.CREATE:
            return self._create(body, name or "")
        if command in (Command.ECHO, Command.LOGOFF, Command.TREE_DISCONNECT):
            return 0, b"\x04\0\0\0", file_id
        if command in (Command.SESSION_SETUP, Command.TREE_CONNECT):
            return *(self._tree_connect(body) if command == Command.TREE_CONNECT else self._session_setup()), file_id
        if handle is None or handle.tree != self._tree:
            return NtStatus.FILE_CLOSED, b"\x09\0\0\0\0\0\0\0\0", file_id
        status, reply = getattr(self, f"_{Command(command).name.lower()}")(body, handle, file_id)
        return status, reply, file_id

    def _create(self, body: bytes, name: str) -> tuple[int, bytes, bytes]:
        attributes, _share, disposition, options = struct.unpack_from("<IIII", body, 28)
        error = b"\x09\0\0\0\0\0\0\0\0"
        node = self.find(name)
        parent_path, _, leaf = name.rpartition("\\")
        parent = self.find(parent_path)
        if node is not None and disposition == 2:
            return NtStatus.OBJECT_NAME_COLLISION, error, RELATED
        if node is None:
            if parent is None:
                return NtStatus.OBJECT_PATH_NOT_FOUND, error, RELATED
            if disposition == 1:
                return NtStatus.OBJECT_NAME_NOT_FOUND, error, RELATED
            self.clock += 1
            node = Node(None if options & 1 else bytearray(), attributes=attributes, times=[self.clock] * 4)
            self._number(node)
            parent.children[leaf] = node
            self._touch(parent)
        elif disposition == 5 and node.data is not None:
            node.data = bytearray()
        if options & 0x40 and node.is_directory:
            return NtStatus.FILE_IS_A_DIRECTORY, error, RELATED
        if options & 1 and not node.is_directory:
            return NtStatus.NOT_A_DIRECTORY, error, RELATED
        file_id = struct.pack("<QQ", self._next_handle, 1)
        self._next_handle += 1
        raw = node.reparse_tag == DEDUP and bool(options & OPEN_REPARSE_POINT)
        self.handles[file_id] = Handle(name, node, raw=raw, tree=self._tree)
        size = len(node.data or b"")
        contexts = self._contexts(body, node)
        reply = struct.pack("<HBBI4QQQII16sII", 89, 0, 0, 1, *node.times, size, size, node.wire_attributes, 0, file_id,
                            HEADER_SIZE + 88 if contexts else 0, len(contexts))  # fmt: skip
        return 0, reply + contexts, file_id

    def _session_setup(self) -> tuple[int, bytes]:
        return 0, struct.pack("<HHHH", 9, self.session_flags, HEADER_SIZE + 8, 6) + b"AP-REP"

    def _tree_connect(self, body: bytes) -> tuple[int, bytes]:
        start, length = struct.unpack_from("<HH", body, 4)
        self._tree = TREE + len(self.trees)
        self.trees[self._tree] = body[start - HEADER_SIZE : start - HEADER_SIZE + length].decode("utf-16-le")
        return 0, struct.pack("<HBBIII", 16, 1, 0, 0, 0, 0x1F01FF)

    def _ioctl(self, body: bytes, handle: Handle, file_id: bytes) -> tuple[int, bytes]:
        control, start, length = *struct.unpack_from("<I", body, 4), *struct.unpack_from("<II", body, 24)
        given = body[start - HEADER_SIZE : start - HEADER_SIZE + length]
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
        offset, length = struct.unpack_from("<II", body, 48)
        asked = body[offset - HEADER_SIZE + 16 :][:4] if length else b""
        if asked == b"MxAc":
            data = struct.pack("<II", 0, 0x1F01FF)
        elif asked == b"QFid" and self.tells_disk_ids:
            data = struct.pack("<QQ16x", node.node_id, 1)
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
            data = bytes(len(data))  # what a deduplicated file itself holds is a hole
        if not data:
            return NtStatus.END_OF_FILE, b"\x09\0\0\0\0\0\0\0\0"
        return 0, struct.pack("<HBBIII", 17, 80, 0, len(data), 0, 0) + data

    def _write(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        start, length, offset = struct.unpack_from("<HIQ", body, 2)
        data = body[start - HEADER_SIZE : start - HEADER_SIZE + length]
        target = handle.node.data
        assert target is not None
        target[len(target) :] = bytes(max(0, offset + length - len(target)))
        target[offset : offset + length] = data
        self.clock += 1
        handle.node.times[2] = self.clock
        return 0, struct.pack("<HHIIHH", 17, 0, length, 0, 0, 0)

    def _flush(self, _body: bytes, _handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        return 0, b"\x04\0\0\0"

    def _query_directory(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        entries = [(".", handle.node), ("..", self.root), *handle.node.children.items()][handle.listed :]
        entries = entries[: self.entries_per_page]
        if not entries:
            return NtStatus.NO_MORE_FILES, b"\x09\0\0\0\0\0\0\0\0"
        handle.listed += len(entries)
        out = b""
        for index, (name, node) in enumerate(entries):
            raw = name.encode("utf-16-le", "surrogatepass")
            size = len(node.data or b"")
            entry = struct.pack("<I4QQQII", 0, *node.times, size, size, node.wire_attributes, len(raw))
            if body[2] == FULL_ENTRIES:
                entry += struct.pack("<IIQ", node.reparse_tag, 0, node.node_id)
            entry += raw
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
            data = struct.pack("<QQQII", 1000, 400, 400, 8, 512)
        else:
            data = next(reversed(handle.node.security.values()), descriptor(handle.path))
        return 0, struct.pack("<HHI", 9, HEADER_SIZE + 8, len(data)) + data

    def _set_info(self, body: bytes, handle: Handle, _file_id: bytes) -> tuple[int, bytes]:
        kind, info_class, length = body[2], body[3], struct.unpack_from("<I", body, 4)[0]
        data = body[32 : 32 + length]
        if kind == 3:
            handle.node.security[struct.unpack_from("<I", body, 12)[0]] = data
        elif info_class == 4:
            *times, attributes, _ = struct.unpack("<4QII", data)
            handle.node.times = [new or old for new, old in zip(times, handle.node.times, strict=True)]
            handle.node.attributes = attributes or handle.node.attributes
        elif info_class == 20:
            content, size = handle.node.data, struct.unpack("<Q", data)[0]
            assert content is not None
            content[:] = content[:size].ljust(size, b"\0")
        elif info_class == 13:
            handle.delete = bool(data[0])
        elif info_class == 10:
            return self._rename(handle, data), b"\x02\0"
        return 0, b"\x02\0"

    def _touch(self, parent: Node) -> None:
        """What happens in a folder moves its time."""
        self.clock += 1
        parent.times[2] = self.clock

    def _rename(self, handle: Handle, data: bytes) -> int:
        new = data[20 : 20 + struct.unpack_from("<I", data, 16)[0]].decode("utf-16-le", "surrogatepass")
        if self.find(new) is not None and not data[0]:
            return NtStatus.OBJECT_NAME_COLLISION
        for path in (handle.path, new):
            parent = self.find(path.rpartition("\\")[0])
            assert parent is not None
            for name in [n for n in parent.children if n.upper() == path.rpartition("\\")[2].upper()]:
                del parent.children[name]
        target = self.find(new.rpartition("\\")[0])
        assert target is not None
        target.children[new.rpartition("\\")[2]] = handle.node
        self._touch(target)
        handle.path = new
        return 0


def _file_id(command: int, body: bytes) -> bytes:
    at = {Command.CLOSE: 8, Command.READ: 16, Command.WRITE: 16, Command.FLUSH: 8, Command.QUERY_DIRECTORY: 8,
          Command.QUERY_INFO: 24, Command.SET_INFO: 16, Command.IOCTL: 8}.get(Command(command))  # fmt: skip
    return RELATED if at is None else body[at : at + 16]


def make_lane(*, credits_: int = 64, chunk: int = CHUNK) -> Lane:
    facts = SessionFacts(SESSION, TREE, SUITE, KEY_UP, KEY_DOWN, 8 << 20, 8 << 20, 8 << 20, 5, credits_)
    return Lane(facts, chunk=chunk)


class Link:
    """A lane and a server joined by bytes; `exchange` moves what is there, once, both ways.

    Compounds that are `put_off` are taken up when there is nothing else to do.
    """

    def __init__(self, server: FakeServer, lane: Lane | None = None) -> None:
        self.server = server
        self.renew(lane or make_lane())

    def renew(self, lane: Lane) -> None:
        """A new connection and session."""
        self.lane = lane
        self.lose = False
        size = self.lane.pool.payload
        self._server_reader = FrameReader(Opener(SUITE, KEY_UP), SESSION, BufferPool(size), 9 << 20)
        self._server_writer = FrameWriter(Sealer(SUITE, KEY_DOWN), SESSION)
        self.held: list[bytes] = []
        self.hold_replies = False
        self.put_off: Callable[[bytes], bool] = lambda _compound: False
        self._later: list[bytes] = []

    def _fill(self) -> bool:
        while self.lane.fill_writer():
            pass
        return not self.lane.writer.idle

    def exchange(self) -> bool:
        moved = False
        while self._fill():
            data = b"".join(self.lane.writer.pending())
            self.lane.writer.taken(len(data))
            for compound in feed_all(self._server_reader, data):
                if self.put_off(compound):
                    self._later.append(compound)
                    continue
                reply = self.server.handle(compound)
                moved = True
                if self.lose:
                    self.held.clear()
                    self.lane.fail(EngineError(CONNECTION_LOST, "cut"))
                    return True
                self.held.append(reply)
        if not self.hold_replies:
            while self.held:
                self.reply(self.held.pop(0))
                moved = True
        if not moved and self._later:
            self.reply(self.server.handle(self._later.pop(0)))
            moved = True
        return moved

    def reply(self, plain: bytes) -> None:
        """Seal one compound as the server does and let the lane receive it."""
        self.receive(self.seal(plain))

    def seal(self, plain: bytes) -> bytes:
        """A frame as the server sends it."""
        self._server_writer.seal(plain)
        data = b"".join(self._server_writer.pending())
        self._server_writer.taken(len(data))
        return data

    def answers_to(self, data: bytes) -> list[bytes]:
        """Sealed answers to sealed requests."""
        return [self.seal(self.server.handle(plain)) for plain in feed_all(self._server_reader, data)]

    def echo_only(self, peer: socket.socket) -> None:
        """Answer what has come in through a socket, if it is an ECHO, and nothing else."""
        peer.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            for plain in feed_all(self._server_reader, peer.recv(1 << 20)):
                if struct.unpack_from("<H", plain, 12)[0] == Command.ECHO:
                    peer.sendall(self.seal(self.server.handle(plain)))

    def receive(self, data: bytes) -> None:
        """Raw bytes into the lane."""
        view = memoryview(data)
        while view:
            want = self.lane.reader.want()
            count = min(len(want), len(view))
            want[:count] = view[:count]
            frame = self.lane.reader.received(count)
            if frame is not None:
                self.lane.deliver(frame)
            view = view[count:]


def feed(reader: FrameReader, data: bytes) -> bytes | None:
    """The last message in `data`."""
    return next(reversed(feed_all(reader, data)), None)


def feed_all(reader: FrameReader, data: bytes) -> list[bytes]:
    """Every message in `data`."""
    view, found = memoryview(data), []
    while view:
        want = reader.want()
        count = min(len(want), len(view))
        want[:count] = view[:count]
        frame = reader.received(count)
        if frame is not None:
            found.append(bytes(frame.buffer[LANDING : frame.end]))
        view = view[count:]
    return found


def drive(scheduler: Scheduler, main: Coroutine[Any, None, Any], *links: Link) -> Any:
    """Run a coroutine against links until it ends; timers fire as soon as nothing else can go on."""
    task = scheduler.spawn(main)
    while True:
        scheduler.run_ready()
        if task.done:
            return task.result()
        moved = [link.exchange() for link in links]
        if scheduler.idle and not any(moved):
            timer = scheduler.next_timer()
            assert timer is not None, "every task waits and nothing is under way"
            scheduler.advance(timer)
