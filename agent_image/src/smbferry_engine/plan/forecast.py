"""Forecasts how long runs take, from a sample that was timed. Pure.

Files are timed by interval of sizes, each as many at once as in a run. Within an interval, time is in proportion to
work: bytes, and the fixed cost of a file. What was not timed in an interval costs as in the nearest one that was. The
times of listing, creating folders and copying are added up: a run does these at the same time, but in one thread. Over
a long line, where waiting outweighs computing, a run may be faster than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from smbferry_engine.plan.census import DAYS
from smbferry_engine.plan.shard import FILE_WORK
from smbferry_engine.plan.survey import Amount, Forecast
from smbferry_words.survey import Basis


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the files of a sample took, which are all of one interval of sizes; in seconds."""

    interval: int
    amount: Amount
    seconds: float


@dataclass(slots=True)
class Measured:
    """What was timed: files, and folders that were created; in seconds."""

    basis: Basis
    files: list[Timing] = field(default_factory=list)
    folders: int = 0
    folder_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Whole:
    """The tree that a forecast is for: how long its listing took, and files by interval of sizes.

    ``written``: what was written in the last :data:`~smbferry_engine.plan.census.DAYS` days.
    """

    directories: int
    amounts: Sequence[Amount]
    written: Sequence[Amount]
    listed_seconds: float


def forecast(measured: Measured, whole: Whole, *, bytes_per_second: int | None) -> Forecast | None:
    """Return the forecast, None if there are files and none could be timed."""
    rates = {timing.interval: timing.seconds / _work(timing.amount) for timing in measured.files}
    if not rates and any(amount.files for amount in whole.amounts):
        return None
    per_folder = measured.folder_seconds / measured.folders if measured.folders else 0.0

    def copying(amounts: Sequence[Amount], share: float) -> float:
        work = sum(_work(amount) * _rate(rates, index) for index, amount in enumerate(amounts) if amount.files)
        limited = sum(amount.bytes for amount in amounts) / bytes_per_second if bytes_per_second else 0.0
        return max(work, limited) * share

    unchanged = 2 * whole.listed_seconds
    seconds = sum(timing.seconds for timing in measured.files) + measured.folder_seconds
    return Forecast(
        basis=measured.basis,
        first=whole.listed_seconds + per_folder * whole.directories + copying(whole.amounts, 1),
        unchanged=unchanged,
        daily=unchanged + copying(whole.written, 1 / DAYS),
        measured=Amount(
            sum(timing.amount.files for timing in measured.files),
            sum(timing.amount.bytes for timing in measured.files),
        ),
        seconds=seconds,
    )


def _work(amount: Amount) -> int:
    return amount.files * FILE_WORK + amount.bytes


def _rate(rates: dict[int, float], interval: int) -> float:
    """Return the seconds for a unit of work in an interval, or in the nearest one that was timed."""
    return rates[min(rates, key=lambda timed: (abs(timed - interval), timed))]
