"""NEGOTIATE (2.2.3, 3.2.5.2): every permitted dialect in one request, and nothing that was not offered in return.

SMB 3.1.1 binds all of it into the session's keys (preauth integrity), so whoever alters it on the way ends the session.
Where a server chooses 3.0.2, it confirms by FSCTL_VALIDATE_NEGOTIATE_INFO what it was offered and what it answered.
"""

import struct
import time
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

from smbferry_engine.errors import (
    CIPHER_NOT_OFFERED,
    DIALECT_REFUSED,
    ENCRYPTION_NOT_SUPPORTED,
    PROTOCOL_VIOLATION,
    EngineError,
)
from smbferry_engine.handshake import HandshakeTransport, dial
from smbferry_engine.model import Endpoint
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.negotiate import only_known

DIALECTS: Final = {"3.1.1": Dialects.SMB_3_1_1, "3.0.2": Dialects.SMB_3_0_2}
CCM: Final = "AES-128-CCM"
_CIPHER_IDS: Final = {
    "AES-128-CCM": Ciphers.AES_128_CCM,
    "AES-128-GCM": Ciphers.AES_128_GCM,
    "AES-256-CCM": Ciphers.AES_256_CCM,
    "AES-256-GCM": Ciphers.AES_256_GCM,
}
_SIGNING: Final = {
    SigningAlgorithms.HMAC_SHA256: "HMAC-SHA256",
    SigningAlgorithms.AES_CMAC: "AES-CMAC",
    SigningAlgorithms.AES_GMAC: "AES-GMAC",
}
_WORKER_END = 5.0
# Where the dialects begin in a NEGOTIATE request, its header included, and what its contexts are aligned to.
_DIALECTS_OFFSET = 100
_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both sides use: the dialect, the cipher and the signing algorithm, by name."""

    dialect: str
    cipher: str
    signing: str


class HandshakeConnection(Connection):  # type: ignore[misc]  # smbprotocol publishes no types
    """smbprotocol's Connection over a transport of ours, whatever ``connect()`` assigns.

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
        """Connection.connect() makes a Tcp of its own: it is never connected, and dropped."""

    def send(self, message: Any, *arguments: Any, **named: Any) -> Any:
        """Send a message. What is validated later (2.2.31.4) are the dialects that were offered."""
        if isinstance(message, SMB3NegotiateRequest):
            self.negotiated_dialects = message["dialects"] = self._dialects
            self._align_contexts(message)
        return super().send(message, *arguments, **named)

    def _align_contexts(self, message: Any) -> None:
        """Contexts begin on a multiple of eight (2.2.3); smbprotocol's padding is right for one or five dialects."""
        end = _DIALECTS_OFFSET + 2 * len(self._dialects)
        padding = -end % _ALIGNMENT
        message["padding"].size = padding
        message["padding"] = bytes(padding)
        message["negotiate_context_offset"] = end + padding

    def receive(self, request: Any, *arguments: Any, **named: Any) -> Any:
        """The reply to a request, without what smbprotocol can't read and a client ignores."""
        response = super().receive(request, *arguments, **named)
        if response["command"].get_value() == Commands.SMB2_NEGOTIATE:
            response["data"] = only_known(response["data"].get_value())
        return response


def open_connection(endpoint: Endpoint, deadline: float) -> HandshakeConnection:
    """A TCP connection to the endpoint, nothing said yet; ``deadline`` is in monotonic seconds.

    Raises:
        EngineError: no address answers.
    """
    transport = HandshakeTransport(dial(endpoint.addresses, endpoint.port, deadline), deadline)
    dialects = tuple(DIALECTS[dialect] for dialect in offered(endpoint))
    return HandshakeConnection(endpoint.service_principal.partition("/")[2], endpoint.port, transport, dialects)


def drop(connection: HandshakeConnection) -> None:
    """Cut a connection, and wait until smbprotocol's thread has left it."""
    connection.transport.close()
    worker = connection._t_worker  # noqa: SLF001  # the library gives no other way to see its thread end
    if worker is not None:
        worker.join(_WORKER_END)
    connection.transport.dispose()


