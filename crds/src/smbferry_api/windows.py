"""Windows: when the runs of a task may move data, and how fast. Pure: `now` is an argument.

A window is open whenever a clock on the wall in its time zone shows a time within it. So on a day without this hour it
does not open, and on a day with the hour twice it opens twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, model_validator

from smbferry_api.fields import Quantity, Spec, format_time, parse_quantity

MAX_WINDOWS: Final = 32
_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_WHOLE_WEEK: Final = (1 << _WEEK) - 1
_AHEAD: Final = 16  # days: a weekly window that a clock change skips once opens in the week after it
_YEAR: Final = 2026  # the clock changes of this year stand for those of all


class Weekday(StrEnum):
    """Days of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


_DAYS: Final = tuple(Weekday)
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _as_text(value: Any) -> Any:
    # PyYAML reads an unquoted 22:00 as a number to the base of 60; the tools of Kubernetes read text.
    is_minutes = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _DAY
    return f"{value // 60:02}:{value % 60:02}" if is_minutes else value


_Begin = Annotated[str, Field(max_length=5, pattern=f"^{_TIME}$"), BeforeValidator(_as_text)]
_End = Annotated[str, Field(max_length=5, pattern=f"^({_TIME}|24:00)$"), BeforeValidator(_as_text)]


class Window(Spec):
    """Times of the week, by the wall clock of a time zone."""

    days: Annotated[
        tuple[Weekday, ...],
        Field(min_length=1, max_length=7, description="Days on which the window begins. Default: every day."),
    ] = _DAYS
    from_: Annotated[_Begin, Field(alias="from", description="Beginning, such as 22:00.")]
    to: Annotated[
        _End,
        Field(description="End, such as 06:00. If it is before the beginning, the window ends on the next day."),
    ]
    time_zone: Annotated[str, Field(max_length=64, description="IANA time zone such as Europe/Berlin.")] = "UTC"
    bytes_per_second: Annotated[
        Quantity | None,
        Field(
            description="Bandwidth limit in this window, such as 4Mi. options.bytesPerSecond applies as well; the "
            "lower limit counts."
        ),
    ] = None
    pause: Annotated[bool, Field(description="If true, runs stop in this window, whatever other windows say.")] = False

    @property
    def limit(self) -> int | None:
        """Bytes per second, None without a limit."""
        return None if self.bytes_per_second is None else parse_quantity(self.bytes_per_second)

    @property
    def shown(self) -> str:
        """The window's times, for a message."""
        days = "" if set(self.days) == set(_DAYS) else f"{','.join(self.days)} "
        return f"{days}{self.from_}-{self.to} {self.time_zone}"

    def is_open_at(self, wall: datetime) -> bool:
        """Whether it contains this time of its zone's wall clock."""
        minute, begin, end = wall.hour * 60 + wall.minute, _minute(self.from_), _minute(self.to)
        if begin < end:
            return begin <= minute < end and _DAYS[wall.weekday()] in self.days
        return (minute >= begin and _DAYS[wall.weekday()] in self.days) or (
            minute < end and _DAYS[wall.weekday() - 1] in self.days
        )

    @model_validator(mode="after")
    def _is_a_window(self) -> "Window":
        if self.from_ == self.to:
            raise ValueError(f"{ENDS_AFTER_IT_BEGINS['message']}, got {self.from_} for both")
        if self.pause and self.bytes_per_second is not None:
            raise ValueError(PAUSES_OR_LIMITS["message"])
        return self


ENDS_AFTER_IT_BEGINS: Final = {
    "rule": "self.from != self.to",
    "message": "from and to must differ; a whole day is from 00:00 to 24:00",
}
PAUSES_OR_LIMITS: Final = {
    "rule": "!has(self.pause) || !self.pause || !has(self.bytesPerSecond)",
    "message": "cannot combine pause with bytesPerSecond",
}
WINDOW_RULES: Final[dict[type[Spec], list[dict[str, Any]]]] = {Window: [ENDS_AFTER_IT_BEGINS, PAUSES_OR_LIMITS]}
Windows = Annotated[tuple[Window, ...], Field(max_length=MAX_WINDOWS)]


class WindowsError(ValueError):
    """The windows cannot be used; the message names the field."""


@dataclass(frozen=True, slots=True)
class WindowState:
    """What the windows say at a moment."""

    closed: bool
    limit: int | None
    """Bytes per second while they are open, None without a limit of theirs."""
    until: datetime | None
    """When that changes, in UTC; None if it does not change within two weeks."""

    @property
    def lasts(self) -> str:
        """How long it lasts, for a message."""
        return f"until {format_time(self.until)}" if self.until else "for the next two weeks"


OPEN: Final = WindowState(closed=False, limit=None, until=None)
"""The state without windows."""


