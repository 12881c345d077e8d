"""What a person is told about slow steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from lab.smblab import progress

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("value", "said"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3600, "60 min 00 s")]
)
def test_durations_are_said_for_people(value: float, said: str) -> None:
    assert progress.seconds(value) == said


@pytest.mark.parametrize(
    ("expected", "elapsed", "said"),
    [
        (None, 3, "time unknown"),
        (90, 30, "about 1 min 00 s left"),
        (90, 90, "longer than the 1 min 30 s expected"),
        (90, 200, "longer than the 1 min 30 s expected"),
    ],
)
def test_the_time_left_is_never_negative(expected: float | None, elapsed: float, said: str) -> None:
    assert progress.left(expected, elapsed) == said


@pytest.mark.parametrize(("before", "now", "learnt"), [(None, 40, 40), (40, 40, 40), (100, 0, 30), (0, 100, 70)])
def test_the_estimate_follows_the_latest_run_steadily(before: float | None, now: float, learnt: float) -> None:
    assert progress.learn(before, now) == pytest.approx(learnt)


def test_a_finished_step_is_remembered_and_a_failed_one_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "cache" / "durations.json"
    told = progress.Progress(store)
    with told.step("domain", "starting the domain"):
        pass
    with pytest.raises(ValueError, match="no"), told.step("cluster", "starting the cluster"):
        raise ValueError("no")
    assert set(json.loads(store.read_text())) == {"domain"}
    said = capsys.readouterr().err
    assert "… starting the domain (about 15 s left)" in said
    assert "✓ starting the domain: 0 s" in said
    assert "✗ starting the cluster: failed after 0 s" in said


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"domain": "soon"}'])
def test_an_unreadable_store_only_costs_the_estimates(tmp_path: Path, content: str) -> None:
    store = tmp_path / "durations.json"
    store.write_text(content)
    assert progress.Progress(store).known() == {}


def test_several_steps_take_as_long_as_each_of_them_took(tmp_path: Path) -> None:
    store = tmp_path / "durations.json"
    store.write_text('{"domain": 5}')
    told = progress.Progress(store)
    assert told.expected("domain", "load") == 5 + progress.DEFAULTS["load"]
    assert told.expected("domain", "never heard of") is None
    assert told.knows("domain")
    assert not told.knows("load")
