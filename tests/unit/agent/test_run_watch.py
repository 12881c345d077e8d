"""The limit that a run keeps to, as its manifest says it now (ADR 9); whether it goes on when its agent does not."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import UID, ApiServer

from smbferry_agent.errors import AgentError, Terminated
from smbferry_agent.report import api_client
from smbferry_agent.report.api_client import ApiClient, ObjectKey
from smbferry_agent.report.object_status import ObjectStatus
from smbferry_agent.run_watch import RunWatch, current_limit
from smbferry_api.reasons import RUN_CANCELLED

if TYPE_CHECKING:
    from pathlib import Path

KEY = ObjectKey("TransferRun", "ns", "run")


@pytest.mark.parametrize(
    ("snapshot", "status", "expected"),
    [
        (None, None, None),
        ("4Mi", None, 4 << 20),
        ("4Mi", {}, 4 << 20),
        ("4Mi", {"limit": None}, 4 << 20),
        ("4Mi", {"limit": {"bytesPerSecond": "5Mi"}}, 5 << 20),
        (None, {"limit": {"bytesPerSecond": "1k"}}, 1000),
        ("4Mi", {"limit": {}}, None),
        ("4Mi", {"limit": {"bytesPerSecond": "much"}}, 4 << 20),
        ("4Mi", {"limit": "5Mi"}, 4 << 20),
    ],
)
def test_the_runs_status_says_the_limit_where_it_says_any(
    snapshot: str | None, status: dict[str, Any] | None, expected: int | None
) -> None:
    assert current_limit({"spec": {}, "status": status}, snapshot) == expected


def test_what_the_watch_has_seen_last_is_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbferry_agent.run_watch._POLL_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as server:
        first = server.objects[KEY.path] = {"spec": {}}
        with RunWatch(server.status_of(KEY), first) as watch:
            assert watch.manifest is first
            server.objects[KEY.path] = {"spec": {}, "status": {"limit": {"bytesPerSecond": "1Mi"}}}
            until = time.monotonic() + 5
            while current_limit(watch.manifest, "4Mi") != 1 << 20:
                assert time.monotonic() < until
                server.seen(len(server.requests) + 1)
    signal.signal(signal.SIGTERM, before)


def test_a_watch_that_is_left_asks_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smbferry_agent.run_watch._POLL_SECONDS", 0.001)
    asked, left, answered = threading.Event(), threading.Event(), threading.Event()
    before = signal.getsignal(signal.SIGTERM)

    def look(_key: ObjectKey) -> dict[str, Any]:
        asked.set()
        left.wait(5)
        answered.set()
        return {"metadata": {"uid": UID}, "spec": {}}

    client = ApiClient("https://127.0.0.1", tmp_path / "token", tmp_path / "ca.crt")
    monkeypatch.setattr(client, "get", look)
    with RunWatch(ObjectStatus(client, KEY, UID), {}):
        assert asked.wait(5)
        threading.Timer(0.05, left.set).start()
    assert answered.is_set()
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("found", "goes_on"),
    [
        pytest.param({"spec": {}, "metadata": {}}, True, id="evicted: the run is as it was"),
        pytest.param({"spec": {"cancel": True}, "metadata": {}}, False, id="the run was cancelled"),
        pytest.param({"spec": {}, "metadata": {"deletionTimestamp": "now"}}, False, id="the run is being deleted"),
        pytest.param(None, False, id="the run is gone"),
    ],
)
def test_an_agent_that_is_told_to_end_says_whether_the_run_goes_on(
    tmp_path: Path, found: dict[str, Any] | None, goes_on: bool
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopped = AgentError(RUN_CANCELLED, "the run was cancelled")
    with ApiServer(tmp_path) as server:
        if found is not None:
            server.objects[KEY.path] = found
        watch = RunWatch(server.status_of(KEY), found or {})
        assert watch.abandoned() is not goes_on
        with pytest.raises(Terminated if goes_on else AgentError), watch:
            raise stopped
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("status", "abandoned"), [(403, True), (503, False)])
def test_whose_account_is_gone_is_abandoned_and_whose_api_server_is_away_is_not(
    status: int, *, abandoned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_PAUSE", 0)
    with ApiServer(tmp_path) as server:
        server.status = status
        assert RunWatch(server.status_of(KEY), {}).abandoned() is abandoned


def test_an_api_server_that_knows_no_role_yet_does_not_make_the_run_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ApiServer(tmp_path) as server:
        server.objects[KEY.path] = {"spec": {}, "metadata": {}}
        server.status = 403
        monkeypatch.setattr(time, "sleep", lambda _seconds: setattr(server, "status", 200))
        assert not RunWatch(server.status_of(KEY), {}).abandoned()
