"""The findings of a judge: one per condition, in the order in which checks depend on each other. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smbferry_agent.errors import AgentError
from smbferry_api.conditions import (
    ABNORMAL_TRUE,
    Condition,
    ConditionStatus,
    ConditionType,
    condition,
    merge,
    that_can_block,
)
from smbferry_api.reasons import CHECK_NOT_REACHED, Reason


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        healthy: None if the check was not made.
    """

    type: ConditionType
    healthy: bool | None
    reason: Reason
    message: str

    @property
    def failed(self) -> bool:
        """Whether the check was made and failed."""
        return self.healthy is False

    @property
    def status(self) -> ConditionStatus:
        """The condition's status."""
        if self.healthy is None:
            return "Unknown"
        return "True" if self.healthy != (self.type in ABNORMAL_TRUE) else "False"


def good(type_: ConditionType, reason: Reason, message: str) -> Finding:
    """A passed check."""
    return Finding(type_, healthy=True, reason=reason, message=message)


def bad(type_: ConditionType, reason: Reason, message: str) -> Finding:
    """A failed check."""
    return Finding(type_, healthy=False, reason=reason, message=message)


def unknown(type_: ConditionType, message: str) -> Finding:
    """A check that could not be made, for a reason of its own."""
    return Finding(type_, healthy=None, reason=CHECK_NOT_REACHED, message=message)


def ordered(findings: Iterable[Finding], types: Sequence[ConditionType]) -> tuple[Finding, ...]:
    """A finding for each type; the missing ones were not checked because of the first failure."""
    by_type = {f.type: f for f in findings}
    culprit = first_failure(by_type[t] for t in types if t in by_type)
    because = f"Not checked, because {culprit.type} failed: {culprit.reason}." if culprit else "Not checked."
    return tuple(by_type.get(t) or unknown(t, because) for t in types)


def failures(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The failed checks that keep the object from being used."""
    return tuple(found for found in that_can_block(findings) if found.failed)


def first_failure(findings: Iterable[Finding]) -> Finding | None:
    """The first failed check that keeps the object from being used, None if there is none."""
    return next(iter(failures(findings)), None)


def error_of(finding: Finding) -> AgentError:
    """The finding as the error that ends an agent."""
    return AgentError(finding.reason, finding.message)


def conditions(
    findings: Iterable[Finding], existing: Iterable[Condition], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The findings as conditions; those with an unchanged status keep lastTransitionTime."""
    new = [condition(f.type, f.status, f.reason, f.message, generation=generation, now=now) for f in findings]
    return tuple(merge(existing, new))
