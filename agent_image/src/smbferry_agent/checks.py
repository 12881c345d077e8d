"""The checks: probe, judge, write the status to any sink, in a pod or elsewhere."""

import logging
from datetime import UTC, datetime

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.preflight.findings import Finding, error_of, first_failure
from smbferry_agent.preflight.identity_probe import IdentitySubject, checked_identity
from smbferry_agent.preflight.identity_status import identity_status
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import LocationSubject, probe_location
from smbferry_agent.preflight.location_status import location_status
from smbferry_agent.report.sinks import StatusSink, status_fields

_log = logging.getLogger(__name__)


def check_identity(subject: IdentitySubject, sink: StatusSink, now: datetime | None = None) -> AgentError | None:
    """Checks an identity and writes its status; returns the first failure, None if all checks passed.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    moment = now or datetime.now(UTC)
    with checked_identity(subject, moment) as checked:
        status = identity_status(subject, checked.facts, checked.findings, moment)
    log_findings(checked.findings)
    sink.write(status_fields(status))
    return failure_of(checked.findings)


def check_location(subject: LocationSubject, sink: StatusSink, now: datetime | None = None) -> AgentError | None:
    """Checks a location with its identity and writes its status; returns the first failure, None if all checks passed.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    moment = now or datetime.now(UTC)
    facts = probe_location(subject, moment)
    findings = judge_location(subject.spec, facts)
    log_findings(findings)
    sink.write(status_fields(location_status(subject, facts, findings, moment)))
    return failure_of(findings)


def log_findings(findings: tuple[Finding, ...]) -> None:
    """Logs a line per check."""
    for found in findings:
        level = logging.WARNING if found.failed else logging.INFO
        values = fields(condition=found.type.value, status=found.status, reason=str(found.reason))
        _log.log(level, found.message, extra=values)


def failure_of(findings: tuple[Finding, ...]) -> AgentError | None:
    """The first check that failed, as the error that ends the agent."""
    failure = first_failure(findings)
    return error_of(failure) if failure else None
