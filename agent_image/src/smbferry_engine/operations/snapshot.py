"""Chooses the snapshot of the source for a run, or finds the recorded one again."""

from datetime import UTC, datetime

from smbferry_engine.model import ChosenSnapshot, Endpoint
from smbferry_engine.operations.sides import share_of
from smbferry_engine.plan.snapshots import Wanted, choose, expect_listed, is_usable
from smbferry_engine.session.connect import Connected, connect_patiently
from smbferry_engine.session.driver import Driver
from smbferry_engine.share.snapshots import Snapshots, list_snapshots
from smbferry_engine.times import to_datetime

DEADLINE_SECONDS = 30.0


def choose_snapshot(
    source: Endpoint,
    wanted: Wanted,
    recorded: ChosenSnapshot | None = None,
    *,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> ChosenSnapshot:
    """Return the snapshot that a run reads ``source`` from: the ``recorded`` one, if an agent of the run has chosen.

    A recorded choice that ``wanted`` does not allow counts as none: whoever may write the record can't change what the
    task asks for.

    Raises:
        EngineError: SnapshotNotFound, SnapshotGone (the recorded one), or the source can't be reached.
    """
    if recorded is not None and not is_usable(recorded, wanted):
        recorded = None
    if recorded is not None and recorded.time is None:
        return recorded
    side = connect_patiently(source, deadline_seconds=deadline_seconds)
    try:
        found = _listed(side, source, deadline_seconds)
    finally:
        side.channel.close()
    if recorded is not None and recorded.time is not None:
        expect_listed(recorded.time, *found)
        return recorded
    time = side.server_system_time
    return choose(wanted, *found, to_datetime(time) if time else datetime.now(UTC))


def _listed(side: Connected, source: Endpoint, deadline_seconds: float) -> Snapshots:
    return Driver([side.channel]).run_within(list_snapshots(share_of(side, source)), deadline_seconds)
