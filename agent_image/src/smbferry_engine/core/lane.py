"""One session on one connection: calls in, frames out; frames in, replies out (3.2.4.1, 3.2.5.1).

The lane decides what goes into the next frame when credits and the writer allow it, and matches every message of every
frame that comes back. Whatever a server may not say ends the lane with a :class:`ProtocolError`; the socket is not its
business.
"""

from collections import deque
from dataclasses import dataclass

from smbferry_engine.core.calls import Call, Payload, Reply, Request, empty_request
from smbferry_engine.core.credits import CREDIT_BYTES, CreditWindow, charge_for
from smbferry_engine.core.crypto import CipherSuite, Opener, Sealer
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.core.frames import LANDING, BufferPool, Frame, FrameReader, FrameWriter
from smbferry_engine.core.split import SplitCall
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

_FRAME_OVERHEAD = 64 * 1024
# What one READ or WRITE carries at most, even where it is more than a chunk: what Windows and Samba allow by default.
LARGEST = 8 << 20
# Where a connection has died, a range of the next one is this part of what either has carried so far: when it dies as
# early, most of it was in ranges that have come whole, however many are under way.
_CARRIED_PER_RANGE = 32
_LEAST_RANGE = CREDIT_BYTES
_MAX_BREAKS = 10_000
# ECHOes in a row that ask for the credits of one request; a server that has not given them by then never will.
_MOST_ECHOES = 64
# Plain integers: each message is looked at, and enums are slow at that.
_PENDING, _ECHO, _EXPIRED = int(NtStatus.PENDING), int(Command.ECHO), int(NtStatus.NETWORK_SESSION_EXPIRED)
_WRITE = int(Command.WRITE)
_NO_HEADER, _PADDING = bytes(HEADER_SIZE), bytes(8)
_SESSION_GONE = frozenset({NtStatus.NETWORK_NAME_DELETED, NtStatus.USER_SESSION_DELETED})


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What the handshake agreed on. Sizes in bytes; the message id is the next that may be used."""

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


class Lane:
    """Calls on one session. ``chunk`` bounds what one READ, WRITE or listing carries, and with it every buffer.

    A session whose ticket's life is over refuses all requests until it is authenticated again (3.3.5.2.9). Where there
    is somebody to do so (``renewable``), it is only ``expired``: what was refused is sent again after :meth:`renewed`,
    with all else that waits. Otherwise it is gone.

    ``carried`` is how many bytes have come back in replies, or were written and acknowledged.
    """

    def __init__(self, facts: SessionFacts, *, chunk: int, salt: bytes = b"", pool: BufferPool | None = None) -> None:
        self.facts = facts
        payload = chunk + _FRAME_OVERHEAD
        self.pool = pool or BufferPool(payload)
        self.credits = CreditWindow(facts.next_message_id, facts.credits)
        self.reader = FrameReader(
            Opener(facts.suite, facts.decryption_key),
            facts.session_id,
            self.pool,
            max(payload, LARGEST + _FRAME_OVERHEAD),
        )
        self.writer = FrameWriter(Sealer(facts.suite, facts.encryption_key, salt=salt), facts.session_id)
        self.failure: BaseException | None = None
        self.breaks = 0
        self.session_gone = False
        self.renewable = False
        self.expired = False
        self.answers = 0
        self.carried = 0
        self._carried_by_last: int | None = None
        self._chunk = chunk
        self._backlog: deque[Call] = deque()
        self._urgent: deque[Call] = deque()
        self._refused: list[tuple[int, Call]] = []
        self._renewed_after = -1
        self._outstanding: dict[int, tuple[Call, int]] = {}
        self._interim: set[int] = set()
        self._asked_with = 0
        self._echoes = 0

    @property
    def usable(self) -> bool:
        """Whether calls can still succeed: the connection is up and the server has not ended the session."""
        return self.failure is None and not self.session_gone

    @property
    def busy(self) -> bool:
        """Whether the server owes an answer or something waits to be sent."""
        return bool(self._outstanding or self._backlog or self._urgent or self._refused or not self.writer.idle)

    @property
    def waiting(self) -> bool:
        """Whether the server owes an answer."""
        return bool(self._outstanding)

    @property
    def told_to_wait(self) -> bool:
        """Whether the server has said of something outstanding that it takes longer (3.2.5.1.5)."""
        return bool(self._interim)

    @property
    def follows_a_death(self) -> bool:
        """Whether the connection before this one has ended while it was used."""
        return self._carried_by_last is not None

    def follow(self, last: "Lane") -> None:
        """This connection takes the place of one that has ended: ranges are small until it has carried more."""
        self._carried_by_last = last.carried

    def read_limit(self, wanted: int = 0) -> int:
        """The most bytes that one READ may ask for just now; few credits make it small, never zero.

        ``wanted`` may be more than a chunk, up to :data:`LARGEST`.
        """
        return self._limit(wanted, self.facts.max_read_size)

    def write_limit(self, wanted: int = 0) -> int:
        """The most bytes that one WRITE may carry just now; ``wanted`` is as for :meth:`read_limit`."""
        return self._limit(wanted, self.facts.max_write_size)

    def _limit(self, wanted: int, most: int) -> int:
        limit = min(wanted or self._chunk, LARGEST, most, max(1, self.credits.total // 2) * CREDIT_BYTES)
        if self._carried_by_last is None:
            return limit
        proved = max(self.carried, self._carried_by_last) // _CARRIED_PER_RANGE
        return min(limit, self._chunk, max(_LEAST_RANGE, proved - proved % CREDIT_BYTES))

    def list_limit(self, wanted: int) -> int:
        """``wanted`` bytes of a listing or descriptor, or as many as server and credits allow."""
        return min(wanted, self._chunk, self.facts.max_transact_size, max(1, self.credits.total // 4) * CREDIT_BYTES)

    def call(self, *requests: Request, tree_id: int | None = None) -> Call:
        """Send requests as one related compound; all but the first name the file that the first opened.

        ``tree_id`` is that of another share on the same session; 0 for requests that come before there is one.
        """
        return self._submit(Call(requests, tree_id=self.facts.tree_id if tree_id is None else tree_id))

    def read(self, file_id: bytes, offset: int, length: int) -> Call:
        """READ that keeps its buffer: the reply's data lies at 112 of ``reply.buffer``, ready for a write in place."""
        request = Request(Command.READ, encode_read(file_id, offset, length), charge_for(length))
        return self._submit(Call((request,), tree_id=self.facts.tree_id, keep_buffer=True))

    def write_in_place(self, buffer: bytearray, file_id: bytes, offset: int, length: int, pool: BufferPool) -> Call:
        """WRITE of ``length`` bytes that lie at 112 of ``buffer``, which is encrypted where it lies.

        The buffer is the lane's from now on; it goes back to ``pool`` once it has been sent, before the reply is there.
        """
        encode_write_into(buffer, file_id, offset, length)
        request = Request(Command.WRITE, b"", charge_for(length))
        payload = Payload(buffer, WRITE_DATA_OFFSET + length, pool)
        return self._submit(Call((request,), tree_id=self.facts.tree_id, payload=payload))

    def authenticate(self, token: bytes) -> Call:
        """SESSION_SETUP on the session that there is (3.2.4.2.3), before all that waits; its keys stay as they are."""
        body = encode_session_setup(token)
        call = Call((Request(Command.SESSION_SETUP, body, charge_for(len(body))),), tree_id=0)
        call.can_be_sent_again = False
        if self.failure is not None:
            call.fail(self.failure)
        else:
            self._urgent.append(call)
        return call

    def renewed(self) -> None:
        """The session has been authenticated again: what it refused is sent again, in its order."""
        self.expired = False
        self._renewed_after = self.credits.next_message_id
        refused, self._refused = sorted(self._refused, key=lambda refused: refused[0]), []
        self._backlog.extendleft(call for _, call in reversed(refused))

    def _submit(self, call: Call) -> Call:
        if self.failure is not None:
            call.fail(self.failure)
        else:
            self._backlog.append(call)
        return call

    def fill_writer(self) -> bool:
        """Seal the next frame if there is one, the writer has room and credits allow; True if there may be another."""
        queue = self._urgent or self._backlog
        if not queue or self.failure is not None or (self.expired and queue is self._backlog):
            return False
        call = queue[0]
        if not (self.writer.has_room if call.payload is None else self.writer.idle):
            return False
        if call.charge > self.credits.available:
            return not self._outstanding and self._do_with_few(queue)
        queue.popleft()
        if self._echoes and call.requests[0].command != _ECHO:
            self._echoes = 0
        if call.payload is None:
            self.writer.seal(self._encode(call))
        else:
            self._seal_in_place(call, call.payload)
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
        if available and (available > self._asked_with or (single and self._echoes < _MOST_ECHOES)):
            self._asked_with = max(self._asked_with, available)
            self._echoes += 1
            self._urgent.appendleft(Call((empty_request(Command.ECHO),)))
        elif available and not single:
            SplitCall(queue.popleft(), self._backlog.appendleft).send()
        else:
            raise ProtocolError(f"expected {call.charge} credits for a request, the server left {available}")
        return True

    def _seal_in_place(self, call: Call, payload: Payload) -> None:
        self._encode_header(payload.buffer, 0, call, 0, flags=0, following=0)
        call.payload = None
        call.can_be_sent_again = False
        self.writer.seal_in_place(payload.buffer, payload.size, lambda: payload.pool.give_back(payload.buffer))

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
        self._outstanding[message_id] = (call, index)
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
        start, finals = LANDING, 0
        kept = False
        while True:
            header = decode_header(frame.buffer, start, frame.end)
            end = start + header.next_command if header.next_command else frame.end
            single = start == LANDING and not header.next_command
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
            raise ProtocolError("a reply for our session expected, found one for another")
        if message_id not in self._outstanding:
            raise ProtocolError(f"a reply to a request of ours expected, found message id {message_id}")
        call, index = self._outstanding[message_id]
        request = call.requests[index]
        if command != request.command:
            raise ProtocolError(f"a reply to {request.command.name} expected, found command {command}")
        if status == _PENDING:
            if not flags & FLAG_ASYNC:
                raise ProtocolError("an interim reply that is asynchronous expected")
            # It has brought the request's credits back already: the final reply grants none (3.3.4.2).
            self._settle_credits(message_id, request.charge)
            self._interim.add(message_id)
            return False, False
        self._settle_credits(message_id, request.charge)
        del self._outstanding[message_id]
        self._interim.discard(message_id)
        if status in _SESSION_GONE:
            self.session_gone = True
        elif status == _EXPIRED:
            self._note_expiry(message_id)
        self.answers += command != _ECHO
        self.carried += end - start + (request.charge * CREDIT_BYTES if command == _WRITE else 0)
        if single and call.keep_buffer and status == 0:
            call.answer(index, Reply(status, memoryview(frame.buffer)[start:end], frame.buffer))
            return True, True
        answer = Reply(status, bytes(memoryview(frame.buffer)[start:end]))
        if (self.expired or message_id < self._renewed_after) and call.was_refused(answer, _EXPIRED):
            self._put_back(call, message_id)
        else:
            call.answer(index, answer)
        return True, False

    def _settle_credits(self, message_id: int, charge: int) -> None:
        if message_id not in self._interim:
            self.credits.answered(charge)

    def _note_expiry(self, message_id: int) -> None:
        """A refusal tells of the session as it is, unless the request was sent before the session was renewed."""
        if not self.renewable:
            self.session_gone = True
        elif message_id >= self._renewed_after:
            self.expired = True

    def _put_back(self, call: Call, message_id: int) -> None:
        """Nothing of a call was done: it waits for the session to be renewed, and is sent again, once."""
        call.begin_again()
        if self.expired:
            self._refused.append((message_id, call))
        else:
            self._backlog.appendleft(call)

    def _note_break(self, header: Header) -> None:
        """We ask for no oplocks, so a break (2.2.23) concerns nothing of ours and wants no answer."""
        if header.command != Command.OPLOCK_BREAK:
            raise ProtocolError(f"an oplock break expected, found unsolicited command {header.command}")
        self.breaks += 1
        if self.breaks > _MAX_BREAKS:
            raise ProtocolError(f"at most {_MAX_BREAKS} unsolicited messages expected, found more")

    def drop_unsent(self, error: BaseException) -> None:
        """Fail every call that has not been sent yet; those that have been are still answered."""
        unsent = [call for _, call in self._refused] + list(self._backlog)
        self._refused, self._backlog = [], deque()
        for call in unsent:
            call.fail(error)

    def fail(self, error: BaseException) -> None:
        """The connection is gone: every call, now and later, ends with ``error``."""
        if self.failure is not None:
            return
        self.failure = error
        self.drop_unsent(error)
        unsent, self._urgent = self._urgent, deque()
        for call in unsent:
            call.fail(error)
        sent = {id(call): call for call, _ in self._outstanding.values()}
        self._outstanding.clear()
        self._interim.clear()
        for call in sent.values():
            call.fail(error)
