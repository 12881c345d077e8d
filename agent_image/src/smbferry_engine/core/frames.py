"""Frames: Direct TCP framing (2.1) and encryption (2.2.41), without copying payloads.

The ciphertext of a received frame goes to :data:`PAYLOAD_OFFSET` of a pooled buffer, followed by its tag, and is
decrypted in place. So the data of a READ reply, which begins at byte 80 of the message, is at byte 112 of the buffer,
where a WRITE request has it: the other side encrypts and sends it in place. The bytes of a file pass through one
buffer, which stays in the processor's cache.
"""

from collections.abc import Callable
from dataclasses import dataclass

from smbferry_engine.core.crypto import Decryptor, Encryptor
from smbferry_engine.core.errors import PlaintextReplyError, ProtocolError
from smbferry_engine.wire.data import READ_DATA_OFFSET, WRITE_DATA_OFFSET
from smbferry_engine.wire.header import (
    COMPRESSION_ID,
    FRAME_PREFIX,
    HEADER_SIZE,
    PROTOCOL_ID,
    TAG_SIZE,
    TRANSFORM_ID,
    TRANSFORM_SIZE,
    Transform,
    decode_frame_length,
    decode_transform,
    frame_prefix,
    transform_aad,
)

PAYLOAD_OFFSET = WRITE_DATA_OFFSET - READ_DATA_OFFSET
_PROTOCOL_END = FRAME_PREFIX + len(TRANSFORM_ID)
_ENVELOPE = FRAME_PREFIX + TRANSFORM_SIZE
# Frames are sent together up to so many bytes; more would only delay the first one.
_TOGETHER = 32 * 1024


class BufferPool:
    """Reused buffers of one size, each for a frame of ``payload`` bytes at :data:`PAYLOAD_OFFSET`."""

    def __init__(self, payload: int) -> None:
        self.payload = payload
        self._size = PAYLOAD_OFFSET + payload + TAG_SIZE
        self._free: list[bytearray] = []

    def take(self, payload: int = 0) -> bytearray:
        """Return a free buffer or a new one; a larger ``payload`` gets a buffer that is not reused."""
        if payload > self.payload:
            return bytearray(PAYLOAD_OFFSET + payload + TAG_SIZE)
        return self._free.pop() if self._free else bytearray(self._size)

    def give_back(self, buffer: bytearray) -> None:
        """Take back a buffer that is no longer used."""
        if len(buffer) == self._size:
            self._free.append(buffer)


@dataclass(slots=True)
class Frame:
    """One decrypted frame: messages at ``[PAYLOAD_OFFSET:end]`` of ``buffer``, which belongs to the holder of the
    frame.
    """

    buffer: bytearray
    end: int


class FrameReader:
    """Assembles and decrypts frames: receive into :meth:`want`, then call :meth:`received`."""

    def __init__(self, decryptor: Decryptor, session_id: int, pool: BufferPool, payload: int) -> None:
        self._decryptor = decryptor
        self._session_id = session_id
        self._pool = pool
        self._limit = payload
        self._envelope = bytearray(_ENVELOPE)
        self._filled = 0
        self._transform: Transform | None = None
        self._buffer = bytearray()

    @property
    def mid_frame(self) -> bool:
        """True if a frame is incomplete."""
        return self._filled > 0 or self._transform is not None

    def want(self) -> memoryview:
        """Return the buffer for the next bytes of the stream."""
        if self._transform is None:
            return memoryview(self._envelope)[self._filled :]
        return memoryview(self._buffer)[PAYLOAD_OFFSET + self._filled : PAYLOAD_OFFSET + self._transform.original_size]

    def received(self, count: int) -> Frame | None:
        """Process ``count`` bytes in :meth:`want`; returns the frame that they complete, if any."""
        self._filled += count
        if self._transform is None:
            self._check_envelope()
            if self._filled == _ENVELOPE:
                self._transform = self._accept_envelope()
                self._buffer = self._pool.take(self._transform.original_size)
                self._filled = 0
            return None
        if self._filled < self._transform.original_size:
            return None
        return self._open(self._transform)

    def _check_envelope(self) -> None:
        """Check the part of the envelope that has arrived: a short hostile frame must not make us wait for more."""
        if self._filled >= FRAME_PREFIX:
            length = decode_frame_length(self._envelope)
            if length < TRANSFORM_SIZE + HEADER_SIZE or length > TRANSFORM_SIZE + self._limit:
                self._check_protocol()
                raise ProtocolError(f"expected a frame of at most {self._limit} bytes, got {length}")
        self._check_protocol()

    def _check_protocol(self) -> None:
        if self._filled < _PROTOCOL_END:
            return
        protocol = bytes(self._envelope[FRAME_PREFIX:_PROTOCOL_END])
        if protocol in (PROTOCOL_ID, COMPRESSION_ID):
            raise PlaintextReplyError("expected an encrypted frame, got an unencrypted one")
        if protocol != TRANSFORM_ID:
            raise ProtocolError(f"expected an SMB2 frame, got {protocol!r}")

    def _accept_envelope(self) -> Transform:
        length = decode_frame_length(self._envelope)
        transform = decode_transform(self._envelope, FRAME_PREFIX)
        if transform.original_size != length - TRANSFORM_SIZE:
            raise ProtocolError(
                f"expected a message of {length - TRANSFORM_SIZE} bytes, its header says {transform.original_size}"
            )
        if transform.session_id != self._session_id:
            raise ProtocolError("expected a frame of our session, got one of another")
        return transform

    def _open(self, transform: Transform) -> Frame:
        buffer, end = self._buffer, PAYLOAD_OFFSET + transform.original_size
        view = memoryview(buffer)
        view[end : end + TAG_SIZE] = transform.signature
        self._decryptor.decrypt_into(
            transform.nonce, view[PAYLOAD_OFFSET : end + TAG_SIZE], transform.aad, view[PAYLOAD_OFFSET:end]
        )
        self._transform = None
        self._filled = 0
        return Frame(buffer, end)


