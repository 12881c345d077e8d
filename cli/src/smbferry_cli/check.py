"""Checks identities and locations from files with the agent's own probes and judges."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from smbferry_agent.errors import AgentError
from smbferry_agent.preflight.identity_probe import CheckedIdentity, IdentitySubject, checked_identity
from smbferry_agent.preflight.identity_status import identity_status
from smbferry_agent.preflight.location_judge import judge_location
from smbferry_agent.preflight.location_probe import LocationSubject, probe_location
from smbferry_agent.preflight.location_status import location_status
from smbferry_agent.report.sinks import status_fields
from smbferry_api.identity import KerberosIdentitySpec
from smbferry_api.reasons import IDENTITY_NOT_FOUND
from smbferry_cli.bindings import need_bindings
from smbferry_cli.manifests import ManifestError, Manifests
from smbferry_cli.verdicts import Verdict
from smbferry_cli.workspace import Workspace

Doing = Callable[[str], None]
"""Called with the name of the object that is being checked."""


def check(manifests: Manifests, workspace: Workspace, doing: Doing) -> Iterator[Verdict]:
    """Yields a verdict for each identity and its locations. The key of each identity is tried once.

    Raises:
        ManifestError: there is nothing to check.
        ImportError: libkrb5's bindings cannot be loaded.
    """
    if not manifests.identities and not manifests.locations:
        raise ManifestError("the files contain no KerberosIdentity and no SmbLocation, so there is nothing to check")
    need_bindings()
    for name, spec in manifests.identities.items():
        doing(f"KerberosIdentity {name}")
        yield from _identity(name, spec, manifests, workspace, doing)
    for name, location in manifests.locations.items():
        identity = location.identity_ref.name
        if identity not in manifests.identities:
            doing(f"SmbLocation {name}")
            missing = AgentError(IDENTITY_NOT_FOUND, f"The files contain no KerberosIdentity {identity!r}.")
            yield _location(name, LocationSubject(location, 0, missing))


def _identity(
    name: str, spec: KerberosIdentitySpec, manifests: Manifests, workspace: Workspace, doing: Doing
) -> Iterator[Verdict]:
    subject = IdentitySubject(
        spec=spec,
        generation=0,
        mount=workspace.mount(spec, manifests),
        scratch=workspace.folder / "tickets",
    )
    now = datetime.now(UTC)
    with checked_identity(subject, now) as checked:
        status = identity_status(subject, checked.facts, checked.findings, now)
        yield Verdict("KerberosIdentity", name, checked.findings, status.conditions, status_fields(status))
        yield from _locations_of(name, subject, checked, manifests, doing)


def _locations_of(
    identity: str, subject: IdentitySubject, checked: CheckedIdentity, manifests: Manifests, doing: Doing
) -> Iterator[Verdict]:
    for name, location in manifests.locations.items():
        if location.identity_ref.name == identity:
            doing(f"SmbLocation {name}")
            yield _location(name, LocationSubject(location, 0, subject, checked=checked))


def _location(name: str, subject: LocationSubject) -> Verdict:
    now = datetime.now(UTC)
    facts = probe_location(subject, now)
    findings = judge_location(subject.spec, facts)
    status = location_status(subject, facts, findings, now)
    return Verdict("SmbLocation", name, findings, status.conditions, status_fields(status))
