"""Where a run writes, and whether two runs would write to the same place.

Names are compared case-insensitively, as in SMB, and a folder inside another counts as the same place. Case folding is
wider than that of Windows: in doubt a run waits.

A server may have several names: aliases, a short name, an address per interface. Its ServerGuid (MS-SMB2 2.2.4) is the
same under all of them. It only makes runs wait, and grants nothing: nodes of a cluster may have different ones, clones
the same one, and whoever runs a server can choose it.
"""

from dataclasses import dataclass

from smbferry_api.run import ResolvedEnd


def _fold(text: str) -> str:
    return text.casefold()


@dataclass(frozen=True, slots=True)
class Destination:
    """A folder on a share, in a comparable form."""

    server: str
    port: int
    share: str
    path: tuple[str, ...] = ()
    guid: str = ""
    """The server's ServerGuid, empty if unknown."""

    @classmethod
    def of(cls, end: ResolvedEnd) -> "Destination":
        """The folder of one end of a transfer; for a DFS path, its target."""
        place = end.place
        parts = tuple(_fold(p) for p in place.path.split("/") if p)
        guid = _fold(end.server_guid or "")
        return cls(_fold(place.server.rstrip(".")), place.port, _fold(place.share), parts, guid)

    @classmethod
    def parse(cls, text: str) -> "Destination":
        r"""Parses the form of `written`.

        Raises:
            ValueError: the text has another form.
        """
        if not text.startswith("//"):
            raise ValueError(f"expected //server:port/share/path, got {text!r}")
        names, _, guid = text[2:].partition("?")  # no name on a server has a "?"
        authority, _, rest = names.partition("/")
        server, _, port = authority.rpartition(":")
        share, *parts = rest.split("/")
        return cls(server, int(port), share, tuple(p for p in parts if p), guid)

    @property
    def written(self) -> str:
        """All fields as text, for `parse`."""
        return f"{self}?{self.guid}" if self.guid else str(self)

    def overlaps(self, other: "Destination") -> bool:
        """Whether they are the same folder by name, or one is inside the other."""
        return (self.server, self.port) == (other.server, other.port) and self._is_along(other)

    def collides(self, other: "Destination") -> bool:
        """Whether they may be the same folder, or one inside the other, under any name of the server."""
        return self.overlaps(other) or self.is_alias(other)

    def is_alias(self, other: "Destination") -> bool:
        """Whether they overlap by ServerGuid only, under different server names."""
        same = self.guid != "" and self.guid == other.guid
        return same and not self.overlaps(other) and self._is_along(other)

    def _is_along(self, other: "Destination") -> bool:
        shorter = min(len(self.path), len(other.path))
        return self.share == other.share and self.path[:shorter] == other.path[:shorter]

    def __str__(self) -> str:
        return f"//{self.server}:{self.port}/" + "/".join((self.share, *self.path))