class FrameWriter:
    """Encrypts frames and keeps them until the socket takes them: small ones together, a large one in place."""

    def __init__(self, encryptor: Encryptor, session_id: int) -> None:
        self._encryptor = encryptor
        self._session_id = session_id
        self._ciphertext = bytearray(2 * _TOGETHER)
        self._used = 0
        self._pending: list[memoryview] = []
        self._release: Callable[[], None] | None = None

    @property
    def idle(self) -> bool:
        """True if every encrypted frame has been taken."""
        return not self._pending

    @property
    def has_room(self) -> bool:
        """True if :meth:`encrypt` may be called."""
        return self._release is None and self._used < _TOGETHER

    def encrypt(self, plain: bytes | bytearray) -> None:
        """Encrypt a copy of ``plain`` and append it to the pending frames; only if :attr:`has_room`."""
        size = len(plain)
        begin, end = self._used + _ENVELOPE, self._used + _ENVELOPE + size
        if end + TAG_SIZE > len(self._ciphertext):
            self._ciphertext = self._ciphertext[: self._used] + bytes(end + TAG_SIZE - self._used)
        ciphertext = memoryview(self._ciphertext)
        ciphertext[self._used : begin] = self._encrypt_frame(plain, ciphertext[begin : end + TAG_SIZE], size)
        left = sum(map(len, self._pending))
        self._pending = [ciphertext[self._used - left : end]]
        self._used = end

    def encrypt_in_place(self, buffer: bytearray, size: int, release: Callable[[], None]) -> None:
        """Encrypt the first ``size`` bytes of ``buffer``, followed by the tag; only if :attr:`idle`.

        ``release`` is called once the whole frame has been taken and ``buffer`` may be reused.
        """
        view = memoryview(buffer)
        self._pending = [memoryview(self._encrypt_frame(view[:size], view[: size + TAG_SIZE], size)), view[:size]]
        self._release = release

    def _encrypt_frame(self, plain: bytes | bytearray | memoryview, ciphertext: memoryview, size: int) -> bytes:
        """Encrypt ``plain`` into ``ciphertext``, followed by the tag; returns the frame's header."""
        nonce, field = self._encryptor.nonce()
        aad = transform_aad(field, size, self._session_id)
        self._encryptor.encrypt_into(nonce, plain, aad, ciphertext)
        return b"".join((frame_prefix(TRANSFORM_SIZE + size), TRANSFORM_ID, ciphertext[size:], aad))

    def pending(self) -> list[memoryview]:
        """Return the buffers to send, in order."""
        return self._pending

    def taken(self, count: int) -> None:
        """Remove ``count`` bytes from :meth:`pending`, which the socket took."""
        while count and self._pending:
            first = self._pending[0]
            if count < len(first):
                self._pending[0] = first[count:]
                return
            count -= len(first)
            self._pending.pop(0)
        if self._pending:
            return
        self._used = 0
        if self._release is not None:
            release, self._release = self._release, None
            release()
