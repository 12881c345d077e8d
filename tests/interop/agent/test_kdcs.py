"""KDCs and krb5.conf against the real domain: which is found, which is asked, and what is refused."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from lab.support.verdicts import IDENTITY_IS_WELL
from tests.interop.agent.support import Identity, default_config

if TYPE_CHECKING:
    from pathlib import Path

    from lab.support.domain.domain import Domain


pytestmark = pytest.mark.takes(15)


def test_kdcs_are_found_by_srv_records(identity: Identity, domain: Domain) -> None:
    identity.config(f"[libdefaults]\n default_realm = {domain.realm}\n")
    identity.nameservers = (domain.address,)
    checked = identity.check()
    assert checked.statuses() == IDENTITY_IS_WELL
    assert checked.status["kdc"]["source"] == "SRV"
    assert f"_kerberos._tcp.{domain.realm}" in checked.message("DnsReady")


@pytest.mark.fault(9)
@pytest.mark.verdict("KDC refuses the connection")
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
    assert "Tried before:" in checked.message("KdcReachable")


@pytest.mark.fault(9)
@pytest.mark.verdict("KDC unreachable")
def test_a_kdc_at_an_address_where_no_host_is_ends_within_thirty_seconds(identity: Identity, domain: Domain) -> None:
    network = domain.address.rpartition(".")[0]
    checked = identity.config(default_config(domain, kdc=f"{network}.250")).check()
    assert checked.reason("KdcReachable") == "KdcUnreachable"
    assert checked.failure is not None
    assert checked.failure.exit_code == 20


@pytest.mark.fault(9)
@pytest.mark.verdict("KDC unreachable")
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


@pytest.mark.fault(12)
@pytest.mark.verdict("SRV record missing")
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


@pytest.mark.fault(56, 57)
@pytest.mark.verdict(
    "krb5.conf loads code, runs programs, or contains a forbidden address", "krb5.conf cannot be parsed"
)
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


@pytest.mark.fault(96)
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


@pytest.mark.fault(97)
@pytest.mark.verdict("Only a KDC proxy")
def test_a_realm_with_a_kdc_proxy_alone_is_told_so(identity: Identity, domain: Domain) -> None:
    text = f"[realms]\n {domain.realm} = {{\n  kdc = https://proxy.example.com/KdcProxy\n }}\n"
    checked = identity.config(text).check()
    assert checked.reason("KdcReachable") == "KdcProxyNotSupported"
    assert checked.statuses()["TicketAcquired"] == "Unknown"
