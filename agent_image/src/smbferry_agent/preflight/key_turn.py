"""Whose turn it is to try an identity's key.

Agents of many runs may come to use one key in the same moment, and where the password was changed each would be refused
before any has told the others. So agents try the key one at a time; the first that is refused leaves word, and the
others keep to it.
"""

from dataclasses import dataclass
from typing import Protocol

from smbferry_api.identity import MAX_WRONG_KEYS, KerberosIdentityStatus, KeyRefusal, KeyUse


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a turn in which the KDC has judged a key. ``refused`` is None where one worked."""

    refused: KeyRefusal | None = None
    wrong: int = 0
    """How many keys the KDC refused."""

    def after(self, before: KeyUse | None) -> KeyUse:
        """What all agents are to know from now on: as at the KDC, a key that works ends the count of wrong ones."""
        if self.refused is None:
            return KeyUse()
        moments = (*(before.wrong if before else ()), *[self.refused.time] * self.wrong)
        return KeyUse(refused=self.refused, wrong=moments[-MAX_WRONG_KEYS:])


class KeyTurn(Protocol):
    """One agent's turns at one identity's key."""

    def begin(self) -> KerberosIdentityStatus | None:
        """Waits until nobody else tries the key; the identity's status as it is then, or None where it can't be had."""

    def end(self, tried: Tried | None) -> None:
        """Lets the next one try; nothing happens where no turn has begun. None: the KDC has not judged any key."""


class NoTurn:
    """Where nobody else uses the key."""

    def begin(self) -> KerberosIdentityStatus | None:
        """At once."""
        return None

    def end(self, tried: Tried | None) -> None:
        """Nobody waits."""
