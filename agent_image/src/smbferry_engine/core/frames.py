"""Frames in and out: Direct TCP framing (2.1) and encryption (2.2.41), without copying a payload.

A received frame is read header first; its ciphertext goes into one reused buffer with the tag written behind it, and is
decrypted at :data:`LANDING` of a pooled buffer. A READ reply's data, which starts at 80 of its message, thus lies at
112, exactly where a WRITE request wants it: what one side read, the other sends with no copy in between.
"""

from dataclasses import dataclass

from smbferry_engine.core.crypto import Opener, Sealer
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

LANDING = WRITE_DATA_OFFSET - READ_DATA_OFFSET
_PROTOCOL_END = FRAME_PREFIX + len(TRANSFORM_ID)
_ENVELOPE = FRAME_PREFIX + TRANSFORM_SIZE


class BufferPool:
    """Reused buffers of one size, big enough for the largest frame behind :data:`LANDING`."""

    def __init__(self, payload: int) -> None:
        self.size = LANDING + payload
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        """A buffer, made only when none is free."""
        return self._free.pop() if self._free else bytearray(self.size)

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer that nothing looks at any more."""
        self._free.append(buffer)


@dataclass(slots=True)
class Frame:
    """One decrypted frame: messages at ``[LANDING:end]`` of ``buffer``, which belongs to whoever holds the frame."""

    buffer: bytearray
    end: int


class FrameReader:
    """Assembles and decrypts frames. Feed it by receiving into :meth:`want` and telling :meth:`received`."""

    def __init__(self, opener: Opener, session_id: int, pool: BufferPool, payload: int) -> None:
        self._opener = opener
        self._session_id = session_id
        self._pool = pool
        self._limit = payload
        self._envelope = bytearray(_ENVELOPE)
        self._sealed = bytearray(payload + TAG_SIZE)
        self._filled = 0
        self._transform: Transform | None = None

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun that has not ended."""
        return self._filled > 0 or self._transform is not None

    def want(self) -> memoryview:
        """Where the next bytes of the stream belong."""
        if self._transform is None:
            return memoryview(self._envelope)[self._filled :]
        return memoryview(self._sealed)[self._filled : self._transform.original_size]

    def received(self, count: int) -> Frame | None:
        """``count`` bytes have been put into :meth:`want`; returns the frame that they complete, if they do."""
        self._filled += count
        if self._transform is None:
            self._check_envelope()
            if self._filled == _ENVELOPE:
                self._transform = self._accept_envelope()
                self._filled = 0
            return None
        if self._filled < self._transform.original_size:
            return None
        return self._open(self._transform)

    def _check_envelope(self) -> None:
        """Judge the envelope by as much as is there: a short hostile frame must not keep us waiting for the rest."""
        if self._filled >= FRAME_PREFIX:
            length = decode_frame_length(self._envelope)
            if length < TRANSFORM_SIZE + HEADER_SIZE or length > TRANSFORM_SIZE + self._limit:
                self._check_protocol()
                raise ProtocolError(f"a frame of at most {self._limit} bytes expected, found {length}")
        self._check_protocol()

    def _check_protocol(self) -> None:
        if self._filled < _PROTOCOL_END:
            return
        protocol = bytes(self._envelope[FRAME_PREFIX:_PROTOCOL_END])
        if protocol in (PROTOCOL_ID, COMPRESSION_ID):
            raise PlaintextReplyError("an encrypted frame expected, the server sent one in the clear")
        if protocol != TRANSFORM_ID:
            raise ProtocolError(f"an SMB2 frame expected, found {protocol!r}")

    def _accept_envelope(self) -> Transform:
        length = decode_frame_length(self._envelope)
        transform = decode_transform(self._envelope, FRAME_PREFIX)
        if transform.original_size != length - TRANSFORM_SIZE:
            raise ProtocolError(
                f"a message of {length - TRANSFORM_SIZE} bytes expected, its header says {transform.original_size}"
            )
        if transform.session_id != self._session_id:
            raise ProtocolError("a frame of our session expected, found one of another")
        return transform

    def _open(self, transform: Transform) -> Frame:
        size = transform.original_size
        sealed = memoryview(self._sealed)
        sealed[size : size + TAG_SIZE] = transform.signature
        buffer = self._pool.take()
        end = LANDING + size
        self._opener.open_into(
            transform.nonce, sealed[: size + TAG_SIZE], transform.aad, memoryview(buffer)[LANDING:end]
        )
        self._transform = None
        self._filled = 0
        return Frame(buffer, end)


class FrameWriter:
    """Encrypts one frame at a time into its own buffer and keeps what the socket has not taken yet."""

    def __init__(self, sealer: Sealer, session_id: int, payload: int) -> None:
        self._sealer = sealer
        self._session_id = session_id
        self._sealed = bytearray(payload + TAG_SIZE)
        self._pending: list[memoryview] = []

    @property
    def idle(self) -> bool:
        """Whether everything sealed so far has been taken."""
        return not self._pending

    def seal(self, plain: bytes | bytearray | memoryview) -> None:
        """Encrypt ``plain`` for sending; the frame before it must have been taken whole."""
        size = len(plain)
        if size + TAG_SIZE > len(self._sealed):
            self._sealed = bytearray(size + TAG_SIZE)
        nonce, field = self._sealer.nonce()
        aad = transform_aad(field, size, self._session_id)
        sealed = memoryview(self._sealed)
        self._sealer.seal_into(nonce, plain, aad, sealed[: size + TAG_SIZE])
        envelope = b"".join((frame_prefix(TRANSFORM_SIZE + size), TRANSFORM_ID, sealed[size : size + TAG_SIZE], aad))
        self._pending = [memoryview(envelope), sealed[:size]]

    def pending(self) -> list[memoryview]:
        """What is to be sent, in order."""
        return self._pending

    def taken(self, count: int) -> None:
        """The socket took ``count`` bytes of :meth:`pending`."""
        while count and self._pending:
            first = self._pending[0]
            if count < len(first):
                self._pending[0] = first[count:]
                return
            count -= len(first)
            self._pending.pop(0)
