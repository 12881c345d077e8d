"""The records of a report: one JSON object a line, compressed, the same bytes for the same run, never a crash."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from smbferry_agent.report.records import SCHEMA, RecordFile
from smbferry_api.task import ReportDetail
from smbferry_engine import FileFailure, FileRecord, NotCarried, NotCarriedKind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECORDS = (
    FileRecord("a/ü.txt", "File", "Transferred", 12, "ab" * 32),
    FileRecord("a/\ud800", "File", "Skipped", 3),
    FileRecord("a", "Directory", "Transferred", 0),
)
FAILURE = FileFailure("b", "Transfer", "SharingViolation", "somebody has it open")


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def kept(path: Path, detail: ReportDetail) -> RecordFile:
    records = RecordFile(path, detail)
    records.begin({"run": "r"})
    for record in RECORDS:
        records.record(record)
    records.failure(FAILURE)
    return records


def test_everything_is_kept_between_header_and_summary(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    written = kept(path, ReportDetail.EVERYTHING).end({"state": "Succeeded"})
    lines = lines_of(path)
    assert lines[0] == {"kind": "Header", "schema": SCHEMA, "run": "r"}
    assert lines[1] == {"kind": "File", "action": "Transferred", "path": "a/ü.txt", "size": 12, "blake3": "ab" * 32}
    assert lines[3] == {"kind": "Directory", "action": "Transferred", "path": "a"}
    assert lines[4]["reason"] == "SharingViolation"
    assert lines[-1] == {"kind": "Summary", "state": "Succeeded"}
    assert written is not None
    assert written.records == len(lines) == 6
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_errors_only_leaves_out_what_went_well(tmp_path: Path) -> None:
    kept(tmp_path / "r.gz", ReportDetail.ERRORS_ONLY).end({})
    assert [line["kind"] for line in lines_of(tmp_path / "r.gz")] == ["Header", "Failure", "Summary"]


def test_what_did_not_arrive_is_always_kept(tmp_path: Path) -> None:
    records = RecordFile(tmp_path / "r.gz", ReportDetail.ERRORS_ONLY)
    records.begin({})
    records.not_carried(NotCarried("/a/\ud800:tag", NotCarriedKind.STREAM, "the server has no streams"))
    records.end({})
    assert lines_of(tmp_path / "r.gz")[1] == {
        "kind": "NotCarried",
        "path": "/a/\ud800:tag",
        "what": "Stream",
        "reason": "the server has no streams",
    }


def test_equal_runs_make_equal_files(tmp_path: Path) -> None:
    written = [kept(tmp_path / name, ReportDetail.EVERYTHING).end({}) for name in ("a.gz", "b.gz")]
    assert written[0] is not None
    assert written[1] is not None
    assert written[0].sha256 == written[1].sha256


def test_a_folder_that_is_not_there_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    records = kept(tmp_path / "none" / "r.gz", ReportDetail.EVERYTHING)
    assert records.end({}) is None
    assert records.problem == "No such file or directory"


def test_a_full_disk_is_a_problem_and_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = RecordFile(tmp_path / "r.gz", ReportDetail.EVERYTHING)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    records.begin({})
    monkeypatch.setattr(gzip.GzipFile, "write", full)
    records.record(RECORDS[0])
    monkeypatch.undo()
    records.record(RECORDS[1])
    assert records.end({}) is None
    assert records.problem == "No space left on device"
