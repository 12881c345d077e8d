"""A session that outlives its ticket: renewed ahead of its end, renewed when it was refused, or given up."""

import struct
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from lab.fake_server import CHUNK, FakeServer, Link, Request, file, folder
from lab.fake_server.world import BIG, World

from smbferry_engine.core.calls import Call, close_request, open_request, set_basic_request, write_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.errors import EngineError
from smbferry_engine.session.renewal import Proof, SessionRenewal
from smbferry_engine.wire.create import Disposition, decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.session import SessionReply, decode_session_setup, encode_session_setup
from smbferry_engine.wire.status import NtStatus
from smbferry_words.options import VerifyMode
from smbferry_words.reason import Reason
from smbferry_words.reasons import KDC_UNREACHABLE, MUTUAL_AUTHENTICATION_FAILED, TICKET_EXPIRED, TICKET_MISSING

LIFE = 100.0
GUEST, NULL = 1, 2


class Ending:
    """The server's side of a session: refuses what is asked from the moment it ends until it is authenticated again."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.ended = False
        self.status = 0
        server.faults.append(self.judge)

    def judge(self, request: Request) -> int | None:
        if request.command == Command.SESSION_SETUP:
            self.ended = self.ended and bool(self.status)
            return self.status or None
        # As Samba and 3.3.5.2.9 have it: what lets go of something is allowed.
        return NtStatus.NETWORK_SESSION_EXPIRED if self.ended and request.command != Command.CLOSE else None

    def after(self, command: Command, count: int) -> None:
        """End the session at this many requests of a kind from now on."""
        left = [count]

        def fault(request: Request) -> int | None:
            left[0] -= request.command == command
            if left[0] == 0:
                left[0] -= 1
                self.ended = True
            return None

        self.server.faults.insert(0, fault)


@dataclass
class Ticket:
    """What the client's part of an exchange comes to."""

    ends: float
    token: bytes = b"AP-REQ"
    unproved: bool = False
    answers: list[bytes] = field(default_factory=list)

    def check(self, answer: bytes) -> None:
        self.answers.append(answer)
        if self.unproved:
            raise EngineError(MUTUAL_AUTHENTICATION_FAILED, "no proof")


class Kept:
    """A renewal whose tickets and clock are a test's own."""

    def __init__(self, link: Link) -> None:
        self.now = 1_000.0
        self.ticket: Ticket | None = None
        self.error: Exception | None = None
        self.looked: list[float] = []
        self.hangs = False
        self.renewal = SessionRenewal(
            link.session,
            self._prove,
            ends=self.now + LIFE,
            peer="server:445",
            clock=lambda: self.now,
            start=self._start,
        )

    def _prove(self, later_than: float) -> Proof | None:
        self.looked.append(self.now)
        if self.error is not None:
            raise self.error
        return self.ticket if self.ticket is not None and self.ticket.ends > later_than else None

    def _start(self, work: Callable[[], Proof | None]) -> "Future[Proof | None]":
        future: Future[Proof | None] = Future()
        if not self.hangs:
            try:
                future.set_result(work())
            except EngineError as error:
                future.set_exception(error)
        return future


@dataclass
class Side:
    link: Link
    ending: Ending
    kept: Kept

    def ticks(self, count: int = 4, seconds: float = 0.0) -> None:
        for _ in range(count):
            self.kept.now += seconds
            self.kept.renewal.tick()
            self.link.exchange()

    def opens(self, name: str) -> Call:
        call = self.link.session.call(open_request(name, access=1))
        self.link.exchange()
        return call


@pytest.fixture
def side() -> Side:
    link = Link(FakeServer(folder(f=file(b"content"), g=file(b"g"))))
    return Side(link, Ending(link.server), Kept(link))


def commands(link: Link) -> list[int]:
    return [request.command for request in link.server.requests]


def test_a_session_is_renewed_ahead_of_its_end_and_nothing_is_refused(side: Side) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    side.ticks(7, seconds=10)
    assert side.kept.looked == [], "not before four fifths of its life are over"
    side.link.hold_replies = True
    under_way = side.opens("f")
    side.ticks(3, seconds=5)
    side.link.hold_replies = False
    side.ticks()
    assert side.kept.ticket.answers == [b"AP-REP"]
    assert under_way.result()[0].status == 0
    assert commands(side.link) == [Command.CREATE, Command.SESSION_SETUP]
    side.kept.looked.clear()
    side.ticks(4, seconds=20)
    assert side.kept.looked == [], "the next one is due when four fifths of the new ticket's life are over"
    side.ticks(2, seconds=10)
    assert side.kept.looked


def test_while_there_is_no_later_ticket_it_is_looked_for_again(side: Side) -> None:
    side.ticks(20, seconds=LIFE / 100)
    side.ticks(80, seconds=LIFE / 100 - 1e-9)
    assert 5 <= len(side.kept.looked) <= 12
    assert not side.link.session.expired
    assert commands(side.link) == []


