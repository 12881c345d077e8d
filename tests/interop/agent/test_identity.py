"""An identity against the real domain: every verdict that the domain can be brought to give."""

from __future__ import annotations

import base64
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from tests.interop.agent.support import Identity, default_config
from tests.support.verdicts import IDENTITY_IS_WELL

from smbferry_agent.kerberos import relay

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.counting_kdc import CountingKdc
    from tests.support.domain import Domain, User

pytestmark = pytest.mark.takes(20)


def test_a_healthy_identity_passes_every_check(identity: Identity, domain: Domain, user: User) -> None:
    checked = identity.check()
    assert checked.failure is None
    assert checked.statuses() == IDENTITY_IS_WELL
    kdc = checked.status["kdc"]
    assert kdc["kvno"] == domain.kvno(user.name)
    assert kdc["source"] == "krb5.conf"
    assert kdc["enctypes"] == ["aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"]
    assert abs(float(kdc["clockOffset"].split("s")[0])) < 1
    assert checked.status["ticket"]["enctype"] == "aes256-cts-hmac-sha1-96"
    assert checked.status["keytab"]["entries"][0]["principal"] == user.principal


def test_kdcs_are_found_by_srv_records(identity: Identity, domain: Domain) -> None:
    identity.config(f"[libdefaults]\n default_realm = {domain.realm}\n")
    identity.nameservers = (domain.address,)
    checked = identity.check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert checked.status["kdc"]["source"] == "SRV"
    assert f"_kerberos._tcp.{domain.realm}" in checked.message("DnsReady")


def test_a_password_change_makes_the_keytab_stale_and_a_new_keytab_mends_it(
    identity: Identity, domain: Domain, user: User
) -> None:
    before = domain.kvno(user.name)
    domain.set_password(user.name)
    checked = identity.check()
    assert checked.statuses()["KvnoMismatch"] == "True"
    assert checked.reason("KvnoMismatch") == "KeytabStale"
    assert f"key version {before} " in checked.message("KvnoMismatch")
    assert "Export a new keytab" in checked.message("KvnoMismatch")
    assert checked.reason("TicketAcquired") == "KeytabStale"
    assert checked.failure is not None
    assert checked.failure.exit_code == 11

    identity.keytab(user.keytab())
    mended = identity.check()
    assert mended.statuses() == IDENTITY_IS_WELL
    assert mended.status["kdc"]["kvno"] == before + 1
    assert f"key version {before + 1} " in mended.message("KvnoMismatch")


