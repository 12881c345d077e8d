"""Fields by which a task asks for approval and a person gives it: what is accepted, and what is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from smbferry_api.plan_status import DIGEST_LENGTH, PlannedItems, PlanStatus, plan_digest, plan_summary
from smbferry_api.run import TransferRunSpec
from smbferry_api.task import TransferTaskSpec

ENDS = {"source": {"locationRef": {"name": "src"}}, "destination": {"locationRef": {"name": "dst"}}}
DIGEST = "abcd2345" * 4


def test_nobody_is_asked_by_default() -> None:
    spec = TransferTaskSpec.model_validate(ENDS)

    assert (spec.approval, spec.approval_expiry, spec.approved_plan) == ("None", "24h", "")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"approval": "Manual"}, "'None' or 'Required'"),
        ({"approvalExpiry": "30s"}, "expected 1m to 720h, got '30s'"),
        ({"approvalExpiry": "tomorrow"}, "expected a duration such as 30s"),
        ({"approvedPlan": "Not a digest"}, "should match pattern"),
    ],
)
def test_what_a_task_cannot_say(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TransferTaskSpec.model_validate({**ENDS, **spec})


@pytest.mark.parametrize("kind", [{"dryRun": True}, {"survey": True}])
def test_a_run_that_changes_nothing_needs_no_approval(kind: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match="a dry run and a survey change nothing and need no approvedPlan"):
        TransferRunSpec.model_validate({"taskRef": {"name": "t"}, "approvedPlan": DIGEST, **kind})


def test_a_digest_can_be_the_value_of_approved_plan() -> None:
    digest = plan_digest(PlanStatus())

    assert len(digest) == DIGEST_LENGTH
    assert TransferRunSpec.model_validate({"taskRef": {"name": "t"}, "approvedPlan": digest}).approved_plan == digest


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({}, "The run would copy 0 new files, replace 0 and delete 0 files and folders at //fs:445/dst."),
        (
            {"to_delete": PlannedItems(files=1200, directories=4), "newer": PlannedItems(files=7), "to_compare": 9},
            "compare 9 by content and delete 1,204 files and folders at //fs:445/dst. 7 of the existing files are",
        ),
        (
            {"first_run": True, "existing": 3},
            "It is the first to this destination, which has 3 files and folders.",
        ),
    ],
)
def test_a_plan_in_a_sentence(plan: dict[str, Any], expected: str) -> None:
    assert expected in plan_summary(PlanStatus(destination="//fs:445/dst", **plan))


def test_a_field_that_a_later_version_adds_changes_no_older_digest() -> None:
    class Later(PlanStatus):
        more: int = 0

    assert plan_digest(Later(existing=3)) == plan_digest(PlanStatus(existing=3))
