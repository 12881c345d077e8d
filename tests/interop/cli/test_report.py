"""The per-file report: on a share, whole, and true to what was done."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from lab.support.domain.trees import Wanted, odd

if TYPE_CHECKING:
    from lab.support.domain.machine import Directory
    from tests.interop.cli.support import Scene


def reporting(scene: Scene, place: Directory, detail: str = "Everything", path: str = "/2026/ü") -> None:
    scene.locations["reports"] = {
        "share": place.share,
        "path": place.path,
        "identityRef": {"name": "writer"},
    }
    scene.report = {"detail": detail, "locationRef": {"name": "reports"}, "path": path}


def report_of(scene: Scene, place: Directory, status: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The records and the summary, read from the server's own disk; the status vouches for the records."""
    told = status["report"]
    raw = place.read(told["path"].lstrip("/"))
    assert hashlib.sha256(raw).hexdigest() == told["sha256"]
    summary = place.read(told["path"].lstrip("/").replace(".files.jsonl.gz", ".summary.json"))
    return [json.loads(line) for line in gzip.decompress(raw).splitlines()], json.loads(summary)


def test_everything_that_was_done_is_in_the_report(scene: Scene) -> None:
    scene.source.seed(odd())
    with scene.domain.directory("dst") as place:
        reporting(scene, place)
        ended = scene.smbferry("run", "-o", "json")
        assert ended.code == 0, ended.err + ended.out
        status = ended.document()["status"]
        lines, summary = report_of(scene, place, status)
        left = sorted(place.tree())
    files = [line for line in lines if line["kind"] == "File"]
    tree = {path: entry for path, entry in scene.destination.tree().items() if entry.kind == "file"}
    assert {line["path"].removeprefix("/"): line["size"] for line in files} == {
        path: entry.size for path, entry in tree.items()
    }
    assert all(line["action"] == "Transferred" and len(line["blake3"]) == 64 for line in files)
    assert (lines[0]["kind"], lines[-1]["kind"], lines[-1]["state"]) == ("Header", "Summary", "Succeeded")
    assert summary["records"] == {
        "path": status["report"]["path"],
        "sha256": status["report"]["sha256"],
        "lines": len(lines),
    }
    assert summary["security"]["source"]["principal"] == scene.reader.principal
    assert [name for name in left if "smbferry-" in name] == []
    assert len([name for name in left if name.endswith((".gz", ".json"))]) == 2


def test_errors_only_is_short(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5), Wanted("b", size=6)])
    with scene.domain.directory("dst") as place:
        reporting(scene, place, "ErrorsOnly", "/")
        ended = scene.smbferry("run", "-o", "json")
        lines, summary = report_of(scene, place, ended.document()["status"])
    # The seeded files belong to the server's own root account, which means nothing elsewhere.
    assert [line["kind"] for line in lines if line["kind"] != "NotCarried"] == ["Header", "Summary"]
    assert summary["counters"]["files"]["transferred"] == 2


def test_a_report_that_can_not_be_written_leaves_the_data_well_and_is_said(scene: Scene) -> None:
    scene.source.seed([Wanted("a", size=5)])
    with scene.domain.directory("dst") as place:
        scene.domain.run("chmod", "0555", place.inside)
        reporting(scene, place)
        ended = scene.smbferry("run", "-o", "json")
    assert ended.code == 3, ended.err
    status = ended.document()["status"]
    assert status["failures"][0]["reason"] == "ReportNotWritten"
    assert "SmbLocation reports" in status["failures"][0]["message"]
    assert "report" not in status
    assert scene.destination.tree()["a"].size == 5
