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
from tests.unit.operator.fleets import demand
from tests.unit.operator.run_observations import seen
from tests.unit.operator.test_windows import DAY, NIGHT, after_pause, paused_job

from smbferry_operator.decide.limits import Standing
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


DAYS = [{**DAY[0], "days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], "timeZone": "UTC", "pause": False}]
SHARE = Standing(demand("run"), rate=1 << 20)


@pytest.mark.parametrize(
    ("windows", "standing", "before", "expected"),
    [
        pytest.param(NIGHT, None, None, None, id="nothing has changed"),
        pytest.param(NIGHT, SHARE, None, {"bytesPerSecond": "1048576"}, id="a share that is lower"),
        pytest.param(DAY, None, None, {"bytesPerSecond": "4Mi", "windows": DAYS}, id="other windows keep the limit"),
        pytest.param(DAY, SHARE, None, {"bytesPerSecond": "1048576", "windows": DAYS}, id="both"),
        pytest.param(
            DAY,
            SHARE,
            {"bytesPerSecond": "1048576"},
            {"bytesPerSecond": "1048576", "windows": DAYS},
            id="windows after a share",
        ),
        pytest.param(
            DAY, SHARE, {"windows": DAYS}, {"bytesPerSecond": "1048576", "windows": DAYS}, id="a share after windows"
        ),
        pytest.param(
            NIGHT, SHARE, {"windows": DAYS}, {"bytesPerSecond": "1048576"}, id="windows back, and the share is kept"
        ),
        pytest.param(
            DAY,
            Standing(demand("run"), rate=8 << 20),
            {"bytesPerSecond": "1048576", "windows": DAYS},
            {"bytesPerSecond": "4Mi", "windows": DAYS},
            id="a larger share, and the windows are kept",
        ),
    ],
)
def test_a_share_and_windows_travel_together(
    windows: Any, standing: Standing | None, before: Any, expected: Any
) -> None:
    assert both(task(options={"bytesPerSecond": "4Mi"}, windows=windows), standing, before) == expected


@pytest.mark.parametrize("gone", [None, task(uid="uid-another", windows=DAY)])
def test_without_its_task_a_run_keeps_its_share_and_has_the_windows_by_which_the_operator_starts_it(gone: Any) -> None:
    before = {"bytesPerSecond": "2Mi", "windows": DAYS}

    assert both(gone, None, before) == {"bytesPerSecond": "2Mi"}
    assert both(gone, SHARE, before) == {"bytesPerSecond": "1048576"}


def both(now: Any, standing: Standing | None, before: Any) -> Any:
    """status.limit of a run that began with 4 MiB a second, by night."""
    status: dict[str, Any] = {"state": "Transferring", "phases": {"transfer": {"state": "Running"}}}
    status |= {"limit": before} if before is not None else {}
    taken = {**snapshot(), "options": {"bytesPerSecond": "4Mi"}, "windows": NIGHT}
    job = transfer_job(active=1, task=taken)
    decision = decide_run(seen(run(status=status), task=now, jobs=(job,), standing=standing), NOW, SETTINGS)
    assert decision.status is not None
    return decision.status.as_json().get("limit")


def test_a_paused_run_continues_with_its_share_only_once_the_status_says_it() -> None:
    """An agent prefers status.limit to its Job. One that changed while the run was paused is written first."""
    job = paused_job(task={**snapshot(), "windows": DAY})
    said = {"state": "Queued", "attempts": 1, "limit": {"bytesPerSecond": "8Mi"}}
    writes = after_pause(job, windows=DAY, observed=run(status=said), standing=SHARE)
    assert writes.status is not None
    assert (writes.create, writes.status.as_json()["limit"]) == ((), {"bytesPerSecond": "1048576"})

    said |= {"limit": {"bytesPerSecond": "1048576"}}
    assert after_pause(job, windows=DAY, observed=run(status=said), standing=SHARE).create
