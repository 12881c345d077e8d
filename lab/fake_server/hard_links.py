"""Further names of a file in memory (MS-FSCC 2.4.28.2)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from lab.fake_server.attachments import Attachments

from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from lab.fake_server.nodes import Handle


class HardLinks(Attachments):
    """Files with several names."""

    def _add_name(self, handle: Handle, data: bytes) -> int:
        new = data[20 : 20 + struct.unpack_from("<I", data, 16)[0]].decode("utf-16-le", "surrogatepass")
        parent, there = self.find(new.rpartition("\\")[0]), self.find(new)
        refused = self.personality.judge_hard_link(handle.node)
        if refused or parent is None:
            return refused or NtStatus.OBJECT_PATH_NOT_FOUND
        if there is not None and not data[0]:
            return NtStatus.OBJECT_NAME_COLLISION
        if there is not None and (there.attributes & 1 or any(one.node is there for one in self.handles.values())):
            return NtStatus.ACCESS_DENIED if there.attributes & 1 else NtStatus.SHARING_VIOLATION
        leaf = new.rpartition("\\")[2]
        for name in [name for name in parent.children if self.fold(name) == self.fold(leaf)]:
            parent.children.pop(name).links -= 1
        parent.children[leaf] = handle.node
        handle.node.links += 1
        self._touch(parent)
        return 0
