from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.builders import (
    NOW,
    ago,
    condition,
    ends,
    location,
    run,
    snapshot,
    task,
)
from tests.unit.operator.decision_cases import Case, as_written, cases

from smbferry_api.fields import format_time
from smbferry_operator.decide.history import last_ended
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.record import reported
from smbferry_operator.decide.task import decide_task
from smbferry_operator.model import Location, Run

BAD = location("src", {"conditions": [condition("Ready", "False", "ShareNotFound"), condition("Stalled", "True")]})
NIGHTLY = {"cron": "0 2 * * *", "startingDeadline": "12h"}
HOURLY = {"cron": "0 * * * *"}


def seen(
    *runs: Run, status: dict[str, Any] | None = None, locations: dict[str, Location | None] | None = None, **spec: Any
) -> TaskObservation:
    last = last_ended(runs)
    done = reported(last.status) if last else None
    return TaskObservation(task(status=status, **spec), ends(**(locations or {})), runs, done)


def ours(name: str, state: str | None = None, *, at: datetime = NOW, **more: Any) -> Run:
    """A run that the task made; `at` is when it ended."""
    status: dict[str, Any] = {"state": state, "completionTime": format_time(at)} if state else {}
    status |= {"task": more.pop("task", {**snapshot(), "options": {}}), **more.pop("status", {})}
    return run(name, status, owner_uid="uid-nightly", created=at - timedelta(minutes=5), **more)


@pytest.mark.parametrize(
    ("observed", "names"),
    [
        pytest.param(seen(), 1, id="without a schedule: once at creation"),
        pytest.param(seen(status={"observedTrigger": ""}), 0, id="and not again"),
        pytest.param(seen(status={"observedTrigger": "a"}, trigger="b"), 1, id="trigger changed"),
        pytest.param(seen(status={"observedTrigger": "a"}, trigger="a"), 0, id="trigger as it was"),
        pytest.param(seen(suspend=True), 0, id="suspended"),
        pytest.param(seen(schedule=NIGHTLY, created=ago(hours=9)), 0, id="scheduled: not at creation"),
        pytest.param(seen(schedule=NIGHTLY, created=ago(hours=9), trigger="now"), 1, id="scheduled, with a trigger"),
        pytest.param(seen(schedule=NIGHTLY, created=ago(days=3)), 1, id="scheduled time passed"),
        pytest.param(
            seen(schedule=NIGHTLY, created=ago(days=3), status={"lastScheduleTime": "2026-11-21T02:00:00Z"}),
            0,
            id="and done",
        ),
        pytest.param(
            seen(schedule={"cron": "0 2 * * *"}, created=ago(days=3)), 0, id="missed for longer than the deadline"
        ),
        pytest.param(seen(locations={"source": BAD}), 0, id="a location is not ready"),
        pytest.param(seen(locations={"destination": None}), 0, id="a location is missing"),
        pytest.param(seen(deleting=True), 0, id="being deleted"),
    ],
)
def test_runs_are_made_when_due(observed: TaskObservation, names: int) -> None:
    assert len(decide_task(observed, NOW).create) == names


def test_a_trigger_waits_for_its_locations_and_is_not_lost() -> None:
    waiting = decide_task(seen(trigger="x", locations={"source": BAD}), NOW)
    later = decide_task(seen(trigger="x"), NOW + timedelta(days=2))

    assert waiting.status is not None
    assert "observedTrigger" not in waiting.status.as_json()
    assert later.create
    assert later.status is not None
    assert later.status.fields["observedTrigger"] == "x"


def test_a_run_is_named_by_what_made_it_due() -> None:
    scheduled = decide_task(seen(schedule=NIGHTLY, created=ago(days=3)), NOW).create[0]
    again = decide_task(seen(schedule=NIGHTLY, created=ago(days=3)), NOW + timedelta(minutes=3)).create[0]
    one, two = (decide_task(seen(trigger=t), NOW).create[0]["metadata"]["name"] for t in ("a", "b"))

    assert scheduled["metadata"]["name"] == again["metadata"]["name"] == "nightly-20261121-0200"
    assert one.startswith("nightly-")
    assert one != two


