"""Writes a run's report to the location that the task names: records first, then the summary with their hash."""

import io
import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from smbferry_agent.engine_errors import convert
from smbferry_agent.errors import AgentError
from smbferry_agent.logs import fields
from smbferry_agent.report.records import RECORDS_SUFFIX, SCHEMA, SUMMARY_SUFFIX, RecordFile, Written
from smbferry_agent.report.run_report import RunReport
from smbferry_api.fields import format_time
from smbferry_api.reasons import RUN_CANCELLED
from smbferry_api.run import ResolvedEnd, ResolvedTask
from smbferry_api.run_status import ReportStatus, RunState
from smbferry_engine import Control, Endpoint, EngineError, upload

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Delivery:
    """A context manager around a transfer: it collects records and delivers them at the end.

    A cancelled run delivers nothing, as there may be no time left. A report that cannot be written makes the run
    PartiallySucceeded, never Failed.

    Attributes:
        run_name: the name of the report's files.
        spool: a local folder for the records.
    """

    task: ResolvedTask
    run_name: str
    end: ResolvedEnd
    endpoint: Endpoint
    spool: Path
    report: RunReport
    control: Control
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))
    _records: RecordFile = field(init=False)

    def __enter__(self) -> Self:
        self._records = RecordFile(self.spool / f"{self.run_name}{RECORDS_SUFFIX}", self.task.report.detail)
        self._records.begin(self._header())
        self.report.records = self._records
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.report.records = None
        try:
            if not _is_cancelled(error):
                self._deliver(RunState.FAILED if error is not None else self.report.outcome())
        finally:
            self._records.path.unlink(missing_ok=True)

    def _header(self) -> dict[str, Any]:
        return {
            "run": self.run_name,
            "task": self.task.name,
            "startTime": format_time(self._began),
            "detail": self.task.report.detail.value,
            "source": _place(self.task.source),
            "destination": _place(self.task.destination),
        }

    def _deliver(self, state: RunState) -> None:
        ended = {"state": state.value, "completionTime": format_time(datetime.now(UTC))}
        summary = {**ended, **self.report.summary()}
        written = self._records.end(summary)
        if written is None:
            self._failed(f"could not store its records: {self._records.problem}")
            return
        folder = (self.task.report.path or "/").rstrip("/")
        path = f"{folder}/{self.run_name}{RECORDS_SUFFIX}"
        whole = {"schema": SCHEMA, **self._header(), **summary, "throughput": self.report.samples.points}
        whole["records"] = _vouch(path, written)
        try:
            with written.path.open("rb") as content:
                upload(self.endpoint, path, content, control=self.control)
            text = io.BytesIO(json.dumps(whole, indent=2).encode("ascii"))
            upload(self.endpoint, f"{folder}/{self.run_name}{SUMMARY_SUFFIX}", text, control=self.control)
        except EngineError as error:
            self._failed(convert(error).message)
        except OSError as error:
            self._failed(f"could not read its records: {error.strerror}")
        else:
            self.report.delivered(ReportStatus(location=self.end.location, path=path, sha256=written.sha256))

    def _failed(self, why: str) -> None:
        _log.warning("could not deliver the report", extra=fields(detail=why))
        message = f"The report could not be written to SmbLocation {self.end.location}: {why}"
        self.report.undelivered(self.task.report.path or "/", message)


def _place(end: ResolvedEnd) -> dict[str, str]:
    return {"server": end.spec.server, "share": end.spec.share, "path": end.full_path}


def _vouch(path: str, written: Written) -> dict[str, Any]:
    return {"path": path, "sha256": written.sha256, "lines": written.records}


def _is_cancelled(error: BaseException | None) -> bool:
    if isinstance(error, EngineError):
        return convert(error).reason is RUN_CANCELLED
    return isinstance(error, AgentError) and error.reason is RUN_CANCELLED
