"""The agent stops at the end of a window by its own clock, and its run has not failed."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_server import ApiServer
from tests.support.builders import snapshot

from smbferry_agent.errors import AgentError, Paused, Terminated
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.run import run_transfer
from smbferry_agent.run_environment import Identities, RunEnvironment
from smbferry_agent.run_watch import RunWatch
from smbferry_agent.windows import RunWindows, current_windows
from smbferry_api.reasons import RUN_CANCELLED
from smbferry_api.run import ResolvedTask
from smbferry_api.windows import Window
from smbferry_engine import ByteCounters, Control, Counters, EngineError
from smbferry_words.run import PhaseState

KEY = ObjectKey("TransferRun", "ns", "run")
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NIGHT = {"from": "22:00", "to": "06:00"}
DAY = {"from": "06:00", "to": "22:00"}
SLOW = {**DAY, "bytesPerSecond": "1Mi"}
ALWAYS = {"from": "00:00", "to": "24:00"}


def windows(*given: dict[str, Any]) -> tuple[Window, ...]:
    return tuple(Window.model_validate(each) for each in given)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param({}, [NIGHT], id="those of the snapshot"),
        pytest.param({"status": {"limit": {"bytesPerSecond": "1Mi"}}}, [NIGHT], id="only another limit"),
        pytest.param({"status": {"limit": {"windows": [DAY]}}}, [DAY], id="newer ones"),
        pytest.param({"status": {"limit": {"windows": []}}}, [], id="they were removed"),
        pytest.param({"status": {"limit": {"windows": [{"from": "x"}]}}}, [NIGHT], id="unreadable"),
        pytest.param({"status": {"limit": {"windows": [{**DAY, "timeZone": "No"}]}}}, [NIGHT], id="an unknown zone"),
        pytest.param({"status": {"limit": "odd"}}, [NIGHT], id="no object"),
        pytest.param({"spec": {"ignoreWindows": True}}, [], id="the run ignores windows"),
    ],
)
@pytest.mark.fault(197)
def test_which_windows_hold(manifest: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert tuple(current_windows(manifest, windows(NIGHT))) == windows(*expected)


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def test_the_state_follows_the_clock_also_if_it_is_set_back() -> None:
    clock = Clock()
    held = RunWindows(windows(DAY), dict, clock)
    assert held.closed() == ""
    clock.now = NOON.replace(hour=22)
    assert held.closed() == "The windows of the task are closed until 2026-12-02T06:00:00Z."
    clock.now = NOON
    assert held.closed() == ""


def test_edited_windows_hold_as_soon_as_they_are_read() -> None:
    read: list[dict[str, Any]] = [{}]
    held = RunWindows(windows(DAY), lambda: read[-1], Clock())
    assert held.closed() == ""
    read.append({"status": {"limit": {"windows": [NIGHT]}}})
    assert held.closed()
    read.append({"status": {"limit": {"windows": [SLOW]}}})
    assert (held.closed(), held.state().limit) == ("", 1 << 20)


def test_windows_that_are_unknown_to_this_image_are_refused() -> None:
    with pytest.raises(AgentError, match="Nowhere") as refused:
        RunWindows(windows({**DAY, "timeZone": "Nowhere"}), dict)
    assert refused.value.exit_code == 10


def watch_of(server: ApiServer, *given: dict[str, Any], manifest: dict[str, Any] | None = None) -> RunWatch:
    found = manifest or {"spec": {}, "metadata": {}}
    server.objects[KEY.path] = found
    return RunWatch(server.status_of(KEY), found, windows=windows(*given))


def closed_now() -> dict[str, Any]:
    """A window that opens in six hours: the watch asks the machine's clock."""
    begin = datetime.now(UTC) + timedelta(hours=6)
    return {"from": f"{begin:%H:%M}", "to": f"{begin + timedelta(hours=1):%H:%M}"}


@pytest.mark.parametrize(
    ("given", "limit", "expected"),
    [
        ([], None, None),
        ([], "2Mi", 2 << 20),
        ([ALWAYS], "2Mi", 2 << 20),
        ([{**ALWAYS, "bytesPerSecond": "1Mi"}], "2Mi", 1 << 20),
        ([{**ALWAYS, "bytesPerSecond": "4Mi"}], "2Mi", 2 << 20),
        ([{**ALWAYS, "bytesPerSecond": "4Mi"}], None, 4 << 20),
    ],
)
def test_the_lower_limit_counts(
    given: list[dict[str, Any]], limit: str | None, expected: int | None, tmp_path: Path
) -> None:
    with ApiServer(tmp_path) as server:
        assert watch_of(server, *given).limit(limit) == expected


