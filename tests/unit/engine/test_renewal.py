"""A session that outlives its ticket: renewed ahead of its end, renewed when it was refused, or given up."""

import struct
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import pytest
from tests.unit.engine.fake_server import CHUNK, FakeServer, Link, Request, file, folder
from tests.unit.engine.world import BIG, World

from smbferry_engine.core.calls import Call, close_request, open_request, set_basic_request, write_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.errors import (
    KDC_UNREACHABLE,
    MUTUAL_AUTHENTICATION_FAILED,
    TICKET_EXPIRED,
    TICKET_MISSING,
    EngineError,
    Reason,
)
from smbferry_engine.model import VerifyMode
from smbferry_engine.renewal import Proof, SessionRenewal
from smbferry_engine.wire.create import Disposition, decode_create
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import Command
from smbferry_engine.wire.session import SessionReply, decode_session_setup, encode_session_setup
from smbferry_engine.wire.status import NtStatus

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
            link.lane, self._prove, ends=self.now + LIFE, peer="server:445", clock=lambda: self.now, start=self._start
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
class Session:
    link: Link
    ending: Ending
    kept: Kept

    def ticks(self, count: int = 4, seconds: float = 0.0) -> None:
        for _ in range(count):
            self.kept.now += seconds
            self.kept.renewal.tick()
            self.link.exchange()

    def opens(self, name: str) -> Call:
        call = self.link.lane.call(open_request(name, access=1))
        self.link.exchange()
        return call


@pytest.fixture
def session() -> Session:
    link = Link(FakeServer(folder(f=file(b"content"), g=file(b"g"))))
    return Session(link, Ending(link.server), Kept(link))


def commands(link: Link) -> list[int]:
    return [request.command for request in link.server.requests]


def test_a_session_is_renewed_ahead_of_its_end_and_nothing_is_refused(session: Session) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    session.ticks(7, seconds=10)
    assert session.kept.looked == [], "not before four fifths of its life are over"
    session.link.hold_replies = True
    under_way = session.opens("f")
    session.ticks(3, seconds=5)
    session.link.hold_replies = False
    session.ticks()
    assert session.kept.ticket.answers == [b"AP-REP"]
    assert under_way.result()[0].status == 0
    assert commands(session.link) == [Command.CREATE, Command.SESSION_SETUP]
    session.kept.looked.clear()
    session.ticks(4, seconds=20)
    assert session.kept.looked == [], "the next one is due when four fifths of the new ticket's life are over"
    session.ticks(2, seconds=10)
    assert session.kept.looked


def test_while_there_is_no_later_ticket_it_is_looked_for_again(session: Session) -> None:
    session.ticks(20, seconds=LIFE / 100)
    session.ticks(80, seconds=LIFE / 100 - 1e-9)
    assert 5 <= len(session.kept.looked) <= 12
    assert not session.link.lane.expired
    assert commands(session.link) == []


def test_what_was_refused_is_sent_again_in_its_order_once_the_session_is_renewed(session: Session) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    session.ending.ended = True
    first, second = session.opens("f"), session.opens("g")
    late = session.opens("f")
    assert session.link.lane.expired
    assert session.link.lane.usable
    assert session.link.lane.busy
    assert [call.done for call in (first, second, late)] == [False] * 3
    session.link.server.requests.clear()
    session.ticks()
    assert [request.name for request in session.link.server.requests] == [None, "f", "g", "f"]
    assert all(call.result()[0].status == 0 for call in (first, second, late))


def test_what_was_done_in_part_or_can_not_be_sent_again_is_answered(session: Session) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    lane = session.link.lane
    file_id = decode_create(session.opens("f").result()[0].message).file_id
    session.ending.after(Command.WRITE, 1)
    in_part = lane.call(
        open_request("new", access=2, disposition=Disposition.CREATE), write_request(0, b"x"), close_request()
    )
    buffer = lane.pool.take()
    in_place = lane.write_in_place(buffer, file_id, 0, 4, lane.pool)
    session.link.exchange()
    statuses = [reply.status for reply in in_part.result()]
    assert NtStatus.NETWORK_SESSION_EXPIRED in statuses
    assert in_place.result()[0].status == NtStatus.NETWORK_SESSION_EXPIRED
    session.ticks()
    assert session.opens("g").result()[0].status == 0
    assert commands(session.link).count(Command.WRITE) == 2


