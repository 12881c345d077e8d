"""Whose turn it is to try an identity's key.

A check of the identity goes ahead of all who use its key. But between that check and their own tickets seconds pass,
and where the password is changed just then each agent would be refused before any has told the others. So agents try
the key one at a time; the first that is refused leaves word, and the others keep to it.
"""

from typing import Protocol

from smbferry_api.identity import KerberosIdentityStatus, KeyRefusal


class KeyTurn(Protocol):
    """One agent's turns at one identity's key."""

    def begin(self) -> KerberosIdentityStatus | None:
        """Waits until nobody else tries the key; the identity's status as it is then, or None where it can't be had."""

    def end(self, refused: KeyRefusal | None) -> None:
        """Lets the next one try; nothing happens where no turn has begun."""


class NoTurn:
    """Where nobody else uses the key."""

    def begin(self) -> KerberosIdentityStatus | None:
        """At once."""
        return None

    def end(self, refused: KeyRefusal | None) -> None:
        """Nobody waits."""
