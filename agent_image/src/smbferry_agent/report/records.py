"""The per-file report: compressed JSON Lines, and a summary (docs/report.md has the schema).

A failure to write the report is reported and does not affect the transfer.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from smbferry_api.task import ReportDetail
from smbferry_engine import FileFailure, FileRecord, NotCarried

SCHEMA: Final = "smbferry.io/report/v1"
RECORDS_SUFFIX: Final = ".files.jsonl.gz"
SUMMARY_SUFFIX: Final = ".summary.json"
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Written:
    """A complete report: the local path of its records, their SHA-256 in hex, their number."""

    path: Path
    sha256: str
    records: int


@dataclass(slots=True)
class RecordFile:
    """Writes the records of one run to a local file. After the first failed write nothing more is written.

    Attributes:
        problem: why a write failed, None if none did.
    """

    path: Path
    detail: ReportDetail
    problem: str | None = None
    _raw: BinaryIO | None = None
    _file: gzip.GzipFile | None = None
    _count: int = 0

    def begin(self, header: Mapping[str, Any]) -> None:
        """Opens the file and writes the header line."""
        try:
            # Without name and time, so that equal records make equal files.
            self._raw = self.path.open("wb")
            self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._raw, mtime=0)
        except OSError as error:
            self._stop(error)
            return
        self._line({"kind": "Header", "schema": SCHEMA, **header})

    def record(self, record: FileRecord) -> None:
        """Writes the record of a completed file or folder."""
        if self.detail is not ReportDetail.EVERYTHING:
            return
        line: dict[str, Any] = {"kind": record.kind, "action": record.action, "path": record.path}
        if record.kind == "File":
            line["size"] = record.size
        if record.left_out is not None:
            line["leftOut"] = record.left_out
        if record.digest is not None:
            line["blake3"] = record.digest
        self._line(line)

    def failure(self, failure: FileFailure) -> None:
        """Writes the record of a failed file or folder."""
        self._line(
            {
                "kind": "Failure",
                "path": failure.path,
                "phase": failure.phase,
                "reason": failure.reason,
                "message": failure.message,
            }
        )

    def not_carried(self, item: NotCarried) -> None:
        """Writes the record of something that the destination did not get, whatever the detail."""
        self._line({"kind": "NotCarried", "path": item.path, "what": item.what, "reason": item.reason})

    def end(self, summary: Mapping[str, Any]) -> Written | None:
        """Writes the summary line and closes the file; returns None if a write failed, see `problem`."""
        self._line({"kind": "Summary", **summary})
        try:
            for file in (self._file, self._raw):
                if file is not None:
                    file.close()
        except OSError as error:
            self._stop(error)
        if self.problem is not None:
            return None
        with self.path.open("rb") as whole:
            return Written(self.path, hashlib.file_digest(whole, "sha256").hexdigest(), self._count)

    def _line(self, line: dict[str, Any]) -> None:
        if self._file is None or self.problem is not None:
            return
        try:
            # ASCII: a path may hold lone surrogates, which have no UTF-8.
            self._file.write(json.dumps(line, separators=(",", ":")).encode("ascii") + b"\n")
        except OSError as error:
            self._stop(error)
        else:
            self._count += 1

    def _stop(self, error: OSError) -> None:
        self.problem = error.strerror or type(error).__name__
