"""Which mirrors must be confirmed by a person first, and what counts as a proof that they need not (ADR 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    ago,
    checked_location,
    ends,
    job_of,
    recorded,
    recorded_in,
    run,
    task,
)

from smbferry_api.fields import format_time
from smbferry_operator.decide.mirror import mirrored_to, wanted_confirmation
from smbferry_operator.decide.observation import Ends, RunObservation, TaskObservation
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.task import decide_task

if TYPE_CHECKING:
    from smbferry_operator.model import Run, Task

REMOVE = {"deletedFiles": "Remove"}
PLACE = "//files.corp.example.com:445/dst"
MIRRORED = {"mirroredTo": PLACE}


def word_of(mirror: Task, places: Ends | None = None) -> str | None:
    taken = resolve(mirror, places or ends())
    assert taken is not None
    return taken.unconfirmed


def mirror(status: dict[str, Any] | None = None, **spec: Any) -> Task:
    return task(status=status, options=REMOVE, created=ago(hours=3), **spec)


def ended(name: str = "good", *, state: str = "Succeeded", uid: str | None = "uid-nightly", **more: Any) -> Run:
    status = {"state": state, "completionTime": format_time(ago(hours=1))}
    return run(name, status, created=more.pop("created", ago(hours=2)), owner_uid=uid, **more)


@pytest.mark.fault(134)
def test_a_task_that_never_mirrored_there_wants_a_word_that_is_its_own() -> None:
    first, again = word_of(mirror()), word_of(mirror(uid="uid-restored"))

    assert first
    assert again
    assert first != again, "a confirmation that was restored with the task does not fit"
    assert word_of(mirror(mirrorConfirmation=first)) is None
    assert word_of(mirror(uid="uid-restored", mirrorConfirmation=first)) == again


def test_one_that_has_mirrored_there_wants_none_until_its_destination_is_another() -> None:
    elsewhere = ends(destination=checked_location("dst", share="other"))

    assert word_of(mirror(MIRRORED)) is None
    assert word_of(mirror(MIRRORED), elsewhere)
    given = word_of(mirror())
    assert word_of(mirror(mirrorConfirmation=given), elsewhere) != given


def test_a_task_that_deletes_nothing_wants_none() -> None:
    assert word_of(task()) is None


def test_one_that_succeeded_under_an_operator_that_did_not_note_where_wants_none() -> None:
    assert word_of(mirror({"lastSuccessfulRun": {"name": "nightly-1", "state": "Succeeded"}})) is None


@pytest.mark.fault(134)
@pytest.mark.parametrize(
    ("before", "proven"),
    [
        pytest.param(ended(), True, id="a run of its own"),
        pytest.param(ended(uid=None, created=ago(hours=2)), True, id="a person's run of it"),
        pytest.param(ended(uid=None, created=ago(hours=4)), False, id="a person's run of an earlier one of its name"),
        pytest.param(ended(uid="uid-earlier"), False, id="a run of an earlier one of its name"),
        pytest.param(ended(state="PartiallySucceeded"), False, id="one that did not succeed"),
        pytest.param(ended(dry_run=True), False, id="a dry run"),
        pytest.param(ended(survey=True), False, id="a survey"),
    ],
)
def test_only_a_run_of_this_very_task_that_succeeded_is_a_proof(before: Run, proven: bool) -> None:
    seen = TaskObservation(mirror(), ends(), (before,), recorded=recorded().task)
    assert mirrored_to(seen) == (PLACE if proven else None)

    decision = decide_task(seen, NOW)
    assert decision.status is not None
    assert decision.status.fields["mirroredTo"] == (PLACE if proven else None)
    assert (decision.status.fields["lastSuccessfulRun"] is not None) is proven


def test_the_status_says_the_word_until_it_is_given_or_proven() -> None:
    def said(seen: TaskObservation) -> Any:
        decision = decide_task(seen, NOW)
        assert decision.status is not None
        return decision.status.fields["unconfirmed"]

    word = said(TaskObservation(mirror(), ends()))
    assert word == word_of(mirror())
    assert said(TaskObservation(mirror(mirrorConfirmation=word), ends())) is None
    assert said(TaskObservation(mirror(), ends(), (ended(),), recorded=recorded().task)) is None
    assert said(TaskObservation(task(), ends())) is None


def test_what_was_proven_is_remembered_when_the_run_is_gone() -> None:
    assert mirrored_to(TaskObservation(mirror(MIRRORED), ends())) == PLACE


def test_its_runs_carry_the_word_in_what_their_jobs_record() -> None:
    job = job_of(decide_run(RunObservation(run(), task=mirror(), ends=ends()), NOW, SETTINGS))

    assert recorded_in(job).unconfirmed == word_of(mirror())


def test_what_only_an_agent_could_have_said_is_no_proof() -> None:
    assert mirrored_to(TaskObservation(mirror(), ends(), (ended(),), done=recorded().task)) is None


def test_the_word_stands_for_task_and_destination_only() -> None:
    taken = resolve(mirror(), ends())
    assert taken is not None
    assert wanted_confirmation(mirror(trigger="another"), taken.destination, None) == taken.unconfirmed
