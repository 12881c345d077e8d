"""Names on the wire: UTF-16LE code units, kept exactly, lone surrogates included (2.2.13, MS-FSCC 2.1.5)."""

from smbferry_engine.wire.errors import WireError

_UNIT = 2


def encode_name(name: str) -> bytes:
    """Encode a name; the inverse of :func:`decode_name` for every sequence of code units."""
    return name.encode("utf-16-le", "surrogatepass")


def decode_name(data: bytes | memoryview) -> str:
    """Decode a name; raises :class:`WireError` for half a code unit."""
    if len(data) % _UNIT:
        raise WireError(f"name: expected whole UTF-16 units, got {len(data)} bytes")
    return bytes(data).decode("utf-16-le", "surrogatepass")
