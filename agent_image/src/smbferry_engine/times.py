"""FILETIME (MS-DTYP 2.3.3): 100 ns since 1601-01-01 UTC. The engine copies these exactly and converts only to tell."""

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
    """As a date in UTC, to the microsecond; what no calendar holds becomes the last moment of year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=filetime // _UNITS_PER_MICROSECOND)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def units_of(length: timedelta) -> int:
    """A length of time in 100 ns, to the microsecond."""
    return length // timedelta(microseconds=1) * _UNITS_PER_MICROSECOND


def same_time(one: int, other: int, window: int) -> bool:
    """Whether two times are the same to within ``window`` (all in 100 ns): not every server keeps what it is given."""
    return one == other or abs(one - other) <= window


def looks_rounded(time: int, stored: int) -> bool:
    """Whether ``stored`` is what a server makes of ``time`` that keeps whole seconds (or every other one), or none.

    FAT keeps write times to 2 s (Win32, "File Times"), some NAS to 1 s.
    """
    whole = stored % UNITS_PER_SECOND == 0
    return stored == 0 or (whole and abs(time - stored) < _COARSEST * UNITS_PER_SECOND)


def settable(filetime: int) -> int:
    """The value for a SET_INFO: what a server can't mean by a time (negative as signed) becomes 0, "leave it"."""
    return filetime if 0 < filetime <= _LARGEST else 0
