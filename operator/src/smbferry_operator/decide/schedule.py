"""When a scheduled task is due. Times are wall-clock times in the schedule's zone; arithmetic is in UTC.

Daylight saving: a time that the clock skips is due at the first moment after the gap. A time that occurs twice is due
once, the first time, except in schedules with an open hour ("*/15 * * * *"), which are due both times.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from smbferry_api.cron import expand
from smbferry_api.fields import parse_duration
from smbferry_api.task import Schedule
from smbferry_api.windows import zone_of

LOOK_BACK: Final = timedelta(days=7, hours=1)  # the longest startingDeadline is 168 h

CLOCK_CHANGE: Final = timedelta(hours=3)  # more than any daylight saving change


class ScheduleError(ValueError):
    """The schedule is invalid; the message names the field."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A parsed schedule."""

    cron: str
    zone: ZoneInfo
    deadline: timedelta

    @classmethod
    def read(cls, schedule: Schedule) -> "Timetable":
        """Parses a schedule.

        Raises:
            ScheduleError: unknown time zone, not a cron expression, or one without a date that comes.
        """
        try:
            zone = zone_of(schedule.time_zone)
        except ValueError as error:
            raise ScheduleError(f"schedule.timeZone: {error}") from error
        cron = expand(schedule.cron)
        try:
            croniter(cron).get_next()
        except CroniterBadDateError as error:
            raise ScheduleError(f"schedule.cron: expected a time that comes, got {schedule.cron!r}") from error
        except (CroniterError, ValueError) as error:
            raise ScheduleError(
                f'schedule.cron: expected five fields such as "0 2 * * *", got {schedule.cron!r} ({error})'
            ) from error
        return cls(cron, zone, parse_duration(schedule.starting_deadline))

    @property
    def _by_the_clock(self) -> bool:
        """Whether the hour is open: such a schedule counts elapsed time, not times of day."""
        return self.cron.split()[1].startswith("*")

    def next_after(self, moment: datetime) -> datetime | None:
        """The first scheduled time after the moment, in UTC; None if there is none for years."""
        # croniter steps through wall-clock times without a zone, which are then converted. Start before the moment:
        # where the clock was set back, an earlier wall-clock time may be after it.
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
        """The last scheduled time in (after, now], None if there is none."""
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
        """The moments at which the zone's clock shows this time, or the end of the gap that skips it."""
        first = wall.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if self._wall(first) != wall:
            return [self._gap_end(wall, first)]
        second = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        return [first, second] if second != first and self._by_the_clock else [first]

    def _gap_end(self, wall: datetime, moment: datetime) -> datetime:
        """The first moment after the gap that contains the wall-clock time."""
        low, high = moment - CLOCK_CHANGE, moment + CLOCK_CHANGE
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            if self._wall(middle) < wall:
                low = middle
            else:
                high = middle
        return high.replace(microsecond=0)
