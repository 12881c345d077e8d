"""Several realms: a user of one, a file server in another, with a trust between them, by way of a third, or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.support.domain.mit import PARTNER, REALM, REMOTE, config
from lab.support.domain.trees import Wanted
from tests.interop.agent.scene import Scene
from tests.interop.agent.support import Identity, default_config

from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.domain.domain import Domain, User
    from lab.support.domain.mit import MitRealms

IN_PARTNER, IN_REMOTE = f"files.{PARTNER.lower()}", f"files.{REMOTE.lower()}"
CAPATHS = f"[capaths]\n    {REALM} = {{\n        {REMOTE} = {PARTNER}\n    }}\n"


@pytest.fixture
def user_of_one_realm(mit_identity: Identity, mit: MitRealms) -> Identity:
    return mit_identity.config(config(mit))


def test_a_server_of_another_realm_is_reached_by_the_trust(user_of_one_realm: Identity) -> None:
    checked = user_of_one_realm.check_location(server=IN_PARTNER)
    assert checked.failure is None
    assert f"cifs/{IN_PARTNER}@{PARTNER}" in checked.message("TicketAcquired")


def test_the_other_realms_kdc_is_found_by_srv_records_and_the_realm_is_given_with_the_principal(
    user_of_one_realm: Identity, mit: MitRealms
) -> None:
    known = f"[realms]\n {PARTNER} = {{\n }}\n"  # its KDC is not named; only that there is such a realm
    user_of_one_realm.config(f"[libdefaults]\n default_realm = {REALM}\n{known}")
    user_of_one_realm.nameservers = (mit.address,)
    checked = user_of_one_realm.check_location(server=IN_PARTNER, servicePrincipal=f"cifs/{IN_PARTNER}@{PARTNER}")
    assert checked.failure is None
    assert f"@{PARTNER}" in checked.message("TicketAcquired")


@pytest.mark.verdict("No trust between the realms")
def test_a_realm_behind_another_is_reached_where_capaths_names_the_way(
    user_of_one_realm: Identity, mit: MitRealms
) -> None:
    checked = user_of_one_realm.check_location(server=IN_REMOTE)
    assert checked.reason("TicketAcquired") == "TrustMissing"
    assert f"krbtgt/{REMOTE}" in checked.message("TicketAcquired")
    assert checked.failure is not None
    assert checked.failure.exit_code == 10

    checked = user_of_one_realm.config(config(mit, more=CAPATHS)).check_location(server=IN_REMOTE)
    assert checked.failure is None
    assert f"cifs/{IN_REMOTE}@{REMOTE}" in checked.message("TicketAcquired")


@pytest.mark.verdict("No trust between the realms")
def test_a_realm_without_any_trust_is_named(user_of_one_realm: Identity, mit: MitRealms) -> None:
    lonely = f"[realms]\n    LONELY.EXAMPLE.ORG = {{\n        kdc = {mit.address}\n    }}\n"
    text = config(mit, more=f"    .example.org = LONELY.EXAMPLE.ORG\n{lonely}")
    checked = user_of_one_realm.config(text).check_location(server="alias.example.org")
    assert checked.reason("TicketAcquired") == "TrustMissing"
    assert "krbtgt/LONELY.EXAMPLE.ORG" in checked.message("TicketAcquired")


@pytest.mark.verdict("Realm mapping missing")
def test_a_host_that_nothing_maps_to_a_realm_is_named(user_of_one_realm: Identity) -> None:
    checked = user_of_one_realm.check_location(server="alias.example.org")
    assert checked.reason("TicketAcquired") == "RealmMappingMissing"
    assert "maps neither alias.example.org nor its domain" in checked.message("TicketAcquired")
    assert checked.statuses()["ServerReachable"] == "True"


@pytest.mark.verdict("No KDC for the server's realm")
def test_a_realm_without_a_kdc_is_named(user_of_one_realm: Identity, mit: MitRealms) -> None:
    user_of_one_realm.nameservers = (mit.address,)
    text = config(mit, more="    .example.org = NOWHERE.EXAMPLE.ORG\n")
    checked = user_of_one_realm.config(text).check_location(server="alias.example.org")
    # The user's realm has no key for it either, and says so before anybody looks for its KDC.
    assert checked.reason("TicketAcquired") == "TrustMissing"
    trusted = config(mit).replace(f"    {PARTNER} = {{\n        kdc = {mit.address}\n    }}\n", "")
    user_of_one_realm.nameservers = ()
    checked = user_of_one_realm.config(trusted).check_location(server=IN_PARTNER)
    assert checked.reason("TicketAcquired") == "RealmMappingMissing"
    assert f"no KDC of {PARTNER} is known" in checked.message("TicketAcquired")


@pytest.mark.verdict("KDC of the server's realm unreachable")
def test_the_other_realms_kdc_is_down(user_of_one_realm: Identity, mit: MitRealms) -> None:
    blocks = config(mit).split(f"    {PARTNER} = {{")
    text = f"{blocks[0]}    {PARTNER} = {{{blocks[1].replace(mit.address, f'{mit.address}:1', 1)}"
    checked = user_of_one_realm.config(text).check_location(server=IN_PARTNER)
    assert checked.reason("TicketAcquired") == "KdcUnreachable"
    assert PARTNER in checked.message("TicketAcquired")
    assert checked.failure is not None
    assert checked.failure.exit_code == 20


def test_a_tree_is_copied_from_one_realm_to_another(mit: MitRealms, mit_user: User, tmp_path: Path) -> None:
    with mit.directory("src") as source, mit.directory("dst") as destination:
        identities = {
            side: Identity(tmp_path / side.value, mit, mit_user.principal).config(config(mit)).keytab(mit_user.keytab())
            for side in (Side.SOURCE, Side.DESTINATION)
        }
        source.seed([Wanted("a.txt", text="hello"), Wanted("deep/b.bin", size=1_000_000)])
        scene = Scene(source, destination, identities, tmp_path, options={"securityDescriptors": "None"})
        scene.servers[Side.DESTINATION] = IN_PARTNER
        assert scene.run() is ExitCode.DONE
        assert set(destination.tree()) == {"a.txt", "deep", "deep/b.bin"}


# --- Active Directory and MIT ---------------------------------------------------------------------------------------


@pytest.fixture
def user_of_the_domain(domain: Domain, user: User, identity: Identity, mit: MitRealms) -> Iterator[Identity]:
    """A user of Active Directory, whom the MIT realm trusts its domain for."""
    in_realm = f"    .{REALM.lower()} = {REALM}\n[realms]\n    {REALM} = {{\n        kdc = {mit.address}\n    }}\n"
    with mit.trusts(domain, user):
        yield identity.config(default_config(domain) + in_realm)


def test_a_user_of_active_directory_copies_from_its_domain_to_a_server_of_an_mit_realm(
    user_of_the_domain: Identity, domain: Domain, user: User, mit: MitRealms, tmp_path: Path
) -> None:
    checked = user_of_the_domain.check_location(server=mit.server, nameservers=[mit.address])
    assert checked.failure is None
    assert f"cifs/{mit.server}@{REALM}" in checked.message("TicketAcquired")
    with domain.directory("src") as source, mit.directory("dst") as destination:
        source.seed([Wanted("a.txt", text="hello"), Wanted("deep/b.bin", size=1_000_000)])
        identities = {Side.SOURCE: user_of_the_domain, Side.DESTINATION: user_of_the_domain}
        scene = Scene(source, destination, identities, tmp_path, options={"securityDescriptors": "None"})
        assert scene.run() is ExitCode.DONE
        assert set(destination.tree()) == {"a.txt", "deep", "deep/b.bin"}
    assert {side["principal"] for side in scene.status()["security"].values()} == {user.principal}


@pytest.mark.verdict("No trust between the realms")
def test_a_user_of_an_mit_realm_that_the_domain_does_not_know_is_named(
    user_of_one_realm: Identity, domain: Domain, mit: MitRealms
) -> None:
    """The realms share no key for this way: the user's own KDC says so."""
    in_domain = f"    .{domain.realm.lower()} = {domain.realm}\n"
    known = f"[realms]\n    {domain.realm} = {{\n        kdc = {domain.address}\n    }}\n"
    checked = user_of_one_realm.config(config(mit, more=in_domain + known)).check_location(
        server=domain.server, nameservers=[domain.address]
    )
    assert checked.reason("TicketAcquired") == "TrustMissing"
    assert f"krbtgt/{domain.realm}" in checked.message("TicketAcquired")
