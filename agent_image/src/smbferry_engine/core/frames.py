"""Frames in and out: Direct TCP framing (2.1) and encryption (2.2.41), without copying a payload.

A received frame is read header first; its ciphertext goes to :data:`LANDING` of a pooled buffer, with the tag written
behind it, and is decrypted where it lies. A READ reply's data, which starts at 80 of its message, thus lies at 112,
exactly where a WRITE request wants it: what one side read, the other encrypts in place and sends. A file's bytes pass
through one buffer on their way, which stays in the processor's cache.
"""

from collections.abc import Callable
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
# Frames are gathered for one call of the system until they have so many bytes: more would only delay the first.
_TOGETHER = 32 * 1024


class BufferPool:
    """Reused buffers of one size, with room for a frame of ``payload`` bytes behind :data:`LANDING`."""

    def __init__(self, payload: int) -> None:
        self.payload = payload
        self._size = LANDING + payload + TAG_SIZE
        self._free: list[bytearray] = []

    def take(self, payload: int = 0) -> bytearray:
        """A buffer, made only when none is free; one of its own for the rare frame that is larger than all others."""
        if payload > self.payload:
            return bytearray(LANDING + payload + TAG_SIZE)
        return self._free.pop() if self._free else bytearray(self._size)

    def give_back(self, buffer: bytearray) -> None:
        """Return a buffer that nothing looks at any more."""
        if len(buffer) == self._size:
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
        self._filled = 0
        self._transform: Transform | None = None
        self._buffer = bytearray()

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun that has not ended."""
        return self._filled > 0 or self._transform is not None

    def want(self) -> memoryview:
        """Where the next bytes of the stream belong."""
        if self._transform is None:
            return memoryview(self._envelope)[self._filled :]
        return memoryview(self._buffer)[LANDING + self._filled : LANDING + self._transform.original_size]

    def received(self, count: int) -> Frame | None:
        """``count`` bytes have been put into :meth:`want`; returns the frame that they complete, if they do."""
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
        buffer, end = self._buffer, LANDING + transform.original_size
        view = memoryview(buffer)
        view[end : end + TAG_SIZE] = transform.signature
        self._opener.open_into(transform.nonce, view[LANDING : end + TAG_SIZE], transform.aad, view[LANDING:end])
        self._transform = None
        self._filled = 0
        return Frame(buffer, end)


class FrameWriter:
    """Encrypts frames and keeps what the socket has not taken yet: small ones together, a large one where it lies."""

    def __init__(self, sealer: Sealer, session_id: int) -> None:
        self._sealer = sealer
        self._session_id = session_id
        self._sealed = bytearray(2 * _TOGETHER)
        self._used = 0
        self._pending: list[memoryview] = []
        self._release: Callable[[], None] | None = None

    @property
    def idle(self) -> bool:
        """Whether everything sealed so far has been taken."""
        return not self._pending

    @property
    def has_room(self) -> bool:
        """Whether another frame may be sealed by :meth:`seal`."""
        return self._release is None and self._used < _TOGETHER

    def seal(self, plain: bytes | bytearray) -> None:
        """Encrypt a copy of ``plain`` for sending, behind what has not been taken yet; only while there is room."""
        size = len(plain)
        begin, end = self._used + _ENVELOPE, self._used + _ENVELOPE + size
        if end + TAG_SIZE > len(self._sealed):
            self._sealed = self._sealed[: self._used] + bytes(end + TAG_SIZE - self._used)
        sealed = memoryview(self._sealed)
        sealed[self._used : begin] = self._encrypt(plain, sealed[begin : end + TAG_SIZE], size)
        left = sum(map(len, self._pending))
        self._pending = [sealed[self._used - left : end]]
        self._used = end

    def seal_in_place(self, buffer: bytearray, size: int, release: Callable[[], None]) -> None:
        """Encrypt the first ``size`` bytes of ``buffer``, which has room for a tag behind them; only while idle.

        ``release`` is called when the frame has been taken whole and ``buffer`` may be used again.
        """
        view = memoryview(buffer)
        self._pending = [memoryview(self._encrypt(view[:size], view[: size + TAG_SIZE], size)), view[:size]]
        self._release = release

    def _encrypt(self, plain: bytes | bytearray | memoryview, sealed: memoryview, size: int) -> bytes:
        """Ciphertext, then its tag, into ``sealed``; returns what goes before the ciphertext."""
        nonce, field = self._sealer.nonce()
        aad = transform_aad(field, size, self._session_id)
        self._sealer.seal_into(nonce, plain, aad, sealed)
        return b"".join((frame_prefix(TRANSFORM_SIZE + size), TRANSFORM_ID, sealed[size:], aad))

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
        if self._pending:
            return
        self._used = 0
        if self._release is not None:
            release, self._release = self._release, None
            release()
