"""Decides, once for all agents of a run, which snapshot of its server the source is read from."""

import logging
from dataclasses import replace

from smbferry_agent.logs import fields
from smbferry_agent.report import words
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.run_environment import SnapshotRecord
from smbferry_api.run_status import SourceSnapshotStatus
from smbferry_api.task import wanted_snapshot
from smbferry_engine import ChosenSnapshot, Endpoint, SnapshotUse, choose_snapshot

_log = logging.getLogger(__name__)


def in_snapshot(source: Endpoint, choice: str, record: SnapshotRecord, report: RunReport) -> Endpoint:
    """The source as of the snapshot that the run reads, which is recorded and reported.

    Args:
        choice: the task's `source.snapshot`.

    Raises:
        EngineError: SnapshotNotFound, SnapshotGone, or the source cannot be reached.
        AgentError: the choice could not be recorded.
    """
    wanted = wanted_snapshot(choice)
    if wanted is SnapshotUse.NONE:
        return source
    recorded = record.read()
    chosen = choose_snapshot(source, wanted, _as_chosen(recorded))
    if recorded is None or recorded.time != chosen.time:
        told = _as_status(chosen)
        recorded = record.write(told, recorded)
        if recorded.time != told.time:  # another agent was faster
            chosen = choose_snapshot(source, wanted, _as_chosen(recorded))
    _log.info("the source's version is decided", extra=fields(snapshot=str(chosen.time), detail=recorded.message))
    report.source_snapshot(recorded)
    return replace(source, snapshot=chosen.time)


def _as_chosen(recorded: SourceSnapshotStatus | None) -> ChosenSnapshot | None:
    return None if recorded is None else ChosenSnapshot(recorded.time, message=recorded.message)


def _as_status(chosen: ChosenSnapshot) -> SourceSnapshotStatus:
    age = None if chosen.age is None else words.duration(chosen.age.total_seconds())
    return SourceSnapshotStatus(time=chosen.time, age=age, message=chosen.message)
