"""The mark of a file that is in place but lacks something of its source's metadata: pure (ADR 18).

Its write time is not the source's but a fixed span apart from it, so that the next run, which compares size and time in
any case, sees that it is not done. Nothing else that every server keeps could hold that.
"""

from typing import Final

from smbferry_engine.times import UNITS_PER_SECOND, settable

SHIFT_SECONDS: Final = 1_000_000
"""Even, so that a server that keeps only every other second holds it; no multiple of an hour, so that no change of a
time zone looks like it; eleven days, far beyond any difference that is taken for none."""
_SHIFT = SHIFT_SECONDS * UNITS_PER_SECOND


def mark_of(write_time: int) -> int:
    """The write time (FILETIME) of an incomplete copy of a file that was last written at ``write_time``."""
    time = settable(write_time)
    return time - _SHIFT if time > _SHIFT else time + _SHIFT


def is_mark_of(write_time: int, found: int, window: int = 0) -> bool:
    """Whether ``found``, within ``window`` (both in units of 100 ns), marks a copy of what was written then."""
    # On either side: a server that rounds may keep the time of a file of 1601 on the other side of the span.
    return abs(abs(found - settable(write_time)) - _SHIFT) <= window
