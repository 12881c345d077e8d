"""The judges of limits and windows under faults refuse what is wrong."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lab.nemesis.__main__ import Eyes, unseen
from lab.nemesis.limits import AT_LOCATION, AT_SERVER, agents_by_jobs, exceeded, is_over
from lab.nemesis.stream import SHAPES
from lab.nemesis.windows import ALWAYS, CLOSED_SECONDS, ENOUGH, Closings, closed_now, is_fresh

from smbferry_api.task import TransferTaskSpec
from smbferry_api.windows import problem_of, state_at

NOW = datetime(2026, 11, 21, 22, 30, tzinfo=UTC)


def job(run: str, server: str = "fs:445", parallelism: int | None = None, **status: Any) -> dict[str, Any]:
    annotations = {"smbferry.io/destination": f"//{server}/dst/x?guid"}
    spec = {} if parallelism is None else {"parallelism": parallelism}
    return {
        "metadata": {"labels": {"smbferry.io/run": run}, "annotations": annotations},
        "spec": spec,
        "status": status,
    }


@pytest.mark.parametrize(
    ("jobs", "agents"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([job("a"), job("b")], {"fs:445": 2}, id="two runs"),
        pytest.param([job("a"), job("b", parallelism=3)], {"fs:445": 4}, id="one with three agents"),
        pytest.param([job("a", parallelism=2), job("a")], {"fs:445": 2}, id="a Job that is being replaced"),
        pytest.param([job("a"), job("b", "other:445")], {"fs:445": 1, "other:445": 1}, id="two servers"),
    ],
)
def test_agents_are_counted_by_run_and_server(jobs: list[dict[str, Any]], agents: dict[str, int]) -> None:
    assert agents_by_jobs(jobs) == agents


def test_a_job_that_has_ended_has_no_agents() -> None:
    assert not is_over(job("a", conditions=[{"type": "FailureTarget", "status": "True"}]))
    assert is_over(job("a", conditions=[{"type": "Failed", "status": "True"}]))


@pytest.mark.parametrize(
    ("agents", "told"),
    [
        ({"here": AT_LOCATION, "there": AT_SERVER}, []),
        ({"here": AT_LOCATION + 1, "there": AT_SERVER}, [f"{AT_LOCATION + 1} agents are at here"]),
        ({"there": AT_SERVER + 1}, [f"{AT_SERVER + 1} agents are at there"]),
    ],
)
def test_too_many_agents_at_a_server_are_told(agents: dict[str, int], told: list[str]) -> None:
    found = list(exceeded(Counter(agents), {"here": AT_LOCATION}))
    assert [text.split(",")[0] for text in found] == told


def test_a_task_that_works_a_minute_after_its_windows_have_closed_is_told() -> None:
    closings = Closings()
    assert closings.passed(900, ["a"]) == [], "its windows are open"
    with closings.closed("a"), closings.closed("b"):
        assert closings.passed(ENOUGH - 1, ["a", "b"]) == []
        assert closings.passed(0, ["a"]) == [], "nobody could tell it"
        assert closings.passed(2, ["b", "c"]) == ["b"], "the other one has stopped"
        assert closings.passed(1, []) == []
    assert closings.passed(900, ["a", "b"]) == []
    with closings.closed("a"):
        assert closings.passed(1, ["a"]) == [], "it begins anew"
    assert closings.count == 3
    assert CLOSED_SECONDS > ENOUGH


@pytest.mark.parametrize("hour", range(24))
def test_windows_that_are_closed_now_are_closed_for_long_and_can_work(hour: int) -> None:
    now = NOW.replace(hour=hour)
    closed, always = (
        TransferTaskSpec.model_validate(
            {
                "source": {"locationRef": {"name": "a"}},
                "destination": {"locationRef": {"name": "b"}},
                "windows": [window],
            }
        ).windows
        for window in (closed_now(now), ALWAYS)
    )
    assert not problem_of(closed)
    assert state_at(closed, now).closed
    assert not state_at(always, now).closed


@pytest.mark.parametrize(
    ("renewed", "holder", "fresh"),
    [
        ("2026-11-21T22:29:55.000000Z", "one", True),
        ("2026-11-21T22:29:30.000000Z", "one", False),
        ("2026-11-21T22:29:55.000000Z", "", False),
        (None, "one", False),
    ],
)
def test_a_lease_that_nobody_renews_is_not_fresh(renewed: str | None, holder: str, *, fresh: bool) -> None:
    assert is_fresh({"spec": {"renewTime": renewed, "holderIdentity": holder}}, NOW) is fresh


def eyes(seen: int, most: int, closed: int) -> Eyes:
    found = SimpleNamespace(
        watcher=None, witness=SimpleNamespace(seen=seen), limits=SimpleNamespace(most=Counter({"fs": most})),
        closings=SimpleNamespace(count=closed),
    )  # fmt: skip
    return cast("Eyes", found)


def test_what_never_happened_shows_nothing() -> None:
    assert list(unseen(eyes(1, AT_LOCATION, 1))) == []
    assert [rule for rule, _ in unseen(eyes(0, AT_LOCATION - 1, 0))] == ["I9", "limits", "windows"]


def test_the_tasks_ask_for_more_agents_than_may_work_and_have_windows_and_priorities() -> None:
    assert sum(shape.parallelism for shape in SHAPES) > AT_LOCATION
    assert any(shape.windowed for shape in SHAPES)
    assert len({shape.priority for shape in SHAPES}) > 2
    assert max(shape.parallelism for shape in SHAPES) <= AT_LOCATION