def test_a_run_whose_task_status_could_not_be_written_is_not_made_again() -> None:
    made = decide_task(seen(trigger="a"), NOW).create[0]["metadata"]
    there = ours(made["name"], annotations=made["annotations"])

    decision = decide_task(seen(there, trigger="a", generation=2), NOW)

    assert decision.create == ()
    assert decision.status is not None
    assert decision.status.fields["observedTrigger"] == "a"


def test_a_trigger_may_return_to_an_earlier_value() -> None:
    first = ours("nightly-1", "Succeeded", at=ago(hours=2), annotations={"smbferry.io/trigger": "a"})
    second = ours("nightly-2", "Succeeded", at=ago(hours=1), annotations={"smbferry.io/trigger": "b"})

    decision = decide_task(seen(first, second, trigger="a", status={"observedTrigger": "b"}, generation=3), NOW)

    assert len(decision.create) == 1


@pytest.mark.parametrize(
    ("concurrency", "trigger", "going_on", "made"),
    [
        pytest.param("Queue", "x", "Transferring", 1, id="a trigger queues"),
        pytest.param("Queue", "x", "Queued", 1, id="a trigger queues behind a queue"),
        pytest.param("Queue", None, "Transferring", 1, id="a scheduled run queues"),
        pytest.param("Queue", None, "Queued", 0, id="one that waits already does as well"),
        pytest.param("Skip", "x", "Transferring", 0, id="a trigger is skipped"),
        pytest.param("Skip", None, "Transferring", 0, id="a scheduled run is skipped"),
        pytest.param("Skip", None, "Failed", 1, id="what has ended is in nobody's way"),
    ],
)
def test_queue_and_skip(concurrency: str, trigger: str | None, going_on: str, made: int) -> None:
    other = ours("nightly-0", going_on, at=ago(minutes=1))
    due: dict[str, Any] = {"trigger": trigger} if trigger else {"schedule": HOURLY, "created": ago(hours=5)}

    decision = decide_task(seen(other, concurrency=concurrency, status={"observedTrigger": ""}, **due), NOW)

    assert len(decision.create) == made
    assert decision.status is not None
    assert decision.status.fields["observedTrigger" if trigger else "lastScheduleTime"]
    assert [e.reason.name for e in decision.events].count("RunSkipped") == 1 - made


def test_the_run_names_the_task_and_belongs_to_it() -> None:
    body = decide_task(seen(), NOW).create[0]

    no = {"dryRun": False, "survey": False, "measureDestination": False, "cancel": False, "ignoreWindows": False}
    assert body["spec"] == {"taskRef": {"name": "nightly"}, "approvedPlan": "", **no}
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-nightly"


@pytest.mark.parametrize("case", cases("task-ready"), ids=lambda case: case.name)
def test_ready(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)


def test_ready_names_the_location_and_says_what_it_says() -> None:
    decision = decide_task(seen(locations={"source": BAD}), NOW)

    assert decision.status is not None
    assert (
        decision.status.conditions[0].message == "SmbLocation src (source) is not Ready: ShareNotFound: ShareNotFound."
    )


@pytest.mark.parametrize("case", cases("task-in-sync"), ids=lambda case: case.name)
def test_in_sync_and_stalled_follow_the_last_run(case: Case) -> None:
    decision = case.decide()

    assert as_written(decision) == case.expected(decision)


def test_history_keeps_the_newest_of_each_sort_and_nobody_elses() -> None:
    good = [ours(f"good-{n}", "Succeeded", at=ago(hours=10 - n)) for n in range(5)]
    bad = [ours(f"bad-{n}", "Failed", at=ago(hours=10 - n)) for n in range(3)]
    person = run("by-hand", {"state": "Succeeded", "completionTime": format_time(ago(hours=20))})

    decision = decide_task(seen(*good, *bad, person, history={"succeeded": 2, "failed": 1}), NOW)

    assert sorted(key.name for key in decision.delete) == ["bad-0", "bad-1", "good-0", "good-1", "good-2"]


