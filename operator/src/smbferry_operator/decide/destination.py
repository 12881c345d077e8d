"""Where a run writes, and whether two runs would write to the same place.

Compared as SMB compares names, case-insensitively, and a folder within another counts as the same place. Case is
folded more widely than Windows does it, so that a doubt is decided for waiting.
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

    @classmethod
    def of(cls, end: ResolvedEnd) -> "Destination":
        """The folder that an end of a transfer names; of a DFS path, the one that it leads to."""
        place = end.place
        parts = tuple(_fold(p) for p in place.path.split("/") if p)
        return cls(_fold(place.server.rstrip(".")), place.port, _fold(place.share), parts)

    @classmethod
    def parse(cls, text: str) -> "Destination":
        r"""Reads what `str` wrote.

        Raises:
            ValueError: not such a text.
        """
        if not text.startswith("//"):
            raise ValueError(f"{text!r}: expected //server:port/share/path")
        authority, _, rest = text[2:].partition("/")
        server, _, port = authority.rpartition(":")
        share, *parts = rest.split("/")
        return cls(server, int(port), share, tuple(p for p in parts if p))

    def overlaps(self, other: "Destination") -> bool:
        """Whether they are the same folder, or one lies within the other."""
        if (self.server, self.port, self.share) != (other.server, other.port, other.share):
            return False
        shorter = min(len(self.path), len(other.path))
        return self.path[:shorter] == other.path[:shorter]

    def __str__(self) -> str:
        return f"//{self.server}:{self.port}/" + "/".join((self.share, *self.path))
