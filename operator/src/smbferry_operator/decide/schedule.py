"""When a scheduled task is due. Times are wall-clock times in the schedule's zone; arithmetic is in UTC.

Daylight saving: a time that the clock skips is due at the first moment after the gap. A time that occurs twice is due
once, the first time, except in schedules with an open hour ("*/15 * * * *"), which are due both times.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from smbferry_api.cron import expand
from smbferry_api.fields import parse_duration
from smbferry_api.task import Schedule
from smbferry_api.windows import zone_of
from smbferry_operator.decide.text import format_duration

LOOK_BACK: Final = timedelta(days=7, hours=1)  # the longest startingDeadline is 168 h

GAPS: Final = 100
GAPS_FROM: Final = datetime(2026, 1, 1)  # noqa: DTZ001 - a time on the wall
CLOCK_CHANGE: Final = timedelta(hours=3)  # more than any daylight saving change


class ScheduleError(ValueError):
    """The schedule is invalid; the message names the field."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A parsed schedule."""

    cron: str
    zone: ZoneInfo
    deadline: timedelta
    offset: timedelta = timedelta(0)
    """The task's own part of the jitter: all its times come that much later."""

    @classmethod
    def read(cls, schedule: Schedule, uid: str = "") -> "Timetable":
        """Parses a schedule.

        Args:
            uid: of its task; with jitter it decides how much later the task's times come.

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
        return cls(cron, zone, parse_duration(schedule.starting_deadline), _offset(schedule, cron, uid))

    @property
    def _by_the_clock(self) -> bool:
        """Whether the hour is open: such a schedule counts elapsed time, not times of day."""
        return self.cron.split()[1].startswith("*")

    def next_after(self, moment: datetime) -> datetime | None:
        """The first scheduled time after the moment, in UTC; None if there is none for years."""
        found = self._next_after(moment - self.offset)
        return found + self.offset if found is not None else None

    def last_until(self, now: datetime, *, after: datetime) -> datetime | None:
        """The last scheduled time in (after, now], None if there is none."""
        found = self._last_until(now - self.offset, after=after - self.offset)
        return found + self.offset if found is not None else None

    def after_run(self, at: datetime | None) -> datetime | None:
        """The moment after which a time is due that has not had its run.

        A time that has had its run does not get another one because the jitter was changed.

        Args:
            at: the scheduled time of the last run.
        """
        return at + self.offset if at is not None else None

    def _next_after(self, moment: datetime) -> datetime | None:
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

    def _last_until(self, now: datetime, *, after: datetime) -> datetime | None:
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


def _offset(schedule: Schedule, cron: str, uid: str) -> timedelta:
    """A fixed part of the jitter in whole seconds, the same after a restart.

    Raises:
        ScheduleError: the jitter is not shorter than the time between two runs.
    """
    if schedule.jitter is None:
        return timedelta(0)
    jitter, gap = parse_duration(schedule.jitter), shortest_gap(cron)
    if jitter > gap:
        raise ScheduleError(
            f"schedule.jitter: expected at most {format_duration(gap)}, the shortest time between two runs,"
            f" got {schedule.jitter!r}"
        )
    seconds = max(1, int(jitter.total_seconds()))
    return timedelta(seconds=int.from_bytes(sha256(uid.encode()).digest()[:8]) % seconds)


@lru_cache(maxsize=1000)
def shortest_gap(cron: str) -> timedelta:
    """The shortest time between two of the next times, by the clock on the wall."""
    times, gap = croniter(cron, GAPS_FROM), timedelta.max
    try:
        last = times.get_next(datetime)
        for _ in range(GAPS):
            now = times.get_next(datetime)
            gap, last = min(gap, now - last), now
    except CroniterError:
        return gap
    return gap
