"""What all namespaces share, and how much of it one of them may take. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ChecksUnderWay:
    """How many identities and locations are being checked."""

    here: int = 0
    """In the namespace of the object that is decided about."""
    elsewhere: tuple[int, ...] = ()
    """In each other namespace that has any."""

    def fill(self, limit: int) -> bool:
        """Whether no check may be added.

        Of another namespace a fifth of the limit counts at most: no namespace can keep the others from being checked,
        whatever Jobs it makes or keeps from ending.
        """
        share = max(1, limit // 5)
        return self.here + sum(min(count, share) for count in self.elsewhere) >= max(limit, 2)


NO_CHECKS: Final = ChecksUnderWay()
