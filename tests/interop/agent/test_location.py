"""Locations on the real file servers: what is found of names, tickets, encryption, share and folder."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from lab.support.domain.file_server import FileServer
from lab.support.verdicts import LOCATION_IS_WELL

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain, User
    from tests.interop.agent.support import Identity

pytestmark = pytest.mark.takes(15)


def test_a_healthy_location_passes_every_check(identity: Identity, domain: Domain) -> None:
    checked = identity.check_location()
    assert checked.failure is None
    assert checked.statuses() == LOCATION_IS_WELL
    server = checked.status["server"]
    assert server["addresses"] == [domain.address]
    assert server["dialect"] == "3.1.1"
    # Samba's is made of its NetBIOS name (source3/smbd/smb2_negprot.c).
    assert UUID(server["guid"]).bytes_le == domain.server.partition(".")[0].encode().ljust(16, b"\0")
    assert server["cipher"] in {"AES-256-GCM", "AES-128-GCM"}
    assert server["encryptionRequiredByShare"] is True
    assert abs(float(server["clockOffset"].rstrip("s"))) < 2
    assert checked.status["space"]["totalBytes"] > checked.status["space"]["freeBytes"] > 0
    assert checked.status["identityGeneration"] == 1
    assert f"cifs/{domain.server}" in checked.message("TicketAcquired")


@pytest.mark.fault(102)
def test_a_short_name_works_where_the_kdc_knows_it(
    identity: Identity, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Active Directory knows every computer: HOST/dc1 covers cifs/dc1. A Pod's search domain is the cluster's."""
    monkeypatch.setenv("LOCALDOMAIN", "default.svc.cluster.local")  # resolv.conf(5); libkrb5 asks the C library
    short = domain.server.partition(".")[0]
    checked = identity.check_location(server=short, nameservers=[])
    assert checked.failure is None, checked.failure
    assert checked.statuses() == LOCATION_IS_WELL
    assert f"cifs/{short}" in checked.message("TicketAcquired")


