"""Where a run writes, and whether two runs would write to the same place.

Compared as SMB compares names, case-insensitively, and a folder within another counts as the same place. Case is
folded more widely than Windows does it, so that a doubt is decided for waiting.

A server has as many names as DNS has for it: an alias, a short name, an address of each of its interfaces. Its own
identifier (ServerGuid, MS-SMB2 2.2.4) is the same by all of them. It is believed only where it makes a run wait: nodes
of a cluster may each have their own and clones the same one, and whoever runs a server chooses what it says.
"""

from dataclasses import dataclass

from smbferry_api.run import ResolvedEnd


def _fold(text: str) -> str:
    return text.casefold()


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder on a share, in comparable spelling."""

    server: str
    port: int
    share: str
    path: tuple[str, ...] = ()
    guid: str = ""
    """The server's own identifier, where it is known."""

    @classmethod
    def of(cls, end: ResolvedEnd) -> "Destination":
        """The folder that an end of a transfer names; of a DFS path, the one that it leads to."""
        place = end.place
        parts = tuple(_fold(p) for p in place.path.split("/") if p)
        guid = _fold(end.server_guid or "")
        return cls(_fold(place.server.rstrip(".")), place.port, _fold(place.share), parts, guid)

    @classmethod
    def parse(cls, text: str) -> "Destination":
        r"""Reads what `written` is.

        Raises:
            ValueError: not such a text.
        """
        if not text.startswith("//"):
            raise ValueError(f"{text!r}: expected //server:port/share/path")
        names, _, guid = text[2:].partition("?")  # no name on a server has a "?"
        authority, _, rest = names.partition("/")
        server, _, port = authority.rpartition(":")
        share, *parts = rest.split("/")
        return cls(server, int(port), share, tuple(p for p in parts if p), guid)

    @property
    def written(self) -> str:
        """All of it, for `parse`."""
        return f"{self}?{self.guid}" if self.guid else str(self)

    def overlaps(self, other: "Destination") -> bool:
        """Whether they are the same folder by their names, or one lies within the other."""
        return (self.server, self.port) == (other.server, other.port) and self._is_along(other)

    def collides(self, other: "Destination") -> bool:
        """Whether they may be the same folder, or one within the other, whatever the server is called."""
        return self.overlaps(other) or self.is_alias(other)

    def is_alias(self, other: "Destination") -> bool:
        """Whether only the server's own identifier says that they overlap: its names differ."""
        same = self.guid != "" and self.guid == other.guid
        return same and not self.overlaps(other) and self._is_along(other)

    def _is_along(self, other: "Destination") -> bool:
        shorter = min(len(self.path), len(other.path))
        return self.share == other.share and self.path[:shorter] == other.path[:shorter]

    def __str__(self) -> str:
        return f"//{self.server}:{self.port}/" + "/".join((self.share, *self.path))
