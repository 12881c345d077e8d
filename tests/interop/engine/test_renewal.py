"""A session is authenticated again while it is used: what Samba does then, and what is refused on our side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from lab.support.domain.trees import Wanted

from smbferry_engine import EngineError
from smbferry_engine.operations.sides import share_of
from smbferry_engine.session.connect import connect
from smbferry_engine.session.driver import Driver
from smbferry_engine.session.renewal import SessionRenewal
from smbferry_engine.session.tickets import Proof, end_of_ticket, prove
from smbferry_engine.share.reading import open_file
from smbferry_engine.wire.session import decode_session_setup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.engine.support import Bench

    from smbferry_engine import Endpoint
    from smbferry_engine.core.calls import Reply
    from smbferry_engine.session.connect import Connected

SIZE = 3_000_000


@pytest.fixture
def end(bench: Bench) -> Endpoint:
    bench.source.seed([Wanted("file", size=SIZE)])
    return bench.ends()[0]


@pytest.fixture
def side(end: Endpoint) -> Iterator[Connected]:
    connected = connect(end)
    yield connected
    connected.channel.close()


def authenticate(side: Connected, token: bytes) -> Reply:
    async def main() -> Reply:
        (reply,) = await side.channel.session.authenticate(token)
        return reply

    return Driver([side.channel]).run(main())


@pytest.mark.fault(19)
def test_files_stay_open_and_keys_stay_as_they_are_while_a_session_is_renewed(end: Endpoint, side: Connected) -> None:
    channel, share = side.channel, share_of(side, end)
    # By the ticket that there is: it ends later than the one that the session is said to have.
    channel.renewal = SessionRenewal(channel.session, lambda _later: Proof(end), ends=0.0, peer=channel.peer)
    held: list[bool] = []
    renewed = channel.session.renewed

    def seen() -> None:
        renewed()
        held.append(True)

    channel.session.renewed = seen  # type: ignore[method-assign]  # seen, and done as before

    async def main() -> int:
        file = await open_file(share, "file")
        read = 0
        while not held:
            calls = [channel.session.read(file.opened.file_id, offset, 65_536) for offset in range(0, SIZE, 65_536)]
            read += sum([(await call)[0].status == 0 for call in calls])
        (after,) = await channel.session.read(file.opened.file_id, 0, 65_536)
        assert after.status == 0
        return read

    assert Driver([channel]).run(main()) >= SIZE // 65_536
    assert channel.session.usable


def test_a_token_that_proves_nothing_costs_the_session_and_is_not_mistaken_for_a_renewal(side: Connected) -> None:
    assert authenticate(side, b"not a token").status != 0


def test_an_answer_that_is_not_to_our_own_token_proves_nothing(end: Endpoint, side: Connected) -> None:
    first, second = Proof(end), Proof(end)
    answer = decode_session_setup(authenticate(side, first.token).message)
    assert not answer.nobody
    for wrong in (b"", b"noise", answer.token[:-1], answer.token):
        with pytest.raises(EngineError) as caught:
            (second if wrong == answer.token else Proof(end)).check(wrong)
        assert caught.value.reason == "MutualAuthenticationFailed"
    first.check(answer.token)


def test_another_principals_tickets_are_refused_before_a_word_is_sent(bench: Bench, end: Endpoint) -> None:
    swapped = replace(end, ccache=bench.tickets.of(bench.tickets.writer))
    for attempt in (lambda: prove(swapped, 0.0), lambda: end_of_ticket(swapped), lambda: Proof(swapped)):
        with pytest.raises(EngineError) as caught:
            attempt()
        assert caught.value.reason == "TicketMissing"


def test_only_a_ticket_that_ends_later_renews_a_session(end: Endpoint, side: Connected) -> None:
    assert side.channel.renewal is not None
    ends = end_of_ticket(end)
    assert prove(end, ends) is None
    sooner = prove(end, ends - 1)
    assert sooner is not None
    assert sooner.ends == ends
