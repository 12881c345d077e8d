"""A volume in memory: a tree of nodes, the opens of it, and the room that it has."""

from __future__ import annotations

import struct
from copy import deepcopy
from typing import TYPE_CHECKING

from lab.fake_server.nodes import (
    TREE,
    Handle,
    Node,
    folder,
)
from lab.fake_server.personality import Personality

from smbferry_engine.times import to_filetime
from smbferry_engine.upcase import upcase
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.fake_server.nodes import Fault, Request

# Which access (MS-SMB2 2.2.13.1.1) needs which sharing by everybody else (MS-FSA 2.1.5.1.2.2): read, write, delete.
_READS, _WRITES, _DELETES = 0x21, 0x06, 0x10000
_SHARED_FOR = ((_READS, 1), (_WRITES, 2), (_DELETES, 4))
UNIT, SECTOR = 8, 512


class Volume:
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
        # Snapshots by their time, in 100 ns since 1601 as TWrp names them (MS-SMB2 2.2.13.2.7).
        self.snapshots: dict[int, Node] = {}
        self.fold: Callable[[str], str] = upcase
        self._number(self.root)

    def _number(self, node: Node) -> None:
        self._next_node += 1
        node.node_id = node.node_id or self._next_node
        for child in node.children.values():
            self._number(child)

    def take_snapshot(self, when: datetime) -> None:
        """Keep the tree as it is now."""
        self.snapshots[to_filetime(when)] = deepcopy(self.root)

    def drop_snapshot(self, when: datetime) -> None:
        """Remove a snapshot, with whatever is open in it."""
        time = to_filetime(when)
        del self.snapshots[time]
        self.handles = {key: handle for key, handle in self.handles.items() if handle.snapshot != time}

    def find(self, path: str, snapshot: int = 0) -> Node | None:
        node: Node | None = self.snapshots.get(snapshot) if snapshot else self.root
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
            return 1000 * UNIT * SECTOR, 400 * UNIT * SECTOR
        return self.room, max(0, self.room - self._held(self.root))

    def tree(self, node: Node | None = None, prefix: str = "") -> dict[str, bytes | None]:
        """Every path with its content; None for folders."""
        found: dict[str, bytes | None] = {}
        for name, child in (node or self.root).children.items():
            path = f"{prefix}/{name}"
            found[path] = None if child.data is None else bytes(child.data)
            found.update(self.tree(child, path) if child.is_directory else {})
        return found

    def _changed(self, node: Node) -> None:
        """The change time moves with everything that happens to a file."""
        self.clock += 1
        node.times[3] = self.clock

    def _touch(self, parent: Node) -> None:
        """What happens in a folder moves its time."""
        self.clock += 1
        parent.times[2] = self.clock
