"""Encryption of frames (3.1.4.3) with counters as nonces, so that none repeats under a session's key."""

import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

from smbferry_engine.core.errors import ForgedFrameError, ProtocolError
from smbferry_engine.wire.header import TAG_SIZE
from smbferry_words.smb import Cipher

_COUNTER = struct.Struct("<Q")
_NONCE_FIELD = 16
# At one frame per microsecond this takes 292,000 years.
_LAST_NONCE = 2**63


class Aead(Protocol):
    """The two in-place calls of cryptography's AEAD classes."""

    def encrypt_into(
        self, nonce: bytes, data: bytes | bytearray | memoryview, associated_data: bytes | None, buf: memoryview
    ) -> int:
        """Write ciphertext and tag into ``buf``."""
        ...

    def decrypt_into(
        self, nonce: bytes, data: bytes | bytearray | memoryview, associated_data: bytes | None, buf: memoryview
    ) -> int:
        """Write plaintext into ``buf``; raises InvalidTag."""
        ...


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One cipher of 2.2.3.1.2: its number on the wire, its key and nonce lengths in bytes."""

    name: str
    identifier: int
    key_size: int
    nonce_size: int

    def aead(self, key: bytes) -> Aead:
        """Return the cipher under ``key``."""
        if len(key) != self.key_size:
            raise ProtocolError(f"expected a key of {self.key_size} bytes for {self.name}, got {len(key)}")
        return AESGCM(key) if self.name.endswith("GCM") else AESCCM(key, tag_length=TAG_SIZE)


CIPHERS = {
    suite.name: suite
    for suite in (
        CipherSuite(Cipher.AES_128_CCM, 1, 16, 11),
        CipherSuite(Cipher.AES_128_GCM, 2, 16, 12),
        CipherSuite(Cipher.AES_256_CCM, 3, 32, 11),
        CipherSuite(Cipher.AES_256_GCM, 4, 32, 12),
    )
}


class Encryptor:
    """Encrypts outgoing frames. ``first_nonce`` is for tests; a session starts at zero."""

    def __init__(self, suite: CipherSuite, key: bytes, *, salt: bytes = b"", first_nonce: int = 0) -> None:
        self._aead = suite.aead(key)
        # smbprotocol used random nonces under this key for a few frames; the salt makes ours different.
        self._salt = salt[: suite.nonce_size - _COUNTER.size].ljust(suite.nonce_size - _COUNTER.size, b"\0")
        self._padding = bytes(_NONCE_FIELD - suite.nonce_size)
        self._next = first_nonce

    def nonce(self) -> tuple[bytes, bytes]:
        """Return the next nonce, and the 16-byte Nonce field of the encryption header."""
        if self._next >= _LAST_NONCE:
            raise ProtocolError("expected an unused nonce, this session has used all")
        nonce = self._salt + _COUNTER.pack(self._next)
        self._next += 1
        return nonce, nonce + self._padding

    def encrypt_into(self, nonce: bytes, plain: bytes | bytearray | memoryview, aad: bytes, out: memoryview) -> None:
        """Encrypt ``plain`` into ``out`` (``len(plain) + 16`` bytes): ciphertext, then tag."""
        self._aead.encrypt_into(nonce, plain, aad, out)


class Decryptor:
    """Decrypts incoming frames."""

    def __init__(self, suite: CipherSuite, key: bytes) -> None:
        self._aead = suite.aead(key)
        self._nonce_size = suite.nonce_size

    def decrypt_into(self, nonce_field: bytes, ciphertext: memoryview, aad: bytes, out: memoryview) -> None:
        """Decrypt ``ciphertext`` (its tag behind it) into ``out``; :class:`ForgedFrameError` for a wrong tag."""
        try:
            self._aead.decrypt_into(nonce_field[: self._nonce_size], ciphertext, aad, out)
        except InvalidTag:
            raise ForgedFrameError(
                f"expected a frame of {len(ciphertext)} bytes that the session's key decrypts, its tag does not fit"
            ) from None
