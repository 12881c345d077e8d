"""What the status says of a run that gives way to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from smbferry_agent.report.politeness import milliseconds, politeness_status
from smbferry_agent.report.run_report import RunReport
from smbferry_agent.report.shards import shard_status, totals
from smbferry_agent.report.sinks import status_fields
from smbferry_engine import Counters, PolitenessFact
from smbferry_words.run import PhaseState

if TYPE_CHECKING:
    from smbferry_api.run_status import ShardStatus

FACT = PolitenessFact(1.2, "destination", 0.0013, 0.00185, 0.4, 200.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0.0ms"), (0.00132, "1.3ms"), (0.0999, "99.9ms"), (0.1, "100ms"), (2.5, "2500ms")]
)
def test_reply_times_are_written_as_durations(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_the_status_says_how_the_run_gives_way() -> None:
    told = status_fields(politeness_status(FACT))
    message = told.pop("message")
    assert told == {
        "latencyFactor": "1.2",
        "side": "destination",
        "idle": "1.3ms",
        "current": "1.9ms",
        "factor": "1.42",
        "sharePercent": 40,
        "slowed": "3m20s",
    }
    assert "sends fewer requests" in message


@pytest.mark.fault(203)
def test_a_side_that_cannot_be_measured_is_named() -> None:
    told = politeness_status(PolitenessFact(1.2, None, None, None, 0.04, 9.0, ("source", "destination")))
    assert "The replies of the source and the destination cannot be measured." in told.message
    assert "one request at a time" in told.message
    assert (told.factor, told.share_percent) == (None, 4)


@pytest.mark.parametrize(("share", "percent"), [(1e-9, 1), (0.999, 99), (1.0, 100)])
def test_a_share_is_never_shown_as_nothing_and_as_all_only_if_it_is(share: float, percent: int) -> None:
    assert politeness_status(PolitenessFact(1.2, "source", 1.0, 1.0, share, 0.0)).share_percent == percent


def reported(fact: PolitenessFact | None) -> RunReport:
    report = RunReport()
    report.progress(Counters(politeness=fact))
    return report


def test_without_the_option_the_status_says_nothing() -> None:
    assert "politeness" not in status_fields(reported(None).status())
    assert "politeness" not in status_fields(shard_status(0, reported(None).status(), PhaseState.RUNNING))["shards"][0]


def test_several_agents_tell_each_their_own_and_the_run_that_of_the_slowest() -> None:
    def shard(index: int, share: float) -> ShardStatus:
        fact = PolitenessFact(1.2, "source", 0.001, 0.002, share, 1.0)
        return shard_status(index, reported(fact).status(), PhaseState.RUNNING).shards[0]

    shards = [shard(0, 0.8), shard(1, 0.3), shard(2, 1.0)]
    manifest = {"status": {"shards": [status_fields(each) for each in shards[1:]]}}
    together = totals(manifest, shards[0])
    assert together is not None
    assert together["politeness"]["sharePercent"] == 30
    assert status_fields(shards[0])["politeness"]["sharePercent"] == 80
