"""Decides which snapshot of the source a run reads. Pure.

All agents of a run, and all its attempts, read the same one: it is chosen once and recorded, and later agents check
that the server still has it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta

from smbferry_engine.errors import EngineError
from smbferry_engine.model import ChosenSnapshot
from smbferry_words.options import SnapshotUse
from smbferry_words.reasons import SNAPSHOT_GONE, SNAPSHOT_NOT_FOUND

Wanted = SnapshotUse | datetime


def choose(wanted: Wanted, times: Sequence[datetime], none: str, now: datetime) -> ChosenSnapshot:
    """Return the snapshot to read.

    ``times`` are those of the server's snapshots; ``none`` says why there are none. ``now`` is the server's time.

    Raises:
        EngineError: SnapshotNotFound, there is none, or none of the wanted time.
    """
    if isinstance(wanted, datetime):
        return _of_time(wanted, times, none, now)
    if not times or wanted is SnapshotUse.NONE:
        if wanted is SnapshotUse.REQUIRED:
            raise EngineError(SNAPSHOT_NOT_FOUND, f"expected a snapshot of the source, got none: {none}")
        return ChosenSnapshot(None, message=f"The files are read as they are: {none}.")
    newest = max(times)
    return ChosenSnapshot(newest, _age(newest, now), f"The newest of {len(times)} snapshots of the server.")


def _of_time(wanted: datetime, times: Sequence[datetime], none: str, now: datetime) -> ChosenSnapshot:
    if wanted in times:
        return ChosenSnapshot(wanted, _age(wanted, now), f"One of {len(times)} snapshots of the server.")
    expected = f"expected a snapshot of {shown(wanted)}"
    if not times:
        raise EngineError(SNAPSHOT_NOT_FOUND, f"{expected}, got none: {none}")
    known = sorted(times)
    at = bisect_left(known, wanted)
    nearest = " and ".join(shown(time) for time in known[max(0, at - 1) : at + 1])
    raise EngineError(SNAPSHOT_NOT_FOUND, f"{expected}, got {len(times)} of other times; nearest: {nearest}")


def is_usable(recorded: ChosenSnapshot, wanted: Wanted) -> bool:
    """Return whether a recorded choice is one that ``wanted`` allows; anything else is chosen anew."""
    if isinstance(wanted, datetime):
        return recorded.time == wanted
    return recorded.time is not None or wanted is SnapshotUse.LATEST


def expect_listed(time: datetime, times: Sequence[datetime], none: str) -> None:
    """Raise :class:`EngineError` SnapshotGone unless the server still has the snapshot of ``time``."""
    if time not in times:
        found = f"{len(times)} others" if times else f"none: {none}"
        raise EngineError(SNAPSHOT_GONE, f"expected the snapshot of {shown(time)} that the run reads, got {found}")


def shown(time: datetime) -> str:
    """Return a time as messages and ``source.snapshot`` write it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _age(time: datetime, now: datetime) -> timedelta:
    return max(now - time, timedelta())
