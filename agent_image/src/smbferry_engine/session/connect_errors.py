"""Converts the errors of smbprotocol and libkrb5 into the engine's own, in one place."""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from smbprotocol.exceptions import SMBConnectionClosed, SMBException, SMBResponseException

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.session.logon import LOGON_REFUSALS
from smbferry_engine.times import TOLERATED_SKEW, to_datetime
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.status import NtStatus, status_name
from smbferry_words.reason import Reason
from smbferry_words.reasons import (
    CLOCK_SKEW,
    CONNECTION_LOST,
    DEADLINE_EXCEEDED,
    DIALECT_REFUSED,
    ENCTYPE_REFUSED,
    INTERNAL_ERROR,
    KDC_ERROR,
    KDC_UNREACHABLE,
    LOGON_REFUSED,
    MUTUAL_AUTHENTICATION_FAILED,
    PROTOCOL_VIOLATION,
    REALM_MAPPING_MISSING,
    SERVER_CLOCK_SKEW,
    SERVER_KEY_MISMATCH,
    SERVICE_PRINCIPAL_UNKNOWN,
    SHARE_ACCESS_DENIED,
    SHARE_NOT_FOUND,
    TICKET_EXPIRED,
    TICKET_MISSING,
)

_UNSIGNED = 2**32

# Minor codes of libkrb5 (krb5.h), as the mechanism reports them.
_BY_MINOR: dict[int, Reason] = {
    -1765328377: SERVICE_PRINCIPAL_UNKNOWN,  # KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
    -1765328370: ENCTYPE_REFUSED,  # KRB5KDC_ERR_ETYPE_NOSUPP
    -1765328353: MUTUAL_AUTHENTICATION_FAILED,  # KRB5KRB_AP_ERR_BAD_INTEGRITY
    -1765328352: TICKET_EXPIRED,  # KRB5KRB_AP_ERR_TKT_EXPIRED
    -1765328347: CLOCK_SKEW,  # KRB5KRB_AP_ERR_SKEW
    -1765328343: SERVER_KEY_MISMATCH,  # KRB5KRB_AP_ERR_MODIFIED
    -1765328340: SERVER_KEY_MISMATCH,  # KRB5KRB_AP_ERR_BADKEYVER
    -1765328226: MUTUAL_AUTHENTICATION_FAILED,  # KRB5_MUTUAL_FAILED
    -1765328230: REALM_MAPPING_MISSING,  # KRB5_REALM_UNKNOWN: no KDC could be found for the realm
    -1765328228: KDC_UNREACHABLE,  # KRB5_KDC_UNREACH
    -1765328243: TICKET_MISSING,  # KRB5_CC_NOTFOUND
    -1765328189: TICKET_MISSING,  # KRB5_FCC_NOFILE
    -1765328190: TICKET_MISSING,  # KRB5_FCC_PERM
    -1765328185: TICKET_MISSING,  # KRB5_CC_FORMAT
}
# Major codes for an invalid answer of the server (RFC 2744 section 3.9.1): GSS_S_BAD_SIG, GSS_S_DEFECTIVE_TOKEN.
_NO_PROOF: Final = frozenset({6 << 16, 9 << 16})
# GSS_S_CREDENTIALS_EXPIRED, GSS_S_CONTEXT_EXPIRED: the ticket ended while it was used.
_OVER: Final = frozenset({11 << 16, 12 << 16})
# The codes of RFC 4120 section 7.5.9 as libkrb5 numbers them.
_KDC_CODES = range(-1765328384, -1765328256)
# A server whose clock is wrong refuses valid tickets with one of these.
_MAY_BE_THE_CLOCK: Final = frozenset({CLOCK_SKEW, SERVER_KEY_MISMATCH, LOGON_REFUSED, TICKET_EXPIRED})

_OF_SESSION: Final[dict[int, tuple[Reason, str]]] = {
    NtStatus.NOT_SUPPORTED: (DIALECT_REFUSED, "the server supports none of the offered dialects"),
    NtStatus.LOGON_FAILURE: (SERVER_KEY_MISMATCH, "the server could not decrypt a ticket that the KDC has just issued"),
    NtStatus.TIME_DIFFERENCE_AT_DC: (CLOCK_SKEW, "the server reports that the clocks differ too much"),
}
_OF_SHARE: Final[dict[int, tuple[Reason, str]]] = {
    NtStatus.BAD_NETWORK_NAME: (SHARE_NOT_FOUND, "the server has no such share"),
    NtStatus.ACCESS_DENIED: (SHARE_ACCESS_DENIED, "the server denied access to the share"),
    NtStatus.NETWORK_ACCESS_DENIED: (SHARE_ACCESS_DENIED, "the server denied access from the network"),
    NtStatus.NETWORK_SESSION_EXPIRED: (TICKET_EXPIRED, "the ticket expired before the share was connected"),
}

