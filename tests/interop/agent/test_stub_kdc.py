"""What no real KDC at hand can be brought to say, from one on loopback: each answer has its own reason, in seconds."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from lab.support.stubs.stub_kdc import KERB_ERR_TYPE_EXTENDED, krb_error, nt_status, pa_data, stub_kdc
from tests.interop.agent.support import default_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.support.domain.domain import Domain
    from tests.interop.agent.support import Checked, Identity

pytestmark = pytest.mark.takes(10)

REALM = "CORP.EXAMPLE.COM"


def revoked(status: int) -> bytes:
    return krb_error(18, REALM, e_data=pa_data(KERB_ERR_TYPE_EXTENDED, nt_status(status)))


@pytest.fixture
def local(identity: Identity) -> Identity:
    identity.address_rule = lambda _address: None
    return identity


def check(identity: Identity, domain: Domain, *kdcs: str) -> Checked:
    lines = "\n".join(f"        kdc = {kdc}" for kdc in kdcs)
    text = default_config(domain).replace(f"        kdc = {domain.address}", lines)
    assert lines in text
    return identity.config(text).check()


@pytest.mark.verdict(
    "Account locked, reported by the KDC",
    "Other KDC error",
    "KDC temporarily unavailable",
    "Service is not a KDC",
    "KDC of a different realm",
)
@pytest.mark.parametrize(
    ("answer", "condition", "reason", "exit_code"),
    [
        pytest.param(lambda: krb_error(68, REALM), "KdcReachable", "WrongRealm", 10, id="wrong realm"),
        pytest.param(lambda: krb_error(29, REALM), "KdcReachable", "KdcUnavailable", 20, id="service unavailable"),
        pytest.param(
            lambda: krb_error(37, REALM, ahead=timedelta(minutes=10)), "TimeInSync", "ClockSkew", 21, id="clock skew"
        ),
        pytest.param(
            lambda: krb_error(37, REALM), "TicketAcquired", "ClockSkew", 21, id="a skew that the KDC alone sees"
        ),
        pytest.param(lambda: krb_error(12, REALM), "TicketAcquired", "LogonRestricted", 11, id="policy"),
        pytest.param(lambda: krb_error(23, REALM), "TicketAcquired", "PasswordExpired", 11, id="password expired"),
        pytest.param(lambda: krb_error(18, REALM), "TicketAcquired", "AccountRevoked", 11, id="revoked, and no word"),
        pytest.param(lambda: revoked(0xC0000234), "TicketAcquired", "AccountLocked", 11, id="Windows: locked"),
        pytest.param(lambda: revoked(0xC0000072), "TicketAcquired", "AccountDisabled", 11, id="Windows: disabled"),
        pytest.param(lambda: revoked(0xC0000193), "TicketAcquired", "AccountExpired", 11, id="Windows: expired"),
        pytest.param(lambda: krb_error(60, REALM), "TicketAcquired", "KdcError", 11, id="generic"),
        pytest.param(lambda: b"HTTP/1.1 400 Bad Request\r\n\r\n", "KdcReachable", "NotAKdc", 20, id="garbage"),
        pytest.param(lambda: b"\x7e\x84\xff\xff\xff\xff", "KdcReachable", "NotAKdc", 20, id="an endless length"),
    ],
)
def test_each_answer_has_its_own_reason(
    local: Identity, domain: Domain, *, answer: Callable[[], bytes], condition: str, reason: str, exit_code: int
) -> None:
    with stub_kdc(answer) as kdc:
        checked = check(local, domain, kdc)
    assert checked.reason(condition) == reason
    assert checked.failure is not None
    assert (checked.failure.reason.name, checked.failure.exit_code) == (reason, exit_code)


@pytest.mark.verdict("Duplicate SPN, reported by the KDC", "Ticket expired")
@pytest.mark.parametrize(
    ("code", "e_data", "reason", "exit_code"),
    [
        pytest.param(7, None, "ServicePrincipalUnknown", 11, id="no such service"),
        pytest.param(8, None, "ServicePrincipalDuplicate", 11, id="held twice"),
        pytest.param(7, nt_status(0xC00000BD), "ServicePrincipalDuplicate", 11, id="Windows: held twice"),
        pytest.param(14, None, "EnctypeRefused", 12, id="no enctype in common"),
        pytest.param(32, None, "TicketExpired", 20, id="the ticket-granting ticket is at its end"),
        pytest.param(37, None, "ClockSkew", 21, id="clock skew"),
        pytest.param(60, None, "KdcError", 11, id="generic"),
    ],
)
def test_a_refused_service_ticket_has_its_own_reason(
    local: Identity, domain: Domain, *, code: int, e_data: bytes | None, reason: str, exit_code: int
) -> None:
    data = pa_data(KERB_ERR_TYPE_EXTENDED, e_data) if e_data else None
    answer = partial(krb_error, code, REALM, e_data=data, service=f"cifs/{domain.server}")
    with stub_kdc(answer, logon=(domain.address, 88)) as kdc:
        checked = local.config(default_config(domain, kdc)).check_location()
    assert checked.reason("TicketAcquired") == reason
    assert f"({code})" in checked.message("TicketAcquired")
    assert checked.failure is not None
    assert checked.failure.exit_code == exit_code


def test_a_kdc_that_can_not_serve_gives_way_to_the_next(local: Identity, domain: Domain) -> None:
    with stub_kdc(lambda: krb_error(29, REALM)) as kdc:
        checked = check(local, domain, kdc, domain.address)
    assert checked.failure is None
    assert f"Tried before: {kdc}: answered that it can't serve now" in checked.message("KdcReachable")
