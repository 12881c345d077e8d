"""A scheduled run that can't start in time is told of once, and its condition stays until a later one starts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.builders import NOW, ago, condition, location
from tests.unit.operator.test_task import HOURLY, seen

from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import format_time
from smbferry_operator.decide.task import decide_task

if TYPE_CHECKING:
    from smbferry_operator.decide.decision import Decision

CLOSED = location("src", {"conditions": [condition("Ready", "False", "ShareNotFound", message="No such share.")]})
AT_TWO = {"cron": "0 2 * * *"}  # NOW is noon; the deadline is an hour
TODAY = NOW.replace(hour=2)


def on_schedule(decision: Decision) -> tuple[str, str]:
    assert decision.status is not None
    found = find(decision.status.conditions, ConditionType.ON_SCHEDULE)
    assert found is not None
    return found.status, found.message


def announced(**status: Any) -> dict[str, Any]:
    return {"observedTrigger": "", "nextScheduleTime": format_time(TODAY), **status}


def written(decision: Decision) -> dict[str, Any]:
    """The task's status after the decision."""
    assert decision.status is not None
    return {
        **decision.status.fields,
        "conditions": [c.model_dump(mode="json", by_alias=True) for c in decision.status.conditions],
    }


def missed_events(decision: Decision) -> list[str]:
    return [event.message for event in decision.events if event.reason.name == "ScheduleMissed"]


def test_a_run_that_could_not_start_in_time_is_told_of_with_its_cause() -> None:
    task = seen(schedule=AT_TWO, created=ago(days=9), status=announced(), locations={"source": CLOSED})
    decision = decide_task(task, NOW)
    assert decision.create == ()
    status, message = on_schedule(decision)
    assert status == "False"
    assert message.startswith("The run scheduled for 2026-11-21T02:00:00Z did not start within 1h (startingDeadline): ")
    assert "No such share." in message
    assert missed_events(decision) == [message]


def test_it_is_told_of_once_and_its_condition_stays() -> None:
    first = decide_task(seen(schedule=AT_TWO, created=ago(days=9), status=announced()), NOW)
    assert len(missed_events(first)) == 1
    status = written(first)
    again = decide_task(seen(schedule=AT_TWO, created=ago(days=9), status=status), NOW + timedelta(hours=1))
    assert missed_events(again) == []
    assert again.status is None, "nothing has changed"
    later = decide_task(seen(schedule=AT_TWO, created=ago(days=9), status=status), NOW + timedelta(hours=14))
    assert len(later.create) == 1
    assert on_schedule(later) == ("True", "No scheduled run is overdue.")


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        pytest.param({}, {"nextScheduleTime": None}, id="the schedule was just added"),
        pytest.param({}, {"nextScheduleTime": format_time(NOW + timedelta(hours=1))}, id="the schedule was changed"),
        pytest.param({"suspend": True}, {}, id="suspended"),
        pytest.param({}, {"nextScheduleTime": None, "conditions": [condition("Ready", "True", "Suspended")]},
                     id="resumed just now"),
    ],
)  # fmt: skip
def test_what_nobody_announced_is_not_missed(spec: dict[str, Any], status: dict[str, Any]) -> None:
    decision = decide_task(seen(schedule=AT_TWO, created=ago(days=9), status=announced(**status), **spec), NOW)
    assert missed_events(decision) == []
    assert on_schedule(decision)[0] == "True"


def test_a_due_run_that_waits_is_looked_at_when_its_deadline_ends() -> None:
    status = {"observedTrigger": "", "nextScheduleTime": format_time(NOW)}
    task = seen(schedule=HOURLY, created=ago(days=9), status=status, locations={"source": CLOSED})
    decision = decide_task(task, NOW + timedelta(minutes=40))
    assert (decision.create, missed_events(decision)) == ((), [])
    assert decision.requeue_after == timedelta(minutes=20)
    waiting = seen(schedule=AT_TWO, created=ago(days=9), status=announced(), locations={"source": CLOSED})
    assert decide_task(waiting, TODAY + timedelta(minutes=50)).requeue_after == timedelta(minutes=10, seconds=1)


@pytest.mark.parametrize("trigger", ["", "now"], ids=["scheduled only", "a requested run waits, too"])
def test_a_run_that_was_looked_at_while_it_waited_is_told_of_when_its_deadline_ends(trigger: str) -> None:
    def at(status: dict[str, Any], **later: int) -> Decision:
        task = seen(schedule=AT_TWO, trigger=trigger, created=ago(days=9), status=status, locations={"source": CLOSED})
        return decide_task(task, TODAY + timedelta(**later))

    waits = written(at(announced(), minutes=10))
    assert waits["nextScheduleTime"] == format_time(TODAY), "the run that waits is the next one"
    assert at(waits, minutes=40).requeue_after == timedelta(minutes=20, seconds=1)
    late = at(waits, hours=1, seconds=1)
    assert len(missed_events(late)) == 1
    assert on_schedule(late)[0] == "False"
    told = written(late)
    assert told["nextScheduleTime"] == format_time(TODAY + timedelta(days=1))
    assert missed_events(at(told, hours=2)) == []


def test_one_run_that_starts_in_time_catches_up_for_those_before_it() -> None:
    status = {"observedTrigger": "", "nextScheduleTime": format_time(NOW - timedelta(hours=5))}
    decision = decide_task(seen(schedule=HOURLY, created=ago(days=9), status=status), NOW + timedelta(minutes=10))
    assert len(decision.create) == 1
    assert missed_events(decision) == []


def test_a_task_without_a_schedule_has_no_such_condition() -> None:
    decision = decide_task(seen(), NOW)
    assert decision.status is not None
    assert find(decision.status.conditions, ConditionType.ON_SCHEDULE) is None
