"""`smbferry report`: a page that tells everything, needs nothing, and lets no name do harm."""

from __future__ import annotations

import gzip
import io
import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_api.exit_codes import ExitCode
from smbferry_cli.html import MAX_ROWS, Facts, page
from smbferry_cli.main import main
from smbferry_cli.svg import bars, line

if TYPE_CHECKING:
    from pathlib import Path

SIDE = {"principal": "svc-src@CORP.EXAMPLE.COM", "kvno": 3, "dialect": "3.1.1", "cipher": "AES-256-GCM"}
SUMMARY: dict[str, Any] = {
    "schema": "smbferry.io/report/v1",
    "run": "nightly-x7",
    "task": "nightly",
    "state": "PartiallySucceeded",
    "startTime": "2026-11-21T12:00:00Z",
    "completionTime": "2026-11-21T12:03:00Z",
    "source": {"server": "files1.corp.example.com", "share": "finance", "path": "/2026"},
    "destination": {"server": "files2.corp.example.com", "share": "archive", "path": "/"},
    "counters": {
        "files": {"transferred": 2018, "verified": 2018, "skipped": 5, "failed": 1},
        "bytes": {"transferred": 546_000_000},
        "bytesPerSecond": 170_000_000,
    },
    "phases": {"transfer": {"state": "Succeeded", "duration": "8.1s"}},
    "security": {"source": SIDE, "destination": {**SIDE, "principal": "svc-dst@CORP.EXAMPLE.COM"}},
    "throughput": [[0, 0, 0], [5, 400_000_000, 700], [9, 546_000_000, 2018]],
    "records": {"path": "/2026/nightly-x7.files.jsonl.gz", "sha256": "ab" * 32, "lines": 4},
}
RECORDS: list[dict[str, Any]] = [
    {"kind": "Header", "schema": "smbferry.io/report/v1"},
    {"kind": "File", "action": "Transferred", "path": "a", "size": 4096, "blake3": "00"},
    {"kind": "File", "action": "Skipped", "path": "b", "size": 0},
    {"kind": "Directory", "action": "Transferred", "path": "d"},
    {"kind": "Failure", "path": "c", "phase": "Transfer", "reason": "SharingViolation", "message": "held open"},
]


LACKING: dict[str, Any] = {
    "notCarried": [
        {"what": "Link", "count": 1, "reason": "links are not copied", "paths": ["/l"]},
        {"what": "Stream", "count": 1201, "reason": "the server has no <b>streams", "paths": ["/a:s"]},
    ]
}


SIDS: dict[str, Any] = {
    "sids": {
        "applied": [{"from": "S-1-5-21-1-2-3", "to": "S-1-5-21-4-5-6", "descriptors": 1204}],
        "unmapped": [{"sid": "S-1-5-21-7-8-9<b>", "descriptors": 17}],
    }
}


class Checker(HTMLParser):
    """Counts what a page must not have, and sees that every tag is closed."""

    VOID = frozenset({"meta", "line", "polyline", "rect"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [f"{name}={value}" for name, value in attrs if name in {"src", "href"} or name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert checker.outside == []
    assert "script" not in checker.tags
    return checker


def full() -> Facts:
    facts = Facts(SUMMARY)
    for record in RECORDS:
        facts.take(record)
    return facts


def test_the_page_tells_what_was_done_what_failed_and_what_protected_it() -> None:
    text = page(full())
    checker = checked(text)
    for said in (
        "nightly-x7", "PartiallySucceeded", "//files1.corp.example.com/finance/2026", "2,018", "520.7 MiB", "162 MiB/s",
        "SharingViolation", "held open", "svc-dst@CORP.EXAMPLE.COM", "AES-256-GCM", "8.1s", "ab" * 32, "Throughput",
    ):  # fmt: skip
        assert said in text, said
    assert checker.tags.count("svg") == 2
    assert checker.tags.count("h1") == 1


def test_the_page_says_which_version_of_the_source_was_read() -> None:
    told = {"time": "2026-11-21T12:00:00Z", "age": "3h20m", "message": "<b>The newest of 2.</b>"}
    text = page(Facts({**SUMMARY, "sourceSnapshot": told}))
    checked(text)
    assert "Source as of 2026-11-21T12:00:00Z, 3h20m old. &lt;b&gt;The newest of 2." in text
    assert "as of" not in page(full())


def test_the_page_says_for_how_long_a_run_gave_way_if_it_was_asked_to() -> None:
    assert "Gave way" not in page(Facts(SUMMARY))
    polite = {"latencyFactor": "1.2", "slowed": "3m20s", "message": "<b>"}
    made = page(Facts({**SUMMARY, "politeness": polite}))
    assert "Gave way" in made
    assert "3m20s" in made


def test_without_records_it_tells_what_the_summary_knows() -> None:
    text = page(Facts({"run": "r", "state": "Failed", "failure": {"reason": "ClockSkew", "message": "6 minutes"}}))
    assert "ClockSkew" in text
    assert "svg" not in checked(text).tags


def test_many_failures_are_cut_and_said_so() -> None:
    facts = Facts(SUMMARY)
    for number in range(MAX_ROWS + 5):
        facts.take({"kind": "Failure", "path": f"f{number}", "reason": "X"})
    assert f"First {MAX_ROWS:,} of {MAX_ROWS + 5:,}" in page(facts)


def test_the_page_lists_what_did_not_arrive_by_kind_and_says_how_much_is_not_listed() -> None:
    text = page(Facts({**SUMMARY, **LACKING}))
    checked(text)
    for said in ("Not carried", "1,201", "no &lt;b&gt;streams", "/a:s", "First 2 of 1,202 items"):
        assert said in text, said


def test_the_page_lists_all_of_it_from_the_records() -> None:
    facts = Facts({**SUMMARY, **LACKING})
    for number in range(MAX_ROWS + 5):
        facts.take({"kind": "NotCarried", "path": f"/s{number}", "what": "Stream", "reason": "X"})
    assert f"First {MAX_ROWS:,} of 1,202 items" in page(facts)
    assert "/s999" in page(facts)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_name_becomes_markup(path: str, message: str) -> None:
    facts = Facts({**SUMMARY, "run": path})
    facts.take({"kind": "Failure", "path": f"</td><script>{path}", "reason": "X", "message": message})
    checked(page(facts))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e12)), min_size=2, max_size=50))
