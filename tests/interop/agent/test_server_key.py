"""A server whose key is another than its ticket's: asked once more with a ticket issued now, and no more often."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.mit import REALM
from lab.support.stubs.counting_kdc import CountingKdc
from tests.interop.agent.support import default_config

from smbferry_agent.kerberos.facts import Ticket
from smbferry_agent.preflight.identity_probe import checked_identity
from smbferry_agent.preflight.location_probe import endpoint
from smbferry_api.location import SmbLocationSpec
from smbferry_engine import EngineError, probe_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.mit import MitRealms
    from tests.interop.agent.support import Identity

    from smbferry_engine import Endpoint


@contextmanager
def side_with_a_ticket(identity: Identity, service: str) -> Iterator[Endpoint]:
    """The share as a run holds it: with a ticket for the service, got at the run's beginning."""
    domain = identity.domain
    spec = SmbLocationSpec.model_validate(
        {"server": domain.server, "share": "src", "identityRef": {"name": "it"}, "servicePrincipal": service}
    )
    with checked_identity(identity.subject(), datetime.now(UTC)) as checked:
        assert checked.session is not None
        assert isinstance(checked.session.service_ticket(service), Ticket)
        yield endpoint(spec, "/", (domain.address,), checked.session)


@pytest.mark.verdict("Server's key outdated: AP_ERR_MODIFIED, AP_ERR_BADKEYVER")
def test_a_ticket_of_a_wrong_key_is_named_after_the_second_and_gives_way_to_a_new_one_as_soon_as_that_is_right(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    service = f"cifs/{user.name}.corp.example.com"
    server = domain.server.partition(".")[0].upper() + "$"
    domain.modify(user.name, "add: servicePrincipalName", f"servicePrincipalName: {service}")
    checked = identity.config(default_config(domain, counted.kdc)).check_location(servicePrincipal=service)
    assert checked.reason("Encrypted") == "ServerKeyMismatch"
    assert (counted.proofs, counted.ticket_requests) == (1, 2), "the key once, the server's ticket twice"

    with side_with_a_ticket(identity, service) as side:
        assert counted.ticket_requests == 3
        domain.modify(user.name, "delete: servicePrincipalName", f"servicePrincipalName: {service}")
        with spn(domain, server, service):
            for _ in range(2):
                assert probe_share(side, deadline_seconds=10).evidence.cipher
    assert counted.ticket_requests == 4, "one more, which then serves every connection"
    assert counted.proofs == 2


@contextmanager
def spn(domain: Domain, account: str, service: str) -> Iterator[None]:
    """The account holds the service principal for a while."""
    domain.modify(account, "add: servicePrincipalName", f"servicePrincipalName: {service}")
    try:
        yield
    finally:
        domain.modify(account, "delete: servicePrincipalName", f"servicePrincipalName: {service}")


@pytest.mark.verdict("Server's key outdated: AP_ERR_MODIFIED, AP_ERR_BADKEYVER")
def test_a_server_that_was_given_a_new_key_during_a_run_is_reached_again(
    mit_identity: Identity, mit: MitRealms
) -> None:
    service = f"cifs/{mit.server}"
    mit_identity.address_rule = lambda _address: None
    counter = CountingKdc(mit)
    mit_identity.config(default_config(mit, counter.kdc))
    with counter.running(), side_with_a_ticket(mit_identity, service) as side:
        probe_share(side, deadline_seconds=10)
        asked = counter.ticket_requests
        old = mit.export_keytab(f"{service}@{REALM}")
        mit.kadmin("change_password", "-randkey", service)
        mit.give_server_keys(mit.export_keytab(f"{service}@{REALM}"))
        probe_share(side, deadline_seconds=10)
        assert counter.ticket_requests == asked + 1
        with mit.server_keytab(old), pytest.raises(EngineError) as raised:  # no ticket is for that one any more
            probe_share(side, deadline_seconds=10)
    assert raised.value.reason == "ServerKeyMismatch"
    assert counter.ticket_requests == asked + 2
