"""TREE_DISCONNECT (2.2.11), LOGOFF (2.2.7), ECHO (2.2.28): bodies of four bytes; OPLOCK_BREAK is only recognised."""

import struct

_FOUR = struct.Struct("<HH")


def encode_empty() -> bytes:
    """The body shared by the commands that say nothing but their name."""
    return _FOUR.pack(4, 0)
