"""How often an account is asked with a wrong key, counted at the KDC: whatever follows whatever, twice at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from tests.interop.agent.support import default_config

from smbferry_agent.errors import AgentError
from smbferry_api.agent_contract import Side

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain, User
    from lab.support.stubs.counting_kdc import CountingKdc
    from tests.interop.agent.scene import Scene
    from tests.interop.agent.support import Identity


@pytest.fixture
def proven(identity: Identity, domain: Domain, user: User, counted: CountingKdc) -> Identity:
    """An identity with two key versions that passed its check; then the account's password was changed."""
    old = keytabs.parse(user.keytab())
    domain.set_password(user.name)
    identity.keytab(keytabs.write([*old, *keytabs.parse(user.keytab())])).config(default_config(domain, counted.kdc))
    assert identity.check().failure is None
    domain.set_password(user.name)
    counted.proofs = 0
    return identity


def test_a_location_that_finds_the_key_stale_and_the_identitys_check_spend_two_wrong_keys_together(
    proven: Identity, counted: CountingKdc
) -> None:
    assert proven.check_location().reason("TicketAcquired") == "KeytabStale"
    assert counted.proofs == 1
    assert proven.check().reason("KvnoMismatch") == "KeytabStale"
    assert counted.proofs == 2

    for _ in range(3):  # from here on the identity's status tells everybody
        assert proven.check_location().reason("TicketAcquired") == "KeytabStale"
        assert proven.check().reason("TicketAcquired") == "KeytabStale"
    assert counted.proofs == 2

    proven.check(datetime.now(UTC) + timedelta(hours=2))
    assert counted.proofs == 3, "another interval, another try"


def test_a_run_and_all_that_follow_it_spend_two_wrong_keys_together(
    proven: Identity, counted: CountingKdc, scene: Scene
) -> None:
    scene.identities[Side.SOURCE] = proven
    for _ in range(3):
        assert stale(scene)
        proven.check()
    assert proven.check_location().reason("TicketAcquired") == "KeytabStale"
    assert counted.proofs == 2


def stale(scene: Scene) -> bool:
    with pytest.raises(AgentError) as raised:
        scene.run()
    return raised.value.reason.name == "KeytabStale"


def test_a_keytab_that_never_worked_is_tried_twice_and_then_by_nobody(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    stale = []
    for _ in range(3):
        stale += keytabs.parse(user.keytab())
        domain.set_password(user.name)
    identity.keytab(keytabs.write(stale)).config(default_config(domain, counted.kdc))
    for _ in range(3):
        identity.check()
        assert identity.check_location().reason("TicketAcquired") == "KeytabStale"
    assert counted.proofs == 2


def test_an_older_key_that_works_costs_one_wrong_key_and_no_more(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    now = keytabs.parse(user.keytab())
    ahead = keytabs.parse(domain.make_keytab(user.principal, "a password that is to come", kvno=now[0].kvno + 1))
    identity.keytab(keytabs.write([*now, *ahead])).config(default_config(domain, counted.kdc))
    assert identity.check().reason("KvnoMismatch") == "KeytabAhead"
    assert counted.proofs == 2, "a wrong key and a right one"
    for _ in range(2):
        checked = identity.check()
        assert checked.reason("KvnoMismatch") == "KeytabAhead"
        assert checked.failure is None
    assert counted.proofs == 4, "only the right one"
