"""The next checks of locations, by identity, as the last decision about each location has left them.

A decision about an identity would otherwise have to look at all of its locations. A restart loses nothing: every
location is decided again.
"""

from dataclasses import replace

from smbferry_operator.decide.wanted import WantedCheck
from smbferry_operator.model import Key, Kind


class WantedChecks:
    """The checks that locations want."""

    def __init__(self) -> None:
        self._of_identity: dict[Key, dict[Key, WantedCheck]] = {}
        self._identities: dict[Key, Key] = {}

    def note(self, location: Key, wanted: WantedCheck | None) -> None:
        """Replaces what is known of a location; None if it wants no check, or does not exist."""
        before = self._forget(location)
        if wanted is not None:
            if before is not None and before.carried == wanted.carried:  # it has waited since then
                wanted = replace(wanted, since=before.since or wanted.since)
            identity = Key(Kind.IDENTITY, location.namespace, wanted.identity)
            self._identities[location] = identity
            self._of_identity.setdefault(identity, {})[location] = wanted

    def _forget(self, location: Key) -> WantedCheck | None:
        identity = self._identities.pop(location, None)
        if identity is None:
            return None
        known = self._of_identity[identity]
        before = known.pop(location)
        if not known:
            del self._of_identity[identity]
        return before

    def of(self, identity: Key) -> tuple[WantedCheck, ...]:
        """What the locations of an identity want."""
        return tuple(self._of_identity.get(identity, {}).values())

    def clear(self) -> None:
        """Forgets all: every location is decided again."""
        self._of_identity.clear()
        self._identities.clear()
