"""The same verdicts against another KDC: MIT's, with a Samba file server that is a member of no domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.support.domain.mit import AHEAD_PORT, REALM, config
from lab.support.domain.trees import Wanted
from lab.support.stubs.counting_kdc import CountingKdc
from lab.support.verdicts import IDENTITY_IS_WELL, LOCATION_IS_WELL
from tests.interop.agent.scene import Scene
from tests.interop.agent.support import Identity, check_at, default_config

from smbferry_api.agent_contract import Side
from smbferry_api.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.support.domain.domain import User
    from lab.support.domain.mit import MitRealms

pytestmark = pytest.mark.takes(30)


# --- the identity ---------------------------------------------------------------------------------------------------


def test_a_healthy_identity_passes_every_check(mit_identity: Identity, mit: MitRealms, mit_user: User) -> None:
    checked = mit_identity.check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert checked.status["kdc"]["kvno"] == mit.kvno(mit_user.name)
    assert checked.status["kdc"]["enctypes"] == ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"]
    assert abs(float(checked.status["kdc"]["clockOffset"].split("s")[0])) < 2


def test_kdcs_are_found_by_srv_records(mit_identity: Identity, mit: MitRealms) -> None:
    mit_identity.config(f"[libdefaults]\n default_realm = {REALM}\n").nameservers = (mit.address,)
    checked = mit_identity.check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert checked.status["kdc"]["source"] == "SRV"


def test_the_newer_enctypes_work_from_the_keytab_on(mit_identity: Identity, mit_user: User) -> None:
    mit_identity.permitted = ("aes256-cts-hmac-sha384-192",)
    checked = mit_identity.keytab(mit_user.keytab(enctypes=[keytabs.AES256_SHA384])).check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert checked.status["kdc"]["enctypes"] == ["aes256-cts-hmac-sha384-192"]


@pytest.mark.fault(14)
@pytest.mark.verdict("Keytab stale: the password was changed")
def test_a_password_change_makes_the_keytab_stale_and_a_new_keytab_mends_it(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    before = mit.kvno(mit_user.name)
    mit.set_password(mit_user.name)
    checked = mit_identity.check()
    assert checked.reason("KvnoMismatch") == checked.reason("TicketAcquired") == "KeytabStale"
    assert f"key version {before} " in checked.message("KvnoMismatch")
    assert checked.failure is not None
    assert checked.failure.exit_code == 11
    fixed = mit_identity.keytab(mit_user.keytab()).check()
    assert fixed.statuses() == IDENTITY_IS_WELL
    assert fixed.status["kdc"]["kvno"] == before + 1


@pytest.mark.verdict("Keytab stale, account without pre-authentication")
def test_a_stale_keytab_is_named_where_the_kdc_asks_for_no_proof_too(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    mit.modify_principal(mit_user.name, "-requires_preauth")
    assert mit_identity.check().statuses() == IDENTITY_IS_WELL
    mit.set_password(mit_user.name)
    checked = mit_identity.check()
    assert checked.reason("KvnoMismatch") == checked.reason("TicketAcquired") == "KeytabStale"
    assert "The keytab's key version 1" in checked.message("KvnoMismatch")


def test_an_account_that_may_be_no_service_keeps_its_key_version_to_itself(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    mit.modify_principal(mit_user.name, "-allow_svr")
    checked = mit_identity.check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert "kvno" not in checked.status["kdc"]
    assert "works; the KDC does not report its own version" in checked.message("KvnoMismatch")


@pytest.mark.verdict("Keytab ahead of the KDC")
def test_a_keytab_ahead_of_the_kdc_still_works_and_says_so(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    now = keytabs.parse(mit_user.keytab())
    ahead = keytabs.parse(mit.make_keytab(mit_user.principal, "a password that is to come", kvno=now[0].kvno + 1))
    checked = mit_identity.keytab(keytabs.write([*now, *ahead])).check()
    assert checked.reason("KvnoMismatch") == "KeytabAhead"
    assert checked.failure is None


@pytest.mark.verdict("Correct key with a wrong version number")
def test_a_right_key_under_a_wrong_number_is_named(mit_identity: Identity, mit: MitRealms, mit_user: User) -> None:
    number = mit.kvno(mit_user.name) + 7
    made = mit.make_keytab(mit_user.principal, mit_user.password, kvno=number)
    checked = mit_identity.keytab(made).check()
    assert checked.reason("KvnoMismatch") == "KvnoNumberWrong"
    assert f"version {number}, the KDC as version {number - 7}" in checked.message("KvnoMismatch")


@pytest.mark.verdict("Account without AES keys")
def test_an_account_without_a_key_of_a_permitted_enctype(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    mit.kadmin("change_password", "-e", "aes128-cts-hmac-sha1-96:normal", "-pw", mit_user.password, mit_user.name)
    mit_identity.permitted = ("aes256-cts-hmac-sha1-96",)
    made = mit.make_keytab(mit_user.principal, mit_user.password, kvno=2, enctypes=[keytabs.AES256_SHA1])
    checked = mit_identity.keytab(made).check()
    assert checked.reason("TicketAcquired") == "EnctypeRefused"
    assert checked.failure is not None
    assert checked.failure.exit_code == 12


@pytest.mark.verdict("Principal unknown")
def test_a_principal_that_the_kdc_does_not_have(mit_identity: Identity, mit: MitRealms) -> None:
    mit_identity.principal = f"nobody@{REALM}"
    checked = mit_identity.keytab(mit.make_keytab(mit_identity.principal, "secret", kvno=1)).check()
    assert checked.reason("TicketAcquired") == "PrincipalUnknown"


@pytest.mark.verdict("Account expired", "Password expired")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-allow_tix",), "AccountRevoked"),
        (("-expire", "yesterday"), "AccountExpired"),
        (("-pwexpire", "yesterday"), "PasswordExpired"),
    ],
)
def test_an_account_that_gets_no_tickets_is_named_and_seen_as_soon_as_it_is_mended(
    mit_identity: Identity, mit: MitRealms, mit_user: User, options: tuple[str, ...], reason: str
) -> None:
    mit.modify_principal(mit_user.name, *options)
    checked = mit_identity.check()
    assert checked.reason("TicketAcquired") == reason
    assert checked.statuses()["KvnoMismatch"] == "Unknown"
    assert checked.failure is not None
    assert checked.failure.exit_code == 11
    mit.modify_principal(mit_user.name, "+allow_tix", "-expire", "never", "-pwexpire", "never")
    assert mit_identity.check().statuses() == IDENTITY_IS_WELL


def test_checks_of_a_stale_keytab_do_not_lock_an_account_that_three_wrong_keys_lock(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    mit.kadmin("addpol", "-maxfailure", "3", "-lockoutduration", "1h", mit_user.name)
    mit.modify_principal(mit_user.name, "-policy", mit_user.name)
    stale = []
    for _ in range(4):
        stale += keytabs.parse(mit_user.keytab())
        mit.set_password(mit_user.name)
    mit_identity.address_rule = lambda _address: None
    counted = CountingKdc(mit)
    mit_identity.keytab(keytabs.write(stale)).config(default_config(mit, counted.kdc))
    with counted.running():
        for _ in range(4):
            assert mit_identity.check().reason("KvnoMismatch") == "KeytabStale"
            assert mit_identity.check_location().reason("TicketAcquired") == "KeytabStale"
    assert counted.proofs == 2
    assert mit_identity.config(config(mit)).keytab(mit_user.keytab()).check().statuses() == IDENTITY_IS_WELL, (
        "not locked"
    )


@pytest.mark.verdict("Account locked or disabled, but the KDC does not say which")
def test_a_locked_account_is_named(mit_identity: Identity, mit: MitRealms, mit_user: User) -> None:
    mit.kadmin("addpol", "-maxfailure", "1", "-lockoutduration", "1h", mit_user.name)
    mit.modify_principal(mit_user.name, "-policy", mit_user.name)
    right = mit_user.keytab()
    mit_identity.keytab(mit.make_keytab(mit_user.principal, "wrong", kvno=1)).check()
    checked = mit_identity.keytab(right).check()
    assert checked.reason("TicketAcquired") == "AccountRevoked"
    mit.modify_principal(mit_user.name, "-unlock")
    assert mit_identity.check().statuses() == IDENTITY_IS_WELL


@pytest.mark.fault(11)
@pytest.mark.verdict("Clock ahead or behind")
@pytest.mark.parametrize("setting", ["kdc_timesync = 1", "kdc_timesync = 0"])
@pytest.mark.parametrize("minutes", [6, -6])
def test_a_clock_beyond_the_tolerance_is_named_with_its_signed_offset(
    mit_identity: Identity, mit: MitRealms, minutes: int, setting: str
) -> None:
    mit_identity.config(default_config(mit).replace("[realms]", f"    {setting}\n[realms]"))
    checked = check_at(mit_identity, f"{minutes:+d}m")
    assert checked.reason("TimeInSync") == "ClockSkew"
    assert abs(float(checked.status["kdc"]["clockOffset"].split("s")[0]) + minutes * 60) < 2
    assert checked.reason("KvnoMismatch") == "KvnoMatches"


@pytest.mark.verdict("KDC that ignores requests for a realm that it does not serve")
def test_a_realm_that_the_kdc_does_not_serve(mit_identity: Identity, mit: MitRealms) -> None:
    mit_identity.config(default_config(mit).replace(f"    {REALM} = {{", "    OTHER.EXAMPLE.COM = {"))
    mit_identity.principal = "someone@OTHER.EXAMPLE.COM"
    checked = mit_identity.keytab(mit.make_keytab(mit_identity.principal, "secret", kvno=1)).check()
    assert checked.reason("KdcReachable") == "KdcUnreachable"
    assert "as some do for a realm that they do not serve" in checked.message("KdcReachable")


# --- the location ---------------------------------------------------------------------------------------------------


def test_a_healthy_location_passes_every_check(mit_identity: Identity, mit: MitRealms) -> None:
    checked = mit_identity.check_location()
    assert checked.statuses() == LOCATION_IS_WELL
    assert checked.reason("DnsReady") == "Resolved"
    assert checked.reason("ServerReachable") == "Reachable"
    server = checked.status["server"]
    assert (server["addresses"], server["dialect"]) == ([mit.address], "3.1.1")
    assert server["cipher"] in {"AES-256-GCM", "AES-128-GCM"}


@pytest.mark.fault(13)
@pytest.mark.verdict("Reverse record names another host")
def test_a_reverse_record_that_names_another_host_is_a_warning(mit_identity: Identity, mit: MitRealms) -> None:
    checked = mit_identity.check_location(server="alias.example.org", servicePrincipal=f"cifs/{mit.server}")
    assert checked.statuses() == LOCATION_IS_WELL
    assert checked.reason("DnsReady") == "ReverseRecordWrong"
    assert mit.server in checked.message("DnsReady")
    assert checked.failure is None


@pytest.mark.verdict("Server unreachable")
def test_a_server_at_an_address_where_no_host_is(mit_identity: Identity, mit: MitRealms) -> None:
    checked = mit_identity.check_location(server="dead.example.org", servicePrincipal=f"cifs/{mit.server}")
    assert checked.reason("ServerReachable") == "ServerUnreachable"
    assert checked.statuses()["TicketAcquired"] == "True"


@pytest.mark.verdict("Name that resolves to a forbidden address")
def test_a_name_that_leads_back_to_the_agent_itself_is_refused(mit_identity: Identity, mit: MitRealms) -> None:
    checked = mit_identity.check_location(server="here.example.org", servicePrincipal=f"cifs/{mit.server}")
    assert checked.reason("DnsReady") == "SpecInvalid"
    assert "127.0.0.1" in checked.message("DnsReady")
    assert checked.statuses()["ServerReachable"] == "Unknown"


@pytest.mark.verdict("DNS returns an error")
def test_dns_servers_that_answer_neither_yes_nor_no(mit_identity: Identity, mit: MitRealms) -> None:
    checked = mit_identity.check_location(server="files.elsewhere.test", servicePrincipal=f"cifs/{mit.server}")
    assert checked.reason("DnsReady") == "DnsFailed"
    assert mit.address in checked.message("DnsReady")


@pytest.mark.verdict("SPN missing")
def test_a_service_that_the_kdc_does_not_have(mit_identity: Identity, mit: MitRealms) -> None:
    mit.kadmin("addprinc", "-randkey", f"host/other.{REALM.lower()}")
    checked = mit_identity.check_location(servicePrincipal=f"cifs/other.{REALM.lower()}")
    assert checked.reason("TicketAcquired") == "ServicePrincipalUnknown"


@pytest.mark.verdict("Server's key outdated: AP_ERR_MODIFIED, AP_ERR_BADKEYVER")
@pytest.mark.parametrize(("changed", "what"), [(0, "another key"), (8, "another key version")])
def test_a_server_whose_key_is_not_the_kdcs(mit_identity: Identity, mit: MitRealms, changed: int, what: str) -> None:
    service = f"cifs/{mit.server}"
    stale = mit.make_keytab(f"{service}@{REALM}", what, kvno=mit.kvno(service) + changed)
    with mit.server_keytab(stale):
        checked = mit_identity.check_location()
    assert checked.reason("Encrypted") == "ServerKeyMismatch"
    assert checked.failure is not None
    assert checked.failure.exit_code == 11
    assert mit_identity.check_location().statuses() == LOCATION_IS_WELL


@pytest.mark.verdict("Server's clock wrong, session refused")
def test_a_server_whose_own_clock_is_wrong(mit_identity: Identity) -> None:
    checked = mit_identity.check_location(port=AHEAD_PORT)
    assert checked.reason("Encrypted") == "ServerClockSkew"
    assert "the server's clock is +" in checked.message("Encrypted")
    assert checked.statuses()["TicketAcquired"] == "True"
    assert checked.failure is not None
    assert checked.failure.exit_code == 21


@pytest.mark.verdict("Session denied: logon right, hours, account state")
def test_an_account_that_the_server_does_not_know_gets_no_session(mit_identity: Identity, mit: MitRealms) -> None:
    with mit.user(prefix="stranger") as stranger:
        mit_identity.principal = stranger.principal
        checked = mit_identity.keytab(stranger.keytab()).check_location()
    assert checked.reason("Encrypted") == "LogonRefused"
    assert "STATUS_ACCESS_DENIED" in checked.message("Encrypted")
    assert checked.failure is not None
    assert checked.failure.exit_code == 13


@pytest.mark.verdict("Access denied at the share", "Access denied at the folder")
def test_a_share_a_folder_and_nothing_at_all(mit_identity: Identity, mit: MitRealms) -> None:
    assert mit_identity.check_location(share="nonesuch").reason("ShareAccessible") == "ShareNotFound"
    assert mit_identity.check_location(path="/none/such").reason("ShareAccessible") == "PathNotFound"
    assert mit_identity.check_location(share="closed").reason("ShareAccessible") == "ShareAccessDenied"
    with mit.directory("src") as folder:
        mit.run("chmod", "0700", folder.inside)
        checked = mit_identity.check_location(path=folder.path)
    assert checked.reason("ShareAccessible") == "AccessDenied"
    assert folder.name in checked.message("ShareAccessible")


def test_a_stale_keytab_is_named_at_the_location_and_the_server_is_reached_all_the_same(
    mit_identity: Identity, mit: MitRealms, mit_user: User
) -> None:
    mit.set_password(mit_user.name)
    checked = mit_identity.check_location()
    assert checked.reason("TicketAcquired") == "KeytabStale"
    assert checked.statuses()["ServerReachable"] == "True"


# --- a transfer -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mit_scene(mit: MitRealms, mit_user: User, tmp_path: Path) -> Iterator[Scene]:
    with mit.directory("src") as source, mit.directory("dst") as destination:
        identities = {
            side: Identity(tmp_path / side.value, mit, mit_user.principal).config(config(mit)).keytab(mit_user.keytab())
            for side in (Side.SOURCE, Side.DESTINATION)
        }
        source.seed([Wanted("a.txt", text="hello"), Wanted("empty", size=0), Wanted("deep/er/ü.bin", size=3_000_000)])
        yield Scene(source, destination, identities, tmp_path, options={"securityDescriptors": "None"})


def test_a_tree_is_copied_and_the_evidence_tells_the_key_version(
    mit_scene: Scene, mit: MitRealms, mit_user: User
) -> None:
    assert mit_scene.run() is ExitCode.DONE
    ours, theirs = mit_scene.source.tree(), mit_scene.destination.tree()
    assert {path: (e.kind, e.sha256) for path, e in ours.items()} == {
        path: (e.kind, e.sha256) for path, e in theirs.items()
    }
    for evidence in mit_scene.status()["security"].values():
        assert evidence["principal"] == mit_user.principal
        assert evidence["kvno"] == mit.kvno(mit_user.name)
        assert evidence["cipher"].endswith("-GCM")
