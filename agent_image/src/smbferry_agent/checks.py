"""The checks: probe, judge, write the status to any sink, in a pod or elsewhere."""

import logging
from datetime import UTC, datetime

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.preflight.findings import Finding, error_of, first_failure
from smbferry_agent.preflight.identity_probe import IdentitySubject, TriedIdentity, try_identity
from smbferry_agent.preflight.identity_status import identity_status
from smbferry_agent.preflight.location_facts import not_looked_up
from smbferry_agent.preflight.location_judge import judge_location, not_judged_in_time
from smbferry_agent.preflight.location_probe import LocationSubject, probe_location
from smbferry_agent.preflight.location_status import location_status
from smbferry_agent.report.sinks import StatusSink, status_fields
from smbferry_api.conditions import LOCATION_CHECKS, ConditionType

_log = logging.getLogger(__name__)


def check_identity(subject: IdentitySubject, sink: StatusSink, now: datetime | None = None) -> AgentError | None:
    """Checks an identity and writes its status; returns the first failure, None if all checks passed.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    moment = now or datetime.now(UTC)
    tried = try_identity(subject, moment)
    report_identity(tried, sink, moment)
    return failure_of(tried.findings)


def report_identity(tried: TriedIdentity, sink: StatusSink, now: datetime) -> None:
    """Writes the status of an identity whose key has been tried.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    log_findings(tried.findings)
    sink.write(status_fields(identity_status(tried.subject, tried.facts, tried.findings, now)))


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


def report_timeout(subject: LocationSubject, sink: StatusSink, now: datetime, seconds: float) -> AgentError:
    """Writes the status of a location whose check was ended because it took too long; returns the failure.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    findings = not_judged_in_time(subject.spec, seconds)
    log_findings(findings)
    sink.write(status_fields(location_status(subject, not_looked_up(subject.spec), findings, now)))
    return error_of(findings[LOCATION_CHECKS.index(ConditionType.SERVER_REACHABLE)])


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