@pytest.mark.fault(102)
def test_a_short_name_that_the_kdc_does_not_know_lacks_a_mapping(
    identity: Identity, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALDOMAIN", "default.svc.cluster.local")
    checked = identity.check_location(server=domain.server, servicePrincipal="cifs/elsewhere")
    assert checked.reason("TicketAcquired") == "RealmMappingMissing"
    assert "maps neither elsewhere nor its domain" in checked.message("TicketAcquired")


@pytest.mark.verdict("Share missing")
def test_an_unknown_share(identity: Identity) -> None:
    checked = identity.check_location(share="nonesuch")
    assert checked.reason("ShareAccessible") == "ShareNotFound"
    assert checked.statuses() == LOCATION_IS_WELL | {"ShareAccessible": "False"}
    assert checked.failure is not None
    assert checked.failure.exit_code == 13


@pytest.mark.verdict("Folder missing")
def test_a_folder_that_is_not_there(identity: Identity) -> None:
    assert identity.check_location(path="/none/such").reason("ShareAccessible") == "PathNotFound"


@pytest.mark.verdict("Access denied at the share")
def test_a_share_that_the_account_may_not_open(identity: Identity) -> None:
    assert identity.check_location(share="dst").reason("ShareAccessible") == "ShareAccessDenied"


@pytest.mark.verdict("Server does not support encryption")
def test_a_server_that_cannot_encrypt(identity: Identity) -> None:
    checked = identity.check_location(port=1445)
    assert checked.reason("Encrypted") == "EncryptionNotSupported"
    assert checked.statuses() == LOCATION_IS_WELL | {"Encrypted": "False", "ShareAccessible": "Unknown"}
    assert checked.failure is not None
    assert checked.failure.exit_code == 12


@pytest.mark.fault(101)
@pytest.mark.verdict("No cipher in common")
def test_a_server_that_has_none_of_the_permitted_ciphers(identity: Identity, domain: Domain) -> None:
    with FileServer(domain, "server smb3 encryption algorithms = AES-128-GCM").running() as server:
        checked = identity.check_location(port=server.port, ciphers=["AES-256-GCM"])
    assert checked.reason("Encrypted") == "CipherNotOffered"
    assert "it offers AES-128-GCM" in checked.message("Encrypted")


@pytest.mark.verdict("SMB1 or SMB2 only")
def test_a_server_with_old_dialects_alone(identity: Identity) -> None:
    checked = identity.check_location(port=1446)
    assert checked.reason("Encrypted") == "DialectRefused"
    assert checked.statuses()["ServerReachable"] == "True"


def test_a_share_that_does_not_demand_encryption_is_encrypted_all_the_same(identity: Identity) -> None:
    checked = identity.check_location(share="plain")
    assert checked.statuses() == LOCATION_IS_WELL
    assert checked.status["server"]["encryptionRequiredByShare"] is False
    assert "does not require encryption" in checked.message("Encrypted")


@pytest.mark.verdict("Name not in DNS")
def test_a_server_that_dns_does_not_know(identity: Identity, domain: Domain) -> None:
    checked = identity.check_location(server="nonesuch.corp.example.com")
    assert checked.reason("DnsReady") == "NameNotFound"
    assert "NXDOMAIN" in checked.message("DnsReady")
    assert domain.address in checked.message("DnsReady")
    assert checked.statuses()["ServerReachable"] == "Unknown"


@pytest.mark.verdict("DNS does not answer")
def test_dns_servers_that_do_not_answer(identity: Identity) -> None:
    checked = identity.check_location(nameservers=["192.0.2.53"])
    assert checked.reason("DnsReady") == "DnsTimeout"


@pytest.mark.verdict("Port closed")
def test_a_port_where_nothing_listens(identity: Identity) -> None:
    checked = identity.check_location(port=4450)
    assert checked.reason("ServerReachable") == "ServerRefused"
    assert checked.statuses()["TicketAcquired"] == "True"


@pytest.mark.verdict("SPN missing")
def test_a_service_principal_that_nobody_holds(identity: Identity) -> None:
    checked = identity.check_location(servicePrincipal="cifs/nonesuch.corp.example.com")
    assert checked.reason("TicketAcquired") == "ServicePrincipalUnknown"
    assert checked.statuses()["ServerReachable"] == "True"


@pytest.mark.fault(16)
@pytest.mark.verdict("Duplicate SPN, reported as unknown by the KDC")
def test_a_service_principal_that_two_accounts_hold_is_named(identity: Identity, domain: Domain) -> None:
    name = "cifs/twice.corp.example.com"
    with domain.user(prefix="twice") as first, domain.user(prefix="twice") as second:
        for holder in (first, second):
            domain.run("sh", "-c", SET_SPN, "sh", holder.name, name)
        checked = identity.check_location(servicePrincipal=name)
    assert checked.reason("TicketAcquired") == "ServicePrincipalUnknown"


@pytest.mark.fault(16)
@pytest.mark.verdict("Duplicate SPN, host account known")
def test_a_name_held_twice_is_told_from_a_missing_one_where_the_host_itself_is_known(
    identity: Identity, domain: Domain
) -> None:
    host = "known-twice.corp.example.com"
    with (
        domain.user(prefix="host") as server,
        domain.user(prefix="twice") as first,
        domain.user(prefix="twice") as second,
    ):
        domain.samba_tool("spn", "add", f"HOST/{host}", server.name)
        covered = identity.check_location(servicePrincipal=f"cifs/{host}")
        assert covered.statuses()["TicketAcquired"] == "True", "HOST/ covers it"
        for holder in (first, second):
            domain.run("sh", "-c", SET_SPN, "sh", holder.name, f"cifs/{host}")
        checked = identity.check_location(servicePrincipal=f"cifs/{host}")
    assert checked.reason("TicketAcquired") == "ServicePrincipalDuplicate"
    assert f"HOST/{host} exists" in checked.message("TicketAcquired")
    assert checked.failure is not None
    assert checked.failure.exit_code == 11


@pytest.mark.verdict("Access denied at the folder")
def test_a_folder_that_the_account_may_not_open_in_a_share_that_it_may(identity: Identity, domain: Domain) -> None:
    with domain.directory("src") as folder:
        domain.run("chmod", "0700", folder.inside)
        checked = identity.check_location(path=folder.path)
    assert checked.reason("ShareAccessible") == "AccessDenied"
    assert folder.name in checked.message("ShareAccessible")
    assert checked.failure is not None
    assert checked.failure.exit_code == 13


@pytest.mark.verdict("Server's key outdated: AP_ERR_MODIFIED, AP_ERR_BADKEYVER")
def test_a_server_whose_key_is_not_that_of_the_ticket_is_named(identity: Identity, domain: Domain) -> None:
    with domain.user(prefix="rogue") as rogue:
        name = f"cifs/{rogue.name}.corp.example.com"
        domain.samba_tool("spn", "add", name, rogue.name)
        checked = identity.check_location(servicePrincipal=name)
    assert checked.reason("Encrypted") == "ServerKeyMismatch"
    assert checked.statuses() == LOCATION_IS_WELL | {"Encrypted": "False", "ShareAccessible": "Unknown"}
    assert checked.failure is not None
    assert checked.failure.exit_code == 11


@pytest.mark.verdict("Realm mapping missing")
def test_a_host_of_a_realm_that_nothing_maps_it_to_has_no_service_ticket(identity: Identity) -> None:
    checked = identity.check_location(servicePrincipal="cifs/files.other.example.net")
    assert checked.reason("TicketAcquired") == "RealmMappingMissing"
    assert "maps neither files.other.example.net nor its domain" in checked.message("TicketAcquired")
    assert checked.failure is not None
    assert checked.failure.exit_code == 10


def test_a_stale_keytab_is_named_and_the_server_is_reached_all_the_same(
    identity: Identity, domain: Domain, user: User
) -> None:
    domain.set_password(user.name)
    checked = identity.check_location()
    assert checked.reason("TicketAcquired") == "KeytabStale"
    assert checked.statuses() == LOCATION_IS_WELL | {
        "TicketAcquired": "False",
        "Encrypted": "Unknown",
        "ShareAccessible": "Unknown",
    }


@pytest.mark.verdict("Secret missing")
@pytest.mark.parametrize("missing", ["keytab", "krb5"])
def test_a_missing_secret_or_config_map_is_named_at_the_location_too(identity: Identity, missing: str) -> None:
    for file in (identity.folder / missing).iterdir():
        file.unlink()
    reason = {"keytab": "SecretNotFound", "krb5": "ConfigMapNotFound"}[missing]
    assert identity.check_location().reason("TicketAcquired") == reason


# samba-tool and the directory refuse a name that is held already; the partition's own file below them does not.
SET_SPN = """
database=/var/lib/samba/private/sam.ldb
dn=$(ldbsearch -H $database "(sAMAccountName=$1)" dn | sed -n 's/^dn: //p')
printf 'dn: %s\\nchangetype: modify\\nadd: servicePrincipalName\\nservicePrincipalName: %s\\n' "$dn" "$2" \
  | ldbmodify -H "$database.d/DC=CORP,DC=EXAMPLE,DC=COM.ldb"
"""
