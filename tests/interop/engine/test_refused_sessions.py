"""Sessions that a server refuses, or sets up without the service's key: each ends in a reason, and nothing is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from lab.support.stubs.stub_kdc import krb_error
from lab.support.stubs.stub_smb import (
    ACCEPT_INCOMPLETE,
    AP_REP,
    KRB_ERROR,
    MORE_PROCESSING_REQUIRED,
    NTLM_OID,
    REJECT,
    SUCCESS,
    ap_rep_of_another_key,
    gss_token,
    negotiated,
    stub_server,
)

from smbferry_engine import EngineError, probe_share

if TYPE_CHECKING:
    from lab.support.domain.domain import Domain
    from tests.interop.engine.tickets import Tickets

REALM = "CORP.EXAMPLE.COM"
RAW_NOISE = gss_token(AP_REP, ap_rep_of_another_key())
NOISE = negotiated(RAW_NOISE)


def error(code: int) -> bytes:
    return negotiated(gss_token(KRB_ERROR, krb_error(code, REALM)), REJECT)


def probe(tickets: Tickets, domain: Domain, status: int, token: bytes) -> tuple[EngineError, list[bytes]]:
    with stub_server((domain.address, 445), status, token) as server:
        began = time.monotonic()
        with pytest.raises(EngineError) as caught:
            probe_share(tickets.endpoint("src", "/", addresses=("127.0.0.1",), port=server.port), deadline_seconds=10)
        assert time.monotonic() - began < 12
    return caught.value, server.after


@pytest.mark.verdict(
    "Server's key outdated: AP_ERR_MODIFIED, AP_ERR_BADKEYVER", "Session denied: logon right, hours, account state"
)
@pytest.mark.parametrize(
    ("status", "token", "reason", "says"),
    [
        pytest.param(
            MORE_PROCESSING_REQUIRED,
            error(41),
            "ServerKeyMismatch",
            "cifs/dc1",
            id="the key is another: AP_ERR_MODIFIED",
        ),
        pytest.param(
            MORE_PROCESSING_REQUIRED, error(44), "ServerKeyMismatch", "cifs/dc1", id="the key is old: AP_ERR_BADKEYVER"
        ),
        pytest.param(MORE_PROCESSING_REQUIRED, error(37), "ClockSkew", "", id="the clocks differ: AP_ERR_SKEW"),
        pytest.param(0xC000006D, b"", "ServerKeyMismatch", "LOGON_FAILURE", id="it can't use the ticket"),
        pytest.param(0xC0000022, b"", "LogonRefused", "ACCESS_DENIED", id="no session for the account"),
        pytest.param(0xC000015B, b"", "LogonRefused", "from the network", id="no right to log on from the network"),
        pytest.param(0xC000006F, b"", "LogonRefused", "at this time", id="not at this hour"),
        pytest.param(0xC0000070, b"", "LogonRefused", "from here", id="not from this machine"),
        pytest.param(0xC0000072, b"", "LogonRefused", "disabled", id="disabled"),
        pytest.param(0xC0000234, b"", "LogonRefused", "locked", id="locked"),
        pytest.param(0xC0000413, b"", "LogonRefused", "selective authentication", id="selective authentication"),
    ],
)
def test_a_session_refused_has_its_reason(
    tickets: Tickets, domain: Domain, *, status: int, token: bytes, reason: str, says: str
) -> None:
    error_, _ = probe(tickets, domain, status, token)
    assert error_.reason == reason
    assert says in error_.message


@pytest.mark.fault(60, 95)
@pytest.mark.verdict("Server without the service's key")
@pytest.mark.parametrize(
    ("status", "token"),
    [
        pytest.param(SUCCESS, NOISE, id="success with noise for a proof"),
        pytest.param(SUCCESS, b"", id="success without a proof"),
        pytest.param(SUCCESS, RAW_NOISE, id="success with a bare token"),
        pytest.param(SUCCESS, b"NTLMSSP\0\2", id="success with NTLM"),
        pytest.param(MORE_PROCESSING_REQUIRED, b"\xa1\x84\xff\xff\xff\xff", id="a length that is none"),
        pytest.param(SUCCESS, negotiated(b""), id="accepted without a proof"),
        pytest.param(SUCCESS, negotiated(RAW_NOISE, REJECT), id="rejected with noise"),
        pytest.param(SUCCESS, negotiated(b"", REJECT), id="rejected"),
        pytest.param(MORE_PROCESSING_REQUIRED, NOISE, id="noise, and more to come"),
        pytest.param(MORE_PROCESSING_REQUIRED, negotiated(b"", ACCEPT_INCOMPLETE), id="more to come, and nothing"),
        pytest.param(
            MORE_PROCESSING_REQUIRED, negotiated(b"NTLMSSP\0", ACCEPT_INCOMPLETE, NTLM_OID), id="NTLM is chosen"
        ),
        pytest.param(SUCCESS, negotiated(RAW_NOISE, mechanism=NTLM_OID), id="NTLM is said to be what was used"),
    ],
)
def test_a_server_without_the_services_key_is_refused_and_gets_nothing(
    tickets: Tickets, domain: Domain, status: int, token: bytes
) -> None:
    error_, after = probe(tickets, domain, status, token)
    assert error_.reason == "MutualAuthenticationFailed", error_.message
    assert error_.failure_class == "Policy"
    assert after == []