def test_what_was_refused_is_sent_again_in_its_order_once_the_session_is_renewed(side: Side) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    side.ending.ended = True
    first, second = side.opens("f"), side.opens("g")
    late = side.opens("f")
    assert side.link.session.expired
    assert side.link.session.usable
    assert side.link.session.busy
    assert [call.done for call in (first, second, late)] == [False] * 3
    side.link.server.requests.clear()
    side.ticks()
    assert [request.name for request in side.link.server.requests] == [None, "f", "g", "f"]
    assert all(call.result()[0].status == 0 for call in (first, second, late))


def test_what_was_done_in_part_or_can_not_be_sent_again_is_answered(side: Side) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    session = side.link.session
    file_id = decode_create(side.opens("f").result()[0].message).file_id
    side.ending.after(Command.WRITE, 1)
    in_part = session.call(
        open_request("new", access=2, disposition=Disposition.CREATE), write_request(0, b"x"), close_request()
    )
    buffer = session.pool.take()
    in_place = session.write_in_place(buffer, file_id, 0, 4, session.pool)
    side.link.exchange()
    statuses = [reply.status for reply in in_part.result()]
    assert NtStatus.NETWORK_SESSION_EXPIRED in statuses
    assert in_place.result()[0].status == NtStatus.NETWORK_SESSION_EXPIRED
    side.ticks()
    assert side.opens("g").result()[0].status == 0
    assert commands(side.link).count(Command.WRITE) == 2


def test_what_is_refused_a_second_time_is_answered(side: Side) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    side.ending.ended = True
    side.link.server.faults.append(lambda request: NtStatus.NETWORK_SESSION_EXPIRED if request.name == "f" else None)
    call = side.opens("f")
    side.ticks()
    assert call.result()[0].status == NtStatus.NETWORK_SESSION_EXPIRED
    assert side.link.session.expired, "the server says so of the renewed session"


def test_a_refusal_that_overtook_the_renewal_does_not_end_the_renewed_session(side: Side) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    side.ending.ended = True
    side.link.hold_replies = True
    late = side.opens("f")
    refusal = side.link.held.pop()
    side.link.hold_replies = False
    early = side.opens("g")
    side.ticks()
    assert early.result()[0].status == 0
    side.link.reply(refusal)
    assert not side.link.session.expired
    side.link.exchange()
    assert late.result()[0].status == 0
    assert commands(side.link).count(Command.SESSION_SETUP) == 1


@pytest.mark.parametrize(
    ("flags", "status", "unproved", "expected"),
    [
        (0, NtStatus.ACCESS_DENIED, False, "SessionEnded"),
        (0, NtStatus.LOGON_FAILURE, False, "SessionEnded"),
        (0, NtStatus.MORE_PROCESSING_REQUIRED, False, "SessionEnded"),
        (GUEST, 0, False, "GuestRefused"),
        (NULL, 0, False, "GuestRefused"),
        (0, 0, True, "MutualAuthenticationFailed"),
    ],
)
@pytest.mark.parametrize("ended", [False, True])
def test_a_server_that_does_not_renew_a_session_as_it_should_is_left(
    side: Side, flags: int, status: int, *, unproved: bool, expected: str, ended: bool
) -> None:
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE, unproved=unproved)
    side.link.server.session_flags, side.ending.status, side.ending.ended = flags, status, ended
    side.kept.now += LIFE * 0.9
    side.opens("f")
    with pytest.raises(EngineError) as caught:
        side.ticks()
    assert caught.value.reason == expected
    assert side.kept.renewal.refused == bool(status)
    assert side.link.session.expired == ended


@pytest.mark.parametrize(
    ("reason", "ahead", "after"),
    [
        (KDC_UNREACHABLE, None, "SessionEnded"),
        (TICKET_EXPIRED, None, "SessionEnded"),
        (TICKET_MISSING, None, "SessionEnded"),  # also where the cache is another principal's by now
        (MUTUAL_AUTHENTICATION_FAILED, "MutualAuthenticationFailed", "MutualAuthenticationFailed"),
    ],
)
def test_tickets_that_can_not_be_had_end_the_session_only_when_it_is_over(
    side: Side, reason: Reason, ahead: str | None, after: str
) -> None:
    side.kept.error = EngineError(reason, "not now")
    side.kept.now += LIFE * 0.9
    if ahead is None:
        side.ticks(4, seconds=1)
        assert side.opens("f").result()[0].status == 0
        side.ending.ended = True
        side.opens("g")
    with pytest.raises(EngineError) as caught:
        side.ticks(4, seconds=2)
    assert caught.value.reason == (ahead or after)
    assert commands(side.link).count(Command.SESSION_SETUP) == 0


