"""What a run reports, when it is written, and that an API server that is away holds nothing up."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smbferry_agent.errors import AgentError
from smbferry_agent.report import words
from smbferry_agent.report import writer as writer_module
from smbferry_agent.report.api_client import ObjectNotFoundError, PermissionWithdrawnError
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import FileSink, status_fields
from smbferry_agent.report.throttle import Throttle
from smbferry_agent.report.writer import BackgroundWriter
from smbferry_api.reasons import API_SERVER_UNREACHABLE, DESTINATION_FULL
from smbferry_api.run_status import MAX_LISTED_FAILURES, ByteCounters, Counters, ItemCounters
from smbferry_engine import ByteCounters as EngineByteCounters
from smbferry_engine import Counters as EngineCounters
from smbferry_engine import (
    Evidence,
    FileFailure,
    NotCarried,
    NotCarriedKind,
    RetryFact,
    ServerSideFact,
    ServerSideState,
)

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (312 * MIB, "312.0 MiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
        (1 << 70, "1048576.0 PiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(("speed", "text"), [(210 * MIB, "210 MiB/s"), (4.2 * MIB, "4.2 MiB/s"), (12, "12 B/s")])
def test_rates(speed: float, text: str) -> None:
    assert words.rate(speed) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (12.34, "12.3s"), (60, "1m00s"), (200, "3m20s"), (3900, "1h05m"), (90000, "25h00m")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def counters(files: tuple[int, int], octets: tuple[int, int]) -> Counters:
    return Counters(
        files=ItemCounters(transferred=files[0], to_transfer=files[1]),
        bytes=ByteCounters(transferred=octets[0], to_transfer=octets[1]),
        bytes_per_second=210 * MIB,
    )


@pytest.mark.parametrize(
    ("given_", "ended", "percent"),
    [
        (counters((1234, 2003), (312 * MIB, 512 * MIB)), False, "60%"),
        (counters((2003, 2003), (512 * MIB, 512 * MIB)), False, "99%"),
        (counters((2003, 2003), (512 * MIB, 512 * MIB)), True, "100%"),
        (counters((5, 10), (0, 0)), False, "50%"),
        (counters((0, 0), (0, 0)), False, "0%"),
        (counters((0, 0), (0, 0)), True, "100%"),
        (counters((9, 10), (90, 100)), True, "90%"),
    ],
)
def test_percent_is_a_hundred_only_at_the_end(given_: Counters, ended: bool, percent: str) -> None:
    assert words.progress(given_, ended=ended).percent == percent


def test_progress_reads_at_a_glance() -> None:
    shown = words.progress(counters((1234, 2003), (312 * MIB, 512 * MIB)))
    assert (shown.files, shown.bytes, shown.rate) == ("1,234/2,003", "312.0 MiB/512.0 MiB", "210 MiB/s")


def test_a_dry_run_shows_what_would_be_done() -> None:
    shown = words.progress(counters((0, 2003), (0, 512 * MIB)), ended=True, dry_run=True)
    assert (shown.percent, shown.files, shown.bytes, shown.rate) == ("dry run", "2,003", "512.0 MiB", "")


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_percent_stays_within_its_bounds(done: int, total: int) -> None:
    assert 0 <= int(words.progress(counters((0, 0), (done, total)), ended=True).percent[:-1]) <= 100


# --- The report ------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_phases_have_their_duration_and_fail_with_the_run() -> None:
    clock = Clock()
    report = RunReport(now=clock)
    report.phase("preflight", "Running")
    clock.now += timedelta(seconds=1.5)
    report.phase("preflight", "Succeeded")
    report.phase("transfer", "Running")
    clock.now += timedelta(seconds=100)
    report.failed(AgentError(DESTINATION_FULL, "No space."))
    status = status_fields(report.status())
    assert status["phases"]["preflight"] == {
        "state": "Succeeded",
        "startTime": "2026-11-21T00:00:00Z",
        "duration": "1.5s",
    }
    assert status["phases"]["transfer"]["state"] == "Failed"
    assert status["phases"]["transfer"]["duration"] == "1m40s"
    assert status["failure"] == {
        "class": "DestinationFull",
        "reason": "DestinationFull",
        "message": "No space.",
        "remedy": DESTINATION_FULL.remedy,
    }


def test_the_first_failures_are_listed_and_all_are_counted() -> None:
    report = RunReport()
    engine = EngineCounters()
    for number in range(50):
        engine.files.failed += 1
        engine.files.incomplete += number % 2
        report.failure(FileFailure(f"/{'x' * 5000}{number}", "Transfer", "AccessDenied", "m" * 5000))
    report.progress(engine)
    status = status_fields(report.status())
    assert len(status["failures"]) == MAX_LISTED_FAILURES
    assert status["counters"]["files"]["failed"] == 50
    assert status["counters"]["files"]["incomplete"] == 25


def test_tickets_for_the_reports_location_are_no_evidence_of_a_side() -> None:
    report = RunReport()
    report.tickets("report", principal="svc@CORP.EXAMPLE.COM")
    assert status_fields(report.status()) == {}


def test_evidence_of_tickets_and_of_the_session_is_one() -> None:
    report = RunReport()
    report.tickets("source", principal="p@R", kvno=3, ticket_enctype="aes256-cts-hmac-sha1-96")
    report.security("source", Evidence("p@R", "3.1.1", "AES-256-GCM", "AES-GMAC", "s", True, 1, 1))
    assert status_fields(report.status())["security"] == {
        "source": {
            "principal": "p@R",
            "kvno": 3,
            "ticketEnctype": "aes256-cts-hmac-sha1-96",
            "dialect": "3.1.1",
            "cipher": "AES-256-GCM",
            "server": "s",
            "signing": "AES-GMAC",
        }
    }


def test_how_the_server_copies_is_told_with_its_reason_and_its_bytes() -> None:
    report = RunReport()
    report.server_side(ServerSideFact(ServerSideState.REFUSED, "it does not; files are streamed instead"))
    report.progress(EngineCounters(bytes=EngineByteCounters(server_side=7)))
    status = status_fields(report.status())
    assert status["serverSideCopy"] == {"state": "Refused", "message": "it does not; files are streamed instead"}
    assert status["counters"]["bytes"]["serverSide"] == 7


@pytest.mark.parametrize(
    ("fact", "told"),
    [
        (
            RetryFact(3, 1, 3, 60.0),
            {
                "files": 3,
                "attempt": 1,
                "attempts": 3,
                "nextTime": "2026-01-31T12:01:00Z",
                "message": "3 files are in use or were written to. Attempt 1 of 3 starts at 12:01:00Z.",
            },
        ),
        (
            RetryFact(1, 2, 3, 0.0),
            {
                "files": 1,
                "attempt": 2,
                "attempts": 3,
                "message": "1 file is in use or was written to. Attempt 2 of 3 is active.",
            },
        ),
    ],
)
def test_files_that_wait_are_told_with_the_next_attempt_until_none_waits(
    fact: RetryFact, told: dict[str, object]
) -> None:
    report = RunReport(now=lambda: datetime(2026, 1, 31, 12, tzinfo=UTC))
    report.retrying(fact)
    assert status_fields(report.status())["retry"] == told
    report.retrying(None)
    assert "retry" not in status_fields(report.status())


def test_a_run_that_ends_while_files_wait_waits_for_nothing_any_more() -> None:
    report = RunReport()
    report.retrying(RetryFact(3, 1, 3, 60.0))
    report.end()
    assert "retry" not in status_fields(report.status())


def test_what_did_not_arrive_is_counted_by_kind_with_its_first_names_and_reason() -> None:
    report = RunReport()
    for number in range(25):
        report.not_carried(NotCarried(f"/f{number}:s", NotCarriedKind.STREAM, f"reason {number}"))
    report.not_carried(NotCarried("/l", NotCarriedKind.LINK, "links"))
    report.progress(EngineCounters())
    status = status_fields(report.status())
    assert status["notCarried"] == [
        {"what": "Link", "count": 1, "reason": "links", "paths": ["/l"]},
        {"what": "Stream", "count": 25, "reason": "reason 0", "paths": [f"/f{number}:s" for number in range(10)]},
    ]
    assert status["progress"]["notCarried"] == "26"


def test_a_usual_status_fits_two_kibibytes_and_leaves_the_operators_fields_alone() -> None:
    report = RunReport()
    for phase in ("preflight", "prepare", "transfer", "verify", "delete"):
        report.phase(phase, "Running")
        report.phase(phase, "Succeeded")
    for side in ("source", "destination"):
        report.tickets(
            side, principal="svc-long-name@CORP.EXAMPLE.COM", kvno=3, ticket_enctype="aes256-cts-hmac-sha1-96"
        )
    report.progress(EngineCounters(bytes_per_second=10**9, eta_seconds=100.0))
    status = status_fields(report.status())
    assert len(json.dumps(status)) < 2048
    assert set(status) <= {"phases", "counters", "progress", "security", "failures", "failure"}


# --- When it is written ----------------------------------------------------------------------------------------------


def test_writes_are_three_seconds_apart_but_for_what_is_urgent() -> None:
    throttle = Throttle()
    assert throttle.wait(10, urgent=False) == 0
    throttle.written(10)
    assert throttle.wait(11, urgent=False) == 2
    assert throttle.wait(11, urgent=True) == 0
    assert throttle.wait(13, urgent=False) == 0


def test_after_failures_the_pauses_grow_to_a_minute_and_a_success_ends_them() -> None:
    throttle, now, pauses = Throttle(), 0.0, []
    for _ in range(7):
        throttle.failed(now)
        pauses.append(throttle.wait(now, urgent=True))
        now += pauses[-1]
    assert pauses == [3, 6, 12, 24, 48, 60, 60]
    throttle.written(now)
    assert throttle.wait(now, urgent=True) == 0
    throttle.failed(now)
    assert throttle.wait(now, urgent=True) == 3


class Sink:
    """Fails as often as it is told to, then keeps what it is given."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or AgentError(API_SERVER_UNREACHABLE, "away")
        self.written: list[dict[str, Any]] = []
        self.called = threading.Event()

    def write(self, status: dict[str, Any]) -> None:
        self.called.set()
        if self.failures:
            self.failures -= 1
            raise self.error
        self.written.append(status)


