"""Runs stop at the end of a window and continue in the next one: what the operator does about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import (
    NOW,
    SETTINGS,
    agent_body,
    ago,
    checked_identity,
    condition,
    ends,
    found,
    identity_body,
    job_of,
    key_use,
    location_body,
    pod,
    run,
    run_body,
    snapshot,
    task,
    task_body,
    transfer_job,
)
from tests.unit.operator.run_observations import BAD, claim, seen, state_of

from smbferry_api.agent_contract import Stage
from smbferry_api.exit_codes import ExitCode
from smbferry_operator.decide.manifests.jobs import transfer_job_name
from smbferry_operator.decide.naming import (
    ANNOTATION_ACTIVE_BEFORE,
    ANNOTATION_ATTEMPTS_BEFORE,
    ANNOTATION_PAUSES_BEFORE,
)
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.run import decide_run
from smbferry_operator.decide.stages import ANNOTATION_STAGE
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Job, Key, Kind, Run
from smbferry_operator.observe.cache import Cache
from smbferry_operator.observe.observer import Observer

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision

NIGHT = [{"from": "22:00", "to": "06:00"}]
DAY = [{"from": "06:00", "to": "22:00"}]
WRONG = [{"from": "22:00", "to": "06:00", "timeZone": "Nowhere"}]
UNTIL = "windows are closed until 2026-11-21T22:00:00Z."
TRANSFERRING = {"state": "Transferring", "attempts": 1, "startTime": "2026-11-21T10:00:00Z"}
CUTS = {"cuts": [{"path": "/b"}, {"path": "/c"}]}


def paused_job(**given: Any) -> Job:
    """A Job whose agent has stopped ten minutes ago, two hours after its start."""
    notes = {ANNOTATION_STAGE: given.pop("stage").value} if "stage" in given else {}
    pauses = given.pop("pauses", 0)
    notes |= {ANNOTATION_PAUSES_BEFORE: str(pauses)} if pauses else {}
    notes |= {ANNOTATION_ACTIVE_BEFORE: given.pop("active")} if "active" in given else {}
    said = {
        "failed": 1,
        "failure_reason": "PodFailurePolicy",
        "failure_message": "Container agent for pod team/xrun-1-x failed with exit code 41 matching FailJob rule at "
        "index 1",
        "finished_at": ago(minutes=10),
        "created": ago(minutes=130),
    }
    made = transfer_job(**{**said, **given})
    return replace(made, meta=replace(made.meta, annotations={**made.meta.annotations, **notes}))


def after_pause(
    *jobs: Job, windows: list[dict[str, Any]] | None = None, observed: Run | None = None, **more: Any
) -> Decision:
    """What is decided about a run whose newest Job has stopped for a window."""
    now = more.pop("now", NOW)
    known = {"task": task(windows=NIGHT if windows is None else windows), **more}
    return decide_run(seen(observed or run(status=TRANSFERRING), jobs=jobs or (paused_job(),), **known), now, SETTINGS)


def message_of(decision: Decision) -> str:
    assert decision.status is not None
    return next(c.message for c in decision.status.conditions if c.type == "Succeeded")


# --- Before the first agent -------------------------------------------------------------------------------------------


def test_a_run_that_is_created_while_the_windows_are_closed_waits_and_says_until_when() -> None:
    decision = decide_run(seen(task=task(windows=NIGHT)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "WindowClosed")
    assert message_of(decision).startswith(f"W{UNTIL[1:]} To run now, set ignoreWindows")
    assert [event.reason.name for event in decision.events] == ["WindowClosed"]
    assert not decision.create
    assert decision.claim is None
    assert decision.requeue_after == timedelta(hours=1), "a wall clock may be set, a timer is not"


def test_it_is_looked_at_again_when_they_open_and_starts() -> None:
    before = NOW + timedelta(hours=9, minutes=59, seconds=50)
    waits = decide_run(seen(task=task(windows=NIGHT)), before, SETTINGS)
    starts = decide_run(seen(task=task(windows=NIGHT)), before + timedelta(seconds=10), SETTINGS)

    assert waits.requeue_after == timedelta(seconds=10)
    assert job_of(starts)["metadata"]["annotations"][ANNOTATION_ATTEMPTS_BEFORE] == "0"


def test_a_closed_window_uses_up_no_time_for_a_start() -> None:
    decision = decide_run(seen(run(created=ago(hours=200)), task=task(windows=NIGHT)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "WindowClosed")


def test_a_run_that_ignores_windows_starts_at_once() -> None:
    assert decide_run(seen(run(ignores=True), task=task(windows=NIGHT)), NOW, SETTINGS).create


@pytest.mark.fault(196)
def test_a_run_that_waits_is_not_lost_when_the_windows_of_its_task_are_edited_wrongly() -> None:
    decision = decide_run(seen(task=task(windows=WRONG)), NOW, SETTINGS)

    assert state_of(decision) == ("Queued", "SpecInvalid")
    assert 'windows[0].timeZone: expected an IANA name such as "Europe/Berlin"' in message_of(decision)


@pytest.mark.fault(196)
def test_a_task_whose_windows_can_never_work_says_so_and_starts_nothing() -> None:
    decision = decide_task(TaskObservation(task(windows=WRONG), ends()), NOW)

    assert decision.status is not None
    assert found(decision.status.conditions, "Ready") == ("False", "SpecInvalid")
    assert found(decision.status.conditions, "Stalled") == ("True", "SpecInvalid")
    assert not decision.create


# --- After a pause ----------------------------------------------------------------------------------------------------


@pytest.mark.fault(195)
def test_a_run_whose_agent_stopped_for_a_window_is_queued_and_says_until_when() -> None:
    decision = after_pause()

    assert state_of(decision) == ("Queued", "WindowClosed")
    assert message_of(decision).startswith(f"Paused: {UNTIL}")
    assert (decision.create, decision.delete, decision.claim) == ((), (), None)


def test_while_its_job_has_not_ended_nothing_is_said_of_an_attempt() -> None:
    stopped = pod(phase="Failed", exit_code=int(ExitCode.PAUSED), ended_at=ago(seconds=1))
    decision = decide_run(
        seen(run(status=TRANSFERRING), jobs=(transfer_job(active=0, failed=1),), pods=(stopped,)), NOW, SETTINGS
    )

    assert decision.status is None
    assert decision.requeue_after is not None


@pytest.mark.fault(195)
def test_when_they_open_a_further_job_continues_and_counts_as_no_attempt() -> None:
    decision = after_pause(windows=DAY)
    job = job_of(decision)

    assert job["metadata"]["annotations"][ANNOTATION_ATTEMPTS_BEFORE] == "0"
    assert job["metadata"]["annotations"][ANNOTATION_PAUSES_BEFORE] == "1"
    assert job["metadata"]["name"] == transfer_job_name(run().meta, 0, 1) != transfer_job_name(run().meta, 0)
    assert job["spec"]["backoffLimit"] == 6
    assert state_of(decision) == ("Launching", "AgentStarting")
    assert decision.claim is not None
    assert [key.name for key in decision.delete] == ["xrun-1"], "the record is in the new Job"


def test_attempts_that_failed_before_the_pause_count() -> None:
    decision = after_pause(paused_job(before=2, failed=3), windows=DAY)

    assert job_of(decision)["metadata"]["annotations"][ANNOTATION_ATTEMPTS_BEFORE] == "4"


def test_the_same_decision_twice_makes_the_same_job() -> None:
    first, second = after_pause(windows=DAY), after_pause(windows=DAY, now=NOW + timedelta(minutes=3))

    assert job_of(first)["metadata"]["name"] == job_of(second)["metadata"]["name"]


def test_the_newest_job_counts_after_many_pauses() -> None:
    older, newer = paused_job(pauses=8, name="xrun-8"), paused_job(pauses=9, name="xrun-9")
    decision = after_pause(newer, older, windows=DAY)

    assert job_of(decision)["metadata"]["annotations"][ANNOTATION_PAUSES_BEFORE] == "10"
    assert {key.name for key in decision.delete} == {"xrun-8", "xrun-9"}


@pytest.mark.fault(201)
def test_an_agent_whose_clock_is_ahead_is_not_started_again_and_again() -> None:
    decision = after_pause(paused_job(finished_at=ago(seconds=5)), windows=DAY)

    assert state_of(decision) == ("Queued", "WindowClosed")
    assert not decision.create


def test_a_window_that_is_edited_open_lets_the_run_continue_within_a_minute() -> None:
    assert after_pause(paused_job(finished_at=ago(seconds=11)), windows=[]).create


def test_a_paused_run_that_is_to_ignore_windows_continues() -> None:
    assert after_pause(observed=run(status=TRANSFERRING, ignores=True)).create


@pytest.mark.parametrize("other", [None, task(uid="uid-another", windows=DAY), task(windows=WRONG)])
def test_without_usable_windows_of_its_task_those_of_the_snapshot_hold(other: Any) -> None:
    job = paused_job(task={**snapshot(), "windows": NIGHT})

    assert state_of(after_pause(job, task=other)) == ("Queued", "WindowClosed")


def test_a_suspended_task_does_not_keep_a_paused_run_from_continuing() -> None:
    assert after_pause(task=task(windows=DAY, suspend=True)).create


def test_a_paused_run_that_is_cancelled_ends_at_once() -> None:
    decision = after_pause(observed=run(status=TRANSFERRING, cancel=True))

    assert state_of(decision) == ("Cancelled", "RunCancelled")


@pytest.mark.fault(199)
@pytest.mark.parametrize("windows", [NIGHT, DAY])
def test_a_paused_run_keeps_no_other_run_from_its_destination(windows: list[dict[str, Any]]) -> None:
    paused = {
        "state": "Queued",
        "phases": {"transfer": {"state": "Pending"}},
        "conditions": [condition("Succeeded", "Unknown", "WindowClosed")],
    }
    cache = Cache()
    ended = {"conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy"}], "failed": 1}
    job = agent_body(
        Kind.JOB,
        transfer_job_name(run("paused").meta, 0),
        (Kind.RUN, "paused", "uid-paused"),
        task=snapshot(),
        status=ended,
    )
    for kind, each in (
        (Kind.RUN, run_body("paused", paused, created=ago(hours=9))),
        (Kind.RUN, run_body("other", task_name="other")),
        (Kind.TASK, task_body(windows=windows)),
        (Kind.TASK, task_body("other")),
        (Kind.LOCATION, location_body("src")),
        (Kind.LOCATION, location_body("dst")),
        (Kind.IDENTITY, identity_body()),
        (Kind.JOB, job),
    ):
        cache.put(kind, each)
    other = Observer(cache).run(Key(Kind.RUN, "team", "other"))

    assert other is not None
    assert other.claims == ()


@pytest.mark.fault(199)
def test_it_is_queued_behind_a_run_that_writes_there_meanwhile() -> None:
    decision = after_pause(windows=DAY, claims=(claim(),))

    assert state_of(decision) == ("Queued", "RunQueued")
    assert not decision.create


@pytest.mark.parametrize("stage", [Stage.WHOLE, Stage.SHARDS, Stage.FINISH])
def test_its_locations_must_be_ready_again(stage: Stage) -> None:
    job = paused_job(stage=stage, before=1, task=snapshot(agent={"parallelism": 4}))
    decision = after_pause(job, windows=DAY, ends=ends(source=BAD))

    assert state_of(decision) == ("Queued", "LocationNotReady")
    assert not decision.create


def test_a_key_that_is_in_doubt_is_checked_first() -> None:
    doubtful = ends(checked_identity(status={"keyUse": key_use(NOW)}))
    decision = after_pause(windows=DAY, ends=doubtful)

    assert state_of(decision) == ("Queued", "IdentityCheckAwaited")
    assert decision.awaits == ("svc",)