@pytest.mark.parametrize("hangs", [False, True])
def test_an_ended_session_does_not_wait_for_a_ticket_for_ever(side: Side, hangs: bool) -> None:
    side.kept.hangs = hangs
    side.ending.ended = True
    side.opens("f")
    with pytest.raises(EngineError, match="SessionEnded"):
        side.ticks(100, seconds=1)
    assert side.kept.now <= 1_000 + 40


@pytest.mark.parametrize(("late", "waits"), [(0.0, False), (LIFE, True)], ids=["ticket good", "ticket over"])
def test_a_later_ticket_is_waited_for_where_nothing_else_opens_a_session(
    side: Side, *, late: float, waits: bool
) -> None:
    """A session that ended before its ticket is opened anew at once; a ticket that is late by 10 s is no reason to."""
    side.kept.now += late
    side.ending.ended = True
    waiting = side.opens("f")
    if not waits:
        with pytest.raises(EngineError, match="SessionEnded"):
            side.ticks(10, seconds=1)
        return
    side.ticks(10, seconds=1)
    side.kept.ticket = Ticket(ends=side.kept.now + LIFE)
    side.ticks(6, seconds=1)
    assert waiting.result()[0].status == 0


def test_a_lane_that_is_lost_loses_what_waits_for_the_renewal_too(side: Side) -> None:
    side.ending.ended = True
    waiting = side.opens("f")
    setup = side.link.session.authenticate(b"AP-REQ")
    side.link.session.fail(EngineError(KDC_UNREACHABLE, "cut"))
    assert waiting.error is not None
    assert setup.error is not None
    assert side.link.session.authenticate(b"AP-REQ").error is not None


def test_a_session_setup_is_as_it_is_documented() -> None:
    assert (
        encode_session_setup(b"token")
        == bytes.fromhex("1900 00 02 01000000 00000000 5800 0500 0000000000000000") + b"token"
    )
    header = FakeServer.message(Command.SESSION_SETUP, 0, 1, b"")
    reply = header + struct.pack("<HHHH", 9, NULL, 72, 3) + b"abc"
    assert decode_session_setup(reply) == SessionReply(True, b"abc")
    for bad in (reply[:-1], header + struct.pack("<HHHH", 8, 0, 72, 0), header + struct.pack("<HHHH", 9, 0, 8, 3)):
        with pytest.raises(WireError):
            decode_session_setup(bad)


def test_a_second_answer_to_a_session_setup_is_refused(side: Side) -> None:
    side.link.session.authenticate(b"AP-REQ")
    side.link.hold_replies = True
    side.link.exchange()
    (answer,) = side.link.held
    side.link.reply(answer)
    with pytest.raises(ProtocolError):
        side.link.reply(answer)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("verify", [VerifyMode.ONLY_FILES_TRANSFERRED, VerifyMode.NONE])
@pytest.mark.parametrize("at", [3, 20, 45])
def test_a_run_goes_through_the_ends_of_its_sessions(side: int, verify: VerifyMode, at: int) -> None:
    data = BIG * 6
    world = World(folder(big=file(data), small=file(b"x"), d=folder(e=file(b"y" * 1000))))
    link = world.links[side]
    ending, kept = Ending(link.server), Kept(link)
    kept.ticket = Ticket(ends=1e9)
    ending.after(Command.READ if side == 0 else Command.WRITE, at)
    world.prepare(verify_mode=verify)
    drive_kept(world, kept)
    assert world.restored == 0
    assert world.copied == world.original
    assert world.watcher.failures == []
    assert not ending.ended
    assert bytes_read(world) <= len(data) + 1_001 + 10 * CHUNK, "the source is not read again"


def drive_kept(world: World, kept: Kept) -> None:
    """As `drive`, with a session that is kept alive."""
    task = world.scheduler.spawn(world.execution())
    for _ in range(10_000):
        world.scheduler.run_ready()
        if task.done:
            return task.result()
        kept.renewal.tick()
        moved = [link.exchange() for link in world.links]
        if world.scheduler.idle and not any(moved) and (timer := world.scheduler.next_timer()) is not None:
            world.scheduler.advance(timer)
    raise AssertionError("it does not end")


def bytes_read(world: World) -> int:
    """Of files at the source, as asked for."""
    bodies = [request.body for request in world.source.requests if request.command == Command.READ]
    return sum(struct.unpack_from("<I", body, 4)[0] for body in bodies)


def test_what_was_done_behind_a_refusal_is_not_done_twice(side: Side) -> None:
    """A file may be closed when the session has ended (3.3.5.2.9), though what was to be set before was refused."""
    side.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    file_id = decode_create(side.opens("f").result()[0].message).file_id
    side.ending.ended = True
    call = side.link.session.call(set_basic_request(write=7, file_id=file_id), close_request(file_id))
    side.link.exchange()
    assert [reply.status for reply in call.result()] == [NtStatus.NETWORK_SESSION_EXPIRED, 0]
