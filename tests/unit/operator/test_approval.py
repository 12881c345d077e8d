"""Runs whose plan a person must approve: what the operator does about them (ADR 53)."""

from __future__ import annotations

from dataclasses import replace
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
    snapshot,
    task,
    transfer_job,
)
from tests.unit.operator.decision_cases import Case, as_written, cases
from tests.unit.operator.run_observations import seen, state_of

from smbferry_api.fields import format_time
from smbferry_api.plan_status import PlannedItems, PlanStatus, plan_changes, plan_digest
from smbferry_operator.decide.mirror import copied_to
from smbferry_operator.decide.naming import ANNOTATION_ACTIVE_BEFORE, ANNOTATION_PAUSES_BEFORE
from smbferry_operator.decide.observation import Ends, TaskObservation
from smbferry_operator.decide.resolve import resolve
from smbferry_operator.decide.run import decide_run

if TYPE_CHECKING:
    from smbferry_api.run import ResolvedApproval
    from smbferry_operator.model import Job, Task

PLACE = "//files.corp.example.com:445/dst"
PLAN = PlanStatus(
    planned_at=ago(minutes=2), to_delete=PlannedItems(files=4, directories=1), destination=PLACE, deletions="abc"
)
REQUIRED: dict[str, Any] = {"approval": "Required"}


@pytest.mark.fault(230, 232, 233)
@pytest.mark.parametrize("case", cases("run-approval"), ids=lambda case: case.name)
def test_a_run_that_has_planned(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)


def planned_job(**approval: Any) -> Job:
    said = "Container agent for pod team/xrun-1-x failed with exit code 42 matching FailJob rule at index 1"
    return transfer_job(
        failed=1,
        failure_reason="PodFailurePolicy",
        failure_message=said,
        created=ago(hours=4),
        finished_at=ago(hours=3),
        task=snapshot(approval={"expiry": "24h", **approval}),
    )


def status_of(plan: PlanStatus) -> dict[str, Any]:
    return {
        "state": "Queued",
        "startTime": format_time(ago(hours=4)),
        "plan": plan.model_dump(mode="json", by_alias=True),
    }


def test_the_next_agent_is_told_which_plan_was_approved_and_the_wait_counts_for_nothing() -> None:
    digest = plan_digest(PLAN)
    decision = decide_run(seen(run(status=status_of(PLAN), approves=digest), jobs=(planned_job(),)), NOW, SETTINGS)
    made = job_of(decision)
    approval = recorded_in(made).approval

    assert approval is not None
    assert approval.plan == digest
    assert made["metadata"]["annotations"][ANNOTATION_PAUSES_BEFORE] == "1"
    assert made["metadata"]["annotations"][ANNOTATION_ACTIVE_BEFORE] == "3600", (
        "an hour until the plan, three of waiting"
    )
    assert [key.name for key in decision.delete] == ["xrun-1"]
    assert decision.claim is not None


def test_an_approval_that_stands_before_there_is_a_plan_starts_only_a_plan() -> None:
    decision = decide_run(seen(run(approves="abcd"), task=task(**REQUIRED, approvedPlan="abcd")), NOW, SETTINGS)
    approval = recorded_in(job_of(decision)).approval

    assert approval is not None
    assert approval.plan == ""