def test_what_is_refused_a_second_time_is_answered(session: Session) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    session.ending.ended = True
    session.link.server.faults.append(lambda request: NtStatus.NETWORK_SESSION_EXPIRED if request.name == "f" else None)
    call = session.opens("f")
    session.ticks()
    assert call.result()[0].status == NtStatus.NETWORK_SESSION_EXPIRED
    assert session.link.lane.expired, "the server says so of the renewed session"


def test_a_refusal_that_overtook_the_renewal_does_not_end_the_renewed_session(session: Session) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    session.ending.ended = True
    session.link.hold_replies = True
    late = session.opens("f")
    refusal = session.link.held.pop()
    session.link.hold_replies = False
    early = session.opens("g")
    session.ticks()
    assert early.result()[0].status == 0
    session.link.reply(refusal)
    assert not session.link.lane.expired
    session.link.exchange()
    assert late.result()[0].status == 0
    assert commands(session.link).count(Command.SESSION_SETUP) == 1


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
    session: Session, flags: int, status: int, *, unproved: bool, expected: str, ended: bool
) -> None:
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE, unproved=unproved)
    session.link.server.session_flags, session.ending.status, session.ending.ended = flags, status, ended
    session.kept.now += LIFE * 0.9
    session.opens("f")
    with pytest.raises(EngineError) as caught:
        session.ticks()
    assert caught.value.reason == expected
    assert session.kept.renewal.refused == bool(status)
    assert session.link.lane.expired == ended


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
    session: Session, reason: Reason, ahead: str | None, after: str
) -> None:
    session.kept.error = EngineError(reason, "not now")
    session.kept.now += LIFE * 0.9
    if ahead is None:
        session.ticks(4, seconds=1)
        assert session.opens("f").result()[0].status == 0
        session.ending.ended = True
        session.opens("g")
    with pytest.raises(EngineError) as caught:
        session.ticks(4, seconds=2)
    assert caught.value.reason == (ahead or after)
    assert commands(session.link).count(Command.SESSION_SETUP) == 0


@pytest.mark.parametrize("hangs", [False, True])
def test_an_ended_session_does_not_wait_for_a_ticket_for_ever(session: Session, hangs: bool) -> None:
    session.kept.hangs = hangs
    session.ending.ended = True
    session.opens("f")
    with pytest.raises(EngineError, match="SessionEnded"):
        session.ticks(100, seconds=1)
    assert session.kept.now <= 1_000 + 40


@pytest.mark.parametrize(("late", "waits"), [(0.0, False), (LIFE, True)], ids=["ticket good", "ticket over"])
def test_a_later_ticket_is_waited_for_where_nothing_else_opens_a_session(
    session: Session, *, late: float, waits: bool
) -> None:
    """A session that ended before its ticket is opened anew at once; a ticket that is late by 10 s is no reason to."""
    session.kept.now += late
    session.ending.ended = True
    waiting = session.opens("f")
    if not waits:
        with pytest.raises(EngineError, match="SessionEnded"):
            session.ticks(10, seconds=1)
        return
    session.ticks(10, seconds=1)
    session.kept.ticket = Ticket(ends=session.kept.now + LIFE)
    session.ticks(6, seconds=1)
    assert waiting.result()[0].status == 0


def test_a_lane_that_is_lost_loses_what_waits_for_the_renewal_too(session: Session) -> None:
    session.ending.ended = True
    waiting = session.opens("f")
    setup = session.link.lane.authenticate(b"AP-REQ")
    session.link.lane.fail(EngineError(KDC_UNREACHABLE, "cut"))
    assert waiting.error is not None
    assert setup.error is not None
    assert session.link.lane.authenticate(b"AP-REQ").error is not None


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


def test_a_second_answer_to_a_session_setup_is_refused(session: Session) -> None:
    session.link.lane.authenticate(b"AP-REQ")
    session.link.hold_replies = True
    session.link.exchange()
    (answer,) = session.link.held
    session.link.reply(answer)
    with pytest.raises(ProtocolError):
        session.link.reply(answer)


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


def test_what_was_done_behind_a_refusal_is_not_done_twice(session: Session) -> None:
    """A file may be closed when the session has ended (3.3.5.2.9), though what was to be set before was refused."""
    session.kept.ticket = Ticket(ends=1_000 + 2 * LIFE)
    file_id = decode_create(session.opens("f").result()[0].message).file_id
    session.ending.ended = True
    call = session.link.lane.call(set_basic_request(write=7, file_id=file_id), close_request(file_id))
    session.link.exchange()
    assert [reply.status for reply in call.result()] == [NtStatus.NETWORK_SESSION_EXPIRED, 0]
