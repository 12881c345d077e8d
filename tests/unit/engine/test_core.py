"""Framing, encryption, credits, lanes and tasks: no sockets, no clock, every fault that a peer can invent."""

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.engine.fake_server import (
    CHUNK,
    KEY_DOWN,
    KEY_UP,
    SESSION,
    SUITE,
    FakeServer,
    Link,
    drive,
    feed,
    file,
    folder,
    make_lane,
)

from smbferry_engine.content import single_frame_limit
from smbferry_engine.core.calls import close_request, empty_request, list_request, open_request, read_request
from smbferry_engine.core.credits import CreditWindow, charge_for
from smbferry_engine.core.crypto import CIPHERS, Opener, Sealer
from smbferry_engine.core.errors import ForgedFrameError, PlaintextReplyError, ProtocolError
from smbferry_engine.core.frames import LANDING, BufferPool, FrameReader, FrameWriter
from smbferry_engine.core.group import run_all
from smbferry_engine.core.sync import Gate, Queue, Turnstile
from smbferry_engine.core.tasks import Scheduler, Signal
from smbferry_engine.share import Share
from smbferry_engine.wire.directory import FULL
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import FLAG_ASYNC, Command
from smbferry_engine.wire.status import NtStatus


@pytest.mark.parametrize("suite", CIPHERS.values(), ids=CIPHERS)
@given(plain=st.binary(min_size=64, max_size=300), salt=st.binary(max_size=4))
def test_what_is_sealed_opens_to_the_same_bytes(suite: object, plain: bytes, salt: bytes) -> None:
    assert isinstance(suite, type(SUITE))
    key = bytes(suite.key_size)
    writer = FrameWriter(Sealer(suite, key, salt=salt), 9)
    reader = FrameReader(Opener(suite, key), 9, BufferPool(1000), 1000)
    writer.seal(plain)
    assert feed(reader, b"".join(writer.pending())) == plain
    assert not reader.mid_frame


def test_nonces_count_and_never_repeat() -> None:
    sealer = Sealer(SUITE, KEY_UP, salt=b"salt")
    seen = [sealer.nonce() for _ in range(3)]
    assert [nonce for nonce, _ in seen] == [b"salt" + struct.pack("<Q", index) for index in range(3)]
    assert all(field == nonce + bytes(4) for nonce, field in seen)
    with pytest.raises(ProtocolError):
        Sealer(SUITE, KEY_UP, first_nonce=2**63).nonce()


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Opener(CIPHERS["AES-256-GCM"], KEY_UP)


def sealed(plain: bytes, *, key: bytes = KEY_DOWN, session: int = SESSION) -> bytes:
    writer = FrameWriter(Sealer(SUITE, key), session)
    writer.seal(plain)
    return b"".join(writer.pending())


def reader(limit: int = 4096) -> FrameReader:
    return FrameReader(Opener(SUITE, KEY_DOWN), SESSION, BufferPool(limit), limit)


GOOD = sealed(bytes(80))


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"\0\0\0\x50\xfeSMB" + bytes(76), PlaintextReplyError),
        (b"\0\0\0\x50\xfcSMB" + bytes(76), PlaintextReplyError),
        (b"\0\0\0\x08\xfeSMB" + bytes(4), PlaintextReplyError),
        (b"\0\0\0\x90\xffSMB" + bytes(140), ProtocolError),
        (b"\0\0\0\x08" + bytes(8), ProtocolError),
        (b"\0\xff\xff\xff", ProtocolError),
        (b"\x85\0\0\0", WireError),
        (sealed(bytes(80), key=KEY_UP), ForgedFrameError),
        (sealed(bytes(80), session=1), ProtocolError),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), ForgedFrameError),
        (GOOD[:10] + bytes([GOOD[10] ^ 1]) + GOOD[11:], ForgedFrameError),
        (GOOD[:40] + struct.pack("<I", 81) + GOOD[44:], ProtocolError),
    ],
)
def test_a_frame_that_is_not_ours_is_refused(frame: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        feed(reader(), frame)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60))
def test_frames_assemble_from_any_pieces(pieces: list[int]) -> None:
    data = sealed(b"a" * 100) + GOOD
    source, frames, at = reader(), [], 0
    for piece in [*pieces, len(data)]:
        frame = feed_one(source, data[at : at + piece])
        at = min(len(data), at + piece)
        frames += frame
    assert frames == [b"a" * 100, bytes(80)] or (frames[0] == b"a" * 100 and len(frames) == 1)


