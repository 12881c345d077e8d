"""Named streams and extended attributes of a volume in memory (MS-FSCC 2.4)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from lab.fake_server.nodes import Node
from lab.fake_server.volume import Volume

from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.fake_server.nodes import Handle

_NAMED_STREAMS, _EXTENDED_ATTRIBUTES, _UNICODE = 0x40000, 0x800000, 0x6
_READ_EA, _WRITE_EA = 0x8, 0x10


class Attachments(Volume):
    """What a file or folder has beside its content."""

    def _stream(self, node: Node, name: str, disposition: int) -> tuple[int, Node]:
        """Open or create a stream of a node by what follows its path in a CREATE."""
        plain, _, kind = name.partition(":")
        if not self.personality.holds_streams or kind.upper() not in {"", "$DATA"} or not plain:
            return NtStatus.OBJECT_NAME_INVALID, node
        key = next((known for known in node.streams if self.fold(known) == self.fold(plain)), plain)
        if key not in node.streams:
            if disposition == 1:
                return NtStatus.OBJECT_NAME_NOT_FOUND, node
            refused = self.personality.judge_stream(plain)
            if refused:
                return refused, node
            node.streams[key] = Node(bytearray())
        node.streams[key].times = node.times
        return 0, node.streams[key]

    def _volume_attributes(self) -> bytes:
        personality = self.personality
        flags = _UNICODE | (_NAMED_STREAMS if personality.holds_streams else 0)
        flags |= _EXTENDED_ATTRIBUTES if personality.holds_eas and personality.tells_eas else 0
        name = "NTFS".encode("utf-16-le")
        return struct.pack("<IiI", flags, 255, len(name)) + name

    def _stream_list(self, handle: Handle) -> tuple[int, bytes]:
        node = handle.node
        if not self.personality.holds_streams:
            return NtStatus.INVALID_PARAMETER, b""
        if node.told_streams is not None:
            return 0, node.told_streams
        named = [(f":{name}:$DATA", len(stream.data or b"")) for name, stream in node.streams.items()]
        if not node.is_directory:
            named.insert(0, ("::$DATA", len(node.data or b"")))
        return 0, stream_list(named)

    def _ea_list(self, handle: Handle) -> tuple[int, bytes]:
        node = handle.node
        if not self.personality.holds_eas:
            return NtStatus.EAS_NOT_SUPPORTED, b""
        if not handle.access & _READ_EA:
            return NtStatus.ACCESS_DENIED, b""
        if node.told_eas is not None:
            return 0, node.told_eas
        if not node.eas:
            return NtStatus.NO_EAS_ON_FILE, b""
        return 0, ea_list((flags, name, value) for name, (flags, value) in node.eas.items())

    def _set_eas(self, handle: Handle, data: bytes) -> int:
        if not self.personality.holds_eas:
            return NtStatus.EAS_NOT_SUPPORTED
        if not handle.access & _WRITE_EA:
            return NtStatus.ACCESS_DENIED
        at = 0
        while data:
            following, flags, name_length, value_length = struct.unpack_from("<IBBH", data, at)
            name = data[at + 8 : at + 8 + name_length]
            value = data[at + 9 + name_length :][:value_length]
            name = name.upper() if self.personality.upper_case_eas else name
            refused = self.personality.judge_ea(name, value)
            if refused:
                return refused
            handle.node.eas.pop(name, None)
            if value:
                handle.node.eas[name] = (flags, value)
            if not following:
                break
            at += following
        self._changed(handle.node)
        return 0


def stream_list(named: Iterable[tuple[str, int]]) -> bytes:
    """FILE_STREAM_INFORMATION of each name and size."""
    entries = []
    for name, size in named:
        raw = name.encode("utf-16-le", "surrogatepass")
        entries.append(struct.pack("<IQQ", len(raw), size, size) + raw)
    return _chained(entries, 8)


def ea_list(eas: Iterable[tuple[int, bytes, bytes]]) -> bytes:
    """FILE_FULL_EA_INFORMATION of each flags, name and value."""
    return _chained(
        [struct.pack("<BBH", flags, len(name), len(value)) + name + b"\0" + value for flags, name, value in eas], 4
    )


def _chained(entries: list[bytes], alignment: int) -> bytes:
    out = b""
    for index, entry in enumerate(entries):
        last = index == len(entries) - 1
        pad = 0 if last else -(4 + len(entry)) % alignment
        out += struct.pack("<I", 0 if last else 4 + len(entry) + pad) + entry + bytes(pad)
    return out
