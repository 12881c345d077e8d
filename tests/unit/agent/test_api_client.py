"""What an agent asks an API server for again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.support.api_server import ApiServer

from smbferry_agent.errors import AgentError
from smbferry_agent.report.api_client import ObjectKey, ObjectNotFoundError, repeated

if TYPE_CHECKING:
    from pathlib import Path

KEY = ObjectKey("TransferRun", "ns", "run")


@pytest.mark.parametrize(
    ("status", "expected", "requests"),
    [
        pytest.param(403, AgentError, 5, id="it has just started and knows no role yet"),
        pytest.param(503, AgentError, 5, id="it is away"),
        pytest.param(429, AgentError, 5, id="it is busy"),
        pytest.param(422, AgentError, 1, id="it will never accept this"),
        pytest.param(404, ObjectNotFoundError, 1, id="there is none"),
    ],
)
def test_what_may_be_otherwise_in_a_moment_is_asked_again(
    status: int, expected: type[Exception], requests: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with ApiServer(tmp_path) as server:
        server.status = status
        client = server.client()
        with pytest.raises(expected):
            repeated(lambda: client.get(KEY))
        assert (len(server.requests), pauses) == (requests, [2, 4, 6, 8][: requests - 1])
        server.status, server.objects[KEY.path] = 200, {"spec": {}}
        assert repeated(lambda: client.get(KEY))["spec"] == {}