def feed_one(source: FrameReader, data: bytes) -> list[bytes]:
    found: list[bytes] = []
    view = memoryview(data)
    while view:
        want = source.want()
        count = min(len(want), len(view))
        want[:count] = view[:count]
        try:
            frame = source.received(count)
        except ForgedFrameError:
            return found
        if frame is not None:
            found.append(bytes(frame.buffer[LANDING : frame.end]))
        view = view[count:]
    return found


@given(st.binary(max_size=300))
def test_no_stream_of_bytes_makes_the_reader_fail_in_any_other_way(noise: bytes) -> None:
    try:
        feed(reader(), noise)
    except (ProtocolError, WireError):
        return


def test_the_writer_keeps_what_the_socket_did_not_take() -> None:
    writer = FrameWriter(Sealer(SUITE, KEY_DOWN), SESSION)
    writer.seal(bytes(500))
    whole = b"".join(writer.pending())
    taken = b""
    for count in (3, 60, 100, 10_000):
        waiting = b"".join(writer.pending())
        taken += waiting[:count]
        writer.taken(min(count, len(waiting)))
    assert writer.idle
    assert taken == whole


def test_small_frames_travel_together_as_long_as_there_is_room() -> None:
    writer = FrameWriter(Sealer(SUITE, KEY_DOWN), SESSION)
    source = reader(1 << 20)
    plains = [bytes([number]) * 3000 for number in range(64, 200)]
    found: list[bytes] = []
    waiting = list(plains)
    while waiting or not writer.idle:
        while waiting and writer.has_room:
            writer.seal(waiting.pop(0))
        (together,) = writer.pending()
        part = bytes(together[: len(together) * 2 // 3 + 1])
        found += feed_one(source, part)
        writer.taken(len(part))
    assert found == plains


def test_a_frame_larger_than_the_room_goes_behind_small_ones() -> None:
    writer = FrameWriter(Sealer(SUITE, KEY_DOWN), SESSION)
    plains = [b"a" * 100, b"b" * 500_000]
    for plain in plains:
        writer.seal(plain)
    assert not writer.has_room
    assert feed_one(reader(1 << 20), b"".join(writer.pending())) == plains


@pytest.mark.parametrize(("payload", "charge"), [(0, 1), (1, 1), (65536, 1), (65537, 2), (1 << 20, 16)])
def test_a_request_costs_a_credit_for_each_64_kib(payload: int, charge: int) -> None:
    assert charge_for(payload) == charge


def test_a_credit_window_asks_for_more_until_it_has_enough() -> None:
    window = CreditWindow(10, 4, target=100, step=50)
    assert (window.take(3), window.take(1)) == (10, 13)
    assert (window.available, window.total) == (0, 4)
    assert window.request(1) == 51
    window.granted(99)
    window.answered(3)
    assert window.total == 100
    assert window.request(16) == 16
    with pytest.raises(ProtocolError):
        window.take(1000)
    with pytest.raises(ProtocolError):
        window.granted(1 << 21)


def link(*, credits_: int = 64) -> Link:
    return Link(FakeServer(folder(f=file(b"content"), d=folder())), make_lane(credits_=credits_))


def test_a_compound_is_one_frame_of_related_requests_aligned_to_eight() -> None:
    joined = link()
    call = joined.lane.call(open_request("f", access=1), read_request(0, 100), close_request())
    joined.exchange()
    replies = call.result()
    assert [reply.status for reply in replies] == [0, 0, 0]
    assert replies[1].message[80:87] == b"content"
    assert not joined.server.handles


def test_a_read_that_keeps_its_buffer_lies_where_a_write_wants_it() -> None:
    joined = link()
    opened = joined.lane.call(open_request("f", access=1))
    joined.exchange()
    file_id = bytes(opened.result()[0].message[128:144])
    read = joined.lane.read(file_id, 0, 100)
    joined.exchange()
    buffer = read.result()[0].buffer
    assert buffer is not None
    assert bytes(buffer[112:119]) == b"content"
    target = joined.lane.call(open_request("g", access=2, disposition=2))
    joined.exchange()
    written = joined.lane.write_in_place(buffer, bytes(target.result()[0].message[128:144]), 0, 7, joined.lane.pool)
    joined.exchange()
    assert written.result()[0].status == 0
    assert joined.server.tree()["/g"] == b"content"


def test_calls_wait_for_credits_and_go_on_when_they_come() -> None:
    joined = link(credits_=2)
    joined.server.credits_granted = 1
    calls = [joined.lane.call(open_request("f", access=1), close_request()) for _ in range(5)]
    while joined.exchange():
        continue
    assert all(call.done for call in calls)


def commands(joined: Link) -> list[int]:
    return [request.command for request in joined.server.requests]


def run_out(joined: Link) -> None:
    while joined.exchange():
        continue


def test_an_echo_earns_the_credits_that_a_compound_needs() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(64, first=1)
    call = joined.lane.call(open_request("f", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [0, 0, 0]
    assert commands(joined) == [Command.ECHO, Command.CREATE, Command.READ, Command.CLOSE]


def test_a_compound_is_split_where_an_echo_earns_nothing_and_echoes_are_not_asked_for_ever() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    calls = [joined.lane.call(open_request("f", access=1), read_request(0, 100), close_request()) for _ in range(3)]
    run_out(joined)
    for call in calls:
        replies = call.result()
        assert [reply.status for reply in replies] == [0, 0, 0]
        assert replies[1].message[80:87] == b"content"
    assert not joined.server.handles
    assert commands(joined) == [Command.ECHO] + [Command.CREATE, Command.READ, Command.CLOSE] * 3


def test_the_rest_of_a_split_compound_fails_with_its_create() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    call = joined.lane.call(open_request("none", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [NtStatus.OBJECT_NAME_NOT_FOUND] * 3
    assert commands(joined) == [Command.ECHO, Command.CREATE]


def test_a_split_compound_goes_on_behind_another_failure_as_a_whole_one_does() -> None:
    joined = link(credits_=2)
    joined.server.keep_credits(2)
    joined.server.faults.append(lambda seen: NtStatus.ACCESS_DENIED if seen.command == Command.READ else None)
    call = joined.lane.call(open_request("f", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [0, NtStatus.ACCESS_DENIED, 0]
    assert not joined.server.handles


def test_a_split_compound_of_an_open_file_names_it_throughout() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    opened = joined.lane.call(open_request("f", access=1))
    run_out(joined)
    file_id = bytes(opened.result()[0].message[128:144])
    call = joined.lane.call(read_request(0, 3, file_id), read_request(3, 4), close_request())
    run_out(joined)
    assert [bytes(reply.message[80:]) for reply in call.result()[:2]] == [b"con", b"tent"]
    assert not joined.server.handles


def test_a_lane_that_fails_fails_what_was_split() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    call = joined.lane.call(open_request("f", access=1), close_request())
    joined.exchange()
    joined.lane.fail(ProtocolError("gone"))
    assert isinstance(call.error, ProtocolError)


def test_a_server_that_leaves_too_few_credits_for_one_request_is_an_error_not_a_hang() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    joined.lane.call(read_request(0, 1 << 20, bytes(16)))
    with pytest.raises(ProtocolError, match="16 credits"):
        run_out(joined)


def test_a_server_that_leaves_no_credit_at_all_is_an_error_not_a_hang() -> None:
    joined = link(credits_=0)
    joined.lane.call(open_request("f", access=1))
    with pytest.raises(ProtocolError):
        joined.exchange()


def pending_call(joined: Link) -> tuple[object, int]:
    call = joined.lane.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    return call, struct.unpack_from("<Q", joined.held[0], 24)[0]


def test_an_interim_reply_is_waited_out() -> None:
    joined = link()
    call = joined.lane.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    message_id = struct.unpack_from("<Q", joined.held[0], 24)[0]
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.PENDING, message_id, bytes(8), flags=FLAG_ASYNC))
    assert (joined.lane.told_to_wait, call.done) == (True, False)
    joined.reply(joined.held.pop())
    assert (joined.lane.told_to_wait, call.done) == (False, True)


def test_credits_that_an_interim_reply_brings_back_are_not_counted_twice() -> None:
    joined = link()
    total = joined.lane.credits.total
    _, message_id = pending_call(joined)
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.PENDING, message_id, bytes(8), flags=FLAG_ASYNC))
    assert joined.lane.credits.total == joined.lane.credits.available == total
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.ACCESS_DENIED, message_id, bytes(8), credits_=0))
    assert joined.lane.credits.total == joined.lane.credits.available == total


def test_breaks_are_ignored_and_counted() -> None:
    joined = link()
    joined.reply(FakeServer.message(Command.OPLOCK_BREAK, 0, 2**64 - 1, bytes(24), credits_=0))
    assert joined.lane.breaks == 1
    with pytest.raises(ProtocolError):
        joined.reply(FakeServer.message(Command.ECHO, 0, 2**64 - 1, bytes(4)))


@pytest.mark.parametrize(
    "message",
    [
        lambda mid: FakeServer.message(Command.CREATE, 0, mid + 1, bytes(89)),
        lambda mid: FakeServer.message(Command.READ, 0, mid, bytes(89)),
        lambda mid: FakeServer.message(Command.CREATE, 0, mid, bytes(89), session=1),
        lambda mid: FakeServer.message(Command.CREATE, NtStatus.PENDING, mid, bytes(8)),
        lambda mid: FakeServer.message(Command.CREATE, 0, mid, bytes(89), credits_=0)[:60],
    ],
    ids=["unknown message id", "other command", "other session", "synchronous interim", "cut short"],
)
def test_a_reply_that_fits_no_request_is_refused(message: object) -> None:
    joined = link()
    _, message_id = pending_call(joined)
    with pytest.raises((ProtocolError, WireError)):
        joined.reply(message(message_id))  # type: ignore[operator]


def test_the_same_reply_twice_is_refused() -> None:
    joined = link()
    pending_call(joined)
    joined.reply(joined.held[0])
    with pytest.raises(ProtocolError):
        joined.reply(joined.held[0])


def test_a_server_that_never_stops_breaking_oplocks_is_cut_off() -> None:
    joined = link()
    one = FakeServer.message(Command.OPLOCK_BREAK, 0, 0xFFFFFFFFFFFFFFFF, bytes(24), credits_=0)
    compound = FakeServer.join([one] * 1_000)
    for _ in range(10):
        joined.reply(compound)
    with pytest.raises(ProtocolError, match="unsolicited"):
        joined.reply(compound)


def test_what_is_shown_of_a_session_has_no_keys() -> None:
    shown = repr(make_lane().facts)
    assert "AES-128-GCM" in shown
    assert not any(key.hex() in shown or repr(key)[2:-1] in shown for key in (KEY_UP, KEY_DOWN))


def test_a_failed_lane_fails_every_call_now_and_later() -> None:
    joined = link()
    sent = joined.lane.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    unsent = joined.lane.call(open_request("f", access=1))
    error = ConnectionError("gone")
    joined.lane.fail(error)
    later = joined.lane.call(empty_request(Command.ECHO))
    assert [call.error for call in (sent, unsent, later)] == [error] * 3
    assert not joined.lane.busy


@given(st.binary(min_size=64, max_size=400))
def test_no_decrypted_message_makes_the_lane_fail_in_any_other_way(noise: bytes) -> None:
    joined = link()
    pending_call(joined)
    try:
        joined.reply(noise)
    except (ProtocolError, WireError):
        return


def test_limits_follow_the_credits() -> None:
    few, many = make_lane(credits_=4), make_lane(credits_=1000)
    assert few.read_limit() == 2 * 65536
    assert many.read_limit() == many.write_limit() == CHUNK
    assert few.list_limit(1 << 20) == 65536


@pytest.mark.parametrize("credits_", [5, 8, 10, 64])
def test_a_small_files_compound_never_costs_more_credits_than_there_are(credits_: int) -> None:
    limit = single_frame_limit(Share(make_lane(credits_=credits_, chunk=1 << 20), ""))
    assert limit == 0 or charge_for(limit) + 6 <= credits_


# --- Tasks -------------------------------------------------------------------------------------------------------


def test_tasks_wait_for_each_other_and_for_time() -> None:
    scheduler, seen = Scheduler(), []

    async def child(name: str, pause: float) -> str:
        await scheduler.sleep(pause)
        seen.append((name, scheduler.now))
        return name

    async def main() -> list[str]:
        tasks = [scheduler.spawn(child("slow", 2)), scheduler.spawn(child("quick", 1))]
        return [await task for task in tasks]

    assert drive(scheduler, main()) == ["slow", "quick"]
    assert seen == [("quick", 1.0), ("slow", 2.0)]


def test_the_first_error_of_a_group_ends_the_others_and_is_raised() -> None:
    scheduler, ended = Scheduler(), []

    async def forever() -> None:
        try:
            await scheduler.sleep(1e9)
        finally:
            ended.append("forever")

    async def fails() -> None:
        await scheduler.sleep(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        drive(scheduler, run_all(scheduler, [forever(), fails()]))
    assert ended == ["forever"]


def test_an_empty_group_ends_at_once() -> None:
    scheduler = Scheduler()
    drive(scheduler, run_all(scheduler, []))


def test_what_happens_twice_counts_once() -> None:
    happened: Signal[int] = Signal()
    happened.fail(ValueError("first"))
    happened.resolve(1)
    happened.fail(ValueError("second"))
    assert str(happened.error) == "first"
    other: Signal[int] = Signal()
    other.resolve(1)
    other.resolve(2)
    assert (other.result(), other.error) == (1, None)


def test_closing_everything_runs_each_finally() -> None:
    scheduler, ended = Scheduler(), []

    async def waits() -> None:
        try:
            await scheduler.sleep(5)
        finally:
            ended.append(1)

    scheduler.spawn(waits())
    scheduler.run_ready()
    scheduler.close_all()
    assert ended == [1]
    assert scheduler.next_timer() is None


def test_a_queue_is_bounded_and_ends_when_closed() -> None:
    scheduler, longest, got = Scheduler(), [0], []
    queue: Queue[int] = Queue(3)

    async def produce() -> None:
        for item in range(20):
            await queue.put(item)
            longest[0] = max(longest[0], len(queue))
        queue.close()

    async def consume() -> None:
        while (item := await queue.get()) is not None:
            got.append(item)
            await scheduler.sleep(1)

    drive(scheduler, run_all(scheduler, [produce(), consume(), consume()]))
    assert sorted(got) == list(range(20))
    assert longest[0] == 3


def test_a_gate_admits_only_so_many() -> None:
    scheduler, gate, inside, most = Scheduler(), Gate(2), [0], [0]

    async def visit() -> None:
        await gate.enter()
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        await scheduler.sleep(1)
        inside[0] -= 1
        gate.leave()

    drive(scheduler, run_all(scheduler, [visit() for _ in range(6)]))
    assert (most[0], inside[0]) == (2, 0)


@given(st.permutations(range(8)))
def test_a_turnstile_lets_pieces_through_in_order(arrival: list[int]) -> None:
    scheduler, order, turnstile = Scheduler(), [], Turnstile()

    async def piece(index: int) -> None:
        await turnstile.reach(index * 10)
        order.append(index)
        turnstile.passed(index * 10 + 10)

    drive(scheduler, run_all(scheduler, [piece(index) for index in arrival]))
    assert order == list(range(8))


def test_a_listing_of_two_pages_is_whole() -> None:
    joined = link()
    call = joined.lane.call(open_request("d", access=1), list_request(FULL, 65536), list_request(FULL, 65536))
    joined.exchange()
    assert [reply.status for reply in call.result()] == [0, 0, NtStatus.NO_MORE_FILES]


def test_large_random_content_survives_the_whole_path() -> None:
    content = os.urandom(3 * CHUNK + 17)
    joined = Link(FakeServer(folder(big=file(content))))
    opened = joined.lane.call(open_request("big", access=1))
    joined.exchange()
    file_id = bytes(opened.result()[0].message[128:144])
    reads = [joined.lane.read(file_id, at, CHUNK) for at in range(0, len(content), CHUNK)]
    joined.exchange()
    assert b"".join(bytes(read.result()[0].message[80:]) for read in reads) == content
