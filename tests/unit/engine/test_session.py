"""Sessions: requests and replies, interim ones included, and every reply that fits no request."""

import os
import struct

import pytest
from lab.fake_server import (
    CHUNK,
    KEY_DOWN,
    KEY_UP,
    FakeServer,
    Link,
    file,
    folder,
    make_session,
)
from lab.fake_server.samples import link, pending_call
from lab.fuzz import properties

from smbferry_engine.core.calls import close_request, empty_request, list_request, open_request, read_request
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.wire.directory import FULL
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import FLAG_ASYNC, Command
from smbferry_engine.wire.status import NtStatus


def test_a_compound_is_one_frame_of_related_requests_aligned_to_eight() -> None:
    joined = link()
    call = joined.session.call(open_request("f", access=1), read_request(0, 100), close_request())
    joined.exchange()
    replies = call.result()
    assert [reply.status for reply in replies] == [0, 0, 0]
    assert replies[1].message[80:87] == b"content"
    assert not joined.server.handles


def test_a_read_that_keeps_its_buffer_lies_where_a_write_wants_it() -> None:
    joined = link()
    opened = joined.session.call(open_request("f", access=1))
    joined.exchange()
    file_id = bytes(opened.result()[0].message[128:144])
    read = joined.session.read(file_id, 0, 100)
    joined.exchange()
    buffer = read.result()[0].buffer
    assert buffer is not None
    assert bytes(buffer[112:119]) == b"content"
    target = joined.session.call(open_request("g", access=2, disposition=2))
    joined.exchange()
    written = joined.session.write_in_place(
        buffer, bytes(target.result()[0].message[128:144]), 0, 7, joined.session.pool
    )
    joined.exchange()
    assert written.result()[0].status == 0
    assert joined.server.tree()["/g"] == b"content"


def test_an_interim_reply_is_waited_out() -> None:
    joined = link()
    call = joined.session.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    message_id = struct.unpack_from("<Q", joined.held[0], 24)[0]
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.PENDING, message_id, bytes(8), flags=FLAG_ASYNC))
    assert (joined.session.has_interim_reply, call.done) == (True, False)
    joined.reply(joined.held.pop())
    assert (joined.session.has_interim_reply, call.done) == (False, True)


def test_credits_that_an_interim_reply_brings_back_are_not_counted_twice() -> None:
    joined = link()
    total = joined.session.credits.total
    _, message_id = pending_call(joined)
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.PENDING, message_id, bytes(8), flags=FLAG_ASYNC))
    assert joined.session.credits.total == joined.session.credits.available == total
    joined.reply(FakeServer.message(Command.CREATE, NtStatus.ACCESS_DENIED, message_id, bytes(8), credits_=0))
    assert joined.session.credits.total == joined.session.credits.available == total


def test_breaks_are_ignored_and_counted() -> None:
    joined = link()
    joined.reply(FakeServer.message(Command.OPLOCK_BREAK, 0, 2**64 - 1, bytes(24), credits_=0))
    assert joined.session.replies.breaks == 1
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
    shown = repr(make_session().facts)
    assert "AES-128-GCM" in shown
    assert not any(key.hex() in shown or repr(key)[2:-1] in shown for key in (KEY_UP, KEY_DOWN))


def test_a_failed_lane_fails_every_call_now_and_later() -> None:
    joined = link()
    sent = joined.session.call(open_request("f", access=1))
    joined.hold_replies = True
    joined.exchange()
    unsent = joined.session.call(open_request("f", access=1))
    error = ConnectionError("gone")
    joined.session.fail(error)
    later = joined.session.call(empty_request(Command.ECHO))
    assert [call.error for call in (sent, unsent, later)] == [error] * 3
    assert not joined.session.busy


def test_no_decrypted_message_makes_the_lane_fail_in_any_other_way() -> None:
    properties.no_decrypted_message_makes_the_lane_fail_in_any_other_way()


def test_a_listing_of_two_pages_is_whole() -> None:
    joined = link()
    call = joined.session.call(open_request("d", access=1), list_request(FULL, 65536), list_request(FULL, 65536))
    joined.exchange()
    assert [reply.status for reply in call.result()] == [0, 0, NtStatus.NO_MORE_FILES]


def test_large_random_content_survives_the_whole_path() -> None:
    content = os.urandom(3 * CHUNK + 17)
    joined = Link(FakeServer(folder(big=file(content))))
    opened = joined.session.call(open_request("big", access=1))
    joined.exchange()
    file_id = bytes(opened.result()[0].message[128:144])
    reads = [joined.session.read(file_id, at, CHUNK) for at in range(0, len(content), CHUNK)]
    joined.exchange()
    assert b"".join(bytes(read.result()[0].message[80:]) for read in reads) == content
