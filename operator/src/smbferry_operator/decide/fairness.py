"""How namespaces share the limit on concurrent checks. Pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ChecksUnderWay:
    """Numbers of Jobs of checks at work."""

    here: int = 0
    """In the namespace of the observed object."""
    elsewhere: tuple[int, ...] = ()
    """In each other namespace that has some."""

    def fill(self, limit: int) -> bool:
        """Whether no further check may start.

        Each other namespace counts for at most a fifth of the limit, so that no namespace can block the checks of
        others, whatever Jobs it creates or keeps from ending.
        """
        share = max(1, limit // 5)
        return self.here + sum(min(count, share) for count in self.elsewhere) >= max(limit, 2)


NO_CHECKS: Final = ChecksUnderWay()
