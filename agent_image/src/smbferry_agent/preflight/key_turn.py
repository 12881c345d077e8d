"""Turns of agents at trying an identity's key.

Agents of many runs may use one key at the same moment. After a password change the KDC would refuse all of them, which
may lock the account. So agents try the key one at a time; the first that is refused records it, and the others do not
try.
"""

from dataclasses import dataclass
from typing import Protocol

from smbferry_api.identity import MAX_WRONG_KEYS, KerberosIdentityStatus, KeyRefusal, KeyUse


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a turn in which the KDC accepted or refused a key.

    Attributes:
        refused: None if a key worked.
    """

    refused: KeyRefusal | None = None
    wrong: int = 0
    """How many keys the KDC refused in this turn."""

    def after(self, before: KeyUse | None) -> KeyUse:
        """The new record for all agents. As at the KDC, a key that works resets the count of wrong ones."""
        if self.refused is None:
            return KeyUse()
        moments = (*(before.wrong if before else ()), *[self.refused.time] * self.wrong)
        return KeyUse(refused=self.refused, wrong=moments[-MAX_WRONG_KEYS:])


class KeyTurn(Protocol):
    """The turns of one agent at the key of one identity."""

    def begin(self) -> KerberosIdentityStatus | None:
        """Waits until no other agent tries the key; returns the identity's status then, None if unreadable."""

    def end(self, tried: Tried | None) -> None:
        """Ends the turn, if one has begun.

        Args:
            tried: the result, None if the KDC neither accepted nor refused a key.
        """


class NoTurn:
    """Turns without waiting, where no other agent uses the key."""

    def begin(self) -> KerberosIdentityStatus | None:
        """Returns at once."""
        return None

    def end(self, tried: Tried | None) -> None:
        """Does nothing."""
