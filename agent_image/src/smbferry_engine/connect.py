"""From an :class:`Endpoint` to a lane: TCP, negotiate, Kerberos session setup, tree connect; all or nothing.

smbprotocol speaks the handshake, pyspnego and libkrb5 the Kerberos in it. What they leave open is closed here: Kerberos
is the only mechanism, dialect and cipher must be among those offered, the session must encrypt from its first message,
guest and anonymous are refused, and a reply in the clear ends the connection.
"""

import logging
import secrets
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

import spnego
from smbprotocol.connection import Ciphers, Connection, Dialects, SecurityMode, SigningAlgorithms
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from smbferry_engine.connect_errors import Reached, convert
from smbferry_engine.core.crypto import CIPHERS
from smbferry_engine.core.lane import Lane, SessionFacts
from smbferry_engine.errors import (
    CIPHER_NOT_OFFERED,
    DIALECT_REFUSED,
    ENCRYPTION_NOT_SUPPORTED,
    ENDPOINT_INVALID,
    SERVER_KEY_MISMATCH,
    EngineError,
)
from smbferry_engine.handshake import HandshakeTransport, dial
from smbferry_engine.krb5_environment import krb5_environment
from smbferry_engine.model import Endpoint, Evidence
from smbferry_engine.paths import ILLEGAL
from smbferry_engine.renewal import SessionRenewal
from smbferry_engine.tickets import end_of_ticket, prove
from smbferry_engine.transport import Channel

# Its debug records hold tokens and whole messages, and its worker logs tracebacks that we report as errors of ours.
for _library in ("smbprotocol", "spnego"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)

_DIALECTS = {"3.1.1": Dialects.SMB_3_1_1, "3.0.2": Dialects.SMB_3_0_2}
_DIALECT_WITH_CCM_ONLY = "3.0.2"
_CCM = "AES-128-CCM"
_CIPHER_IDS = {
    "AES-128-CCM": Ciphers.AES_128_CCM,
    "AES-128-GCM": Ciphers.AES_128_GCM,
    "AES-256-CCM": Ciphers.AES_256_CCM,
    "AES-256-GCM": Ciphers.AES_256_GCM,
}
_SIGNING = {
    SigningAlgorithms.HMAC_SHA256: "HMAC-SHA256",
    SigningAlgorithms.AES_CMAC: "AES-CMAC",
    SigningAlgorithms.AES_GMAC: "AES-GMAC",
}
_WORKER_END = 5.0
CHUNK = 2 << 20
HANDSHAKE_DEADLINE = 30.0


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


class _Connection(Connection):  # type: ignore[misc]  # smbprotocol publishes no types
    """A Connection whose transport is ours, whatever ``connect()`` assigns."""

    def __init__(self, server: str, port: int, transport: HandshakeTransport) -> None:
        self._ours = transport
        super().__init__(uuid.uuid4(), server, port)

    @property
    def transport(self) -> HandshakeTransport:
        """The transport in use."""
        return self._ours

    @transport.setter
    def transport(self, _theirs: object) -> None:
        """Connection.connect() makes a Tcp of its own: it is never connected, and dropped."""


def connect(endpoint: Endpoint, *, deadline_seconds: float = HANDSHAKE_DEADLINE, chunk: int = CHUNK) -> Connected:
    """Open one lane to ``endpoint``; :class:`EngineError` says what is wrong. ``chunk`` bounds a READ or WRITE."""
    _validate(endpoint)
    deadline = time.monotonic() + deadline_seconds
    try:
        return _connect_by_any_dialect(endpoint, deadline, chunk)
    except EngineError as error:
        # A server that was given another key since the ticket was issued opens one that is issued now.
        if error.reason != SERVER_KEY_MISMATCH.name or not _has_fresh_ticket(endpoint):
            raise
    return _connect_by_any_dialect(endpoint, deadline, chunk)


def _has_fresh_ticket(endpoint: Endpoint) -> bool:
    return endpoint.fresh_ticket is not None and endpoint.fresh_ticket(endpoint.service_principal)


def _connect_by_any_dialect(endpoint: Endpoint, deadline: float, chunk: int) -> Connected:
    last_refusal: EngineError | None = None
    for dialect in endpoint.dialects:
        try:
            return _connect_dialect(endpoint, dialect, deadline, chunk)
        except EngineError as error:
            if error.reason != DIALECT_REFUSED.name:
                raise
            last_refusal = error
    raise last_refusal or EngineError(ENDPOINT_INVALID, "at least one dialect expected, none was given")


def _validate(endpoint: Endpoint) -> None:
    service, _, host = endpoint.service_principal.partition("/")
    if service != "cifs" or not host or "@" in host or "/" in host:
        raise EngineError(
            ENDPOINT_INVALID, f"a service principal cifs/<host> expected, found {endpoint.service_principal!r}"
        )
    unknown = [c for c in endpoint.ciphers if c not in CIPHERS] + [d for d in endpoint.dialects if d not in _DIALECTS]
    if unknown or not endpoint.ciphers:
        raise EngineError(ENDPOINT_INVALID, f"known ciphers and dialects expected, found {unknown or 'no cipher'}")
    if not endpoint.share or ILLEGAL.search(endpoint.share):
        raise EngineError(ENDPOINT_INVALID, f"a share name expected, found {endpoint.share!r}")


