"""Connects an :class:`Endpoint`: TCP, NEGOTIATE, Kerberos SESSION_SETUP, TREE_CONNECT.

smbprotocol does the handshake, libkrb5 the Kerberos in it. This module, ``negotiation`` and ``session_setup`` enforce
what they leave open: Kerberos is the only mechanism, dialect and cipher must be among those offered, the session must
encrypt from its first message, guest and anonymous are refused, and an unencrypted reply ends the connection.
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

from smbferry_engine.core.crypto import CIPHERS
from smbferry_engine.core.session import Session, SessionFacts
from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.session.channel import Channel
from smbferry_engine.session.connect_errors import Reached, convert
from smbferry_engine.session.endpoint import validate
from smbferry_engine.session.kerberos_exchange import Exchange
from smbferry_engine.session.krb5_environment import krb5_environment
from smbferry_engine.session.negotiation import (
    Agreed,
    HandshakeConnection,
    drop,
    negotiate,
    open_connection,
    release,
)
from smbferry_engine.session.reconnect import is_transient
from smbferry_engine.session.renewal import SessionRenewal
from smbferry_engine.session.session_setup import KerberosSession
from smbferry_engine.session.tickets import end_of_ticket, prove
from smbferry_words.reasons import PROTOCOL_VIOLATION, SERVER_KEY_MISMATCH, SERVER_UNREACHABLE
from smbferry_words.smb import Dialect

# Their debug records contain tokens and whole messages, and tracebacks of errors that are converted here.
for _library in ("smbprotocol", "spnego"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)

CHUNK = 2 << 20
HANDSHAKE_DEADLINE = 30.0
# Of a handshake that is tried again: how often, and the seconds before each.
_ATTEMPTS = 3
_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Connected:
    """A connected side: its channel, its evidence, and the server's clock (100 ns since 1601) at NEGOTIATE.

    ``dfs``: the share is, or is part of, a DFS namespace, so that its paths may lead elsewhere. ``server_guid`` is the
    ServerGuid of the NEGOTIATE reply (MS-SMB2 2.2.4), None if the server sent zeros. The server chooses it: it shows
    which names lead to the same server, but proves nothing.
    """

    channel: Channel
    evidence: Evidence
    server_system_time: int
    dfs: bool = False
    server_guid: uuid.UUID | None = None


def connect(endpoint: Endpoint, *, deadline_seconds: float = HANDSHAKE_DEADLINE, chunk: int = CHUNK) -> Connected:
    """Open a session to ``endpoint``. ``chunk`` bounds a READ or WRITE, in bytes. Raises :class:`EngineError`."""
    validate(endpoint)
    deadline = time.monotonic() + deadline_seconds
    try:
        return _connect(endpoint, deadline, chunk)
    except EngineError as error:
        # If the server's key was changed after the ticket was issued, it can decrypt a new ticket.
        if error.reason != SERVER_KEY_MISMATCH.name or not _has_fresh_ticket(endpoint):
            raise
    return _connect(endpoint, deadline, chunk)


def connect_patiently(endpoint: Endpoint, *, deadline_seconds: float | None = None) -> Connected:
    """:func:`connect`, repeated within the deadline if the server was silent or the connection was lost."""
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


def _connect(endpoint: Endpoint, deadline: float, chunk: int) -> Connected:
    connection = open_connection(endpoint, deadline)
    transport = connection.transport
    try:
        agreed = negotiate(connection, endpoint, deadline)
        session = _set_up_session(connection, endpoint)
        transport.encrypted_only = True
        tree = TreeConnect(session, rf"\\{endpoint.server}\{endpoint.share}")
        tree.connect(require_secure_negotiate=False)
        if agreed.dialect != Dialect.SMB_3_1_1:
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
    """Authenticate with Kerberos only: no other mechanism is offered, and there is no password for NTLM."""
    with krb5_environment(endpoint.krb5_config):
        exchange = Exchange(endpoint)
    session = KerberosSession(connection, exchange)
    session.connect()
    return session


def _confirm(tree: Any) -> None:
    """Have the server confirm, encrypted, what it was offered and what it answered (3.2.5.5).

    A server that finds a difference closes the connection (3.3.5.15.12). SMB 3.1.1 does not need this.
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
    """smbprotocol's objects after the handshake, and when the session's ticket expires."""

    connection: Any
    session: Any
    tree: Any
    agreed: Agreed
    ticket_ends: float


def _hand_over(parts: _Parts, endpoint: Endpoint, chunk: int) -> Connected:
    """Take over socket, keys and message ids; smbprotocol's thread ends."""
    connection, handshake, tree = parts.connection, parts.session, parts.tree
    system_time = connection.transport.server_system_time
    sock = release(connection)
    window = connection.sequence_window
    facts = SessionFacts(
        session_id=handshake.session_id,
        tree_id=tree.tree_connect_id,
        suite=CIPHERS[parts.agreed.cipher],
        encryption_key=handshake.encryption_key,
        decryption_key=handshake.decryption_key,
        max_read_size=connection.max_read_size,
        max_write_size=connection.max_write_size,
        max_transact_size=connection.max_transact_size,
        next_message_id=window["low"],
        credits=window["high"] - window["low"],
    )
    peer = f"{endpoint.server}:{endpoint.port}"
    session = Session(facts, chunk=chunk, salt=secrets.token_bytes(4))
    evidence = _evidence(connection, tree, endpoint, parts.agreed)
    channel = Channel(sock, session, peer)
    channel.renewal = SessionRenewal(session, partial(prove, endpoint), ends=parts.ticket_ends, peer=peer)
    return Connected(channel, evidence, system_time, bool(tree.is_dfs_share), _server_guid(connection))


def _server_guid(connection: Any) -> uuid.UUID | None:
    """Return the ServerGuid (MS-DTYP 2.3.4.2); smbprotocol reads its bytes in the wrong order."""
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
