"""An entry of a listing, for decisions."""

from smbferry_engine.wire.directory import DirectoryEntry


def item(name: str = "f", *, size: int = 5, time: int = 100, attributes: int = 0x20) -> DirectoryEntry:
    return DirectoryEntry(name, size, attributes, 1, 2, time, 3, 0, 0)
