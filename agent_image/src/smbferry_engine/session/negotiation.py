"""NEGOTIATE (2.2.3, 3.2.5.2): offers every permitted dialect at once, and accepts only what was offered.

SMB 3.1.1 derives the session's keys from the whole exchange (preauth integrity), so that a change on the way ends the
session. A server that chooses 3.0.2 must confirm the exchange by FSCTL_VALIDATE_NEGOTIATE_INFO.
"""

import struct
import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

from smbprotocol.connection import (
    Ciphers,
    Connection,
    Dialects,
    HashAlgorithms,
    SigningAlgorithms,
    SMB3NegotiateRequest,
)
from smbprotocol.exceptions import SMBException
from smbprotocol.header import Commands

from smbferry_engine.errors import EngineError
from smbferry_engine.model import Endpoint
from smbferry_engine.session.handshake import HandshakeTransport, dial
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.negotiate import only_known
from smbferry_words.reasons import CIPHER_NOT_OFFERED, DIALECT_REFUSED, ENCRYPTION_NOT_SUPPORTED, PROTOCOL_VIOLATION
from smbferry_words.smb import Cipher, Dialect

DIALECTS: Final[dict[str, int]] = {Dialect.SMB_3_1_1: Dialects.SMB_3_1_1, Dialect.SMB_3_0_2: Dialects.SMB_3_0_2}
CCM: Final[str] = Cipher.AES_128_CCM
_CIPHER_IDS: Final[dict[str, int]] = {
    Cipher.AES_128_CCM: Ciphers.AES_128_CCM,
    Cipher.AES_128_GCM: Ciphers.AES_128_GCM,
    Cipher.AES_256_CCM: Ciphers.AES_256_CCM,
    Cipher.AES_256_GCM: Ciphers.AES_256_GCM,
}
_SIGNING: Final = {
    SigningAlgorithms.HMAC_SHA256: "HMAC-SHA256",
    SigningAlgorithms.AES_CMAC: "AES-CMAC",
    SigningAlgorithms.AES_GMAC: "AES-GMAC",
}
_WORKER_END = 5.0
# Offset of the dialects in a NEGOTIATE request, its header included, and the alignment of its contexts.
_DIALECTS_OFFSET = 100
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was negotiated: dialect, cipher and signing algorithm, by name."""

    dialect: str
    cipher: str
    signing: str


class HandshakeConnection(Connection):  # type: ignore[misc]  # smbprotocol publishes no types
    """smbprotocol's Connection with our transport, whatever ``connect()`` assigns.

    ``dialects``: all that NEGOTIATE offers; ``connect()`` itself offers one, or all that it knows.
    """

    def __init__(self, server: str, port: int, transport: HandshakeTransport, dialects: tuple[int, ...]) -> None:
        self._ours = transport
        self._dialects = sorted(dialects)
        super().__init__(uuid.uuid4(), server, port)

    @property
    def transport(self) -> HandshakeTransport:
        """The transport in use."""
        return self._ours

    @transport.setter
    def transport(self, _theirs: object) -> None:
        """Ignore the Tcp object that Connection.connect() creates."""

    def send(self, message: Any, *arguments: Any, **named: Any) -> Any:
        """Send a message; records the offered dialects, which are validated later (2.2.31.4)."""
        if isinstance(message, SMB3NegotiateRequest):
            self.negotiated_dialects = message["dialects"] = self._dialects
            self._align_contexts(message)
        return super().send(message, *arguments, **named)

    def _align_contexts(self, message: Any) -> None:
        """Align contexts to eight bytes (2.2.3); smbprotocol's padding is right only for one or five dialects."""
        end = _DIALECTS_OFFSET + 2 * len(self._dialects)
        padding = -end % _ALIGNMENT
        message["padding"].size = padding
        message["padding"] = bytes(padding)
        message["negotiate_context_offset"] = end + padding

    def receive(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """Return the reply to a request, without contexts that smbprotocol can't read and a client must ignore."""
        named["timeout"] = None  # the transport ends every wait at its deadline, and then knows why
        response = super().receive(request, *arguments, **named)
        if response["command"].get_value() == Commands.SMB2_NEGOTIATE:
            response["data"] = only_known(response["data"].get_value())
        return response


def open_connection(endpoint: Endpoint, deadline: float) -> HandshakeConnection:
    """Open a TCP connection to the endpoint; ``deadline`` is in monotonic seconds.

    Raises:
        EngineError: no address answers.
    """
    transport = HandshakeTransport(dial(endpoint.addresses, endpoint.port, deadline), deadline)
    dialects = tuple(DIALECTS[dialect] for dialect in offered(endpoint))
    return HandshakeConnection(endpoint.service_principal.partition("/")[2], endpoint.port, transport, dialects)


def drop(connection: HandshakeConnection) -> None:
    """Close a connection, and wait until smbprotocol's thread has ended."""
    connection.transport.close()
    worker = connection._t_worker  # noqa: SLF001  # the library gives no other way to see its thread end
    if worker is not None:
        worker.join(_WORKER_END)
    connection.transport.dispose()


def release(connection: HandshakeConnection) -> Any:
    """End smbprotocol's thread and return the socket."""
    sock = connection.transport.release()
    connection._t_worker.join(_WORKER_END)  # noqa: SLF001  # the socket must have one reader
    if connection._t_worker.is_alive():  # noqa: SLF001  # as above
        raise RuntimeError("smbprotocol's receiving thread did not end")
    connection.transport.dispose()
    return sock


def offered(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the dialects that the endpoint's ciphers allow: 3.0.2 has AES-128-CCM and no other.

    Raises:
        EngineError: no dialect is left.
    """
    usable = tuple(name for name in endpoint.dialects if name != Dialect.SMB_3_0_2 or CCM in endpoint.ciphers)
    if not usable:
        raise EngineError(CIPHER_NOT_OFFERED, f"expected {CCM} in the list, because SMB 3.0.2 has no other cipher")
    return usable


def negotiate(connection: HandshakeConnection, endpoint: Endpoint, deadline: float) -> Agreed:
    """Negotiate dialect and cipher; raises :class:`EngineError` or an error of smbprotocol."""
    _exchange(connection, endpoint.ciphers)
    dialect = _dialect(connection, endpoint)
    if not connection.supports_encryption:
        raise _no_encryption(connection, endpoint, deadline)
    cipher = CCM
    if dialect == Dialect.SMB_3_1_1:
        if connection.preauth_integrity_hash_id != HashAlgorithms.SHA_512:
            raise EngineError(PROTOCOL_VIOLATION, "expected preauth integrity by SHA-512, the server chose none")
        cipher = _cipher_name(connection)
    if cipher not in endpoint.ciphers:
        wanted = ", ".join(endpoint.ciphers)
        raise EngineError(CIPHER_NOT_OFFERED, f"expected one of {wanted}, got cipher {connection.cipher_id}")
    return Agreed(dialect, cipher, _SIGNING.get(connection.signing_algorithm_id, "AES-CMAC"))


def _exchange(connection: HandshakeConnection, ciphers: tuple[str, ...]) -> None:
    connection.connect(
        max(connection._dialects),  # noqa: SLF001  # ours
        preferred_encryption_algos=[_CIPHER_IDS[name] for name in ciphers],
    )


def _dialect(connection: HandshakeConnection, endpoint: Endpoint) -> str:
    """Return the dialect that the server chose among those offered."""
    names = offered(endpoint)
    for name in names:
        if connection.dialect == DIALECTS[name]:
            return name
    raise EngineError(DIALECT_REFUSED, f"expected SMB {' or '.join(names)}, got 0x{connection.dialect:04x}")


def _cipher_name(connection: HandshakeConnection) -> str:
    names = {identifier: name for name, identifier in _CIPHER_IDS.items()}
    return names.get(connection.cipher_id, "unknown")


def _no_encryption(connection: HandshakeConnection, endpoint: Endpoint, deadline: float) -> EngineError:
    """Return the error for a server that does not encrypt: it can't, or only with ciphers that are not permitted.

    To find out, all ciphers are offered on another connection, which is closed afterwards.
    """
    wanted = " or ".join(endpoint.ciphers)
    none = EngineError(ENCRYPTION_NOT_SUPPORTED, f"expected a server that encrypts with {wanted}, it offers none")
    if connection.dialect != Dialects.SMB_3_1_1 or set(endpoint.ciphers) >= set(_CIPHER_IDS):
        return none
    anything = replace(endpoint, ciphers=tuple(_CIPHER_IDS), dialects=(Dialect.SMB_3_1_1,))
    try:
        found = _only_cipher(anything, deadline)
    except (EngineError, OSError, SMBException, ValueError, LookupError, struct.error, WireError) as error:
        none.__cause__ = error  # the first answer counts, even if this one fails
        return none
    if found is None:
        return none
    return EngineError(CIPHER_NOT_OFFERED, f"expected a server that encrypts with {wanted}, it offers {found}")


def _only_cipher(endpoint: Endpoint, deadline: float) -> str | None:
    """Return the cipher that the server chooses among the endpoint's; None if it does not encrypt."""
    connection = open_connection(endpoint, deadline)
    try:
        _exchange(connection, endpoint.ciphers)
        return _cipher_name(connection) if connection.supports_encryption else None
    finally:
        drop(connection)
