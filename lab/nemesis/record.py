"""What was seen while the nemesis played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Record:
    """Of all actors and witnesses together; appended to only."""

    violations: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)

    def violated(self, rule: str, text: str) -> None:
        """A rule did not hold."""
        self.violations.append(f"{rule}: {text}")
