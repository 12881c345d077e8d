"""Converts AWS schedule expressions, ``cron(...)`` with six fields and ``rate(...)``, to cron with five fields.
Pure."""

import re
from typing import Final

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON: Final = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_DAY: Final = re.compile(r"(?<![\d/#-])([1-7])(?:-([1-7]))?(?![\d])")
_PER_HOUR, _PER_DAY = 60, 24


class ScheduleError(ValueError):
    """The expression has no equivalent in cron's five fields."""


def cron_of(expression: str) -> tuple[str, str]:
    """Returns the five fields in UTC and a remark about differences ('' if there are none).

    Raises:
        ScheduleError: the expression has no equivalent in cron.
    """
    text = " ".join(expression.split())
    if rate := _RATE.fullmatch(text):
        return _from_rate(int(rate[1]), rate[2])
    if cron := _CRON.fullmatch(text):
        return _from_cron(cron)
    raise ScheduleError(f"expected a schedule cron(...) or rate(...), got {expression!r}")


def _from_rate(count: int, unit: str) -> tuple[str, str]:
    remark = "rate() counted from the creation of the task; runs now start relative to the full hour, UTC"
    if unit == "minute" and 0 < count < _PER_HOUR and _PER_HOUR % count == 0:
        return f"*/{count} * * * *", remark
    if unit == "minute" and count and count % _PER_HOUR == 0:
        return _from_rate(count // _PER_HOUR, "hour")
    if unit == "hour" and 0 < count < _PER_DAY and _PER_DAY % count == 0:
        return "0 * * * *" if count == 1 else f"0 */{count} * * *", remark
    if unit == "hour" and count and count % _PER_DAY == 0:
        return _from_rate(count // _PER_DAY, "day")
    if unit == "day" and count == 1:
        return "0 0 * * *", remark
    raise ScheduleError(f"cron cannot express 'every {count} {unit}s' evenly")


def _from_cron(expression: re.Match[str]) -> tuple[str, str]:
    minute, hour, day, month, weekday, year = expression.groups()
    for field in (day, weekday):
        if re.search(r"[#LW]", re.sub(r"[A-Z]{3}", "", field)):
            raise ScheduleError(
                f"{field!r} (a last or n-th day, or the nearest weekday) has no equivalent in cron's five fields"
            )
    fields = (minute, hour, day.replace("?", "*"), month, _from_sunday_as_zero(weekday.replace("?", "*")))
    remark = "" if year == "*" else f"five fields cannot express the year {year}; suspend the task after that year"
    return " ".join(fields), remark


def _from_sunday_as_zero(weekday: str) -> str:
    """Converts AWS' weekdays (Sunday is 1) to cron's (Sunday is 0); names are the same in both."""

    def shifted(match: re.Match[str]) -> str:
        first = str(int(match[1]) - 1)
        return first if match[2] is None else f"{first}-{int(match[2]) - 1}"

    return _DAY.sub(shifted, weekday)
