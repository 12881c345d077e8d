"""What linters say of the rendered chart, and which of it is accepted for a reason (accepted.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TABLE: Final = Path(__file__).parent / "accepted.yaml"


@dataclass(frozen=True, order=True)
class Finding:
    """One objection; `object` is Kind/name."""

    tool: str
    check: str
    object: str
    combination: str
    message: str

    def __str__(self) -> str:
        return f"{self.combination}: {self.tool} {self.check} {self.object}: {self.message}"


@dataclass(frozen=True)
class Acceptance:
    """A check whose objection to an object is known and left, in all combinations or in those that are named."""

    tool: str
    check: str
    objects: Sequence[str]
    reason: str
    combinations: Sequence[str] = ()
    but: Sequence[str] = ()

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is what is accepted here."""
        return (
            (self.tool, self.check) == (finding.tool, finding.check)
            and finding.object in self.objects
            and (not self.combinations or finding.combination in self.combinations)
            and finding.combination not in self.but
        )


def accepted(tool: str, table: Path = TABLE) -> list[Acceptance]:
    """The table's entries for a tool.

    Raises:
        ValueError: an entry gives no reason, or has a field that nobody reads.
    """
    entries = yaml.safe_load(table.read_text(encoding="utf-8"))
    found = []
    for entry in entries:
        try:
            made = Acceptance(**entry)
        except TypeError as error:
            raise ValueError(f"{table.name}: {entry}: {error}") from error
        if not made.reason.strip():
            raise ValueError(f"{table.name}: {made.tool} {made.check}: every entry says why")
        found.append(made)
    return [entry for entry in found if entry.tool == tool]


def remaining(findings: Iterable[Finding], acceptances: Iterable[Acceptance]) -> list[Finding]:
    """The findings that nothing accepts."""
    acceptances = list(acceptances)
    return sorted(f for f in set(findings) if not any(a.covers(f) for a in acceptances))


def unneeded(findings: Iterable[Finding], acceptances: Iterable[Acceptance]) -> list[Acceptance]:
    """The acceptances of what no linter says any more."""
    findings = list(findings)
    return [a for a in acceptances if not any(a.covers(f) for f in findings)]
