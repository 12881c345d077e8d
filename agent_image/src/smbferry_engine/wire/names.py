"""Names on the wire: UTF-16LE code units, kept exactly, lone surrogates included (2.2.13, MS-FSCC 2.1.5)."""

from smbferry_engine.wire.errors import WireError

_UNIT = 2


def encode_name(name: str) -> bytes:
    """Code units of ``name``; the inverse of :func:`decode_name` for every sequence of units."""
    return name.encode("utf-16-le", "surrogatepass")


def decode_name(data: bytes | memoryview) -> str:
    """A name from its code units; half a unit is refused."""
    if len(data) % _UNIT:
        raise WireError(f"name: whole UTF-16 units expected, found {len(data)} bytes")
    return bytes(data).decode("utf-16-le", "surrogatepass")
