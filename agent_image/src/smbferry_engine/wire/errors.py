"""What a codec raises for bytes that no honest server sends."""


class WireError(Exception):
    """A frame or message that breaks MS-SMB2: a length, offset, count or name out of bounds."""
