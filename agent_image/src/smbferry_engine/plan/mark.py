"""The mark of a file that was copied without some of its metadata (ADR 18). Pure.

Its write time differs from the source's by a fixed span, so that the next run, which compares size and time anyway,
sees that it is incomplete. Every server stores write times; nothing else could serve as the mark.
"""

from typing import Final

from smbferry_engine.times import UNITS_PER_SECOND, settable

SHIFT_SECONDS: Final = 1_000_000
"""An even number, because some servers round to two seconds; no multiple of an hour, so that no time zone change looks
like it; eleven days, far beyond any difference that is ignored.
"""
_SHIFT = SHIFT_SECONDS * UNITS_PER_SECOND


def mark_of(write_time: int) -> int:
    """Return the write time (FILETIME) of an incomplete copy of a file that was last written at ``write_time``."""
    time = settable(write_time)
    return time - _SHIFT if time > _SHIFT else time + _SHIFT


def is_mark_of(write_time: int, found: int, window: int = 0) -> bool:
    """Return whether ``found``, within ``window`` (both in units of 100 ns), marks a copy of what was written then."""
    # Earlier or later: a server that rounds may move the time of a file of 1601 to the other side of the limit.
    return abs(abs(found - settable(write_time)) - _SHIFT) <= window
