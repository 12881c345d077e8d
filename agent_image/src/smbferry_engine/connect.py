"""From an :class:`Endpoint` to a lane: TCP, negotiate, Kerberos session setup, tree connect; all or nothing.

smbprotocol speaks the handshake, libkrb5 the Kerberos in it. What they leave open is closed here, in ``negotiation``
and ``session_setup``: Kerberos is the only mechanism, dialect and cipher must be among those offered, the session must
encrypt from its first message, guest and anonymous are refused, and a reply in the clear ends the connection.
"""

import logging
import secrets
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from smbprotocol.connection import SecurityMode
from smbprotocol.exceptions import SMBException
from smbprotocol.tree import TreeConnect

from smbferry_engine.connect_errors import Reached, convert
from smbferry_engine.core.crypto import CIPHERS
from smbferry_engine.core.lane import Lane, SessionFacts
from smbferry_engine.errors import (
    ENDPOINT_INVALID,
    PROTOCOL_VIOLATION,
    SERVER_KEY_MISMATCH,
    SERVER_UNREACHABLE,
    EngineError,
)
from smbferry_engine.kerberos_exchange import Exchange
from smbferry_engine.krb5_environment import krb5_environment
from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.negotiation import (
    DIALECTS,
    Agreed,
    HandshakeConnection,
    drop,
    negotiate,
    open_connection,
    release,
)
from smbferry_engine.paths import ILLEGAL
from smbferry_engine.recovery import is_transient
from smbferry_engine.renewal import SessionRenewal
from smbferry_engine.session_setup import KerberosSession
from smbferry_engine.tickets import end_of_ticket, prove
from smbferry_engine.transport import Channel

# Its debug records hold tokens and whole messages, and its worker logs tracebacks that we report as errors of ours.
for _library in ("smbprotocol", "spnego"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)

CHUNK = 2 << 20
HANDSHAKE_DEADLINE = 30.0
# Of a handshake that is tried again: how often, and the seconds before each.
_ATTEMPTS = 3
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Connected:
    """A side that is up: its channel, what protects it, and the server's clock (100 ns since 1601) at negotiate.

    ``dfs`` tells that the share is, or lies in, a DFS namespace: its paths may lead elsewhere. ``server_guid`` is the
    ServerGuid of the NEGOTIATE reply (MS-SMB2 2.2.4), None where the server sent zeros. The server chose it: it tells
    which names lead to one server, and proves nothing.
    """

    channel: Channel
    evidence: Evidence
    server_system_time: int
    dfs: bool = False
    server_guid: uuid.UUID | None = None


def connect(endpoint: Endpoint, *, deadline_seconds: float = HANDSHAKE_DEADLINE, chunk: int = CHUNK) -> Connected:
    """Open one lane to ``endpoint``; :class:`EngineError` says what is wrong. ``chunk`` bounds a READ or WRITE."""
    _validate(endpoint)
    deadline = time.monotonic() + deadline_seconds
    try:
        return _connect(endpoint, deadline, chunk)
    except EngineError as error:
        # A server that was given another key since the ticket was issued opens one that is issued now.
        if error.reason != SERVER_KEY_MISMATCH.name or not _has_fresh_ticket(endpoint):
            raise
    return _connect(endpoint, deadline, chunk)


def connect_patiently(endpoint: Endpoint, *, deadline_seconds: float | None = None) -> Connected:
    """:func:`connect`, tried again where the server fell silent or the connection was lost, all within the deadline."""
    until = time.monotonic() + (HANDSHAKE_DEADLINE if deadline_seconds is None else deadline_seconds)
    for attempts_left in range(_ATTEMPTS, 1, -1):
        try:
            return connect(endpoint, deadline_seconds=(until - time.monotonic()) / attempts_left)
        except EngineError as error:
            if not (is_transient(error) or error.reason == SERVER_UNREACHABLE.name):
                raise
        time.sleep(_PAUSE)
    return connect(endpoint, deadline_seconds=until - time.monotonic())


def _has_fresh_ticket(endpoint: Endpoint) -> bool:
    return endpoint.fresh_ticket is not None and endpoint.fresh_ticket(endpoint.service_principal)


def _validate(endpoint: Endpoint) -> None:
    service, _, host = endpoint.service_principal.partition("/")
    if service != "cifs" or not host or "@" in host or "/" in host:
        raise EngineError(
            ENDPOINT_INVALID, f"a service principal cifs/<host> expected, found {endpoint.service_principal!r}"
        )
    unknown = [c for c in endpoint.ciphers if c not in CIPHERS] + [d for d in endpoint.dialects if d not in DIALECTS]
    if unknown or not endpoint.ciphers or not endpoint.dialects:
        raise EngineError(ENDPOINT_INVALID, f"known ciphers and dialects expected, found {unknown or 'none'}")
    if not endpoint.share or ILLEGAL.search(endpoint.share):
        raise EngineError(ENDPOINT_INVALID, f"a share name expected, found {endpoint.share!r}")


