"""Agents try a key one after the other, and none tries one that another was refused."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import ApiServer

from smbferry_agent.preflight.key_turn import Tried
from smbferry_agent.report import key_turns
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.report.key_turns import ClusterTurn
from smbferry_api.identity import KeyRefusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = ObjectKey("KerberosIdentity", "ns", "svc")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REFUSED = KeyRefusal(
    fingerprint="46079eea9225", generation=1, time=NOW, reason="KeytabStale", message="It was changed."
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(key_turns, "_PAUSE", 0.001)
    with ApiServer(tmp_path) as running:
        running.objects[KEY.path] = {"metadata": {"name": "svc", "resourceVersion": "1"}, "spec": {}, "status": {}}
        yield running


def turn(server: ApiServer) -> ClusterTurn:
    return ClusterTurn(server.client(), KEY)


def key_use(server: ApiServer) -> dict[str, Any]:
    return dict(server.objects[KEY.path]["status"].get("keyUse", {}))


def test_no_two_agents_try_the_key_at_once(server: ApiServer) -> None:
    trying, most, lock = 0, 0, threading.Lock()

    def agent() -> None:
        nonlocal trying, most
        mine = turn(server)
        assert mine.begin() is not None
        with lock:
            trying += 1
            most = max(most, trying)
        with lock:
            trying -= 1
        mine.end(None)

    agents = [threading.Thread(target=agent) for _ in range(8)]
    for each in agents:
        each.start()
    for each in agents:
        each.join(10)
    assert most == 1
    assert key_use(server) == {}


def test_who_comes_next_learns_of_a_key_that_was_refused(server: ApiServer) -> None:
    first, second = turn(server), turn(server)
    first.begin()
    first.end(Tried(REFUSED, wrong=1))
    seen = second.begin()
    assert seen is not None
    assert seen.key_use is not None
    assert seen.key_use.refused == REFUSED


def test_a_key_that_works_takes_back_what_was_told_of_an_earlier_one(server: ApiServer) -> None:
    first, second = turn(server), turn(server)
    first.begin()
    first.end(Tried(REFUSED, wrong=2))
    assert key_use(server)["wrong"] == ["2026-11-21T12:00:00Z"] * 2
    second.begin()
    second.end(Tried())
    assert key_use(server) == {}


def test_a_turn_in_which_the_kdc_judged_no_key_leaves_what_was_told(server: ApiServer) -> None:
    first, second = turn(server), turn(server)
    first.begin()
    first.end(Tried(REFUSED, wrong=1))
    told = key_use(server)
    second.begin()
    second.end(None)
    assert key_use(server) == told


def test_an_agent_that_was_killed_in_its_turn_is_waited_for_in_bounds(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(server).begin()
    monkeypatch.setattr(key_turns, "_LEFT_BEHIND", 0.05)
    assert turn(server).begin() is not None


@pytest.mark.parametrize(("status", "patience"), [(403, 60.0), (404, 60.0), (503, 0.05)])
def test_an_api_server_that_does_not_let_it_keeps_no_agent_from_its_work(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, status: int, patience: float
) -> None:
    monkeypatch.setattr(key_turns, "_PATIENCE", patience)
    server.status = status
    mine = turn(server)
    assert mine.begin() is None
    mine.end(Tried(REFUSED, wrong=1))
    assert all(method == "GET" for method, _, _ in server.requests), "what was not begun is not ended"


def test_another_field_that_changes_meanwhile_loses_nobody_the_turn(server: ApiServer) -> None:
    server.before_patch = lambda: server.objects[KEY.path]["metadata"].update(resourceVersion="other")
    mine = turn(server)
    assert mine.begin() is not None
    mine.end(None)
    assert key_use(server) == {}
