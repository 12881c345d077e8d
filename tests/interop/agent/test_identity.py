"""An identity against the real domain: every verdict that the domain can be brought to give."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lab.smblab import keytab as keytabs
from lab.support.verdicts import IDENTITY_IS_WELL
from tests.interop.agent.support import Identity, default_config

from smbferry_agent.kerberos import relay

if TYPE_CHECKING:
    from pathlib import Path

    from lab.support.domain.domain import Domain, User
    from lab.support.stubs.counting_kdc import CountingKdc


pytestmark = pytest.mark.takes(15)


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


@pytest.mark.fault(14)
@pytest.mark.verdict("Keytab stale: the password was changed")
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
    fixed = identity.check()
    assert fixed.statuses() == IDENTITY_IS_WELL
    assert fixed.status["kdc"]["kvno"] == before + 1
    assert f"key version {before + 1} " in fixed.message("KvnoMismatch")


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
    assert "2 older versions were not tried" in checked.message("KvnoMismatch")
    assert counted.proofs == relay.MAX_REFUSED_KEYS == 2


@pytest.mark.verdict("Keytab ahead of the KDC")
def test_a_keytab_ahead_of_the_kdc_still_works_and_says_so(identity: Identity, domain: Domain, user: User) -> None:
    now = keytabs.parse(user.keytab())
    ahead = keytabs.parse(domain.make_keytab(user.principal, "a password that is to come", kvno=now[0].kvno + 1))
    checked = identity.keytab(keytabs.write([*now, *ahead])).check()
    assert checked.reason("KvnoMismatch") == "KeytabAhead"
    assert checked.statuses()["TicketAcquired"] == "True"
    assert checked.failure is None


@pytest.mark.verdict("Correct key with a wrong version number")
def test_a_right_key_under_a_wrong_number_is_named(identity: Identity, domain: Domain, user: User) -> None:
    number = domain.kvno(user.name) + 7
    checked = identity.keytab(domain.make_keytab(user.principal, user.password, kvno=number)).check()
    assert checked.reason("KvnoMismatch") == "KvnoNumberWrong"
    assert f"version {number}" in checked.message("KvnoMismatch")
    assert checked.failure is None


@pytest.mark.fault(18)
@pytest.mark.verdict("Account disabled")
def test_an_account_that_is_disabled_is_named_and_seen_as_soon_as_it_is_enabled(
    identity: Identity, domain: Domain, user: User
) -> None:
    domain.samba_tool("user", "disable", user.name)
    checked = identity.check()
    assert checked.reason("TicketAcquired") == "AccountDisabled"
    assert checked.statuses()["KvnoMismatch"] == "Unknown"
    domain.samba_tool("user", "enable", user.name)
    assert identity.check().statuses() == IDENTITY_IS_WELL


@pytest.mark.verdict("Password expired")
def test_a_password_that_must_be_changed_is_named(identity: Identity, domain: Domain, user: User) -> None:
    domain.samba_tool(
        "user", "setpassword", user.name, f"--newpassword={user.password}x", "--must-change-at-next-login"
    )
    checked = identity.keytab(user.keytab()).check()
    assert checked.reason("TicketAcquired") == "PasswordExpired"
    assert checked.statuses()["KvnoMismatch"] == "Unknown"


@pytest.mark.fault(18)
@pytest.mark.verdict("Account expired")
def test_an_account_that_has_expired_is_named(identity: Identity, domain: Domain, user: User) -> None:
    domain.samba_tool("user", "setexpiry", user.name, "--days=-2")
    assert identity.check().reason("TicketAcquired") == "AccountExpired"


@pytest.mark.verdict("Logon not allowed at this time or from this host")
def test_an_account_that_may_log_on_at_no_hour_of_the_week_is_named(
    identity: Identity, domain: Domain, user: User
) -> None:
    domain.modify(user.name, "replace: logonHours", "logonHours:: " + base64.b64encode(bytes(21)).decode())
    checked = identity.check()
    assert checked.reason("TicketAcquired") == "LogonRestricted"
    assert "0xC000006F" in checked.message("TicketAcquired")


@pytest.mark.fault(18)
@pytest.mark.verdict("Account locked or disabled, but the KDC does not say which")
def test_a_locked_account_is_told_from_none_but_disabled_and_expired_as_samba_says_no_more(
    identity: Identity, domain: Domain, user: User
) -> None:
    since_1601 = int((time.time() + 11_644_473_600) * 10_000_000)
    domain.modify(user.name, "replace: lockoutTime", f"lockoutTime: {since_1601}")
    assert identity.check().reason("TicketAcquired") == "AccountRevoked"


@pytest.mark.verdict("Key derived with a different salt")
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


@pytest.mark.verdict("Keytab near its maximum age")
def test_a_keytab_that_grows_old_is_warned_of_and_the_identity_stays_ready(identity: Identity) -> None:
    identity.rotation = {"maxAge": "1h"}
    assert identity.check().reason("KeytabValid") == "KeytabUsable"
    aging = identity.check(datetime.now(UTC) + timedelta(minutes=55))
    assert aging.reason("KeytabValid") == "KeytabAging"
    assert aging.statuses() == IDENTITY_IS_WELL
    assert aging.failure is None


@pytest.mark.verdict("Principal in different case")
def test_the_principal_in_another_case_is_found_before_the_kdc_is_asked(identity: Identity, user: User) -> None:
    identity.principal = user.principal.replace("agent", "Agent")
    checked = identity.check()
    assert checked.reason("KeytabValid") == "PrincipalCaseMismatch"
    assert user.principal in checked.message("KeytabValid")
    assert "KeytabValid failed: PrincipalCaseMismatch" in checked.message("TicketAcquired")


@pytest.mark.verdict("Principal unknown")
def test_an_account_that_the_domain_does_not_have(identity: Identity, domain: Domain) -> None:
    identity.principal = f"nobody@{domain.realm}"
    checked = identity.keytab(domain.make_keytab(identity.principal, "secret", kvno=1)).check()
    assert checked.reason("TicketAcquired") == "PrincipalUnknown"
    assert checked.statuses()["KeytabValid"] == "True"


@pytest.mark.verdict("Principal not in the keytab")
def test_a_keytab_without_the_principal_lists_those_that_it_has(identity: Identity, domain: Domain, user: User) -> None:
    identity.principal = f"svc-src@{domain.realm}"
    checked = identity.check()
    assert checked.reason("KeytabValid") == "PrincipalNotInKeytab"
    assert user.principal in checked.message("KeytabValid")


@pytest.mark.fault(17)
@pytest.mark.verdict("Only RC4 in the keytab")
def test_a_keytab_with_rc4_alone_is_refused(identity: Identity, user: User) -> None:
    checked = identity.keytab(user.keytab(enctypes=[keytabs.RC4])).check()
    assert checked.reason("KeytabValid") == "EnctypeRefused"
    assert "arcfour-hmac" in checked.message("KeytabValid")
    assert checked.failure is not None
    assert checked.failure.exit_code == 12


@pytest.mark.verdict("Account without AES keys")
def test_enctypes_that_the_account_does_not_have(identity: Identity, domain: Domain, user: User) -> None:
    identity.permitted = ("aes256-cts-hmac-sha384-192",)
    made = domain.make_keytab(user.principal, user.password, kvno=2, enctypes=[keytabs.AES256_SHA384])
    assert identity.keytab(made).check().reason("TicketAcquired") == "EnctypeRefused"


@pytest.mark.fault(21)
@pytest.mark.verdict("Keytab truncated")
def test_a_keytab_that_is_cut_short_is_named_and_costs_no_wrong_key(
    identity: Identity, domain: Domain, user: User, counted: CountingKdc
) -> None:
    checked = identity.keytab(user.keytab()[:-7]).config(default_config(domain, counted.kdc)).check()
    assert checked.reason("KeytabValid") == "KeytabUnreadable"
    assert "cut short" in checked.message("KeytabValid")
    assert checked.failure is not None
    assert checked.failure.exit_code == 10
    assert counted.proofs == 0


@pytest.mark.verdict("Keytab too large")
def test_a_keytab_that_no_account_could_need_is_refused_before_it_is_read_whole(tmp_path: Path, domain: Domain) -> None:
    one = keytabs.parse(domain.make_keytab(f"svc-src@{domain.realm}", "a password", kvno=1))
    large = keytabs.write(one * (64 * 1024 // 60))
    assert len(large) > 64 * 1024
    checked = Identity(tmp_path / "identity", domain, f"svc-src@{domain.realm}").keytab(large).check()
    assert checked.reason("KeytabValid") == "KeytabTooLarge"
    assert "64 KiB" in checked.message("KeytabValid")
    assert checked.statuses()["KdcReachable"] == "True"


def test_no_key_reaches_the_logs(
    identity: Identity, domain: Domain, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    domain.set_password(user.name)
    identity.check()
    for entry in keytabs.parse(identity.subject().mount.read_keytab(identity.subject().spec)):
        assert entry.key.hex() not in caplog.text
        assert repr(entry.key)[2:-1] not in caplog.text
