"""Replies as MS-SMB2 lays them out, in the clear: a header of zeros, then the body."""

import struct

FID = bytes.fromhex("01020304050607081112131415161718")
HEAD = bytes(64)


def hexed(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts).replace(" ", ""))


MAXIMAL = struct.pack("<IHHHHI", 0, 16, 4, 0, 24, 8) + b"MxAc\0\0\0\0" + struct.pack("<II", 0, 0x1F01FF)
DISK_ID = struct.pack("<IHHHHI", 0, 16, 4, 0, 24, 32) + b"QFid\0\0\0\0" + struct.pack("<QQ16x", 9, 2)


def create_reply(contexts: bytes = b"", offset: int | None = None) -> bytes:
    at = (64 + 88 if contexts else 0) if offset is None else offset
    return (
        HEAD
        + struct.pack("<HBBI4QQQII16sII", 89, 0, 0, 1, 1, 2, 3, 4, 4096, 77, 0x21, 0, FID, at, len(contexts))
        + contexts
    )


def plain_entry(name: bytes, *, following: int = 0) -> bytes:
    return struct.pack("<II4QQQII", following, 0, 1, 2, 3, 4, 55, 4096, 0x20, len(name)) + name


def entry(name: bytes, *, following: int = 0, length: int | None = None) -> bytes:
    fixed = struct.pack(
        "<II4QQQIIIIQ", following, 0, 1, 2, 3, 4, 55, 4096, 0x20, len(name) if length is None else length, 6, 0, 99
    )
    return fixed + name


def listing(body: bytes, offset: int = 72) -> bytes:
    return HEAD + struct.pack("<HHI", 9, offset, len(body)) + body
