"""Whether a task's scheduled runs start in time: the condition OnSchedule, and the Event of a run that was missed.

What counts as missed is a time that the status announced. So a schedule that is added or changed misses nothing of the
past, nor does a task that was suspended meanwhile.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smbferry_api.conditions import ConditionType, find
from smbferry_api.fields import format_time
from smbferry_api.reasons import ON_SCHEDULE, SCHEDULE_MISSED
from smbferry_operator.decide.decision import Event
from smbferry_operator.decide.observation import TaskObservation
from smbferry_operator.decide.resolve import Obstacle
from smbferry_operator.decide.schedule import Timetable
from smbferry_operator.decide.status import Summary
from smbferry_operator.decide.text import sentence


@dataclass(frozen=True, slots=True)
class Missed:
    """A scheduled run that did not start in time; ``deadline`` as it stands in the spec."""

    at: datetime
    deadline: str
    obstacle: Obstacle | None

    @property
    def message(self) -> str:
        """What was missed, and why."""
        text = f"The run scheduled for {format_time(self.at)} did not start within {self.deadline}"
        why = self.obstacle.message if self.obstacle else "the operator did not decide about it in that time"
        return f"{text} (startingDeadline): {sentence(why)}"

    @property
    def event(self) -> Event:
        """The Event that tells of it."""
        return Event("Warning", SCHEDULE_MISSED, f"{self.message} {SCHEDULE_MISSED.remedy}")


def missed(seen: TaskObservation, timetable: Timetable, obstacle: Obstacle | None, now: datetime) -> Missed | None:
    """The last scheduled run that was announced and did not start in time, if it has not been told of yet."""
    announced = seen.task.status.next_schedule_time
    if announced is None or now - announced <= timetable.deadline:
        return None
    at = timetable.last_until(now, after=announced - timedelta(seconds=1))
    if at is None or now - at <= timetable.deadline:
        return None
    schedule = seen.task.spec.schedule
    return Missed(at, schedule.starting_deadline, obstacle) if schedule else None


def add_on_schedule(seen: TaskObservation, summary: Summary, lost: Missed | None, *, started: bool) -> None:
    """Adds OnSchedule for a task with a schedule; a missed run is shown until a later one starts.

    Args:
        started: whether this decision settles a scheduled run.
    """
    before = find(seen.task.status.conditions, ConditionType.ON_SCHEDULE)
    if lost is not None:
        summary.add(ConditionType.ON_SCHEDULE, "False", SCHEDULE_MISSED, lost.message)
    elif before is not None and before.status == "False" and not started:
        summary.keep(before)
    else:
        summary.add(ConditionType.ON_SCHEDULE, "True", ON_SCHEDULE)