def _connect_dialect(endpoint: Endpoint, dialect: str, deadline: float, chunk: int) -> Connected:
    transport = HandshakeTransport(dial(endpoint.addresses, endpoint.port, deadline), deadline)
    connection = _Connection(endpoint.service_principal.partition("/")[2], endpoint.port, transport)
    try:
        _negotiate(connection, endpoint, dialect, deadline)
        session = _set_up_session(connection, endpoint)
        transport.encrypted_only = True
        tree = TreeConnect(session, rf"\\{endpoint.server}\{endpoint.share}")
        tree.connect()
        return _hand_over(_Parts(connection, session, tree, end_of_ticket(endpoint)), endpoint, dialect, chunk)
    except EngineError:
        _drop(connection)
        raise
    except Exception as error:
        _drop(connection)
        reached = Reached(transport.encrypted_only, transport.server_system_time)
        raise transport.failure or convert(error, endpoint, reached) from error


def _drop(connection: Any) -> None:
    connection.transport.close()
    worker = connection._t_worker  # noqa: SLF001  # the library gives no other way to see its thread end
    if worker is not None:
        worker.join(_WORKER_END)
    connection.transport.dispose()


def _negotiate(connection: Any, endpoint: Endpoint, dialect: str, deadline: float) -> None:
    if dialect == _DIALECT_WITH_CCM_ONLY and _CCM not in endpoint.ciphers:
        raise EngineError(CIPHER_NOT_OFFERED, f"{_CCM} listed expected, because SMB {dialect} has no other cipher")
    connection.connect(
        _DIALECTS[dialect],
        timeout=max(1, int(deadline - time.monotonic())),
        preferred_encryption_algos=[_CIPHER_IDS[name] for name in endpoint.ciphers],
    )
    if connection.dialect != _DIALECTS[dialect]:
        raise EngineError(
            DIALECT_REFUSED, f"SMB {dialect} was offered, the server answered with 0x{connection.dialect:04x}"
        )
    if not connection.supports_encryption:
        raise EngineError(
            ENCRYPTION_NOT_SUPPORTED,
            f"a server that encrypts with {' or '.join(endpoint.ciphers)} expected, it offers none",
        )
    if dialect != _DIALECT_WITH_CCM_ONLY and _cipher_name(connection) not in endpoint.ciphers:
        raise EngineError(
            CIPHER_NOT_OFFERED,
            f"one of {', '.join(endpoint.ciphers)} expected, the server chose cipher {connection.cipher_id}",
        )


def _cipher_name(connection: Any) -> str:
    names = {identifier: name for name, identifier in _CIPHER_IDS.items()}
    return names.get(connection.cipher_id, "unknown")


def _set_up_session(connection: Any, endpoint: Endpoint) -> Any:
    """Kerberos, and nothing else: no password exists that NTLM could use, and the mechanism is not negotiated."""
    session = Session(
        connection,
        username=spnego.KerberosCCache(endpoint.ccache, endpoint.principal),
        require_encryption=True,
        auth_protocol="kerberos",
    )
    with krb5_environment(endpoint.krb5_config):
        session.connect()
    return session


@dataclass(frozen=True, slots=True)
class _Parts:
    """smbprotocol's objects after the handshake, and when the session's ticket ends."""

    connection: Any
    session: Any
    tree: Any
    ticket_ends: float


def _hand_over(parts: _Parts, endpoint: Endpoint, dialect: str, chunk: int) -> Connected:
    """Take the socket, keys and message ids; smbprotocol's thread ends and is never used again."""
    connection, session, tree = parts.connection, parts.session, parts.tree
    transport: HandshakeTransport = connection.transport
    sock = transport.release()
    connection._t_worker.join(_WORKER_END)  # noqa: SLF001  # the socket must have one reader
    if connection._t_worker.is_alive():  # noqa: SLF001  # as above
        raise RuntimeError("smbprotocol's receiving thread did not end")
    transport.dispose()
    cipher = _CCM if dialect == _DIALECT_WITH_CCM_ONLY else _cipher_name(connection)
    window = connection.sequence_window
    facts = SessionFacts(
        session_id=session.session_id,
        tree_id=tree.tree_connect_id,
        suite=CIPHERS[cipher],
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
    evidence = _evidence(connection, tree, endpoint, dialect, cipher)
    channel = Channel(sock, lane, peer)
    channel.renewal = SessionRenewal(lane, partial(prove, endpoint), ends=parts.ticket_ends, peer=peer)
    guid = _server_guid(connection)
    return Connected(channel, evidence, transport.server_system_time, bool(tree.is_dfs_share), guid)


def _server_guid(connection: Any) -> uuid.UUID | None:
    """The ServerGuid as its number is written (MS-DTYP 2.3.4.2); smbprotocol takes its bytes in their order."""
    guid = uuid.UUID(bytes_le=connection.server_guid.bytes)
    return guid if guid.int else None


def _evidence(connection: Any, tree: Any, endpoint: Endpoint, dialect: str, cipher: str) -> Evidence:
    required = bool(connection.server_security_mode & SecurityMode.SMB2_NEGOTIATE_SIGNING_REQUIRED)
    algorithm = _SIGNING.get(connection.signing_algorithm_id, "AES-CMAC")
    return Evidence(
        principal=endpoint.principal,
        dialect=dialect,
        cipher=cipher,
        signing=f"{algorithm} ({'required' if required else 'supported'} by the server)",
        server=endpoint.server,
        share_encryption_required=bool(tree.encrypt_data),
        max_read_size=connection.max_read_size,
        max_write_size=connection.max_write_size,
    )
