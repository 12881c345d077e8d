"""One session on one connection: turns calls into frames, and frames into replies (3.2.4.1, 3.2.5.1).

It fills the next frame when credits and the writer allow it, and matches each received message to its call. A message
that a server must not send raises :class:`ProtocolError`. It does no IO.
"""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smbferry_engine.core.calls import Call, Payload, Reply, Request, empty_request
from smbferry_engine.core.credits import CREDIT_BYTES, CreditWindow, charge_for
from smbferry_engine.core.crypto import CipherSuite, Decryptor, Encryptor
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.frames import PAYLOAD_OFFSET, BufferPool, Frame, FrameReader, FrameWriter
from smbferry_engine.core.pending import Replies, Unsent
from smbferry_engine.core.sizes import LARGEST, RangeSizes
from smbferry_engine.core.split import SplitCall
from smbferry_engine.core.states import SessionEvent, SessionLife
from smbferry_engine.wire.data import WRITE_DATA_OFFSET, encode_read, encode_write_into
from smbferry_engine.wire.header import (
    FLAG_ASYNC,
    FLAG_RELATED,
    HEADER_SIZE,
    UNSOLICITED_MESSAGE_ID,
    Command,
    Header,
    decode_header,
    encode_header_into,
)
from smbferry_engine.wire.session import encode_session_setup
from smbferry_engine.wire.status import NtStatus

if TYPE_CHECKING:
    from smbferry_engine.core.window import CallWindow

