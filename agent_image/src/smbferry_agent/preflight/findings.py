"""A judge's findings: one per condition, in the order in which the checks build on each other. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smbferry_agent.errors import AgentError
from smbferry_api.conditions import ABNORMAL_TRUE, Condition, ConditionStatus, ConditionType, condition, merge
from smbferry_api.reasons import CHECK_NOT_REACHED, Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. ``healthy`` is None where the check was not made."""

    type: ConditionType
    healthy: bool | None
    reason: Reason
    message: str

    @property
    def failed(self) -> bool:
        """Whether the check was made and found something wrong."""
        return self.healthy is False

    @property
    def status(self) -> ConditionStatus:
        """The condition's status."""
        if self.healthy is None:
            return "Unknown"
        return "True" if self.healthy != (self.type in ABNORMAL_TRUE) else "False"


def good(type_: ConditionType, reason: Reason, message: str) -> Finding:
    """The check passed."""
    return Finding(type_, healthy=True, reason=reason, message=message)


def bad(type_: ConditionType, reason: Reason, message: str) -> Finding:
    """The check found something wrong."""
    return Finding(type_, healthy=False, reason=reason, message=message)


def unknown(type_: ConditionType, message: str) -> Finding:
    """The check could not say anything, for a reason of its own."""
    return Finding(type_, healthy=None, reason=CHECK_NOT_REACHED, message=message)


def ordered(findings: Iterable[Finding], types: Sequence[ConditionType]) -> tuple[Finding, ...]:
    """A finding for each type: those that are missing were not reached because of the first that failed."""
    by_type = {f.type: f for f in findings}
    culprit = first_failure(by_type[t] for t in types if t in by_type)
    because = f"Not checked, because {culprit.type} failed: {culprit.reason}." if culprit else "Not checked."
    return tuple(by_type.get(t) or unknown(t, because) for t in types)


def failures(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The checks that found something wrong and that stand in the way.

    A key version that differs does no harm while tickets are issued: an older key of the keytab works.
    """
    found = list(findings)
    issued = any(f.type == ConditionType.TICKET_ACQUIRED and f.healthy for f in found)
    harmless = ConditionType.KVNO_MISMATCH if issued else None
    return tuple(f for f in found if f.failed and f.type != harmless)


def first_failure(findings: Iterable[Finding]) -> Finding | None:
    """The first of `failures`, or None."""
    return next(iter(failures(findings)), None)


def error_of(finding: Finding) -> AgentError:
    """The finding as the error that ends an agent."""
    return AgentError(finding.reason, finding.message)


def conditions(
    findings: Iterable[Finding], existing: Iterable[Condition], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The findings as conditions; lastTransitionTime is kept where a status did not change."""
    new = [condition(f.type, f.status, f.reason, f.message, generation=generation, now=now) for f in findings]
    return tuple(merge(existing, new))