def test_the_status_remembers_a_last_run_that_history_has_dropped() -> None:
    remembered = {
        "lastRun": {"name": "gone", "state": "Succeeded"},
        "lastSuccessfulRun": {"name": "gone", "state": "Succeeded"},
    }

    decision = decide_task(seen(status=remembered), NOW)

    assert decision.status is not None
    assert decision.status.fields["lastRun"]["name"] == "gone"


@pytest.mark.parametrize(
    ("snapshot_of_source", "point"),
    [(None, ago(hours=1)), ({"message": "none"}, ago(hours=1)), ({"time": format_time(ago(hours=5))}, ago(hours=5))],
    ids=["files as they are", "no snapshot found", "of a snapshot"],
)
def test_the_status_says_how_new_the_copy_is_at_least(snapshot_of_source: Any, point: datetime) -> None:
    status = {"startTime": format_time(ago(hours=1)), "sourceSnapshot": snapshot_of_source}

    decision = decide_task(seen(ours("nightly-1", "Succeeded", status=status)), NOW)

    assert decision.status is not None
    assert decision.status.fields["lastSuccessfulRun"]["recoveryPoint"] == format_time(point)


def test_the_status_says_what_is_next_and_wakes_up_for_it() -> None:
    active = ours("nightly-1", "Transferring")

    decision = decide_task(seen(active, schedule=HOURLY, created=ago(minutes=5)), NOW + timedelta(minutes=50))

    assert decision.status is not None
    assert decision.status.fields["activeRun"] == "nightly-1"
    assert decision.status.fields["nextScheduleTime"] == "2026-11-21T13:00:00Z"
    assert decision.requeue_after == timedelta(minutes=10)


def _with_jitter(status: dict[str, Any], now: datetime, jitter: str = "20m") -> Any:
    """The name of the run that is made at 2, and the next time, of a nightly task with jitter."""
    nightly = {"cron": "0 2 * * *", "jitter": jitter} if jitter else {"cron": "0 2 * * *"}
    decision = decide_task(seen(status=status, schedule=nightly, created=ago(days=9)), now)
    assert decision.status is not None
    return [run["metadata"]["name"] for run in decision.create], decision.status.fields["nextScheduleTime"]


@pytest.mark.fault(189)
def test_a_time_that_had_its_run_gets_no_other_when_its_jitter_changes() -> None:
    two, three = (NOW.replace(hour=hour, minute=0) for hour in (2, 3))
    started = {"observedTrigger": "", "lastScheduleTime": format_time(two)}

    made, upcoming = _with_jitter(started, three)
    assert made == [], "it was started at 2, before there was a jitter"
    later = {**started, "lastScheduleTime": upcoming}
    assert upcoming.startswith("2026-11-22T02:")
    assert upcoming != "2026-11-22T02:00:00Z"
    assert _with_jitter(later, three + timedelta(days=1), jitter="") == ([], "2026-11-23T02:00:00Z")
    assert len(_with_jitter(later, three + timedelta(days=2))[0]) == 1


def test_nothing_is_written_when_nothing_changed() -> None:
    observed = seen(ours("a", "Succeeded", at=ago(hours=1)), status={"observedTrigger": ""})
    first = decide_task(observed, NOW)
    assert first.status is not None

    again = decide_task(seen(ours("a", "Succeeded", at=ago(hours=1)), status=first.status.as_json()), NOW)

    assert again.status is None
    assert again.events == ()


def test_a_run_that_was_just_made_is_no_news_when_it_is_seen() -> None:
    first = decide_task(seen(), NOW)
    assert first.status is not None
    (made,) = first.create

    again = decide_task(seen(ours(made["metadata"]["name"]), status=first.status.as_json()), NOW)

    assert again.status is None


def test_a_field_that_is_given_up_is_written() -> None:
    first = decide_task(seen(ours("a", "Transferring"), status={"observedTrigger": ""}), NOW)
    assert first.status is not None
    ended = decide_task(seen(ours("a", "Succeeded"), status=first.status.as_json()), NOW)

    assert ended.status is not None
    assert "activeRun" not in ended.status.as_json()