def test_a_share_that_the_status_says_counts_with_windows_that_it_says(tmp_path: Path) -> None:
    """The windows of the snapshot are replaced, and the limit of the new ones is one of three."""
    slow = {**ALWAYS, "bytesPerSecond": "1Mi"}
    with ApiServer(tmp_path) as server:
        for share, expected in (("512Ki", 512 << 10), ("3Mi", 1 << 20), (None, 1 << 20)):
            limit = {"windows": [slow]} | ({"bytesPerSecond": share} if share else {})
            watch = watch_of(server, ALWAYS, manifest={"spec": {}, "metadata": {}, "status": {"limit": limit}})
            assert watch.limit("2Mi") == expected
        told = {"spec": {}, "metadata": {}, "status": {"limit": {"bytesPerSecond": "512Ki"}}}
        assert watch_of(server, slow, manifest=told).limit("2Mi") == 512 << 10, "its own windows stay"


@pytest.mark.fault(195)
@pytest.mark.parametrize(
    ("now", "end"),
    [
        pytest.param({"spec": {}, "metadata": {}}, Paused, id="the run goes on in the next window"),
        pytest.param({"spec": {"cancel": True}, "metadata": {}}, AgentError, id="it was cancelled meanwhile"),
    ],
)
def test_an_agent_whose_window_has_ended_says_so(now: dict[str, Any], end: type[BaseException], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as server:
        watch = watch_of(server, closed_now())
        server.objects[KEY.path] = now
        assert watch.cancelled()
        assert watch.paused()
        with pytest.raises(end), watch:
            raise AgentError(RUN_CANCELLED, "the run was cancelled")
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("closes_first", "end"),
    [
        pytest.param(True, Paused, id="the Job ends because another agent of the run has stopped for the window"),
        pytest.param(False, Terminated, id="it was evicted before"),
    ],
)
def test_what_stops_an_agent_first_counts(closes_first: bool, end: type[BaseException], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as server:
        watch = watch_of(server, closed_now())
        assert not closes_first or watch.cancelled()
        with pytest.raises(end), watch:
            _be_evicted()
    assert watch.cancelled()
    assert watch.paused() is closes_first
    signal.signal(signal.SIGTERM, before)


def _be_evicted() -> None:
    signal.raise_signal(signal.SIGTERM)
    raise AgentError(RUN_CANCELLED, "the run was cancelled")


def test_once_a_window_has_ended_the_agent_does_not_change_its_mind(tmp_path: Path) -> None:
    with ApiServer(tmp_path) as server:
        watch = watch_of(server, closed_now())
        assert watch.cancelled()
        watch._manifest = {"spec": {"ignoreWindows": True}}  # the engine may have stopped already
        assert watch.cancelled()


@pytest.mark.fault(195)
@pytest.mark.parametrize(("paused", "failure"), [(True, None), (False, "RunCancelled")])
def test_a_paused_run_has_not_failed(paused: bool, failure: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(_source: object, _destination: object, _options: object, observer: RunReport, **_: object) -> None:
        observer.phase("transfer", "Running")
        counters = Counters(bytes=ByteCounters(to_transfer=100, transferred=40), bytes_per_second=7, eta_seconds=9)
        observer.progress(counters)
        observer.phase("transfer", "Failed")  # as the engine does for whatever stops it
        raise EngineError(RUN_CANCELLED, "the run was cancelled")

    monkeypatch.setattr("smbferry_agent.run._prepare", lambda side, *_: side)
    monkeypatch.setattr("smbferry_agent.run.in_snapshot", lambda end, *_: end)
    monkeypatch.setattr("smbferry_agent.run.transfer", stops)
    report = RunReport()
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(), paused=lambda: paused)
    with pytest.raises(AgentError):
        run_transfer(ResolvedTask.model_validate(snapshot()), environment, report, dry_run=False)

    status = report.status()
    assert (status.failure.reason if status.failure else None) == failure
    assert status.phases is not None
    assert status.phases.transfer is not None
    assert status.phases.transfer.state is (PhaseState.PENDING if paused else PhaseState.FAILED)
    assert status.counters is not None
    assert status.counters.bytes_per_second == (None if paused else 7)
    assert status.progress is not None
    assert status.progress.percent == "40%" or not paused


def test_nothing_is_sent_to_a_server_after_the_end_of_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbferry_agent.run._prepare", lambda side, *_: side)
    monkeypatch.setattr("smbferry_agent.run.in_snapshot", lambda end, *_: end)
    monkeypatch.setattr("smbferry_agent.run.transfer", lambda *_, **__: pytest.fail("the engine was called"))
    environment = RunEnvironment(Identities({}, Path("/nowhere")), Control(lambda: True), paused=lambda: True)
    report = RunReport()
    with pytest.raises(AgentError) as stopped:
        run_transfer(ResolvedTask.model_validate(snapshot()), environment, report, dry_run=False)

    assert stopped.value.reason is RUN_CANCELLED
    assert report.status().failure is None
