"""Links as reparse points: FSCTL_GET_REPARSE_POINT, FSCTL_SET_REPARSE_POINT and their buffers (MS-FSCC 2.1.2).

A link is decoded into its names and encoded again, so that nothing but these reaches another server. The names are
never opened.
"""

import struct
from typing import Final, NamedTuple

from smbferry_engine.wire.buffers import unpack
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.ioctl import decode_ioctl
from smbferry_engine.wire.names import decode_name, encode_name

FSCTL_GET_REPARSE_POINT: Final = 0x000900A8
FSCTL_SET_REPARSE_POINT: Final = 0x000900A4
SYMLINK: Final = 0xA000000C
MOUNT_POINT: Final = 0xA0000003
MAX_REPARSE_DATA: Final = 16 * 1024
"""MAXIMUM_REPARSE_DATA_BUFFER_SIZE (MS-FSCC 2.1.2.2)."""

_HEADER = struct.Struct("<IHH")
_SYMLINK = struct.Struct("<HHHHI")
_MOUNT_POINT = struct.Struct("<HHHH")
_RELATIVE = 0x00000001


class Link(NamedTuple):
    """Where a symbolic link (2.1.2.4) or a mount point (2.1.2.5), such as a junction, leads.

    ``target`` is what the server or client follows, ``shown`` what people see, possibly empty. ``relative``: the target
    begins at the link's folder; only of symbolic links.
    """

    tag: int
    target: str
    shown: str
    relative: bool = False


def decode_link(data: bytes | memoryview) -> Link:
    """Decode a REPARSE_DATA_BUFFER of a symbolic link or mount point.

    Raises:
        WireError: it is malformed or of another kind.
    """
    tag, length, _ = unpack(_HEADER, data, 0, "reparse point")
    if tag not in (SYMLINK, MOUNT_POINT):
        raise WireError(f"reparse point: expected a symbolic link or junction, got tag 0x{tag:08x}")
    content = data[_HEADER.size :]
    if length > len(content) or len(data) > MAX_REPARSE_DATA:
        raise WireError(f"reparse point: expected {length} bytes, got {len(content)}")
    content, flags = content[:length], 0
    if tag == SYMLINK:
        *spans, flags = unpack(_SYMLINK, content, 0, "symbolic link")
        names = content[_SYMLINK.size :]
    else:
        spans = [*unpack(_MOUNT_POINT, content, 0, "mount point")]
        names = content[_MOUNT_POINT.size :]
    if flags & ~_RELATIVE:
        raise WireError(f"symbolic link: expected flags 0 or 1, got 0x{flags:x}")
    target, shown = _name(names, *spans[:2]), _name(names, *spans[2:])
    if not target:
        raise WireError("reparse point: expected a target, got none")
    return Link(tag, target, shown, bool(flags))


def _name(names: bytes | memoryview, offset: int, length: int) -> str:
    if offset + length > len(names) or offset % 2:
        raise WireError(f"reparse point: {length} bytes at {offset} of {len(names)} are no name")
    name = decode_name(names[offset : offset + length])
    if "\0" in name:
        raise WireError("reparse point: expected a name without NUL characters")
    return name


def encode_link(link: Link) -> bytes:
    """Encode a REPARSE_DATA_BUFFER. Raises :class:`WireError` if the names are too long for one."""
    target, shown = encode_name(link.target), encode_name(link.shown)
    # Both names of a mount point end with a NUL (2.1.2.5).
    end = b"" if link.tag == SYMLINK else b"\0\0"
    spans = (0, len(target), len(target) + len(end), len(shown))
    if max(spans) >= MAX_REPARSE_DATA:
        raise WireError(f"reparse point: expected names that fit {MAX_REPARSE_DATA} bytes")
    fixed = _SYMLINK.pack(*spans, link.relative) if link.tag == SYMLINK else _MOUNT_POINT.pack(*spans)
    content = fixed + target + end + shown + end
    if _HEADER.size + len(content) > MAX_REPARSE_DATA:
        raise WireError(f"reparse point: expected at most {MAX_REPARSE_DATA} bytes, got {len(content)}")
    return _HEADER.pack(link.tag, len(content), 0) + content


def decode_get_reparse_point(message: bytes | memoryview) -> Link:
    """Decode the reply to FSCTL_GET_REPARSE_POINT. Raises :class:`WireError` as :func:`decode_link`."""
    return decode_link(decode_ioctl(message, FSCTL_GET_REPARSE_POINT))
