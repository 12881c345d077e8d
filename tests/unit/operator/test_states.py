"""The page on the states of a run tells what the code does."""

from tests.unit.operator.states import PAGE, WORKING, diagram, explore, page_with

from smbferry_api.run_status import RunState


def test_the_page_shows_what_the_code_does() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == page_with(diagram(), page), "run: python -m tests.unit.operator.states"


def test_every_state_is_reached_and_named_on_the_page() -> None:
    reached = {after for _, after in explore()}
    page = PAGE.read_text(encoding="utf-8")

    assert reached == {state.value for state in RunState}
    assert [state for state in RunState if f"| {state.value} |" not in page] == []


def test_a_run_that_is_over_stays_as_it_is() -> None:
    assert [before for before, _ in explore() if before in {s.value for s in RunState if s.ended}] == []


def test_every_state_that_is_not_an_end_can_be_left_for_one() -> None:
    ends = {state.value for state in RunState if state.ended}
    leads_to = {before: {b for a, b in explore() if a == before} for before, _ in explore()}

    assert all(leads_to[state] & ends for state in ("Queued", "Launching", "Cancelling", *WORKING))
