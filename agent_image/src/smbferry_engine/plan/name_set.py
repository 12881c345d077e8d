"""A digest of a set of names, whatever their order and number: MuHash (Clarke et al., ASIACRYPT 2003; Bitcoin Core).

Each name is hashed to a number of 3072 bits, and these are multiplied modulo a prime. So nothing is stored or sorted,
and finding another set with the same product is as hard as discrete logarithms, unlike with a sum.
"""

import base64
from collections.abc import Iterable

from blake3 import blake3

_PRIME = 2**3072 - 1_103_717
_BYTES = 3072 // 8
_DIGEST_BYTES = 20
_KEY_BYTES = 16


def key_of(path: str, *, directory: bool) -> bytes:
    """Return a short key of a name and its kind; no two names have the same."""
    return blake3(_encoded(path, directory=directory)).digest(_KEY_BYTES)


def _encoded(path: str, *, directory: bool) -> bytes:
    return (b"D" if directory else b"F") + path.encode("utf-16-le", "surrogatepass")


class NameSet:
    """The digest of the names that were added, each once."""

    def __init__(self, names: Iterable[tuple[str, bool]] = ()) -> None:
        """Add ``names``: path, and whether it is a folder."""
        self._product = 1
        for path, directory in names:
            self.add(path, directory=directory)

    def add(self, path: str, *, directory: bool) -> None:
        """Add a name."""
        number = int.from_bytes(blake3(_encoded(path, directory=directory)).digest(_BYTES), "little")
        self._product = self._product * number % _PRIME

    @property
    def digest(self) -> str:
        """32 lowercase letters and digits."""
        octets = self._product.to_bytes(_BYTES, "little")
        return base64.b32encode(blake3(octets).digest(_DIGEST_BYTES)).decode().lower()
