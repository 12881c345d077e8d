"""A scheduled task through hours in which the operator is away, slow, or has its clock set."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import ends, run, task

from smbferry_api.fields import format_time
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.task import decide_task


def walk(moments: list[str], **schedule: str) -> list[str]:
    """The scheduled times of the runs that are made when the task is looked at in these moments; each ends at once."""
    status: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    made: list[str] = []
    created = datetime.fromisoformat("2026-11-21T00:00:00+00:00")
    for moment in moments:
        now = datetime.fromisoformat(f"2026-11-21T{moment}+00:00")
        known = tuple(
            run(
                r["metadata"]["name"],
                {"state": "Succeeded", "completionTime": format_time(now)},
                owner_uid="uid-nightly",
                annotations=r["metadata"]["annotations"],
                created=now - timedelta(seconds=1),
            )
            for r in runs
        )
        observed = task(status=status, created=created, schedule=schedule)
        decision = decide_task(TaskObservation(observed, ends(), known), now)
        runs += decision.create
        made += [r["metadata"]["annotations"]["smbferry.io/scheduled-at"][11:16] for r in decision.create]
        if decision.status is not None:
            status = decision.status.as_json()
    return made


@pytest.mark.parametrize(
    ("schedule", "moments", "made"),
    [
        pytest.param(
            {"cron": "* * * * *"},
            ["01:00:01", "01:00:31", "01:01:00", "01:01:59", "01:02:00"],
            ["01:00", "01:01", "01:02"],
            id="each minute once, however often it is looked at",
        ),
        pytest.param(
            {"cron": "* * * * *", "startingDeadline": "1h"},
            ["01:00:10", "03:30:10", "03:30:20"],
            ["01:00", "03:30"],
            id="two hours away: one catch-up, for the last time",
        ),
        pytest.param(
            {"cron": "0 * * * *", "startingDeadline": "10m"},
            ["01:00:10", "02:10:01", "02:59:00", "03:00:00"],
            ["01:00", "03:00"],
            id="away past the deadline: no catch-up",
        ),
        pytest.param(
            {"cron": "0 * * * *", "startingDeadline": "10m"},
            ["01:00:10", "02:10:00"],
            ["01:00", "02:00"],
            id="back right at the deadline",
        ),
        pytest.param(
            {"cron": "0 * * * *"},
            ["03:00:05", "01:30:00", "02:00:05", "02:59:59", "03:00:05", "04:00:00"],
            ["03:00", "04:00"],
            id="clock set back: nothing runs twice",
        ),
        pytest.param(
            {"cron": "0 * * * *", "startingDeadline": "1h"},
            ["01:00:05", "07:30:00", "07:31:00", "08:00:00"],
            ["01:00", "07:00", "08:00"],
            id="clock set forward: one catch-up",
        ),
    ],
)
def test_what_runs(schedule: dict[str, str], moments: list[str], made: list[str]) -> None:
    assert walk(moments, **schedule) == made
