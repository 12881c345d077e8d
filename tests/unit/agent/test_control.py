"""What the engine is told of a run's control: its limit, and what an earlier agent has begun."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import ApiServer
from tests.support.builders import run_body, snapshot

from smbferry_agent import cluster
from smbferry_agent.report.api_client import ObjectKey
from smbferry_api.agent_contract import Stage
from smbferry_api.run import ResolvedTask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from smbferry_engine import Control

KEY = ObjectKey("TransferRun", "ns", "run")
AGENTS = 2
BEGUN = {"path": "/big", "version": "00" * 24, "start": 0, "end": 7, "digest": "11" * 32}
STATUS = {
    "limit": {"bytesPerSecond": "2Mi"},
    "partialFiles": [BEGUN],
    "split": {"cuts": [{"path": "/m", "offset": 0}]},
    "shards": [{"index": 1, "state": "Pending", "partialFiles": [BEGUN]}],
}
RESULTS: dict[Stage, object] = {Stage.SURVEY: (), Stage.SHARDS: (None, ())}  # others: none that is looked at


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as running:
        yield running
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("stage", "function", "limit"),
    [
        pytest.param(Stage.WHOLE, "run.transfer", 2 << 20, id="one agent"),
        pytest.param(Stage.SURVEY, "stages.survey", 2 << 20, id="the survey of several"),
        pytest.param(Stage.SHARDS, "stages.transfer_shard", 1 << 20, id="a shard gets its share"),
        pytest.param(Stage.FINISH, "stages.finish", 2 << 20, id="the finish"),
    ],
)
def test_the_engine_knows_the_runs_limit_and_what_an_earlier_agent_has_begun(
    stage: Stage, function: str, limit: int, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Control] = []

    def engine(*_ends: object, control: Control, **_more: object) -> object:
        heard.append(control)
        return RESULTS.get(stage)

    monkeypatch.setattr("smbferry_agent.run._prepare", lambda side, *_: side)
    monkeypatch.setattr("smbferry_agent.run.in_snapshot", lambda end, *_: end)
    monkeypatch.setattr(f"smbferry_agent.{function}", engine)
    server.objects[KEY.path] = run_body(status=dict[str, Any](STATUS), namespace="ns")
    task = ResolvedTask.model_validate(snapshot(agent={"parallelism": AGENTS}))
    cluster.transfer(server.client(), "ns", "run", task, stage=stage, index=1 if stage is Stage.SHARDS else None)

    (control,) = heard
    assert not control.cancelled()
    assert control.may_replace()
    assert control.bytes_per_second is not None
    assert control.bytes_per_second() == limit
    assert control.handover is not None
    assert [(piece.path, piece.end) for piece in control.handover.pieces] == [("big", 7)]
