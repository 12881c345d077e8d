"""Finds the claims that collide with a destination without looking at any other claim.

A claim stands at its folder and below each folder that contains it, once by the server's name and once by its
ServerGuid. So what collides with a folder is what stands below it, and what stands at a folder that contains it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from smbferry_operator.decide.destination import Destination
from smbferry_operator.decide.observation import Claim

_Root = tuple[str, str, str]
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A claim, and whether it counts in other namespaces."""

    claim: Claim
    proven: bool

    def counts_for(self, namespace: str, run_uid: str) -> bool:
        """Whether a run must respect the claim: it is another's, and of the same namespace or proven."""
        if self.claim.run_uid == run_uid:
            return False
        return self.proven or self.claim.holder.startswith(f"{namespace}/")


class Destinations:
    """Claims by destination."""

    def __init__(self) -> None:
        self._at: dict[tuple[_Root, _Path], dict[Held, None]] = {}
        self._below: dict[tuple[_Root, _Path], dict[Held, None]] = {}
        self.looked_at = 0
        """Counts the claims that were found, for the tests that hold the cost of a decision."""

    def __len__(self) -> int:
        """The number of places at which a claim stands."""
        return len(self._at)

    def add(self, held: Held) -> None:
        """Adds a claim."""
        path = held.claim.destination.path
        for root in _roots(held.claim.destination):
            self._at.setdefault((root, path), {})[held] = None
            for length in range(len(path) + 1):
                self._below.setdefault((root, path[:length]), {})[held] = None

    def remove(self, held: Held) -> None:
        """Removes a claim that was added."""
        path = held.claim.destination.path
        for root in _roots(held.claim.destination):
            _discard(self._at, (root, path), held)
            for length in range(len(path) + 1):
                _discard(self._below, (root, path[:length]), held)

    def colliding(self, here: Destination) -> list[Held]:
        """The claims on this folder, on one inside it or on one that contains it, under any name of the server."""
        found: dict[Held, None] = {}
        for root in _roots(here):
            found.update(self._below.get((root, here.path), {}))
            for length in range(len(here.path)):
                found.update(self._at.get((root, here.path[:length]), {}))
        self.looked_at += len(found)
        return list(found)


def _roots(place: Destination) -> Iterator[_Root]:
    yield (f"{place.server}:{place.port}", "", place.share)
    if place.guid:
        yield ("", place.guid, place.share)


def _discard(index: dict[tuple[_Root, _Path], dict[Held, None]], at: tuple[_Root, _Path], held: Held) -> None:
    index[at].pop(held, None)
    if not index[at]:
        del index[at]
