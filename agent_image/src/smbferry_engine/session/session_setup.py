"""SESSION_SETUP (3.2.4.2.3, 3.2.5.3): authenticates by SPNEGO with Kerberos, and derives the session's keys."""

import hashlib
from typing import Any, Final

from smbprotocol.connection import Capabilities, Ciphers, Dialects
from smbprotocol.exceptions import MoreProcessingRequired
from smbprotocol.session import Session, SMB2SessionSetupRequest, SMB2SessionSetupResponse

from smbferry_engine.errors import EngineError
from smbferry_engine.session.kerberos_exchange import Exchange
from smbferry_engine.wire.status import NtStatus
from smbferry_words.reasons import GUEST_REFUSED, MUTUAL_AUTHENTICATION_FAILED

_CREDITS: Final = 64
# The AP-REQ, and the mechListMIC if a server asks for it.
_MOST_TOKENS: Final = 2
_NOBODY: Final = 0x0001 | 0x0002  # SMB2_SESSION_FLAG_IS_GUEST, SMB2_SESSION_FLAG_IS_NULL
_KEY = 16
_LONG_KEY = 32


class KerberosSession(Session):  # type: ignore[misc]  # smbprotocol publishes no types
    """smbprotocol's Session with our authentication, which encrypts from the first message.

    smbprotocol's own sends a bare Kerberos token, which not every server accepts, or may fall back to NTLM.
    """

    session_id: int

    def __init__(self, connection: Any, exchange: Exchange) -> None:
        super().__init__(connection, require_encryption=True, auth_protocol="kerberos")
        self._exchange = exchange

    def connect(self) -> None:
        """Set up the session.

        Raises:
            EngineError: the server does not prove itself, or makes it a guest session.
            smbprotocol.exceptions.SMBException: the server refuses.
        """
        token: bytes | None = self._exchange.token
        for _ in range(_MOST_TOKENS):
            if token is None:
                break
            token = self._authenticate(token)
        if token is not None:
            raise EngineError(
                MUTUAL_AUTHENTICATION_FAILED,
                "expected the exchange of tokens to end, the server asks for another token",
            )
        self._connected = True
        self.connection.session_table[self.session_id] = self
        self._derive_keys(self._exchange.session_key)
        self.encrypt_data, self.signing_required = True, False  # encryption covers signing

    def _authenticate(self, token: bytes) -> bytes | None:
        """Send one token; returns the next one to send, None once the session is set up."""
        setup = SMB2SessionSetupRequest()
        setup["capabilities"] = Capabilities.SMB2_GLOBAL_CAP_DFS
        setup["security_mode"] = self.connection.client_security_mode
        setup["buffer"] = token
        request = self.connection.send(setup, sid=self.session_id, credit_request=_CREDITS)
        message_id = request.message["message_id"].get_value()
        try:
            response = self.connection.receive(request)
        except MoreProcessingRequired as more:
            response = more.header
        self.preauth_integrity_hash_value += self.connection.preauth_integrity_session_hash_value.pop(message_id)
        self.session_id = self.session_id or response["session_id"].get_value()
        answer = SMB2SessionSetupResponse()
        answer.unpack(response["data"].get_value())
        ended = response["status"].get_value() == NtStatus.SUCCESS
        if ended and answer["session_flags"].get_value() & _NOBODY:
            raise EngineError(GUEST_REFUSED, "the server mapped the session to guest or anonymous")
        following = self._exchange.step(answer["buffer"].get_value())
        if ended != (following is None):
            raise EngineError(
                MUTUAL_AUTHENTICATION_FAILED,
                "expected the session setup and the exchange of tokens to end together, one goes on",
            )
        return following

    def _derive_keys(self, key: bytes) -> None:
        """Derive the keys (3.1.4.2) for either dialect; those of SMB 3.1.1 depend on all messages so far."""
        self.full_session_key, self.session_key = key, key[:_KEY].ljust(_KEY, b"\0")
        if self.connection.dialect < Dialects.SMB_3_1_1:
            self.signing_key = self._smb3kdf(self.session_key, b"SMB2AESCMAC\0", b"SmbSign\0")
            self.encryption_key = self._smb3kdf(self.session_key, b"SMB2AESCCM\0", b"ServerIn \0")
            self.decryption_key = self._smb3kdf(self.session_key, b"SMB2AESCCM\0", b"ServerOut\0")
            return
        said = bytes(hashlib.sha512().digest_size)
        for message in self.connection.preauth_integrity_hash_value + self.preauth_integrity_hash_value:
            said = hashlib.sha512(said + message).digest()
        is_long = self.connection.cipher_id in (Ciphers.AES_256_CCM, Ciphers.AES_256_GCM)
        base, length = (key, _LONG_KEY) if is_long else (self.session_key, _KEY)
        self.signing_key = self._smb3kdf(self.session_key, b"SMBSigningKey\0", said)
        self.encryption_key = self._smb3kdf(base, b"SMBC2SCipherKey\0", said, length=length)
        self.decryption_key = self._smb3kdf(base, b"SMBS2CCipherKey\0", said, length=length)
