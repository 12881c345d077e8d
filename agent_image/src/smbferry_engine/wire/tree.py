"""TREE_CONNECT (2.2.9, 2.2.10); TREE_DISCONNECT (2.2.11), LOGOFF (2.2.7) and ECHO (2.2.28) are bodies of four bytes."""

import struct
from typing import NamedTuple

from smbferry_engine.wire.buffers import check_structure_size, unpack
from smbferry_engine.wire.header import HEADER_SIZE, decode_header
from smbferry_engine.wire.names import encode_name

_FOUR = struct.Struct("<HH")
_REQUEST = struct.Struct("<HHHH")
_RESPONSE = struct.Struct("<HBBIII")
_REQUEST_SIZE = 9
_RESPONSE_SIZE = 16
_PATH_OFFSET = HEADER_SIZE + _REQUEST.size
_DFS = 0x00000001
_DFS_ROOT = 0x00000002
_CAPABILITY_DFS = 0x00000008


class TreeReply(NamedTuple):
    """A connected share. ``dfs``: it is, or is part of, a DFS namespace, so that its paths may lead elsewhere."""

    tree_id: int
    dfs: bool
    maximal_access: int


def encode_tree_connect(server: str, share: str) -> bytes:
    r"""TREE_CONNECT to ``\\server\share``."""
    path = encode_name(rf"\\{server}\{share}")
    return _REQUEST.pack(_REQUEST_SIZE, 0, _PATH_OFFSET, len(path)) + path


def decode_tree_connect(message: bytes | memoryview) -> TreeReply:
    """Decode a successful TREE_CONNECT reply; the tree's id is in its header."""
    tree_id = decode_header(message, 0, len(message)).tree_id
    size, _, _, flags, capabilities, access = unpack(_RESPONSE, message, HEADER_SIZE, "tree connect")
    check_structure_size(size, _RESPONSE_SIZE, "tree connect")
    return TreeReply(tree_id, bool(flags & (_DFS | _DFS_ROOT) or capabilities & _CAPABILITY_DFS), access)


def encode_empty() -> bytes:
    """Return the body of commands without parameters."""
    return _FOUR.pack(4, 0)
