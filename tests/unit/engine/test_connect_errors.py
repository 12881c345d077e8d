"""What a handshake can end with, as the engine's own reasons: a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from smbprotocol.exceptions import SMBAuthenticationError, SMBConnectionClosed, SMBException, SMBResponseException
from smbprotocol.header import SMB2HeaderResponse

from smbferry_engine import Endpoint
from smbferry_engine.session.connect_errors import Reached, convert
from smbferry_engine.session.logon import LOGON_REFUSALS

ENDPOINT = Endpoint(
    server="files.corp.example.com",
    port=445,
    share="finance",
    path="/",
    addresses=("10.0.0.5",),
    service_principal="cifs/files.corp.example.com",
    principal="svc-src@CORP.EXAMPLE.COM",
    ccache="FILE:/nonexistent",
    krb5_config="/nonexistent",
)
SESSION, SHARE = Reached(), Reached(session=True)
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def status(value: int) -> SMBResponseException:
    header = SMB2HeaderResponse()
    header["status"] = value
    return SMBResponseException(header)


def kerberos(minor: int, major: int = 13 << 16) -> SMBAuthenticationError:
    """As smbprotocol raises it: the mechanism's own error is the cause, with an unsigned minor code."""
    cause = Exception("the mechanism's words")
    cause.min_code = minor % 2**32  # type: ignore[attr-defined]  # the shape of gssapi's errors, which is not installed
    cause.maj_code = major  # type: ignore[attr-defined]  # the same
    error = SMBAuthenticationError("Failed to authenticate with server")
    error.__cause__ = cause
    return error


def clock(offset: timedelta) -> int:
    return int((datetime.now(UTC) + offset - EPOCH).total_seconds()) * 10_000_000


CASES: list[tuple[str, Exception, Reached, str, str]] = [
    ("the server can't use the ticket", status(0xC000006D), SESSION, "ServerKeyMismatch", "STATUS_LOGON_FAILURE"),
    ("it says why: AP_ERR_MODIFIED", kerberos(-1765328343), SESSION, "ServerKeyMismatch", "mechanism's words"),
    ("it says why: AP_ERR_BADKEYVER", kerberos(-1765328340), SESSION, "ServerKeyMismatch", "mechanism's words"),
    ("it proves nothing", kerberos(-1765328226), SESSION, "MutualAuthenticationFailed", ""),
    ("what it proves is of another key", kerberos(-1765328353), SESSION, "MutualAuthenticationFailed", ""),
    ("it sends no proof", kerberos(100001, major=9 << 16), SESSION, "MutualAuthenticationFailed", "is no proof"),
    ("another word of the mechanism", kerberos(100001), SESSION, "TicketMissing", ""),
    ("the ticket ends while it is used", kerberos(100001, major=12 << 16), SESSION, "TicketExpired", ""),
    ("it ended before it was used", kerberos(100001, major=11 << 16), SESSION, "TicketExpired", ""),
    ("it ends before the share is there", status(0xC000035C), SHARE, "TicketExpired", "before the share"),
    ("it finds the clocks differ", status(0xC0000133), SESSION, "ClockSkew", ""),
    ("access denied at the session", status(0xC0000022), SESSION, "LogonRefused", "refused the session"),
    ("access denied at the share", status(0xC0000022), SHARE, "ShareAccessDenied", "denied access to the share"),
    ("denied from the network", status(0xC00000CA), SHARE, "ShareAccessDenied", "from the network"),
    ("no such share", status(0xC00000CC), SHARE, "ShareNotFound", ""),
    ("a session refused with a word of its own", status(0xC0DE0001), SESSION, "LogonRefused", "0xC0DE0001"),
    ("a share refused with a word of its own", status(0xC0DE0001), SHARE, "ShareAccessDenied", "0xC0DE0001"),
    ("no KDC is known of the server's realm", kerberos(-1765328230), SESSION, "RealmMappingMissing", ""),
    ("the server hangs up", SMBConnectionClosed("any text"), SESSION, "ConnectionLost", "closed the connection"),
    ("smbprotocol refuses a reply", SMBException("any text"), SESSION, "ProtocolViolation", "any text"),
]


@pytest.mark.parametrize(
    ("error", "reached", "reason", "says"), [pytest.param(*case[1:], id=case[0]) for case in CASES]
)
def test_each_end_has_its_reason(error: Exception, reached: Reached, reason: str, says: str) -> None:
    found = convert(error, ENDPOINT, reached)
    assert found.reason == reason
    assert says in found.message
    assert r"\\files.corp.example.com\finance as svc-src@CORP.EXAMPLE.COM" in found.message


@pytest.mark.parametrize("number", LOGON_REFUSALS, ids=lambda n: f"{n:#x}")
def test_each_logon_status_refuses_the_session_by_its_name_and_in_words(number: int) -> None:
    name, words = LOGON_REFUSALS[number]
    found = convert(status(number), ENDPOINT, SESSION)
    assert found.reason == "LogonRefused"
    assert f"refused the session: {words} (STATUS_{name})" in found.message


@pytest.mark.parametrize("refused", [status(0xC000006D), status(0xC0000022), kerberos(-1765328347)])
@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_server_that_refuses_with_a_wrong_clock_has_a_wrong_clock(refused: Exception, minutes: int) -> None:
    found = convert(refused, ENDPOINT, Reached(server_system_time=clock(timedelta(minutes=minutes))))
    assert found.reason == "ServerClockSkew"
    assert f"clock is {minutes * 60 - 1:+d}s" in found.message or f"clock is {minutes * 60:+d}s" in found.message


def test_a_clock_within_the_tolerance_is_not_to_blame() -> None:
    near = Reached(server_system_time=clock(timedelta(minutes=4)))
    assert convert(status(0xC000006D), ENDPOINT, near).reason == "ServerKeyMismatch"


def test_a_wrong_clock_is_not_to_blame_for_a_share_that_is_not_there() -> None:
    far = Reached(session=True, server_system_time=clock(timedelta(hours=1)))
    assert convert(status(0xC00000CC), ENDPOINT, far).reason == "ShareNotFound"