_FRAME_OVERHEAD = 64 * 1024
_MAX_BREAKS = 10_000
# ECHOes in a row to get the credits for one request; a server that has not granted them by then never will.
_MOST_ECHOES = 64
# Plain integers: each message is looked at, and enums are slow at that.
_PENDING, _ECHO, _EXPIRED = int(NtStatus.PENDING), int(Command.ECHO), int(NtStatus.NETWORK_SESSION_EXPIRED)
_WRITE = int(Command.WRITE)
_NO_HEADER, _PADDING = bytes(HEADER_SIZE), bytes(8)
_SESSION_GONE = frozenset({NtStatus.NETWORK_NAME_DELETED, NtStatus.USER_SESSION_DELETED})


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the handshake negotiated. Sizes in bytes; ``next_message_id`` is the first unused one."""

    session_id: int
    tree_id: int
    suite: CipherSuite
    encryption_key: bytes
    decryption_key: bytes
    max_read_size: int
    max_write_size: int
    max_transact_size: int
    next_message_id: int
    credits: int

    def __repr__(self) -> str:
        return f"SessionFacts(session_id=0x{self.session_id:x}, tree_id={self.tree_id}, cipher={self.suite.name})"


class Session:
    """Calls on one session. ``chunk`` bounds what one READ, WRITE or listing carries, and with it every buffer.

    ``window`` limits the calls in flight; None if only credits do.
    """

    def __init__(self, facts: SessionFacts, *, chunk: int, salt: bytes = b"", pool: BufferPool | None = None) -> None:
        self.facts = facts
        payload = chunk + _FRAME_OVERHEAD
        self.pool = pool or BufferPool(payload)
        self.credits = CreditWindow(facts.next_message_id, facts.credits)
        self.reader = FrameReader(
            Decryptor(facts.suite, facts.decryption_key),
            facts.session_id,
            self.pool,
            max(payload, LARGEST + _FRAME_OVERHEAD),
        )
        self.writer = FrameWriter(Encryptor(facts.suite, facts.encryption_key, salt=salt), facts.session_id)
        self.life = SessionLife()
        self.unsent = Unsent()
        self.replies = Replies()
        self.sizes = RangeSizes(chunk)
        self.window: CallWindow | None = None

    @property
    def usable(self) -> bool:
        """True while calls can succeed: the connection is up and the server has not ended the session."""
        return self.life.usable

    @property
    def failure(self) -> BaseException | None:
        """Why the connection was lost, if it was."""
        return self.life.failure

    @property
    def expired(self) -> bool:
        """True while calls wait for the session to be authenticated again."""
        return self.life.expired

    @property
    def busy(self) -> bool:
        """True while a reply is outstanding or a call waits to be sent."""
        return bool(self.replies.outstanding or self.unsent or not self.writer.idle)

    @property
    def waiting(self) -> bool:
        """True while a reply is outstanding."""
        return bool(self.replies.outstanding)

    @property
    def has_interim_reply(self) -> bool:
        """True while an outstanding request has an interim reply (3.2.5.1.5)."""
        return bool(self.replies.interim)

    @property
    def follows_a_death(self) -> bool:
        """True if this connection replaces one that was lost."""
        return self.sizes.carried_by_last is not None

    def follow(self, last: "Session") -> None:
        """Replace a connection that was lost: ranges are small until this one has carried more."""
        self.sizes.carried_by_last = last.sizes.carried
        self.window = last.window

    def read_limit(self, wanted: int = 0) -> int:
        """Return the most bytes that one READ may ask for now; with few credits it is small, never zero.

        ``wanted`` may be more than a chunk, up to :data:`LARGEST`.
        """
        return self.sizes.limit(wanted, self.facts.max_read_size, self.credits.total)

    def write_limit(self, wanted: int = 0) -> int:
        """Return the most bytes that one WRITE may carry now; ``wanted`` is as for :meth:`read_limit`."""
        return self.sizes.limit(wanted, self.facts.max_write_size, self.credits.total)

    def list_limit(self, wanted: int) -> int:
        """Return ``wanted`` bytes of a listing or descriptor, or as many as server and credits allow."""
        return min(
            wanted, self.sizes.chunk, self.facts.max_transact_size, max(1, self.credits.total // 4) * CREDIT_BYTES
        )

    def call(self, *requests: Request, tree_id: int | None = None) -> Call:
        """Send requests as one related compound; all but the first use the file that the first opened.

        ``tree_id`` is for another share on the same session; 0 for requests without a tree.
        """
        return self._submit(Call(requests, tree_id=self.facts.tree_id if tree_id is None else tree_id))

    def read(self, file_id: bytes, offset: int, length: int) -> Call:
        """Send a READ whose data is at byte 112 of ``reply.buffer``, ready for :meth:`write_in_place`."""
        request = Request(Command.READ, encode_read(file_id, offset, length), charge_for(length))
        return self._submit(Call((request,), tree_id=self.facts.tree_id, keep_buffer=True))

    def write_in_place(self, buffer: bytearray, file_id: bytes, offset: int, length: int, pool: BufferPool) -> Call:
        """Send a WRITE of the ``length`` bytes at byte 112 of ``buffer``, which is encrypted in place.

        The session owns the buffer from now on; it returns it to ``pool`` once it was sent, before the reply.
        """
        encode_write_into(buffer, file_id, offset, length)
        request = Request(Command.WRITE, b"", charge_for(length))
        payload = Payload(buffer, WRITE_DATA_OFFSET + length, pool)
        return self._submit(Call((request,), tree_id=self.facts.tree_id, payload=payload))

    def authenticate(self, token: bytes) -> Call:
        """Send SESSION_SETUP on the existing session (3.2.4.2.3), before all waiting calls; the keys do not change."""
        body = encode_session_setup(token)
        call = Call((Request(Command.SESSION_SETUP, body, charge_for(len(body))),), tree_id=0)
        call.can_be_sent_again = False
        if self.life.failure is not None:
            call.fail(self.life.failure)
        else:
            self.unsent.urgent.append(call)
        return call

    def renewed(self) -> None:
        """Continue after the session was authenticated again: refused calls are sent again, in order."""
        self.life.renewed(self.credits.next_message_id)
        self.unsent.take_back()

    def _submit(self, call: Call) -> Call:
        if self.life.failure is not None:
            call.fail(self.life.failure)
        elif self.window is not None and call.requests[0].command == _ECHO:
            self.unsent.backlog.appendleft(call)
        else:
            self.unsent.backlog.append(call)
        return call

    def fill_writer(self) -> bool:
        """Encrypt the next frame if writer and credits allow it; returns True if there may be another."""
        queue = self.unsent.urgent or self.unsent.backlog
        if not queue or self.life.failure is not None or (self.life.expired and queue is self.unsent.backlog):
            return False
        call = queue[0]
        if not (self.writer.has_room if call.payload is None else self.writer.idle):
            return False
        window = None if queue is self.unsent.urgent else self.window
        if window is not None and not window.admits(call):
            return False
        if call.charge > self.credits.available:
            return not self.replies.outstanding and self._do_with_few(queue)
        queue.popleft()
        if window is not None:
            window.sent(call)
        if self.credits.echoes and call.requests[0].command != _ECHO:
            self.credits.echoes = 0
        if call.payload is None:
            self.writer.encrypt(self._encode(call))
        else:
            self._encrypt_in_place(call, call.payload)
        return True

    def _do_with_few(self, queue: deque[Call]) -> bool:
        """Nothing is under way that would bring the credits of the next call: earn them, or send its parts one by one.

        An ECHO asks for more (3.2.4.1.2). A compound is split once the server has been asked with as many credits as
        there are now; that is remembered, so that a server that keeps its clients short is not asked each time.

        Raises:
            ProtocolError: the server leaves too few credits for a single request.
        """
        call, available = queue[0], self.credits.available
        single = len(call.requests) == 1
        if available and (available > self.credits.asked_with or (single and self.credits.echoes < _MOST_ECHOES)):
            self.credits.asked_with = max(self.credits.asked_with, available)
            self.credits.echoes += 1
            self.unsent.urgent.appendleft(Call((empty_request(Command.ECHO),)))
        elif available and not single:
            SplitCall(queue.popleft(), self.unsent.backlog.appendleft).send()
        else:
            raise ProtocolError(f"expected {call.charge} credits for a request, got {available}")
        return True

    def _encrypt_in_place(self, call: Call, payload: Payload) -> None:
        self._encode_header(payload.buffer, 0, call, 0, flags=0, following=0)
        call.payload = None
        call.can_be_sent_again = False
        self.writer.encrypt_in_place(payload.buffer, payload.size, lambda: payload.pool.give_back(payload.buffer))

    def _encode(self, call: Call) -> bytearray:
        message = bytearray()
        last = len(call.requests) - 1
        for index, request in enumerate(call.requests):
            start = len(message)
            message += _NO_HEADER
            message += request.body
            following = 0
            if index < last:
                message += _PADDING[: -len(message) % 8]
                following = len(message) - start
            self._encode_header(message, start, call, index, flags=FLAG_RELATED if index else 0, following=following)
        return message

    def _encode_header(
        self, message: bytearray | memoryview, start: int, call: Call, index: int, *, flags: int, following: int
    ) -> None:
        request = call.requests[index]
        message_id = self.credits.take(request.charge)
        self.replies.outstanding[message_id] = (call, index)
        encode_header_into(
            message,
            start,
            command=request.command,
            charge=request.charge,
            credit_request=request.charge if index else self.credits.request(request.charge),
            flags=flags,
            next_command=following,
            message_id=message_id,
            tree_id=call.tree_id,
            session_id=self.facts.session_id,
        )

    def deliver(self, frame: Frame) -> int:
        """Hand a frame's messages to the calls that wait for them; returns how many final replies it held."""
        start, finals = PAYLOAD_OFFSET, 0
        kept = False
        while True:
            header = decode_header(frame.buffer, start, frame.end)
            end = start + header.next_command if header.next_command else frame.end
            single = start == PAYLOAD_OFFSET and not header.next_command
            final, keeps = self._deliver_message(header, frame, start, end, single=single)
            finals += final
            kept = kept or keeps
            if not header.next_command:
                break
            start = end
        if not kept:
            self.pool.give_back(frame.buffer)
        return finals

    def _deliver_message(
        self, header: Header, frame: Frame, start: int, end: int, *, single: bool
    ) -> tuple[bool, bool]:
        """Returns whether this was a final reply, and whether its call now owns the frame's buffer."""
        status, command, granted, flags, _, message_id, _, _, session_id = header
        self.credits.granted(granted)
        if message_id == UNSOLICITED_MESSAGE_ID:
            self._note_break(header)
            return False, False
        if session_id != self.facts.session_id:
            raise ProtocolError("expected a reply for our session, got one for another")
        outstanding = self.replies.outstanding
        if message_id not in outstanding:
            raise ProtocolError(f"expected a reply to a request of ours, got message id {message_id}")
        call, index = outstanding[message_id]
        request = call.requests[index]
        if command != request.command:
            raise ProtocolError(f"expected a reply to {request.command.name}, got command {command}")
        if status == _PENDING:
            if not flags & FLAG_ASYNC:
                raise ProtocolError("expected an asynchronous interim reply, got a synchronous one")
            # It has brought the request's credits back already: the final reply grants none (3.3.4.2).
            self._settle_credits(message_id, request.charge)
            self.replies.interim.add(message_id)
            return False, False
        self._settle_credits(message_id, request.charge)
        del outstanding[message_id]
        self.replies.interim.discard(message_id)
        if status in _SESSION_GONE:
            self.life.apply(SessionEvent.ENDED)
        elif status == _EXPIRED:
            self.life.refused(message_id)
        self.replies.answers += command != _ECHO
        self.sizes.carried += end - start + (request.charge * CREDIT_BYTES if command == _WRITE else 0)
        if single and call.keep_buffer and status == 0:
            call.answer(index, Reply(status, memoryview(frame.buffer)[start:end], frame.buffer))
            return True, True
        answer = Reply(status, bytes(memoryview(frame.buffer)[start:end]))
        if (self.life.expired or message_id < self.life.renewed_after) and call.was_refused(answer, _EXPIRED):
            self._put_back(call, message_id)
        else:
            call.answer(index, answer)
        return True, False

    def _settle_credits(self, message_id: int, charge: int) -> None:
        if message_id not in self.replies.interim:
            self.credits.answered(charge)

    def _put_back(self, call: Call, message_id: int) -> None:
        """Nothing of a call was done: it waits for the session to be renewed, and is sent again, once."""
        call.begin_again()
        if self.window is not None:
            self.window.put_back(call)
        if self.life.expired:
            self.unsent.refused.append((message_id, call))
        else:
            self.unsent.backlog.appendleft(call)

    def _note_break(self, header: Header) -> None:
        """Count an oplock break (2.2.23), which needs no answer: the client requests no oplocks."""
        if header.command != Command.OPLOCK_BREAK:
            raise ProtocolError(f"expected an oplock break, got unsolicited command {header.command}")
        self.replies.breaks += 1
        if self.replies.breaks > _MAX_BREAKS:
            raise ProtocolError(f"expected at most {_MAX_BREAKS} unsolicited messages, got more")

    def drop_unsent(self, error: BaseException) -> None:
        """Fail every call that has not been sent yet; those that have been are still answered."""
        self.unsent.drop(error)

    def fail(self, error: BaseException) -> None:
        """The connection is gone: every call, now and later, ends with ``error``."""
        if self.life.failure is not None:
            return
        self.life.failed(error)
        self.unsent.drop(error)
        unsent, self.unsent.urgent = self.unsent.urgent, deque()
        for call in unsent:
            call.fail(error)
        self.replies.drop(error)
