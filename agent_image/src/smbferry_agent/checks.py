"""The check commands: read the object, probe, judge, write the status."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.findings import Finding, error_of, first_failure
from smbferry_agent.preflight.identity_probe import IdentitySubject, checked_identity
from smbferry_agent.preflight.identity_status import identity_status
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import LocationSubject, probe_location
from smbferry_agent.preflight.location_status import location_status
from smbferry_agent.report.sinks import StatusSink, status_fields
from smbferry_api.agent_contract import SCRATCH_DIR, Side
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.reasons import SPEC_INVALID

_log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)


def parse_spec(model: type[Model], spec: Any, what: str) -> Model:
    """The spec as its model.

    Raises:
        AgentError: SpecInvalid, with the first field that is wrong.
    """
    try:
        return model.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AgentError(SPEC_INVALID, f"{what}: spec.{where}: {first['msg']}.") from None


def identity_subject(manifest: dict[str, Any], side: Side, scratch: Path = Path(SCRATCH_DIR)) -> IdentitySubject:
    """A KerberosIdentity as the API server gives it, with its pod's mounts.

    Raises:
        AgentError: SpecInvalid.
    """
    return IdentitySubject(
        spec=parse_spec(KerberosIdentitySpec, manifest.get("spec"), f"KerberosIdentity {manifest['metadata']['name']}"),
        generation=int(manifest["metadata"].get("generation", 0)),
        mount=IdentityMount.of(side),
        scratch=scratch / side.value,
        previous=_previous(KerberosIdentityStatus, manifest),
    )


def check_identity(subject: IdentitySubject, sink: StatusSink, now: datetime | None = None) -> AgentError | None:
    """Checks an identity and writes what was found; returns the first failure.

    Raises:
        AgentError, ObjectNotFoundError: the status could not be written.
    """
    moment = now or datetime.now(UTC)
    with checked_identity(subject, moment) as checked:
        status = identity_status(subject, checked.facts, checked.findings, moment)
    log_findings(checked.findings)
    sink.write(status_fields(status))
    return failure_of(checked.findings)


def location_subject(manifest: dict[str, Any], identity: IdentitySubject | AgentError) -> LocationSubject:
    """An SmbLocation as the API server gives it.

    Raises:
        AgentError: SpecInvalid.
    """
    return LocationSubject(
        spec=parse_spec(SmbLocationSpec, manifest.get("spec"), f"SmbLocation {manifest['metadata']['name']}"),
        generation=int(manifest["metadata"].get("generation", 0)),
        identity=identity,
        previous=_previous(SmbLocationStatus, manifest),
    )


def check_location(subject: LocationSubject, sink: StatusSink, now: datetime | None = None) -> AgentError | None:
    """Checks a location with its identity and writes what was found; returns the first failure.

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
    """A line per check."""
    for found in findings:
        level = logging.WARNING if found.failed else logging.INFO
        values = fields(condition=found.type.value, status=found.status, reason=str(found.reason))
        _log.log(level, found.message, extra=values)


def failure_of(findings: tuple[Finding, ...]) -> AgentError | None:
    """The first check that failed, as the error that ends the agent."""
    failure = first_failure(findings)
    return error_of(failure) if failure else None


def _previous(model: type[Model], manifest: dict[str, Any]) -> Model | None:
    """The status that is there; one that can't be read counts as none, and is written anew."""
    try:
        return model.model_validate(manifest.get("status") or {})
    except ValidationError:
        _log.warning("the object's status can't be read and is written anew")
        return None