def test_a_refused_key_is_not_tried_again_until_the_interval_is_over(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    domain.set_password(user.name)
    identity.config(default_config(domain, counted.kdc))
    first = identity.check()
    assert counted.proofs == 1
    again = identity.check()
    assert counted.proofs == 1
    assert again.reason("KvnoMismatch") == "KeytabStale"
    assert "not tried again before" in again.message("KvnoMismatch")
    assert again.status["lastKeyUseTime"] == first.status["lastKeyUseTime"]
    assert again.statuses()["KdcReachable"] == "True"
    third = identity.check()
    assert third.message("KvnoMismatch") == again.message("KvnoMismatch")

    identity.check(datetime.now(UTC) + timedelta(hours=2))
    assert counted.proofs == 2

    identity.requested = True
    assert "not tried again" not in identity.check().message("KvnoMismatch")
    assert counted.proofs == 3


def test_a_keytab_with_many_stale_versions_costs_two_wrong_keys_at_most(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    identity.config(default_config(domain, counted.kdc))
    stale = []
    for _ in range(4):
        stale += keytabs.parse(user.keytab())
        domain.set_password(user.name)
    checked = identity.keytab(keytabs.write(stale)).check()
    assert checked.reason("KvnoMismatch") == "KeytabStale"
    assert "2 older ones were not tried" in checked.message("KvnoMismatch")
    assert counted.proofs == relay.MAX_REFUSED_KEYS == 2


def test_a_keytab_ahead_of_the_kdc_still_works_and_says_so(identity: Identity, domain: Domain, user: User) -> None:
    now = keytabs.parse(user.keytab())
    ahead = keytabs.parse(domain.make_keytab(user.principal, "a password that is to come", kvno=now[0].kvno + 1))
    checked = identity.keytab(keytabs.write([*now, *ahead])).check()
    assert checked.reason("KvnoMismatch") == "KeytabAhead"
    assert checked.statuses()["TicketAcquired"] == "True"
    assert checked.failure is None


def test_a_right_key_under_a_wrong_number_is_named(identity: Identity, domain: Domain, user: User) -> None:
    number = domain.kvno(user.name) + 7
    checked = identity.keytab(domain.make_keytab(user.principal, user.password, kvno=number)).check()
    assert checked.reason("KvnoMismatch") == "KvnoNumberWrong"
    assert f"version {number}" in checked.message("KvnoMismatch")
    assert checked.failure is None


def test_an_account_that_is_disabled_is_named_and_seen_as_soon_as_it_is_enabled(
    identity: Identity, domain: Domain, user: User
) -> None:
    domain.samba_tool("user", "disable", user.name)
    checked = identity.check()
    assert checked.reason("TicketAcquired") == "AccountDisabled"
    assert checked.statuses()["KvnoMismatch"] == "Unknown"
    domain.samba_tool("user", "enable", user.name)
    assert identity.check().statuses() == IDENTITY_IS_WELL


def test_a_password_that_must_be_changed_is_named(identity: Identity, domain: Domain, user: User) -> None:
    domain.samba_tool(
        "user", "setpassword", user.name, f"--newpassword={user.password}x", "--must-change-at-next-login"
    )
    checked = identity.keytab(user.keytab()).check()
    assert checked.reason("TicketAcquired") == "PasswordExpired"
    assert checked.statuses()["KvnoMismatch"] == "Unknown"


def test_an_account_that_has_expired_is_named(identity: Identity, domain: Domain, user: User) -> None:
    domain.samba_tool("user", "setexpiry", user.name, "--days=-2")
    assert identity.check().reason("TicketAcquired") == "AccountExpired"


def test_an_account_that_may_log_on_at_no_hour_of_the_week_is_named(
    identity: Identity, domain: Domain, user: User
) -> None:
    domain.modify(user.name, "replace: logonHours", "logonHours:: " + base64.b64encode(bytes(21)).decode())
    checked = identity.check()
    assert checked.reason("TicketAcquired") == "LogonRestricted"
    assert "0xC000006F" in checked.message("TicketAcquired")


def test_a_locked_account_is_told_from_none_but_disabled_and_expired_as_samba_says_no_more(
    identity: Identity, domain: Domain, user: User
) -> None:
    since_1601 = int((time.time() + 11_644_473_600) * 10_000_000)
    domain.modify(user.name, "replace: lockoutTime", f"lockoutTime: {since_1601}")
    assert identity.check().reason("TicketAcquired") == "AccountRevoked"


def test_a_key_with_the_salt_of_a_new_name_is_named_until_the_password_is_set_anew(
    identity: Identity, domain: Domain, user: User
) -> None:
    name = f"{user.name}-new"
    domain.rename(user.name, name)
    try:
        identity.principal = f"{name}@{domain.realm}"
        made = domain.make_keytab(identity.principal, user.password, kvno=domain.kvno(name))
        checked = identity.keytab(made).check()
        assert checked.reason("KvnoMismatch") == checked.reason("TicketAcquired") == "SaltMismatch"
        assert f"'{domain.realm}{user.name}'" in checked.message("KvnoMismatch")
        assert checked.failure is not None
        assert checked.failure.exit_code == 11

        right = domain.make_keytab(
            identity.principal, user.password, kvno=domain.kvno(name), salt=domain.realm + user.name
        )
        identity.requested = True  # made within the same second, it has the same entries
        assert identity.keytab(right).check().statuses() == IDENTITY_IS_WELL

        password = domain.set_password(name)
        assert identity.check().reason("KvnoMismatch") == "KeytabStale"
        made = domain.make_keytab(identity.principal, password, kvno=domain.kvno(name))
        assert identity.keytab(made).check().statuses() == IDENTITY_IS_WELL
    finally:
        domain.rename(name, user.name)


def test_a_keytab_that_grows_old_is_warned_of_and_the_identity_stays_ready(identity: Identity) -> None:
    identity.rotation = {"maxAge": "1h"}
    assert identity.check().reason("KeytabValid") == "KeytabUsable"
    aging = identity.check(datetime.now(UTC) + timedelta(minutes=55))
    assert aging.reason("KeytabValid") == "KeytabAging"
    assert aging.statuses() == IDENTITY_IS_WELL
    assert aging.failure is None


def test_the_principal_in_another_case_is_found_before_the_kdc_is_asked(identity: Identity, user: User) -> None:
    identity.principal = user.principal.replace("agent", "Agent")
    checked = identity.check()
    assert checked.reason("KeytabValid") == "PrincipalCaseMismatch"
    assert user.principal in checked.message("KeytabValid")
    assert "KeytabValid failed: PrincipalCaseMismatch" in checked.message("TicketAcquired")


def test_an_account_that_the_domain_does_not_have(identity: Identity, domain: Domain) -> None:
    identity.principal = f"nobody@{domain.realm}"
    checked = identity.keytab(domain.make_keytab(identity.principal, "secret", kvno=1)).check()
    assert checked.reason("TicketAcquired") == "PrincipalUnknown"
    assert checked.statuses()["KeytabValid"] == "True"


def test_a_keytab_without_the_principal_lists_those_that_it_has(identity: Identity, domain: Domain, user: User) -> None:
    identity.principal = f"svc-src@{domain.realm}"
    checked = identity.check()
    assert checked.reason("KeytabValid") == "PrincipalNotInKeytab"
    assert user.principal in checked.message("KeytabValid")


def test_a_keytab_with_rc4_alone_is_refused(identity: Identity, user: User) -> None:
    checked = identity.keytab(user.keytab(enctypes=[keytabs.RC4])).check()
    assert checked.reason("KeytabValid") == "EnctypeRefused"
    assert "arcfour-hmac" in checked.message("KeytabValid")
    assert checked.failure is not None
    assert checked.failure.exit_code == 12


def test_enctypes_that_the_account_does_not_have(identity: Identity, domain: Domain, user: User) -> None:
    identity.permitted = ("aes256-cts-hmac-sha384-192",)
    made = domain.make_keytab(user.principal, user.password, kvno=2, enctypes=[keytabs.AES256_SHA384])
    assert identity.keytab(made).check().reason("TicketAcquired") == "EnctypeRefused"


def test_a_kdc_with_a_closed_port(identity: Identity, domain: Domain) -> None:
    identity.config(default_config(domain, kdc=f"{domain.address}:1"))
    checked = identity.check()
    assert checked.reason("KdcReachable") == "KdcRefused"
    assert f"{domain.address}:1: connection refused" in checked.message("KdcReachable")
    assert checked.statuses()["KeytabValid"] == "True"
    assert checked.statuses()["TicketAcquired"] == "Unknown"


def test_a_kdc_that_is_not_there_gives_way_to_the_next(identity: Identity, domain: Domain) -> None:
    text = default_config(domain).replace("kdc =", f"kdc = {domain.address}:1\n        kdc =")
    checked = identity.config(text).check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert "Before it:" in checked.message("KdcReachable")


def test_a_kdc_at_an_address_where_no_host_is_ends_within_thirty_seconds(identity: Identity, domain: Domain) -> None:
    network = domain.address.rpartition(".")[0]
    checked = identity.config(default_config(domain, kdc=f"{network}.250")).check()
    assert checked.reason("KdcReachable") == "KdcUnreachable"
    assert checked.failure is not None
    assert checked.failure.exit_code == 20


def test_a_kdc_that_takes_the_question_and_never_answers_ends_within_thirty_seconds(
    identity: Identity, domain: Domain
) -> None:
    identity.address_rule = lambda _address: None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        checked = identity.config(default_config(domain, f"127.0.0.1:{silent.getsockname()[1]}")).check()
    assert checked.reason("KdcReachable") == "KdcUnreachable"
    assert "no answer in time" in checked.message("KdcReachable")


def test_a_kdc_that_answers_nonsense_is_passed_over(identity: Identity, domain: Domain) -> None:
    text = default_config(domain).replace("kdc =", f"kdc = {domain.address}:445\n        kdc =")
    assert identity.config(text).check().statuses() == IDENTITY_IS_WELL


def test_a_realm_without_srv_records_is_named(identity: Identity, domain: Domain) -> None:
    identity.config("")
    identity.nameservers = (domain.address,)
    identity.principal = identity.principal.replace(domain.realm, "OTHER.CORP.EXAMPLE.COM")
    checked = identity.check()
    assert checked.reason("DnsReady") == "SrvRecordMissing"
    assert "_kerberos._tcp.OTHER.CORP.EXAMPLE.COM" in checked.message("DnsReady")
    assert checked.failure is not None
    assert checked.failure.exit_code == 22


def test_a_realm_that_the_kdc_does_not_serve_is_to_samba_an_unknown_principal(
    identity: Identity, domain: Domain
) -> None:
    identity.config(default_config(domain).replace(f"    {domain.realm} = {{", "    OTHER.EXAMPLE.COM = {"))
    identity.principal = "someone@OTHER.EXAMPLE.COM"
    made = domain.make_keytab(identity.principal, "secret", kvno=1)
    assert identity.keytab(made).check().reason("TicketAcquired") == "PrincipalUnknown"


def test_a_keytab_that_is_cut_short_is_named_and_costs_no_wrong_key(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    checked = identity.keytab(user.keytab()[:-7]).config(default_config(domain, counted.kdc)).check()
    assert checked.reason("KeytabValid") == "KeytabUnreadable"
    assert "cut short" in checked.message("KeytabValid")
    assert checked.failure is not None
    assert checked.failure.exit_code == 10
    assert counted.proofs == 0


def test_a_keytab_that_no_account_could_need_is_refused_before_it_is_read_whole(tmp_path: Path, domain: Domain) -> None:
    one = keytabs.parse(domain.make_keytab(f"svc-src@{domain.realm}", "a password", kvno=1))
    large = keytabs.write(one * (64 * 1024 // 60))
    assert len(large) > 64 * 1024
    checked = Identity(tmp_path / "identity", domain, f"svc-src@{domain.realm}").keytab(large).check()
    assert checked.reason("KeytabValid") == "KeytabTooLarge"
    assert "64 KiB" in checked.message("KeytabValid")
    assert checked.statuses()["KdcReachable"] == "True"


@pytest.mark.parametrize(
    ("text", "reason", "named"),
    [
        ("module /tmp/x.so:residual\n", "Krb5ConfigRefused", "'module'"),
        ("[plugins]\n pwqual = {\n  module = x:/tmp/x.so\n }\n", "Krb5ConfigRefused", "plugins"),
        ("[realms]\n {realm} = {\n  kdc = 169.254.169.254:80\n }\n", "Krb5ConfigRefused", "link-local"),
        ("[realms]\n {realm} = {\n  kdc = 127.0.0.1:88\n }\n", "Krb5ConfigRefused", "loopback"),
        ("[realms]\n {realm} = {\n  kdc = $(id)`id`'\"\n }\n", "Krb5ConfigInvalid", "kdc"),
    ],
)
def test_a_krb5_conf_that_loads_runs_or_leads_astray_is_refused_and_nobody_is_asked(
    identity: Identity, domain: Domain, *, text: str, reason: str, named: str
) -> None:
    checked = identity.config(text.replace("{realm}", domain.realm)).check()
    assert checked.reason("KdcReachable") == reason
    assert named in checked.message("KdcReachable")
    assert "kdc" not in checked.status
    assert checked.statuses()["TicketAcquired"] == "Unknown"


def test_what_of_a_krb5_conf_is_left_out_is_told_and_stands_in_nobodys_way(
    identity: Identity, domain: Domain, tmp_path: Path
) -> None:
    """A file as hosts have it: what it includes would lead elsewhere, and is not read."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(f"[realms]\n {domain.realm} = {{\n  kdc = 192.0.2.1\n }}\n")
    text = (
        f"\ufeffinclude {elsewhere}\nincludedir /etc/krb5.conf.d/\n[libdefaults]\n allow_weak_crypto = true\n"
        f"[realms]\n {domain.realm} =\n {{\n  kdc = https://proxy.example.com/KdcProxy\n"
        f"  kdc = {domain.address}\n  pkinit_identities = FILE:/etc/pki/x.pem\n }}\n[dbmodules]\n[pam]\n debug = true\n"
    )
    checked = identity.config(text).check()
    assert checked.failure is None
    for told in (
        "byte order mark",
        "include ",
        "includedir",
        "allow_weak_crypto",
        "KDC proxy",
        "pkinit",
        "[dbmodules]",
    ):
        assert told in checked.message("KdcReachable")


def test_a_realm_with_a_kdc_proxy_alone_is_told_so(identity: Identity, domain: Domain) -> None:
    text = f"[realms]\n {domain.realm} = {{\n  kdc = https://proxy.example.com/KdcProxy\n }}\n"
    checked = identity.config(text).check()
    assert checked.reason("KdcReachable") == "KdcProxyNotSupported"
    assert checked.statuses()["TicketAcquired"] == "Unknown"


def test_no_key_reaches_the_logs(
    identity: Identity, domain: Domain, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    domain.set_password(user.name)
    identity.check()
    for entry in keytabs.parse(identity.subject().mount.read_keytab(identity.subject().spec)):
        assert entry.key.hex() not in caplog.text
        assert repr(entry.key)[2:-1] not in caplog.text
