"""Parses manifests, from the API server or a file, to subjects of checks and tasks of runs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.mounts import IdentityMount
from smbferry_agent.preflight.identity_probe import IdentitySubject
from smbferry_agent.preflight.location_probe import LocationSubject
from smbferry_api.agent_contract import Side
from smbferry_api.explain import explain
from smbferry_api.identity import KerberosIdentitySpec, KerberosIdentityStatus
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.names import ANNOTATION_REQUESTED_AT
from smbferry_api.reasons import SPEC_INVALID
from smbferry_api.run import ResolvedTask, TransferRunSpec
from smbferry_api.served import read_spec, read_status
from smbferry_api.snapshot import VARIABLE, identities_of, read_snapshot, text_in

_log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)


def parse_spec(model: type[Model], spec: Any, what: str) -> Model:
    """Parses a spec; unknown fields are ignored.

    Raises:
        AgentError: SpecInvalid, with the invalid fields.
    """
    try:
        return read_spec(model, spec)
    except ValidationError as error:
        raise AgentError(SPEC_INVALID, f"{what}: {explain(error, 'spec', model)}.") from None


def identity_subject(manifest: dict[str, Any], side: Side, scratch: Path) -> IdentitySubject:
    """The subject of a KerberosIdentity, with the mounts of this pod.

    Args:
        scratch: the folder for tickets, in which the side gets one of its own.

    Raises:
        AgentError: SpecInvalid.
    """
    previous = previous_status(KerberosIdentityStatus, manifest)
    requested = (manifest["metadata"].get("annotations") or {}).get(ANNOTATION_REQUESTED_AT)
    return IdentitySubject(
        spec=parse_spec(KerberosIdentitySpec, manifest.get("spec"), f"KerberosIdentity {manifest['metadata']['name']}"),
        generation=int(manifest["metadata"].get("generation", 0)),
        mount=IdentityMount.of(side),
        scratch=scratch / side.value,
        previous=previous,
        requested=requested not in {None, previous.last_handled_request},
    )


def location_subject(manifest: dict[str, Any], identity: IdentitySubject | AgentError) -> LocationSubject:
    """The subject of an SmbLocation.

    Raises:
        AgentError: SpecInvalid.
    """
    return LocationSubject(
        spec=parse_spec(SmbLocationSpec, manifest.get("spec"), f"SmbLocation {manifest['metadata']['name']}"),
        generation=int(manifest["metadata"].get("generation", 0)),
        identity=identity,
        previous=previous_status(SmbLocationStatus, manifest),
    )


def run_spec(manifest: dict[str, Any]) -> TransferRunSpec:
    """A TransferRun's spec.

    Raises:
        AgentError: SpecInvalid.
    """
    return parse_spec(TransferRunSpec, manifest.get("spec"), f"TransferRun {manifest['metadata']['name']}")


def recorded_task(environment: Mapping[str, str]) -> ResolvedTask:
    """The snapshot of the task, which the operator wrote into this agent's Job.

    It must have the identities that the Job names: the Secrets that this pod mounts were compared with those.

    Raises:
        AgentError: SpecInvalid.
    """
    text = text_in(environment)
    if not text:
        raise AgentError(SPEC_INVALID, f"Expected the snapshot of the task in {VARIABLE}, got no such variable.")
    try:
        task = read_snapshot(text)
    except ValueError as error:
        raise AgentError(SPEC_INVALID, f"Expected the snapshot of the task in {VARIABLE}: {error}") from None
    for name, identity in identities_of(task).items():
        if (named := environment.get(name)) != identity:
            raise AgentError(
                SPEC_INVALID, f"Expected the identity {identity!r} of the snapshot in {name}, got {named!r}."
            )
    return task


def previous_status(model: type[Model], manifest: dict[str, Any]) -> Model:
    """The current status; an unreadable field counts as missing."""
    status, problem = read_status(model, manifest.get("status") or {})
    if problem:
        _log.warning("ignored unreadable fields of the status", extra=fields(detail=problem))
    return status
