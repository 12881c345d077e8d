"""Encryption of frames (3.1.4.3) with nonces that count, so that none can ever repeat under a session's key."""

import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM

from smbferry_engine.core.errors import ForgedFrameError, ProtocolError
from smbferry_engine.wire.header import TAG_SIZE

_COUNTER = struct.Struct("<Q")
_NONCE_FIELD = 16
# A session's key is good for far more, but at one frame per microsecond this is never reached in a lifetime.
_LAST_NONCE = 2**63


class Aead(Protocol):
    """The two in-place calls of cryptography's AEAD classes."""

    def encrypt_into(
        self, nonce: bytes, data: bytes | bytearray | memoryview, associated_data: bytes | None, buf: memoryview
    ) -> int:
        """Ciphertext and tag into ``buf``."""
        ...

    def decrypt_into(
        self, nonce: bytes, data: bytes | bytearray | memoryview, associated_data: bytes | None, buf: memoryview
    ) -> int:
        """Plaintext into ``buf``; raises InvalidTag."""
        ...


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """One cipher of 2.2.3.1.2: its number on the wire, its key and nonce lengths in bytes."""

    name: str
    identifier: int
    key_size: int
    nonce_size: int

    def aead(self, key: bytes) -> Aead:
        """The cipher under ``key``."""
        if len(key) != self.key_size:
            raise ProtocolError(f"{self.name} wants a key of {self.key_size} bytes, found {len(key)}")
        return AESGCM(key) if self.name.endswith("GCM") else AESCCM(key, tag_length=TAG_SIZE)


CIPHERS = {
    suite.name: suite
    for suite in (
        CipherSuite("AES-128-CCM", 1, 16, 11),
        CipherSuite("AES-128-GCM", 2, 16, 12),
        CipherSuite("AES-256-CCM", 3, 32, 11),
        CipherSuite("AES-256-GCM", 4, 32, 12),
    )
}


class Sealer:
    """Encrypts what we send. ``first_nonce`` lets a test fix the sequence; a session starts at zero."""

    def __init__(self, suite: CipherSuite, key: bytes, *, salt: bytes = b"", first_nonce: int = 0) -> None:
        self._aead = suite.aead(key)
        # smbprotocol used random nonces under this key for a handful of frames: the salt keeps ours apart from them.
        self._salt = salt[: suite.nonce_size - _COUNTER.size].ljust(suite.nonce_size - _COUNTER.size, b"\0")
        self._padding = bytes(_NONCE_FIELD - suite.nonce_size)
        self._next = first_nonce

    def nonce(self) -> tuple[bytes, bytes]:
        """The next nonce, and the same as the 16-byte field of the encryption header."""
        if self._next >= _LAST_NONCE:
            raise ProtocolError("this session's nonces are used up")
        nonce = self._salt + _COUNTER.pack(self._next)
        self._next += 1
        return nonce, nonce + self._padding

    def seal_into(self, nonce: bytes, plain: bytes | bytearray | memoryview, aad: bytes, out: memoryview) -> None:
        """Ciphertext, then its tag, into ``out`` (``len(plain) + 16`` bytes)."""
        self._aead.encrypt_into(nonce, plain, aad, out)


class Opener:
    """Decrypts what the server sends."""

    def __init__(self, suite: CipherSuite, key: bytes) -> None:
        self._aead = suite.aead(key)
        self._nonce_size = suite.nonce_size

    def open_into(self, nonce_field: bytes, sealed: memoryview, aad: bytes, out: memoryview) -> None:
        """Plaintext of ``sealed`` (ciphertext, then tag) into ``out``; :class:`ForgedFrameError` for a wrong tag."""
        try:
            self._aead.decrypt_into(nonce_field[: self._nonce_size], sealed, aad, out)
        except InvalidTag:
            raise ForgedFrameError(
                f"a frame of {len(sealed)} bytes that the session's key opens expected, its tag does not fit"
            ) from None