def release(connection: HandshakeConnection) -> Any:
    """The socket, which smbprotocol's thread has left and will never use again."""
    sock = connection.transport.release()
    connection._t_worker.join(_WORKER_END)  # noqa: SLF001  # the socket must have one reader
    if connection._t_worker.is_alive():  # noqa: SLF001  # as above
        raise RuntimeError("smbprotocol's receiving thread did not end")
    connection.transport.dispose()
    return sock


def offered(endpoint: Endpoint) -> tuple[str, ...]:
    """The dialects that the endpoint's ciphers allow: 3.0.2 has AES-128-CCM and no other.

    Raises:
        EngineError: none is left.
    """
    usable = tuple(name for name in endpoint.dialects if name != "3.0.2" or CCM in endpoint.ciphers)
    if not usable:
        raise EngineError(CIPHER_NOT_OFFERED, f"expected {CCM} in the list, because SMB 3.0.2 has no other cipher")
    return usable


def negotiate(connection: HandshakeConnection, endpoint: Endpoint, deadline: float) -> Agreed:
    """Agree on dialect and cipher, or end with :class:`EngineError` or an error of smbprotocol's."""
    _exchange(connection, endpoint.ciphers, deadline)
    dialect = _dialect(connection, endpoint)
    if not connection.supports_encryption:
        raise _no_encryption(connection, endpoint, deadline)
    cipher = CCM
    if dialect == "3.1.1":
        if connection.preauth_integrity_hash_id != HashAlgorithms.SHA_512:
            raise EngineError(PROTOCOL_VIOLATION, "expected preauth integrity by SHA-512, the server chose none")
        cipher = _cipher_name(connection)
    if cipher not in endpoint.ciphers:
        wanted = ", ".join(endpoint.ciphers)
        raise EngineError(
            CIPHER_NOT_OFFERED, f"expected one of {wanted}, the server chose cipher {connection.cipher_id}"
        )
    return Agreed(dialect, cipher, _SIGNING.get(connection.signing_algorithm_id, "AES-CMAC"))


def _exchange(connection: HandshakeConnection, ciphers: tuple[str, ...], deadline: float) -> None:
    connection.connect(
        max(connection._dialects),  # noqa: SLF001  # ours
        timeout=max(1, int(deadline - time.monotonic())),
        preferred_encryption_algos=[_CIPHER_IDS[name] for name in ciphers],
    )


def _dialect(connection: HandshakeConnection, endpoint: Endpoint) -> str:
    """The dialect that the server chose among those offered."""
    names = offered(endpoint)
    for name in names:
        if connection.dialect == DIALECTS[name]:
            return name
    raise EngineError(
        DIALECT_REFUSED, f"expected SMB {' or '.join(names)}, the server answered with 0x{connection.dialect:04x}"
    )


def _cipher_name(connection: HandshakeConnection) -> str:
    names = {identifier: name for name, identifier in _CIPHER_IDS.items()}
    return names.get(connection.cipher_id, "unknown")


def _no_encryption(connection: HandshakeConnection, endpoint: Endpoint, deadline: float) -> EngineError:
    """Why a server does not encrypt: it can't, or only by ciphers that are not permitted.

    It is asked once more with all ciphers, on a connection of its own that ends there.
    """
    wanted = " or ".join(endpoint.ciphers)
    none = EngineError(ENCRYPTION_NOT_SUPPORTED, f"expected a server that encrypts with {wanted}, it offers none")
    if connection.dialect != Dialects.SMB_3_1_1 or set(endpoint.ciphers) >= set(_CIPHER_IDS):
        return none
    anything = replace(endpoint, ciphers=tuple(_CIPHER_IDS), dialects=("3.1.1",))
    try:
        found = _only_cipher(anything, deadline)
    except (EngineError, OSError, SMBException, ValueError, LookupError, struct.error, WireError) as error:
        none.__cause__ = error  # what it was asked first is answered, whatever becomes of the second question
        return none
    if found is None:
        return none
    return EngineError(CIPHER_NOT_OFFERED, f"expected a server that encrypts with {wanted}, it offers {found}")


def _only_cipher(endpoint: Endpoint, deadline: float) -> str | None:
    """The cipher that the server chooses among the endpoint's; None where it does not encrypt."""
    connection = open_connection(endpoint, deadline)
    try:
        _exchange(connection, endpoint.ciphers, deadline)
        return _cipher_name(connection) if connection.supports_encryption else None
    finally:
        drop(connection)
