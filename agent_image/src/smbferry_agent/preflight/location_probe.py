"""Collects the facts of a location: names, tickets, and the share. Contains all IO of the check."""

import socket
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smbferry_agent.engine_errors import convert
from smbferry_agent.errors import AgentError
from smbferry_agent.kerberos.facts import TicketRefusal
from smbferry_agent.kerberos.session import KerberosSession
from smbferry_agent.preflight.findings import error_of, first_failure
from smbferry_agent.preflight.identity_probe import CheckedIdentity, IdentitySubject, checked_identity
from smbferry_agent.preflight.location_facts import LocationFacts, ServerNames
from smbferry_agent.preflight.server_names import locator, look_up_server
from smbferry_agent.resolve import Resolver
from smbferry_api.location import SmbLocationSpec, SmbLocationStatus
from smbferry_api.reasons import SERVER_REFUSED, SERVER_UNREACHABLE
from smbferry_engine import Endpoint, EngineError, Locate, ShareFacts, probe_share

_PROBE_DEADLINE: Final = 10.0
_CONNECT_TIMEOUT: Final = 3.0


@dataclass(frozen=True, slots=True)
class LocationSubject:
    """A location to check.

    Attributes:
        identity: its identity, or the error if that does not exist.
        checked: the identity if the caller has already checked it and its tickets exist: no second check is made.
    """

    spec: SmbLocationSpec
    generation: int
    identity: IdentitySubject | AgentError
    previous: SmbLocationStatus | None = None
    checked: CheckedIdentity | None = None


def probe_location(subject: LocationSubject, now: datetime) -> LocationFacts:
    """Collects all available facts."""
    resolver = Resolver(subject.spec.nameservers)
    names = look_up_server(resolver, subject.spec.server, with_reverse=True)
    if isinstance(subject.identity, AgentError):
        return _without_ticket(subject.spec, names, identity=subject.identity)
    with nullcontext(subject.checked) if subject.checked else checked_identity(subject.identity, now) as checked:
        failure = first_failure(checked.findings)
        if failure or checked.session is None:
            return _without_ticket(subject.spec, names, identity=error_of(failure) if failure else None)
        ticket = checked.session.service_ticket(subject.spec.target)
        if isinstance(ticket, TicketRefusal):
            return _without_ticket(subject.spec, names, refusal=ticket)
        if not names.addresses:
            return LocationFacts(names, ticket=ticket)
        asked = datetime.now(UTC)
        named = endpoint(subject.spec, subject.spec.path, names.addresses, checked.session)
        share = _probe_share(named, locator(resolver, checked.session))
        kdc_clock = checked.facts.account.clock if checked.facts.account else None
        return LocationFacts(names, ticket=ticket, share=share, connected=True, asked=asked, kdc_clock=kdc_clock)


def endpoint(spec: SmbLocationSpec, path: str, addresses: tuple[str, ...], session: KerberosSession) -> Endpoint:
    """The location as the engine's endpoint, with the session's tickets."""
    return Endpoint(
        server=spec.server.rstrip("."),
        port=spec.port,
        share=spec.share,
        path=path,
        addresses=addresses,
        service_principal=spec.target.partition("@")[0],
        principal=session.principal,
        ccache=session.ccache,
        krb5_config=str(session.krb5_config),
        ciphers=tuple(spec.ciphers),
        dialects=tuple(spec.dialects),
        fresh_ticket=session.fresh_service_ticket,
    )


def _probe_share(named: Endpoint, locate: Locate) -> ShareFacts | AgentError:
    try:
        return probe_share(named, deadline_seconds=_PROBE_DEADLINE, locate=locate)
    except EngineError as error:
        return convert(error)


def _without_ticket(
    spec: SmbLocationSpec,
    names: ServerNames,
    *,
    identity: AgentError | None = None,
    refusal: TicketRefusal | None = None,
) -> LocationFacts:
    """The facts without a ticket: a TCP connection is still tried, so that one check reports as much as possible."""
    share = _try_connect(names.addresses, spec.port) if names.addresses else None
    connected = bool(names.addresses) and share is None
    return LocationFacts(names, identity=identity, ticket=refusal, share=share, connected=connected)


def _try_connect(addresses: Sequence[str], port: int) -> AgentError | None:
    ends: list[str] = []
    refused = True
    for address in addresses:
        try:
            socket.create_connection((address, port), _CONNECT_TIMEOUT).close()
        except OSError as error:
            refused = refused and isinstance(error, ConnectionRefusedError)
            ends.append(f"{address}: {error.strerror or 'no answer in time'}")
        else:
            return None
    reason = SERVER_REFUSED if refused else SERVER_UNREACHABLE
    return AgentError(reason, f"Expected a connection to port {port}, got none: {'; '.join(ends)}.")