class NoPause(Throttle):
    def wait(self, now: float, *, urgent: bool) -> float:
        return 0.0


def test_leaving_the_writer_flushes_the_newest_status() -> None:
    sink, count = Sink(), iter(range(100))
    with BackgroundWriter(sink, lambda: {"n": next(count)}, Throttle(interval=3600)) as writer:
        writer.notify(urgent=True)
        assert sink.called.wait(5)
        writer.notify(urgent=False)
        writer.notify(urgent=False)
    assert sink.written[0] == {"n": 0}
    assert sink.written[-1] == {"n": 2}


def test_an_api_server_that_comes_back_gets_the_newest_status() -> None:
    sink = Sink(failures=3)
    with BackgroundWriter(sink, lambda: {"n": 1}, NoPause()) as writer:
        writer.notify(urgent=True)
    assert sink.written == [{"n": 1}]


def test_a_run_that_is_gone_is_no_reason_to_try_on() -> None:
    sink = Sink(failures=1, error=ObjectNotFoundError("gone"))
    with BackgroundWriter(sink, lambda: {"n": 1}, NoPause()) as writer:
        writer.notify(urgent=True)
    assert sink.written == []


def test_an_account_that_was_deleted_with_its_run_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_WITHDRAWN_FLUSH_SECONDS", 0.01)
    sink = Sink(failures=1 << 60, error=PermissionWithdrawnError(API_SERVER_UNREACHABLE, "HTTP 401"))
    with BackgroundWriter(sink, lambda: {"n": 1}, NoPause()) as writer:
        writer.notify(urgent=True)
    assert sink.written == []


def test_a_file_sink_replaces_the_file_whole(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "status.json")
    sink.write({"a": 1})
    sink.write({"b": "ü"})
    assert json.loads((tmp_path / "status.json").read_text()) == {"b": "ü"}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_the_location_of_the_report_has_no_evidence_in_the_status() -> None:
    report = RunReport()
    report.tickets("source", principal="svc-src@CORP.EXAMPLE.COM")
    report.tickets("report", principal="svc-reports@CORP.EXAMPLE.COM")
    assert status_fields(report.status())["security"] == {"source": {"principal": "svc-src@CORP.EXAMPLE.COM"}}
