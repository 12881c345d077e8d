"""FILETIME (MS-DTYP 2.3.3): 100 ns since 1601-01-01 UTC. The engine copies times exactly and converts them only for
display.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

TOLERATED_SKEW: Final = timedelta(minutes=5)
"""Between clocks: Kerberos' own limit (RFC 4120 section 3.2.3), which file servers keep to."""
UNITS_PER_SECOND = 10_000_000
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1
_COARSEST = 2
_UNITS_PER_MICROSECOND = 10


def to_datetime(filetime: int) -> datetime:
    """Return the date in UTC, to the microsecond; the last moment of year 9999 for what no calendar holds."""
    try:
        return _EPOCH + timedelta(microseconds=filetime // _UNITS_PER_MICROSECOND)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def to_filetime(moment: datetime) -> int:
    """Return a time with a time zone as FILETIME, to the microsecond."""
    return units_of(moment - _EPOCH)


def units_of(length: timedelta) -> int:
    """Return a length of time in 100 ns, to the microsecond."""
    return length // timedelta(microseconds=1) * _UNITS_PER_MICROSECOND


def same_time(one: int, other: int, window: int) -> bool:
    """Return whether two times differ by at most ``window`` (all in 100 ns): some servers round times."""
    return one == other or abs(one - other) <= window


def looks_rounded(time: int, stored: int) -> bool:
    """Return whether ``stored`` is ``time`` as a server keeps it that rounds to one or two seconds, or keeps no times.

    FAT keeps write times to 2 s (Win32, "File Times"), some NAS to 1 s.
    """
    whole = stored % UNITS_PER_SECOND == 0
    return stored == 0 or (whole and abs(time - stored) < _COARSEST * UNITS_PER_SECOND)


def settable(filetime: int) -> int:
    """Return a time as SET_INFO takes it: 0, which leaves it unchanged, for one that is negative as a signed number."""
    return filetime if 0 < filetime <= _LARGEST else 0