# What the handshake's parsing raises for malformed bytes.
_BY_TYPE: tuple[tuple[type[Exception], Reason], ...] = (
    (TimeoutError, DEADLINE_EXCEEDED),
    (OSError, CONNECTION_LOST),
    (ValueError, PROTOCOL_VIOLATION),
    (LookupError, PROTOCOL_VIOLATION),
    (struct.error, PROTOCOL_VIOLATION),
    (WireError, PROTOCOL_VIOLATION),
)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the handshake got. ``server_system_time`` is the server's clock at negotiate, 0 before it."""

    session: bool = False
    server_system_time: int = 0


def convert(error: Exception, endpoint: Endpoint, reached: Reached) -> EngineError:
    r"""Convert what the handshake raised; the message names ``\\server\share`` and principal, and no secrets."""
    found = _convert(error, endpoint, reached)
    if reached.session or found.reason not in {reason.name for reason in _MAY_BE_THE_CLOCK}:
        return found
    return _blame_clock(found, reached.server_system_time)


def _blame_clock(found: EngineError, server_system_time: int) -> EngineError:
    """Return an error that blames the server's clock, if that clock is wrong."""
    offset = to_datetime(server_system_time) - datetime.now(UTC)
    if not server_system_time or abs(offset) <= TOLERATED_SKEW:
        return found
    seconds = f"{offset.total_seconds():+.0f}s"
    return EngineError(SERVER_CLOCK_SKEW, f"{found.message}; the server's clock is {seconds} from this node's")


def _convert(error: Exception, endpoint: Endpoint, reached: Reached) -> EngineError:
    where = rf"\\{endpoint.server}\{endpoint.share} as {endpoint.principal}"
    kerberos = _kerberos_cause(error)
    if kerberos is not None:
        reason, words = kerberos
        return EngineError(reason, f"expected a ticket for {endpoint.service_principal}, for {where}: {words}")
    if isinstance(error, SMBResponseException):
        return _refusal(int(error.status), where, reached)
    if isinstance(error, SMBConnectionClosed):
        return EngineError(CONNECTION_LOST, f"{where}: the server closed the connection during the handshake")
    if isinstance(error, SMBException):
        return EngineError(PROTOCOL_VIOLATION, f"{where}: {error}")
    for kind, reason in _BY_TYPE:
        if isinstance(error, kind):
            return EngineError(reason, f"{where}: {error!r}")
    return EngineError(INTERNAL_ERROR, f"{where}: {error!r}")


def _refusal(status: int, where: str, reached: Reached) -> EngineError:
    """Return the error for the server's status, which depends on how far the handshake was."""
    if found := (_OF_SHARE if reached.session else _OF_SESSION).get(status):
        return EngineError(found[0], f"{where}: {found[1]} ({status_name(status)})")
    if reached.session:
        return EngineError(SHARE_ACCESS_DENIED, f"{where}: the server refused the share ({status_name(status)})")
    name, words = LOGON_REFUSALS.get(status, ("", "it refuses the account"))
    shown = f"STATUS_{name}" if name else status_name(status)
    return EngineError(LOGON_REFUSED, f"{where}: the server refused the session: {words} ({shown})")


def _kerberos_cause(error: BaseException | None) -> tuple[Reason, str] | None:
    """Return the libkrb5 error behind an exception chain, if there is one."""
    while error is not None:
        minor = getattr(error, "min_code", None) or getattr(error, "err_code", None)
        if isinstance(minor, int):
            signed = minor - _UNSIGNED if minor >= _UNSIGNED // 2 else minor
            if signed in _BY_MINOR:
                return _BY_MINOR[signed], str(error)
            if signed in _KDC_CODES:
                return KDC_ERROR, str(error)
            if getattr(error, "maj_code", None) in _NO_PROOF:
                return MUTUAL_AUTHENTICATION_FAILED, f"the server's answer is no proof: {error}"
            if getattr(error, "maj_code", None) in _OVER:
                return TICKET_EXPIRED, str(error)
            if signed:
                return TICKET_MISSING, str(error)
        error = error.__cause__ or error.__context__
    return None
