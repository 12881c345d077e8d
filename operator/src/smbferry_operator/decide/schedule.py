"""When a scheduled task is due. Time is wall-clock time in the schedule's zone; the arithmetic is in UTC.

Daylight saving: a time that the clock skips is made up for at the first moment after the gap; one that occurs twice
is taken once, the first time, but for schedules that leave the hour open ("*/15 * * * *"): these run on.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

from smbferry_api.fields import parse_duration
from smbferry_api.task import Schedule

LOOK_BACK: Final = timedelta(days=7, hours=1)  # the longest startingDeadline is 168 h

CLOCK_CHANGE: Final = timedelta(hours=3)  # more than any zone's clock was ever changed by for daylight saving


class ScheduleError(ValueError):
    """The schedule can't be read: says which field and why."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A schedule that has been read."""

    cron: str
    zone: ZoneInfo
    deadline: timedelta

    @classmethod
    def read(cls, schedule: Schedule) -> "Timetable":
        """Reads a schedule.

        Raises:
            ScheduleError: no such zone, or not a cron expression.
        """
        try:
            zone = ZoneInfo(schedule.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleError(
                f"schedule.timeZone {schedule.time_zone!r} is not known; expected an IANA name such as Europe/Berlin"
            ) from error
        try:
            croniter(schedule.cron)
        except (CroniterError, ValueError) as error:
            raise ScheduleError(
                f"schedule.cron {schedule.cron!r} can't be read ({error}); expected minute hour day month weekday"
            ) from error
        return cls(schedule.cron, zone, parse_duration(schedule.starting_deadline))

    @property
    def _by_the_clock(self) -> bool:
        """Whether the hour is left open: such a schedule counts time that passes, not times of the day."""
        return self.cron.split()[1].startswith("*")

    def next_after(self, moment: datetime) -> datetime | None:
        """The first scheduled time after the moment, in UTC; None if there is none within years."""
        # Wall-clock times are stepped through without a zone, and only then placed in it. Start a little before: a
        # time in the past of the wall clock may lie after the moment where the clock was set back.
        times = croniter(self.cron, self._wall(moment) - CLOCK_CHANGE)
        repeated: list[datetime] = []
        try:
            while True:
                first, *again = self._places(times.get_next(datetime))
                repeated += [place for place in again if place > moment]
                if first > moment:
                    return min([first, *repeated])
        except CroniterError:
            return None

    def last_until(self, now: datetime, *, after: datetime) -> datetime | None:
        """The last scheduled time that is not later than now, if it lies after the other moment."""
        times = croniter(self.cron, self._wall(now) + CLOCK_CHANGE)
        floor = max(after, now - LOOK_BACK)
        best: datetime | None = None
        try:
            while True:
                places = self._places(times.get_prev(datetime))
                if places[0] <= (floor if best is None else best - CLOCK_CHANGE):
                    return best
                past = [place for place in places if floor < place <= now]
                best = max([*past, best] if best else past, default=None)
        except CroniterError:
            return best

    def _wall(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone).replace(tzinfo=None)

    def _places(self, wall: datetime) -> list[datetime]:
        """The moments at which the zone's clock shows this time, or the one at which it skips it."""
        first = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if self._wall(first) != wall:
            return [self._gap_end(wall, first)]
        second = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        return [first, second] if second != first and self._by_the_clock else [first]

    def _gap_end(self, wall: datetime, moment: datetime) -> datetime:
        """The first moment after the gap that swallows the wall-clock time."""
        low, high = moment - CLOCK_CHANGE, moment + CLOCK_CHANGE
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            if self._wall(middle) < wall:
                low = middle
            else:
                high = middle
        return high.replace(microsecond=0)