def _connect(endpoint: Endpoint, deadline: float, chunk: int) -> Connected:
    connection = open_connection(endpoint, deadline)
    transport = connection.transport
    try:
        agreed = negotiate(connection, endpoint, deadline)
        session = _set_up_session(connection, endpoint)
        transport.encrypted_only = True
        tree = TreeConnect(session, rf"\\{endpoint.server}\{endpoint.share}")
        tree.connect(require_secure_negotiate=False)
        if agreed.dialect != "3.1.1":
            _confirm(tree)
        return _hand_over(_Parts(connection, session, tree, agreed, end_of_ticket(endpoint)), endpoint, chunk)
    except EngineError:
        drop(connection)
        raise
    except Exception as error:
        drop(connection)
        reached = Reached(transport.encrypted_only, transport.server_system_time)
        raise transport.failure or convert(error, endpoint, reached) from error


def _set_up_session(connection: HandshakeConnection, endpoint: Endpoint) -> KerberosSession:
    """Kerberos, and nothing else: no password exists that NTLM could use, and no other mechanism is offered."""
    with krb5_environment(endpoint.krb5_config):
        exchange = Exchange(endpoint)
    session = KerberosSession(connection, exchange)
    session.connect()
    return session


def _confirm(tree: Any) -> None:
    """The server tells, encrypted, what it was offered and what it answered (3.2.5.5): nobody altered it on the way.

    A server that finds a difference ends the connection instead (3.3.5.15.12). 3.1.1 needs no such question.
    """
    try:
        tree._verify_dialect_negotiate()  # noqa: SLF001  # what TreeConnect.connect() calls; apart, its errors tell more
    except SMBException as error:
        raise tree.session.connection.transport.failure or EngineError(
            PROTOCOL_VIOLATION,
            f"expected the server to confirm what was negotiated (FSCTL_VALIDATE_NEGOTIATE_INFO), got: {error}",
        ) from error


@dataclass(frozen=True, slots=True)
class _Parts:
    """smbprotocol's objects after the handshake, and when the session's ticket ends."""

    connection: Any
    session: Any
    tree: Any
    agreed: Agreed
    ticket_ends: float


def _hand_over(parts: _Parts, endpoint: Endpoint, chunk: int) -> Connected:
    """Take the socket, keys and message ids; smbprotocol's thread ends and is never used again."""
    connection, session, tree = parts.connection, parts.session, parts.tree
    system_time = connection.transport.server_system_time
    sock = release(connection)
    window = connection.sequence_window
    facts = SessionFacts(
        session_id=session.session_id,
        tree_id=tree.tree_connect_id,
        suite=CIPHERS[parts.agreed.cipher],
        encryption_key=session.encryption_key,
        decryption_key=session.decryption_key,
        max_read_size=connection.max_read_size,
        max_write_size=connection.max_write_size,
        max_transact_size=connection.max_transact_size,
        next_message_id=window["low"],
        credits=window["high"] - window["low"],
    )
    peer = f"{endpoint.server}:{endpoint.port}"
    lane = Lane(facts, chunk=chunk, salt=secrets.token_bytes(4))
    evidence = _evidence(connection, tree, endpoint, parts.agreed)
    channel = Channel(sock, lane, peer)
    channel.renewal = SessionRenewal(lane, partial(prove, endpoint), ends=parts.ticket_ends, peer=peer)
    return Connected(channel, evidence, system_time, bool(tree.is_dfs_share), _server_guid(connection))


def _server_guid(connection: Any) -> uuid.UUID | None:
    """The ServerGuid as its number is written (MS-DTYP 2.3.4.2); smbprotocol takes its bytes in their order."""
    guid = uuid.UUID(bytes_le=connection.server_guid.bytes)
    return guid if guid.int else None


def _evidence(connection: Any, tree: Any, endpoint: Endpoint, agreed: Agreed) -> Evidence:
    required = bool(connection.server_security_mode & SecurityMode.SMB2_NEGOTIATE_SIGNING_REQUIRED)
    return Evidence(
        principal=endpoint.principal,
        dialect=agreed.dialect,
        cipher=agreed.cipher,
        signing=f"{agreed.signing} ({'required' if required else 'supported'} by the server)",
        server=endpoint.server,
        share_encryption_required=bool(tree.encrypt_data),
        max_read_size=connection.max_read_size,
        max_write_size=connection.max_write_size,
    )
