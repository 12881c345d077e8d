"""Credits: what requests cost, how more are earned, and compounds that are split for want of them."""

import pytest
from lab.fake_server import (
    CHUNK,
    Link,
    make_session,
)
from lab.fake_server.samples import link

from smbferry_engine.core.calls import close_request, open_request, read_request
from smbferry_engine.core.credits import CreditWindow, charge_for
from smbferry_engine.core.errors import ProtocolError
from smbferry_engine.share.reading import single_frame_limit
from smbferry_engine.share.share import Share
from smbferry_engine.wire.errors import WireError
from smbferry_engine.wire.header import HEADER_SIZE, Command
from smbferry_engine.wire.status import NtStatus


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


def test_calls_wait_for_credits_and_go_on_when_they_come() -> None:
    joined = link(credits_=2)
    joined.server.credits_granted = 1
    calls = [joined.session.call(open_request("f", access=1), close_request()) for _ in range(5)]
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
    call = joined.session.call(open_request("f", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [0, 0, 0]
    assert commands(joined) == [Command.ECHO, Command.CREATE, Command.READ, Command.CLOSE]


@pytest.mark.fault(90)
def test_a_compound_is_split_where_an_echo_earns_nothing_and_echoes_are_not_asked_for_ever() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    calls = [joined.session.call(open_request("f", access=1), read_request(0, 100), close_request()) for _ in range(3)]
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
    call = joined.session.call(open_request("none", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [NtStatus.OBJECT_NAME_NOT_FOUND] * 3
    assert commands(joined) == [Command.ECHO, Command.CREATE]


def test_a_split_compound_whose_create_is_answered_with_something_else_fails() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)

    def spoil(replies: list[bytes]) -> list[bytes]:
        created = commands(joined)[-1] == Command.CREATE
        return (
            [reply[:HEADER_SIZE] + b"\x55\x92" + reply[HEADER_SIZE + 2 :] for reply in replies] if created else replies
        )

    joined.server.before_reply = spoil
    call = joined.session.call(open_request("f", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert isinstance(call.error, WireError)


def test_a_split_compound_goes_on_behind_another_failure_as_a_whole_one_does() -> None:
    joined = link(credits_=2)
    joined.server.keep_credits(2)
    joined.server.faults.append(lambda seen: NtStatus.ACCESS_DENIED if seen.command == Command.READ else None)
    call = joined.session.call(open_request("f", access=1), read_request(0, 100), close_request())
    run_out(joined)
    assert [reply.status for reply in call.result()] == [0, NtStatus.ACCESS_DENIED, 0]
    assert not joined.server.handles


def test_a_split_compound_of_an_open_file_names_it_throughout() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    opened = joined.session.call(open_request("f", access=1))
    run_out(joined)
    file_id = bytes(opened.result()[0].message[128:144])
    call = joined.session.call(read_request(0, 3, file_id), read_request(3, 4), close_request())
    run_out(joined)
    assert [bytes(reply.message[80:]) for reply in call.result()[:2]] == [b"con", b"tent"]
    assert not joined.server.handles


def test_a_lane_that_fails_fails_what_was_split() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    call = joined.session.call(open_request("f", access=1), close_request())
    joined.exchange()
    joined.session.fail(ProtocolError("gone"))
    assert isinstance(call.error, ProtocolError)


def test_a_server_that_leaves_too_few_credits_for_one_request_is_an_error_not_a_hang() -> None:
    joined = link(credits_=1)
    joined.server.keep_credits(1)
    joined.session.call(read_request(0, 1 << 20, bytes(16)))
    with pytest.raises(ProtocolError, match="16 credits"):
        run_out(joined)


def test_a_server_that_leaves_no_credit_at_all_is_an_error_not_a_hang() -> None:
    joined = link(credits_=0)
    joined.session.call(open_request("f", access=1))
    with pytest.raises(ProtocolError):
        joined.exchange()


def test_limits_follow_the_credits() -> None:
    few, many = make_session(credits_=4), make_session(credits_=1000)
    assert few.read_limit() == 2 * 65536
    assert many.read_limit() == many.write_limit() == CHUNK
    assert few.list_limit(1 << 20) == 65536


@pytest.mark.parametrize("credits_", [5, 8, 10, 64])
def test_a_small_files_compound_never_costs_more_credits_than_there_are(credits_: int) -> None:
    limit = single_frame_limit(Share(make_session(credits_=credits_, chunk=1 << 20), ""))
    assert limit == 0 or charge_for(limit) + 6 <= credits_
