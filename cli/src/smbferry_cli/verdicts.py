"""Results of the checks of an object. Pure."""

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

# Reasons of passed checks that are shown as warnings.
_WARNINGS: Final = frozenset({KEYTAB_AGING, REVERSE_RECORD_WRONG, SERVER_CLOCK_SKEW})


class Word(StrEnum):
    """The verdict of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Row:
    """One check of an object. The message ends with the remedy, if there is one."""

    check: str
    word: Word
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An object's findings and the status that the agent would write in a cluster."""

    kind: str
    name: str
    findings: tuple[Finding, ...]
    conditions: tuple[Condition, ...]
    status: dict[str, Any]

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the first failed check."""
        return next((error_of(f).exit_code for f in failures(self.findings)), ExitCode.DONE)

    def rows(self) -> Iterator[Row]:
        """Yields one row per check, in order of their dependencies."""
        blocking = failures(self.findings)
        for finding, condition in zip(self.findings, self.conditions, strict=True):
            yield Row(condition.type, _word(finding, blocking), condition.reason, condition.message)

    def manifest(self) -> dict[str, Any]:
        """Returns the object with its status, like `kubectl get -o json`."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "metadata": {"name": self.name},
            "status": self.status,
        }


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """Returns the exit code of the most severe failure, or 0."""
    return most_severe(v.exit_code for v in verdicts)


def as_list(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Returns all verdicts as a Kubernetes List."""
    return {"apiVersion": "v1", "kind": "List", "items": [v.manifest() for v in verdicts]}


def conclusion(verdicts: Iterable[Verdict]) -> str:
    """Returns a one-sentence summary."""
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