def test_the_approval_of_a_task_of_another_uid_does_not_count() -> None:
    other = task(**REQUIRED, approvedPlan=plan_digest(PLAN))
    other = replace(other, meta=replace(other.meta, uid="uid-made-anew"))
    decision = decide_run(seen(run(status=status_of(PLAN)), task=other, jobs=(planned_job(),)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "ApprovalRequired")


def test_a_plan_that_needs_no_approval_cannot_be_used_as_one() -> None:
    plan = PLAN.model_copy(update={"needs_approval": False})
    decision = decide_run(
        seen(run(status=status_of(plan), approves=plan_digest(plan)), jobs=(planned_job(),)), NOW, SETTINGS
    )

    assert not decision.create


# --- Which tasks ask for it, and what is a first run ------------------------------------------------------------------


def approval_of(asked: Task, places: Ends | None = None) -> ResolvedApproval | None:
    taken = resolve(asked, places or ends())
    assert taken is not None
    return taken.approval


def test_a_task_asks_for_no_approval_unless_it_says_so() -> None:
    assert approval_of(task()) is None


@pytest.mark.parametrize(
    ("status", "first"),
    [
        pytest.param({}, True, id="never ran"),
        pytest.param({"mirroredTo": PLACE}, False, id="a run has succeeded there"),
        pytest.param({"copiedTo": PLACE}, False, id="a run has copied there, some files failed"),
        pytest.param({"mirroredTo": "//files.corp.example.com:445/other"}, True, id="elsewhere"),
        pytest.param({"lastSuccessfulRun": {"name": "n", "state": "Succeeded"}}, False, id="by an older operator"),
    ],
)
def test_a_run_is_the_first_until_one_has_copied_to_that_destination(status: dict[str, Any], first: bool) -> None:
    approval = approval_of(task(status=status, **REQUIRED))

    assert approval is not None
    assert approval.first_run is first


def test_another_destination_makes_it_the_first_run_again() -> None:
    elsewhere = ends(destination=checked_location("dst", share="other"))
    approval = approval_of(task(status={"mirroredTo": PLACE, "copiedTo": PLACE}, **REQUIRED), elsewhere)

    assert approval is not None
    assert approval.first_run


@pytest.mark.parametrize(
    ("state", "asked", "expected"),
    [
        ("Succeeded", REQUIRED, PLACE),
        ("PartiallySucceeded", REQUIRED, PLACE),
        ("Failed", REQUIRED, None),
        ("Cancelled", REQUIRED, None),
        ("Succeeded", {}, None),
    ],
)
def test_where_a_task_has_copied_to(state: str, asked: dict[str, Any], expected: str | None) -> None:
    ended = run("last", {"state": state, "completionTime": format_time(ago(hours=1))}, owner_uid="uid-nightly")
    observed = TaskObservation(task(**asked), ends(), (ended,), recorded=recorded().task)

    assert copied_to(observed) == expected


# --- Plans ------------------------------------------------------------------------------------------------------------


def test_the_digest_covers_all_that_a_plan_says_and_survives_its_way_through_the_status() -> None:
    again = PlanStatus.model_validate(PLAN.model_dump(mode="json", by_alias=True))
    assert plan_digest(again) == plan_digest(PLAN)
    for field, value in (
        ("planned_at", NOW),
        ("deletions", "abd"),
        ("existing", 1),
        ("destination", "//files.corp.example.com:445/other"),
        ("to_delete", PLAN.to_delete.model_copy(update={"paths": ("/a",)})),
        ("needs_approval", False),
    ):
        assert plan_digest(PLAN.model_copy(update={field: value})) != plan_digest(PLAN), field


@pytest.mark.fault(230)
@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param({}, (), id="the same"),
        pytest.param({"to_create": {"files": 9}, "to_correct": 3}, (), id="more new files"),
        pytest.param({"to_replace": {"files": 1}, "newer": {"files": 0}}, (), id="less to replace"),
        pytest.param(
            {"deletions": "abd", "to_delete": {"files": 104, "directories": 1}},
            ("it would delete 105 files and folders instead of 5",),
            id="more to delete",
        ),
        pytest.param(
            {"deletions": "abd"},
            ("it would delete 5 files and folders instead of 5 others",),
            id="others to delete",
        ),
        pytest.param({"destination_id": "2"}, ("the destination is another folder",), id="another volume is mounted"),
        pytest.param({"source_id": "2"}, ("the source is another folder",), id="so it is at the source"),
        pytest.param({"source_id": "", "destination_id": ""}, (), id="a server that does not tell"),
        pytest.param(
            {"to_replace": {"files": 3}},
            ("it would replace 3 files whose source has not changed instead of at most 2",),
            id="more to replace",
        ),
        pytest.param(
            {"newer": {"files": 2}},
            ("it would replace 2 files that are newer at the destination instead of at most 1",),
            id="more that are newer",
        ),
    ],
)
def test_what_is_within_an_approved_plan(now: dict[str, Any], expected: tuple[str, ...]) -> None:
    given = {"source_id": "1", "destination_id": "1", "to_replace": {"files": 2}, "newer": {"files": 1}}
    before = PLAN.model_copy(update={name: getattr(PlanStatus.model_validate(given), name) for name in given})
    later = before.model_copy(update={name: getattr(PlanStatus.model_validate(now), name) for name in now})

    assert plan_changes(before, later) == expected
