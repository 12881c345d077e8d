"""The lives of a session and of a staging file: each state knows what any event makes of it."""

import pytest

from smbferry_engine.core import states
from smbferry_engine.core.calls import Call
from smbferry_engine.core.states import SessionEvent, SessionLife, SessionState
from smbferry_engine.run import housekeeping
from smbferry_engine.run.housekeeping import Housekeeping, StagingEvent, StagingState


def test_every_event_has_an_answer_in_every_state_of_a_session() -> None:
    assert {state: set(events) for state, events in states._NEXT.items()} == {
        state: set(SessionEvent) for state in SessionState
    }


@pytest.mark.parametrize(
    ("events", "usable", "expired"),
    [
        ([], True, False),
        ([SessionEvent.EXPIRED], True, True),
        ([SessionEvent.EXPIRED, SessionEvent.RENEWED], True, False),
        ([SessionEvent.EXPIRED, SessionEvent.ENDED], False, True),
        ([SessionEvent.ENDED, SessionEvent.EXPIRED, SessionEvent.RENEWED], False, False),
        ([SessionEvent.EXPIRED, SessionEvent.FAILED, SessionEvent.RENEWED], False, False),
    ],
)
def test_what_has_befallen_a_session_says_whether_calls_are_sent(
    events: list[SessionEvent], *, usable: bool, expired: bool
) -> None:
    life = SessionLife()
    for event in events:
        life.apply(event)
    assert (life.usable, life.expired) == (usable, expired)


def test_an_expired_ticket_ends_a_session_that_nobody_renews() -> None:
    life = SessionLife()
    life.refused(1)
    assert (life.usable, life.expired) == (False, False)


def test_a_refusal_from_before_the_renewal_says_nothing_of_the_renewed_session() -> None:
    life = SessionLife()
    life.renewable = True
    life.refused(5)
    life.renewed(next_message_id=9)
    life.refused(8)
    assert (life.usable, life.expired) == (True, False)
    life.refused(9)
    assert life.expired


def test_every_state_of_a_staging_file_leads_to_states_of_the_table() -> None:
    assert set(housekeeping._NEXT) == set(StagingState)
    assert {state for events in housekeeping._NEXT.values() for state in events.values()} <= set(StagingState)


def test_a_staging_file_that_was_left_is_known_again_when_its_reopening_is_refused() -> None:
    keeping, closing = Housekeeping(), Call(())
    keeping.note("f", "s", StagingEvent.OPENED, Call(()))
    assert keeping.is_open("s")
    keeping.note("f", "s", StagingEvent.LEFT, closing)
    keeping.note("f", "s", StagingEvent.OPENED, Call(()))
    assert [path for path, _ in keeping.opened()] == ["s"]
    keeping.note("f", "s", StagingEvent.REFUSED)
    assert keeping.state_of("s") is StagingState.LEFT
    assert list(keeping.closings("s")) == [closing]
    assert keeping.take_left("f", keep="other") == ["s"]
    assert keeping.idle


def test_a_shared_staging_file_is_nobodys_to_remove_alone() -> None:
    keeping = Housekeeping()
    for event in (StagingEvent.OPENED, StagingEvent.SHARED, StagingEvent.LEFT, StagingEvent.HELD):
        keeping.note("f", "s", event)
    assert (keeping.shared(), keeping.opened(), keeping.take_left("f", keep="")) == (["s"], [], [])
    with pytest.raises(KeyError):
        keeping.note("f", "never opened", StagingEvent.SHARED)
