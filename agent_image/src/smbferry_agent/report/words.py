"""Counters in human-readable form. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from smbferry_api.run_status import Counters, NotCarried, Progress

SURVEY: Final = "survey"
"""The progress of a run that surveys its source, in place of a percentage."""
PLAN: Final = "plan"
"""The progress of a run whose plan waits for approval, in place of a percentage."""
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_WHOLE_FROM: Final = 100
_MINUTE, _HOUR = 60, 3600


def size(count: float) -> str:
    """Bytes in binary units: 312.0 MiB."""
    value, unit = _scaled(count)
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def rate(bytes_per_second: float) -> str:
    """Bytes per second, three digits at most: 210 MiB/s, 4.2 MiB/s."""
    value, unit = _scaled(bytes_per_second)
    return f"{value:.0f} {unit}/s" if unit == "B" or value >= _WHOLE_FROM else f"{value:.1f} {unit}/s"


def duration(seconds: float) -> str:
    """As Kubernetes and Go write it: 12.3s, 3m20s, 1h05m."""
    if seconds < _MINUTE:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"


def retry(files: int, attempt: int, attempts: int, next_time: datetime | None) -> str:
    """What a run waits for: 3 files are in use or were written to. Attempt 1 of 3 starts at 12:03:20Z."""
    which = "1 file is in use or was" if files == 1 else f"{files:,} files are in use or were"
    begins = "is active" if next_time is None else f"starts at {next_time.astimezone(UTC):%H:%M:%SZ}"
    return f"{which} written to. Attempt {attempt} of {attempts} {begins}."


def progress(
    counters: Counters, not_carried: Iterable[NotCarried] = (), *, ended: bool = False, dry_run: bool = False
) -> Progress:
    """The columns of `kubectl get`. During a run the totals may still grow."""
    files, octets = counters.files, counters.bytes
    left = sum(sum_.count for sum_ in not_carried)
    lacking = f"{left:,}" if left else ""
    if dry_run:
        return Progress(
            percent="dry run", files=f"{files.to_transfer:,}", bytes=size(octets.to_transfer), not_carried=lacking
        )
    return Progress(
        percent=f"{_percent(counters, ended=ended)}%",
        files=f"{files.transferred:,}/{files.to_transfer:,}",
        bytes=f"{size(octets.transferred)}/{size(octets.to_transfer)}",
        rate=rate(counters.bytes_per_second) if counters.bytes_per_second is not None else "",
        not_carried=lacking,
    )


def planned(counters: Counters) -> Progress:
    """The columns of `kubectl get` while the plan of a run waits for approval."""
    return Progress(percent=PLAN, files=f"{counters.files.to_transfer:,}", bytes=size(counters.bytes.to_transfer))


def _percent(counters: Counters, *, ended: bool) -> int:
    """Percentage done; 100 only after the end."""
    octets, files = counters.bytes, counters.files
    if octets.to_transfer:
        share = octets.transferred / octets.to_transfer
    elif files.to_transfer:
        share = files.transferred / files.to_transfer
    else:
        share = 1.0 if ended else 0.0
    return min(int(share * 100), 100 if ended else 99)


def _scaled(count: float) -> tuple[float, str]:
    value = float(count)
    for unit in _UNITS:
        if round(value, 1) < _STEP:
            return value, unit
        value /= _STEP
    return value * _STEP, _UNITS[-1]
