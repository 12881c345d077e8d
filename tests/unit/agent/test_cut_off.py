"""An agent that can't reach the API server: when it pauses, when it goes on, and how it ends."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.api_server import UID, ApiServer

from smbferry_agent.errors import AgentError
from smbferry_agent.report import api_client
from smbferry_agent.report.api_client import ObjectKey
from smbferry_agent.run_watch import ENDS_AFTER, PAUSES_AFTER, RunWatch
from smbferry_api.exit_codes import RETRYABLE
from smbferry_api.reasons import API_SERVER_UNREACHABLE, RUN_CANCELLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = ObjectKey("TransferRun", "ns", "run")
RUN: dict[str, Any] = {"spec": {}, "metadata": {"uid": UID}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr("smbferry_agent.run_watch._POLL_SECONDS", 0.005)
    before = signal.getsignal(signal.SIGTERM)
    with ApiServer(tmp_path) as made:
        made.objects[KEY.path] = RUN
        yield made
    signal.signal(signal.SIGTERM, before)


def until(holds: Callable[[], bool]) -> None:
    """Polls what the watch's thread is about to bring about."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.fault(133)
@pytest.mark.parametrize("status", [503, 401, 403])
def test_after_a_minute_without_it_nothing_may_be_replaced_until_it_answers_again(
    server: ApiServer, status: int
) -> None:
    clock = Clock()
    server.status = status
    with RunWatch(server.status_of(KEY), RUN, clock) as watch:
        clock.now += PAUSES_AFTER - 1
        assert watch.is_wanted()
        clock.now += 1
        assert not watch.is_wanted()
        assert not watch.cancelled(), "what is new is still copied"
        server.status = 200
        until(watch.is_wanted)


def test_an_answer_counts_from_when_it_was_asked_for(server: ApiServer) -> None:
    clock = Clock()
    watch = RunWatch(server.status_of(KEY), RUN, clock)
    read = watch._run.read

    def slow() -> dict[str, Any]:
        clock.now += PAUSES_AFTER
        return read()

    watch._run.read = slow  # type: ignore[method-assign]
    with watch:
        assert server.seen(2)
        assert not watch.is_wanted()


@pytest.mark.fault(133)
def test_after_a_quarter_of_an_hour_it_ends_to_be_tried_again_and_leaves_what_others_may_use(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "_PAUSE", 0)
    clock = Clock()
    server.status = 403
    watch = RunWatch(server.status_of(KEY), RUN, clock)
    clock.now += ENDS_AFTER
    assert watch.cancelled()
    assert not watch.abandoned(), "403: its pod may have been given up for lost, and its account with it"
    with pytest.raises(AgentError) as caught, watch:
        raise AgentError(RUN_CANCELLED, "the run was cancelled")

    assert caught.value.reason is API_SERVER_UNREACHABLE
    assert caught.value.exit_code in RETRYABLE


def test_a_namesake_is_not_the_run_that_it_works_for(server: ApiServer) -> None:
    server.objects[KEY.path] = {"spec": {}, "metadata": {"uid": "another"}}
    with RunWatch(server.status_of(KEY), RUN) as watch:
        until(watch.cancelled)
