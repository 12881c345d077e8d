"""What of a run lasts from one window to the next: its stage, its deadline, its Jobs by name, and its windows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    agent_body,
    ago,
    identity_body,
    job_of,
    location_body,
    run,
    run_body,
    snapshot,
    task,
    task_body,
    transfer_job,
)
from tests.unit.operator.run_observations import seen, state_of
from tests.unit.operator.test_windows import CUTS, DAY, NIGHT, TRANSFERRING, WRONG, after_pause, paused_job

from smbferry_api.agent_contract import Stage
from smbferry_operator.decide.manifests.jobs import is_transfer_job_name, transfer_job_name
from smbferry_operator.decide.naming import (
    ANNOTATION_ATTEMPTS_BEFORE,
    ANNOTATION_PAUSES_BEFORE,
)
from smbferry_operator.decide.record import active_before, order_of
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE
from smbferry_operator.model import Key, Kind
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.observer import Observer

# --- Several agents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "status", "attempts", "agents"),
    [
        (Stage.SURVEY, {}, "0", None),
        (Stage.SHARDS, {"split": CUTS}, "1", 3),
        (Stage.FINISH, {"split": CUTS}, "1", None),
    ],
)
def test_a_run_with_several_agents_continues_in_its_stage(
    stage: Stage, status: dict[str, Any], attempts: str, agents: int | None
) -> None:
    several: dict[str, Any] = {"task": snapshot(agent={"parallelism": 4})}
    several |= {"completions": agents} if agents else {}
    job = paused_job(stage=stage, before=int(attempts), failed=3 if stage is Stage.SHARDS else 1, **several)
    made = job_of(after_pause(job, windows=DAY, observed=run(status={**TRANSFERRING, **status})))

    assert made["metadata"]["annotations"][ANNOTATION_STAGE] == stage
    assert made["metadata"]["annotations"][ANNOTATION_ATTEMPTS_BEFORE] == attempts
    assert made["spec"].get("completions") == (agents or 1)


def test_the_next_stage_waits_for_a_window_too() -> None:
    job = transfer_job(succeeded=1, complete=True, finished_at=ago(minutes=1), task=snapshot(agent={"parallelism": 4}))
    job = replace(job, meta=replace(job.meta, annotations={ANNOTATION_STAGE: Stage.SURVEY.value}))
    decision = after_pause(job, observed=run(status={**TRANSFERRING, "split": CUTS}))

    assert state_of(decision) == ("Queued", "WindowClosed")


# --- Deadlines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "left"),
    [
        pytest.param({}, 10 - 2, id="the time in which it was paused does not count"),
        pytest.param({"active": str(3 * 3600), "pauses": 1}, 10 - 3 - 2, id="nor that of earlier pauses"),
        pytest.param({"active": str(11 * 3600), "pauses": 1}, 1 / 3600, id="used up"),
    ],
)
def test_the_deadline_counts_the_time_in_which_the_run_was_active(job: dict[str, Any], left: float) -> None:
    taken = snapshot(agent={"activeDeadline": "10h"})
    made = job_of(after_pause(paused_job(task=taken, **job), windows=DAY))

    assert made["spec"]["activeDeadlineSeconds"] == round(left * 3600)


# --- Jobs by name -----------------------------------------------------------------------------------------------------


def test_a_pod_of_a_job_after_a_pause_counts_even_if_its_job_is_gone() -> None:
    meta, cache = run().meta, Cache()
    name = transfer_job_name(meta, 0, 3)
    owner = (Kind.RUN, "run", "uid-run")
    body = agent_body(Kind.POD, "left", owner, job=name, task=snapshot())
    body["metadata"]["annotations"][ANNOTATION_PAUSES_BEFORE] = "3"
    for kind, each in (
        (Kind.RUN, run_body()),
        (Kind.TASK, task_body()),
        (Kind.LOCATION, location_body("src")),
        (Kind.LOCATION, location_body("dst")),
        (Kind.IDENTITY, identity_body()),
        (Kind.POD, body),
    ):
        cache.put(kind, each)
    observed = Observer(cache).run(Key(Kind.RUN, "team", "run"))

    assert observed is not None
    assert [each.meta.name for each in observed.pods] == ["left"]
    assert not is_transfer_job_name(meta, name)


# --- What reaches the agent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "taken", "expected"),
    [
        pytest.param(NIGHT, NIGHT, None, id="not changed"),
        pytest.param(
            DAY,
            NIGHT,
            {
                "windows": [
                    {
                        "days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
                        "from": "06:00",
                        "to": "22:00",
                        "timeZone": "UTC",
                        "pause": False,
                    }
                ]
            },
            id="changed",
        ),
        pytest.param([], NIGHT, {"windows": []}, id="removed"),
        pytest.param(WRONG, NIGHT, None, id="such that never work: those of the snapshot stay"),
    ],
)
@pytest.mark.fault(197)
def test_edited_windows_reach_a_run_under_way(now: Any, taken: Any, expected: Any) -> None:
    job = transfer_job(active=1, task={**snapshot(), "windows": taken})
    status = {"state": "Transferring", "phases": {"transfer": {"state": "Running"}}}
    decision = decide_run(seen(run(status=status), task=task(windows=now), jobs=(job,)), NOW, SETTINGS)

    assert decision.status is not None
    assert decision.status.as_json().get("limit") == expected


def test_the_job_after_a_pause_is_recognized_as_the_runs_own_and_has_its_record() -> None:
    cache, made = Cache(), job_of(after_pause(paused_job(task={**snapshot(), "windows": DAY}), windows=DAY))
    made["metadata"] |= {"uid": "uid-next", "creationTimestamp": "2026-11-21T12:00:00Z", "resourceVersion": "9"}
    for kind, each in (
        (Kind.RUN, run_body(status=TRANSFERRING)),
        (Kind.TASK, task_body(windows=NIGHT)),
        (Kind.LOCATION, location_body("src")),
        (Kind.LOCATION, location_body("dst")),
        (Kind.IDENTITY, identity_body()),
        (Kind.JOB, made),
    ):
        cache.put(kind, each)
    observed = Observer(cache).run(Key(Kind.RUN, "team", "run"))

    assert observed is not None
    (job,) = observed.jobs
    assert order_of(job) == (0, 1)
    assert active_before(job) == timedelta(hours=2)
    assert job.recorded is not None
    assert [window.from_ for window in job.recorded.task.windows] == ["06:00"]