def test_a_line_stays_inside_its_picture(points: list[tuple[float, float]]) -> None:
    drawn = line(sorted(points), "t", str, str)
    coordinates = drawn.partition('points="')[2].partition('"')[0].split()
    assert all(-1 <= float(c.split(",")[0]) <= 721 and -1 <= float(c.split(",")[1]) <= 201 for c in coordinates)


def test_bars_show_their_counts() -> None:
    assert ">1,234<" in bars([("a", 1234), ("b", 0)], "t")


def test_the_command_writes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(SUMMARY))
    (tmp_path / "r.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, RECORDS)).encode()))
    assert main(["report", "s.json", "--records", "r.gz"]) == ExitCode.DONE
    assert capsys.readouterr().out == "nightly-x7.html\n"
    assert "SharingViolation" in (tmp_path / "nightly-x7.html").read_text(encoding="utf-8")


def test_a_run_of_the_cluster_is_taken_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"server": "files1.corp.example.com", "share": "finance", "path": "/a"}
    run = {
        "kind": "TransferRun",
        "metadata": {"name": "r/1"},
        "spec": {"taskRef": {"name": "t"}, "task": {"source": {"path": "/b", "spec": spec}}},
        "status": {"state": "Succeeded"},
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(run)))
    assert main(["report", "-"]) == ExitCode.DONE
    assert "Succeeded" in (tmp_path / "r_1.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("summary", "records", "said"),
    [
        ("{", b"", "not JSON"),
        ("[]", b"", "expected the summary of a report"),
        (json.dumps(SUMMARY), b"plain", "compressed with gzip"),
        (json.dumps(SUMMARY), gzip.compress(b"[1]\n", mtime=0), "a JSON object in each line"),
        (json.dumps(SUMMARY), gzip.compress(b"{\n", mtime=0), "a line is not JSON"),
        (json.dumps(SUMMARY), gzip.compress(b"{}" * 1000, mtime=0)[:-9], "compressed with gzip"),
    ],
    ids=["half a JSON", "a list", "plain records", "a list in a line", "half a line", "half a file"],
)
def test_files_that_are_no_report(
    summary: str, records: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.json").write_text(summary)
    (tmp_path / "r.gz").write_bytes(records)
    output = tmp_path / "o.html"
    arguments = ["report", str(tmp_path / "s.json"), "--records", str(tmp_path / "r.gz"), "-o", str(output)]
    assert main(arguments) == ExitCode.CONFIGURATION
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_the_rules_of_a_sid_map_and_the_sids_that_none_of_them_names_are_shown() -> None:
    shown = page(Facts({**SUMMARY, **SIDS}))
    for said in ("SIDs in access lists", "S-1-5-21-1-2-3", "S-1-5-21-4-5-6", "1,204", "S-1-5-21-7-8-9&lt;b&gt;", "17"):
        assert said in shown
    assert "SIDs in access lists" not in page(Facts(SUMMARY))
    assert "no rule of the SID map" not in page(Facts({**SUMMARY, "sids": {"applied": SIDS["sids"]["applied"]}}))
