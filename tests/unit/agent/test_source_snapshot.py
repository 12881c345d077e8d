"""All agents of a run, and all that follow them, read one snapshot of the source: decided once, recorded, checked."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lab.fake_server.world import end
from tests.support.api_server import UID, ApiServer

from smbferry_agent import source_snapshot
from smbferry_agent.report import api_client
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.sinks import status_fields
from smbferry_agent.report.snapshot_record import ClusterSnapshotRecord
from smbferry_agent.run_environment import NoSnapshotRecord
from smbferry_agent.source_snapshot import in_snapshot
from smbferry_engine import ChosenSnapshot, Endpoint, EngineError
from smbferry_engine.plan.snapshots import Wanted, choose, expect_listed, is_usable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = ObjectKey("TransferRun", "ns", "run")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EARLIER, LATER = NOON - timedelta(hours=6), NOON + timedelta(hours=6)
SOURCE = end("src")


class Server:
    """The file server's list of snapshots, as `choose_snapshot` sees it."""

    def __init__(self, *times: datetime) -> None:
        self.times = list(times)
        self.asked = 0

    def choose(self, source: Endpoint, wanted: Wanted, recorded: ChosenSnapshot | None = None) -> ChosenSnapshot:
        assert source is SOURCE
        self.asked += 1
        if recorded is None or not is_usable(recorded, wanted):
            return choose(wanted, self.times, "it has none", NOON + timedelta(days=1))
        if recorded.time is not None:
            expect_listed(recorded.time, self.times, "it has none")
        return recorded


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server(EARLIER, NOON)
    monkeypatch.setattr(source_snapshot, "choose_snapshot", server.choose)
    return server


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(api_client, "_PAUSE", 0.001)
    with ApiServer(tmp_path) as running:
        metadata = {"name": "run", "uid": UID, "resourceVersion": "1"}
        running.objects[KEY.path] = {"metadata": metadata, "spec": {}, "status": {"state": "Preparing"}}
        yield running


def read(api: ApiServer, choice: str) -> tuple[datetime | None, dict[str, Any]]:
    """What one agent reads, and what it reports."""
    report = RunReport()
    found = in_snapshot(SOURCE, choice, ClusterSnapshotRecord(api.status_of(KEY)), report)
    return found.snapshot, status_fields(report.status())["sourceSnapshot"]


def recorded(api: ApiServer) -> Any:
    return api.objects[KEY.path]["status"].get("sourceSnapshot")


def test_without_a_snapshot_nobody_is_asked(files: Server, api: ApiServer) -> None:
    report = RunReport()
    assert in_snapshot(SOURCE, "None", ClusterSnapshotRecord(api.status_of(KEY)), report) is SOURCE
    assert (files.asked, api.requests, report.status().source_snapshot) == (0, [], None)


def test_the_choice_stands_in_the_status_with_its_age_before_anything_is_read(files: Server, api: ApiServer) -> None:
    time, told = read(api, "Latest")
    assert time == NOON
    expected = {
        "time": "2026-11-21T12:00:00Z",
        "age": "24h00m",
        "message": "The newest of 2 snapshots of the server.",
    }
    assert (told, recorded(api)) == (expected, expected)


@pytest.mark.parametrize("choice", ["Latest", "Required", "2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00"])
def test_who_comes_later_reads_the_same_although_there_is_a_newer_one(
    files: Server, api: ApiServer, choice: str
) -> None:
    first = read(api, choice)
    files.times.append(LATER)
    assert read(api, choice) == first
    assert first[0] == NOON


def test_the_files_as_they_are_stay_so_although_there_is_a_snapshot_by_now(files: Server, api: ApiServer) -> None:
    files.times.clear()
    time, told = read(api, "Latest")
    files.times.append(NOON)
    assert (time, told) == (None, {"message": "The files are read as they are: it has none."})
    assert read(api, "Latest") == (time, told)


def test_a_recorded_snapshot_that_is_gone_ends_the_run(files: Server, api: ApiServer) -> None:
    read(api, "Latest")
    files.times.remove(NOON)
    with pytest.raises(EngineError) as caught:
        read(api, "Latest")
    assert caught.value.reason == "SnapshotGone"


def test_a_time_that_does_not_exist_is_not_recorded(files: Server, api: ApiServer) -> None:
    with pytest.raises(EngineError, match="nearest: 2026-11-21T06:00:00Z and 2026-11-21T12:00:00Z") as caught:
        read(api, "2026-11-21T10:00:00Z")
    assert (caught.value.reason, recorded(api)) == ("SnapshotNotFound", None)


def test_of_two_agents_the_faster_one_chooses(files: Server, api: ApiServer) -> None:
    def faster() -> None:
        files.times.append(LATER)
        assert read(api, "Latest")[0] == LATER

    api.before_patch = faster
    assert read(api, "Latest")[0] == LATER


def test_many_agents_at_once_read_the_same(files: Server, api: ApiServer) -> None:
    found: list[datetime | None] = []

    def agent(number: int) -> None:
        files.times.append(LATER + timedelta(hours=number))
        found.append(read(api, "Latest")[0])

    agents = [threading.Thread(target=agent, args=(number,)) for number in range(6)]
    for each in agents:
        each.start()
    for each in agents:
        each.join(20)
    assert len(found) == 6
    assert len(set(found)) == 1


def test_a_status_that_others_change_meanwhile_is_written_all_the_same(files: Server, api: ApiServer) -> None:
    def other() -> None:
        api.objects[KEY.path]["metadata"]["resourceVersion"] = "77"

    api.before_patch = other
    assert read(api, "Latest")[0] == NOON
    assert recorded(api)["time"] == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize(
    ("choice", "forged"),
    [
        ("Required", {"message": "read the files as they are"}),
        ("2026-11-21T12:00:00Z", {"time": "2026-11-21T06:00:00Z", "age": "1s", "message": "an older one"}),
        ("2026-11-21T12:00:00Z", {"message": "as they are"}),
        ("Latest", {"time": "yesterday"}),
        ("Latest", {}),
    ],
)
def test_a_record_that_the_task_does_not_allow_or_that_is_none_is_replaced(
    files: Server, api: ApiServer, choice: str, forged: object
) -> None:
    api.objects[KEY.path]["status"]["sourceSnapshot"] = forged
    assert read(api, choice)[0] == NOON
    assert recorded(api)["time"] == "2026-11-21T12:00:00Z"
    assert recorded(api)["message"].endswith("snapshots of the server.")


def test_an_api_server_that_takes_no_record_ends_the_attempt(files: Server, api: ApiServer) -> None:
    api.status = 403
    with pytest.raises(api_client.PermissionWithdrawnError):
        read(api, "Latest")


def test_a_run_without_a_cluster_reports_its_snapshot(files: Server) -> None:
    report = RunReport()
    assert in_snapshot(SOURCE, "Required", NoSnapshotRecord(), report).snapshot == NOON
    assert status_fields(report.status())["sourceSnapshot"]["age"] == "24h00m"
