"""A limit that changes during a run."""

from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    run,
    snapshot,
    task,
    transfer_job,
)
from tests.unit.operator.run_observations import seen

from smbferry_operator.decide.run import decide_run


def limited(task_limit: str | None, snapshot_limit: str | None, before: dict[str, str] | None = None) -> Any:
    """status.limit after a look at a run under way."""
    status: dict[str, Any] = {"state": "Transferring", "phases": {"transfer": {"state": "Running"}}}
    if before is not None:
        status["limit"] = before
    taken = {**snapshot(), "options": {"bytesPerSecond": snapshot_limit} if snapshot_limit else {}}
    options = {"bytesPerSecond": task_limit} if task_limit else {}
    world = seen(run(status=status), task=task(options=options), jobs=(transfer_job(active=1, task=taken),))
    decision = decide_run(world, NOW, SETTINGS)
    assert decision.status is not None
    return decision.status.as_json().get("limit")


@pytest.mark.parametrize(
    ("task_limit", "snapshot_limit", "before", "expected"),
    [
        pytest.param("4Mi", "4Mi", None, None, id="not changed"),
        pytest.param(None, None, None, None, id="never limited"),
        pytest.param("8Mi", "4Mi", None, {"bytesPerSecond": "8Mi"}, id="changed"),
        pytest.param("8Mi", None, None, {"bytesPerSecond": "8Mi"}, id="limited later"),
        pytest.param(None, "4Mi", None, {}, id="freed: an empty limit is no limit"),
        pytest.param("4Mi", "4Mi", {"bytesPerSecond": "8Mi"}, {"bytesPerSecond": "4Mi"}, id="changed back"),
    ],
)
def test_a_changed_limit_reaches_a_run_under_way(
    task_limit: str | None, snapshot_limit: str | None, before: dict[str, str] | None, expected: Any
) -> None:
    assert limited(task_limit, snapshot_limit, before) == expected


def test_a_limit_stays_when_the_task_is_gone_or_is_another_of_the_same_name() -> None:
    status = {"state": "Launching", "limit": {"bytesPerSecond": "8Mi"}}
    for other in (None, task(uid="uid-another")):
        decision = decide_run(seen(run(status=status), task=other, jobs=(transfer_job(active=1),)), NOW, SETTINGS)

        assert decision.status is not None
        assert decision.status.as_json()["limit"] == {"bytesPerSecond": "8Mi"}