def zone_of(name: str) -> ZoneInfo:
    """The time zone.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: the name of a folder, such as Europe
        raise ValueError(f'expected an IANA name such as "Europe/Berlin", got {name!r}') from error


def state_at(windows: Sequence[Window], now: datetime) -> WindowState:
    """What the windows say at a moment.

    In a window with `pause` they are closed. Otherwise, if there are windows without `pause`, they are open in these
    only. If two are open at once, the lower limit applies.

    Raises:
        WindowsError: a time zone is unknown.
    """
    if not windows:
        return OPEN
    _check_zones(windows)
    closed, limit = _said(windows, now)
    changes = (moment for moment in _boundaries(windows, now) if _said(windows, moment) != (closed, limit))
    return WindowState(closed, limit, next(changes, None))


def lower(*limits: int | None) -> int | None:
    """The lowest limit, None without any."""
    return min((limit for limit in limits if limit is not None), default=None)


def _said(windows: Sequence[Window], moment: datetime) -> tuple[bool, int | None]:
    walls = {name: _wall(moment, name) for name in {window.time_zone for window in windows}}
    now_open = [window for window in windows if window.is_open_at(walls[window.time_zone])]
    if any(window.pause for window in now_open):
        return True, None
    if not now_open:
        return any(not window.pause for window in windows), None
    return False, lower(*(window.limit for window in now_open))


def _boundaries(windows: Sequence[Window], now: datetime) -> Iterator[datetime]:
    """The moments after `now` at which a window may open or close, in order."""
    for day in range(_AHEAD):
        begin = now.astimezone(UTC) + timedelta(days=day)
        end = begin + timedelta(days=1)
        found = {moment for window in windows for moment in _of_window(window, begin, end)}
        found |= {change for name in {w.time_zone for w in windows} for change in _clock_changes(name, begin, end)}
        yield from sorted(moment for moment in found if begin < moment <= end)


def _of_window(window: Window, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The moments around this time at which the wall clock shows the window's beginning or end."""
    zone = zone_of(window.time_zone)
    first, last = begin.astimezone(zone).date(), end.astimezone(zone).date()
    for offset in range((last - first).days + 2):
        for minute in {_minute(window.from_), _minute(window.to)}:
            wall = datetime.combine(first + timedelta(days=offset), datetime.min.time()) + timedelta(minutes=minute)
            for fold in (0, 1):
                yield wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _clock_changes(name: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """The moments at which the zone's clock is set, found by halving."""
    zone, step = zone_of(name), (end - begin) / 4
    for part in range(4):
        low, high = begin + part * step, begin + (part + 1) * step
        before = low.astimezone(zone).utcoffset()
        if high.astimezone(zone).utcoffset() == before:
            continue
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        yield high.replace(microsecond=0)


def _wall(moment: datetime, name: str) -> datetime:
    return moment.astimezone(zone_of(name)).replace(tzinfo=None)


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


# --- What can never work ---------------------------------------------------------------------------------------------


def problem_of(windows: Sequence[Window]) -> str:
    """What is wrong with the windows together, in words; empty if nothing is."""
    try:
        _check(tuple(windows))
    except WindowsError as error:
        return str(error)
    return ""


def _check_zones(windows: Iterable[Window]) -> None:
    for number, window in enumerate(windows):
        try:
            zone_of(window.time_zone)
        except ValueError as error:
            raise WindowsError(f"windows[{number}].timeZone: {error}") from error


@lru_cache(maxsize=256)
def _check(windows: tuple[Window, ...]) -> None:
    """Looks for windows that overlap with two limits, or never open.

    Raises:
        WindowsError: there are some, or a time zone is unknown.
    """
    _check_zones(windows)
    never = set(range(len(windows)))
    always_paused = bool(windows)
    for offsets in sorted(_offsets({window.time_zone for window in windows})):
        shift = dict(offsets)
        masks = [_mask(window, shift[window.time_zone]) for window in windows]
        paused = 0
        for window, mask in zip(windows, masks, strict=True):
            paused |= mask if window.pause else 0
        _check_limits(windows, [mask & ~paused for mask in masks])
        never -= {n for n, window in enumerate(windows) if window.pause or masks[n] & ~paused}
        always_paused = always_paused and paused == _WHOLE_WEEK
    if always_paused and all(window.pause for window in windows):
        raise WindowsError("windows: expected a time without pause, got windows with pause at all times")
    for number in sorted(never):
        raise WindowsError(
            f"windows[{number}]: expected a window that opens, but {windows[number].shown} lies within windows with "
            "pause"
        )


def _check_limits(windows: Sequence[Window], masks: Sequence[int]) -> None:
    for second, window in enumerate(windows):
        for first, other in enumerate(windows[:second]):
            if window.limit != other.limit and masks[first] & masks[second]:
                raise WindowsError(
                    f"windows[{second}]: expected one limit at a time, but {window.shown} ({_speed(window)}) overlaps "
                    f"windows[{first}], {other.shown} ({_speed(other)})"
                )


def _speed(window: Window) -> str:
    return "no limit" if window.bytes_per_second is None else f"{window.bytes_per_second} bytes per second"


def _mask(window: Window, offset: int) -> int:
    """The minutes of the week, in UTC, in which it is open: one bit each.

    Args:
        offset: of its zone, in minutes east of UTC.
    """
    begin, end = _minute(window.from_), _minute(window.to)
    ones = (1 << ((end - begin) % _DAY or _DAY)) - 1
    mask = 0
    for day in set(window.days):
        mask |= _rotated(ones, _DAYS.index(day) * _DAY + begin - offset)
    return mask


def _rotated(mask: int, by: int) -> int:
    by %= _WEEK
    return ((mask << by) | (mask >> (_WEEK - by))) & _WHOLE_WEEK


@lru_cache(maxsize=64)
def _year_of(name: str) -> tuple[int, ...]:
    """The zone's offset at noon of each day of a year, in minutes."""
    zone, first = zone_of(name), date(_YEAR, 1, 1)
    noons = (datetime.combine(first + timedelta(days=day), datetime.min.time(), UTC) for day in range(365))
    offsets = ((noon + timedelta(hours=12)).astimezone(zone).utcoffset() or timedelta() for noon in noons)
    return tuple(int(offset.total_seconds()) // 60 for offset in offsets)


def _offsets(names: set[str]) -> set[tuple[tuple[str, int], ...]]:
    """The zones' offsets as they occur together in a year."""
    ordered = sorted(names)
    return {tuple(zip(ordered, together, strict=True)) for together in zip(*map(_year_of, ordered), strict=True)}
