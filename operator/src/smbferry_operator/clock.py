"""The two clocks: time of day for decisions and people, uptime for deadlines."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


def uptime() -> float:
    """Seconds of a clock that never goes back and, where the system has one, runs on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
