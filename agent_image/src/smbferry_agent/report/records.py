"""The per-file report: JSON Lines, compressed as they come, and a summary beside them (docs/report.md has the schema).

A report tells of what a run did; it is no part of it. What goes wrong with it is said, and changes nothing about the
data.
"""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from smbferry_api.task import ReportDetail
from smbferry_engine import FileFailure, FileRecord

SCHEMA: Final = "smbferry.io/report/v1"
RECORDS_SUFFIX: Final = ".files.jsonl.gz"
SUMMARY_SUFFIX: Final = ".summary.json"
_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Written:
    """A report that is whole: where its records lie locally, their SHA-256 in hex, how many there are."""

    path: Path
    sha256: str
    records: int


@dataclass(slots=True)
class RecordFile:
    """The records of one run on their way into a local file. After the first that can't be written nothing more is.

    Attributes:
        problem: why not everything was written, None while all was.
    """

    path: Path
    detail: ReportDetail
    problem: str | None = None
    _raw: BinaryIO | None = None
    _file: gzip.GzipFile | None = None
    _count: int = 0

    def begin(self, header: Mapping[str, Any]) -> None:
        """The first line: what the records are about."""
        try:
            # No name and no time in the file, so that equal records make equal files.
            self._raw = self.path.open("wb")
            self._file = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=self._raw, mtime=0)
        except OSError as error:
            self._stop(error)
            return
        self._line({"kind": "Header", "schema": SCHEMA, **header})

    def record(self, record: FileRecord) -> None:
        """A file or folder is done."""
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
        """A file or folder failed."""
        self._line(
            {
                "kind": "Failure",
                "path": failure.path,
                "phase": failure.phase,
                "reason": failure.reason,
                "message": failure.message,
            }
        )

    def end(self, summary: Mapping[str, Any]) -> Written | None:
        """The last line; None when not everything could be written: see :attr:`problem`."""
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
