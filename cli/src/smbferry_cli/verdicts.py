"""What a check found of one object, and how that reads. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from smbferry_agent.preflight.findings import Finding, error_of, failures
from smbferry_api.conditions import Condition
from smbferry_api.exit_codes import ExitCode
from smbferry_api.names import API_VERSION
from smbferry_api.reasons import KEYTAB_AGING, REVERSE_RECORD_WRONG, SERVER_CLOCK_SKEW
from smbferry_cli.exits import most_severe

# Found in a check that passed, and still worth a look.
_WARNINGS: Final = frozenset({KEYTAB_AGING, REVERSE_RECORD_WRONG, SERVER_CLOCK_SKEW})


class Word(StrEnum):
    """A verdict in a word."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Row:
    """One check of an object; the message ends with the remedy where there is one."""

    check: str
    word: Word
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One object's findings, and the status that the agent would write in a cluster."""

    kind: str
    name: str
    findings: tuple[Finding, ...]
    conditions: tuple[Condition, ...]
    status: dict[str, Any]

    @property
    def exit_code(self) -> ExitCode:
        """That of the first check that stands in the way."""
        return next((error_of(f).exit_code for f in failures(self.findings)), ExitCode.DONE)

    def rows(self) -> Iterator[Row]:
        """A row per check, in the order in which they build on each other."""
        blocking = failures(self.findings)
        for finding, condition in zip(self.findings, self.conditions, strict=True):
            yield Row(condition.type, _word(finding, blocking), condition.reason, condition.message)

    def manifest(self) -> dict[str, Any]:
        """The object with its status, as `kubectl get -o json` would show it."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": {"name": self.name},
            "status": self.status,
        }


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """The most severe failure's, 0 when there is none."""
    return most_severe(v.exit_code for v in verdicts)


def as_list(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """All of them as a Kubernetes List."""
    return {"apiVersion": "v1", "kind": "List", "items": [v.manifest() for v in verdicts]}


def conclusion(verdicts: Iterable[Verdict]) -> str:
    """One sentence about all of them."""
    found = list(verdicts)
    failed = [v for v in found if v.exit_code is not ExitCode.DONE]
    what = f"{len(found)} object{'s' if len(found) != 1 else ''} checked"
    if not failed:
        return f"{what}: all healthy."
    names = ", ".join(f"{v.kind} {v.name}" for v in failed)
    return f"{what}, {len(failed)} failed: {names}."


def _word(finding: Finding, blocking: tuple[Finding, ...]) -> Word:
    if finding.healthy is None:
        return Word.NOT_CHECKED
    if finding.failed:
        return Word.FAILED if finding in blocking else Word.WARNING
    return Word.WARNING if finding.reason in _WARNINGS else Word.OK
