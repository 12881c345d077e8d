"""Metrics of single tasks: their objectives, what their runs wait for and how far they are, and how many there are."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.builders import NOW, ago, condition, identity_body, location_body, ready, run_body, task_body

from smbferry_api.fields import format_time
from smbferry_operator.model import Key, Kind, Manifest
from smbferry_operator.observe.cache import Cache
from smbferry_operator.telemetry.metrics import Metrics
from smbferry_operator.telemetry.selection import Selection, fair_shares

TASK = (Kind.TASK, task_body())
NIGHTLY = "{namespace=team,task=nightly}"


def of(*bodies: tuple[Kind, Manifest], max_tasks: int = 1000) -> dict[str, float]:
    """Every sample, by its name and labels."""
    cache = Cache()
    for kind, body in bodies:
        cache.put(kind, body)
    found: dict[str, float] = {}
    metrics = Metrics(cache, lambda: True, max_tasks=max_tasks)
    for family in text_string_to_metric_families(metrics.exposed({}).decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def with_objective(status: Manifest | None = None) -> tuple[Kind, Manifest]:
    body = task_body(status=status)
    body["spec"]["recoveryPointObjective"] = "26h"
    return Kind.TASK, body


@pytest.mark.parametrize(
    ("last", "point"),
    [
        (None, ago(hours=3)),
        ({"startTime": format_time(ago(hours=1)), "completionTime": format_time(NOW)}, ago(hours=1)),
        ({"recoveryPoint": format_time(ago(hours=2)), "startTime": format_time(ago(hours=1))}, ago(hours=2)),
    ],
    ids=["created", "started", "snapshot"],
)
def test_a_task_with_an_objective_tells_how_new_its_copy_is(last: dict[str, str] | None, point: Any) -> None:
    found = of(with_objective({"lastSuccessfulRun": {"name": "r", "state": "Succeeded", **last}} if last else None))

    assert found[f"smbferry_task_recovery_point_objective_seconds{NIGHTLY}"] == 26 * 3600
    assert found[f"smbferry_task_recovery_point_timestamp_seconds{NIGHTLY}"] == point.timestamp()


def test_a_task_without_an_objective_has_no_recovery_point() -> None:
    assert not [name for name in of(TASK) if "recovery_point" in name]


def held(name: str, reason: str, state: str = "Queued", **hours: float) -> tuple[Kind, Manifest]:
    status = {"state": state, "conditions": [condition("Succeeded", "Unknown", reason)]}
    return Kind.RUN, run_body(name, status, created=ago(**hours))


@pytest.mark.parametrize(
    ("runs", "since"),
    [
        ([held("a", "LimitReached", hours=1), held("b", "RunQueued", hours=2)], ago(hours=2)),
        ([held("a", "AgentSuspended", "Launching", hours=1)], ago(hours=1)),
        ([held("a", "WindowClosed", hours=9)], None),
        ([held("a", "AgentNotScheduled", "Launching", hours=1)], None),
    ],
    ids=["oldest", "suspended", "window", "launching"],
)
def test_a_task_tells_since_when_its_oldest_run_waits(runs: list[tuple[Kind, Manifest]], since: Any) -> None:
    found = of(TASK, *runs).get(f"smbferry_task_queued_timestamp_seconds{NIGHTLY}")

    assert found == (since.timestamp() if since else None)


def test_what_active_runs_of_a_task_have_done_is_added() -> None:
    counters = {
        "files": {"listed": 10, "toTransfer": 99, "transferred": 4, "skipped": 3, "failed": 1},
        "directories": {"listed": 2},
        "bytes": {"toTransfer": 10**9, "transferred": 500, "written": 300},
    }
    found = of(
        TASK,
        (Kind.RUN, run_body("a", {"state": "Transferring", "counters": counters})),
        (Kind.RUN, run_body("b", {"state": "Launching"})),
        (Kind.RUN, run_body("c", {"state": "Succeeded", "counters": counters})),
    )

    assert found[f"smbferry_task_active_bytes{NIGHTLY}"] == 800
    assert found[f"smbferry_task_active_items{NIGHTLY}"] == 20


def test_a_run_that_waits_for_files_in_use_tells_of_no_progress_that_it_could_make() -> None:
    retry = {"files": 1, "attempt": 1, "attempts": 3, "nextTime": format_time(NOW)}
    found = of(TASK, (Kind.RUN, run_body("a", {"state": "Transferring", "retry": retry})))

    assert not [name for name in found if "smbferry_task_active" in name]


def test_a_task_tells_which_identities_it_uses() -> None:
    found = of(
        TASK,
        (Kind.LOCATION, location_body("src", identity="reader")),
        (Kind.LOCATION, location_body("dst", identity="writer")),
        (Kind.IDENTITY, identity_body("reader")),
        (Kind.IDENTITY, identity_body("writer")),
        (Kind.IDENTITY, identity_body("unused")),
    )

    assert sorted(name for name in found if "identity_info" in name) == [
        "smbferry_task_identity_info{identity=reader,namespace=team,task=nightly}",
        "smbferry_task_identity_info{identity=writer,namespace=team,task=nightly}",
    ]


def test_a_polite_run_tells_what_it_may_send_and_how_slow_replies_are() -> None:
    polite = {"latencyFactor": "1.2", "sharePercent": 40, "factor": "1.42"}
    found = of(
        TASK,
        (Kind.RUN, run_body("a", {"state": "Transferring", "politeness": polite})),
        (Kind.RUN, run_body("b", {"state": "Succeeded", "politeness": polite | {"sharePercent": 5}})),
    )

    assert found["smbferry_task_request_share_ratio{namespace=team,task=nightly}"] == 0.4
    assert found["smbferry_task_reply_time_ratio{namespace=team,task=nightly}"] == 1.42


@pytest.mark.parametrize("written", [{}, {"sharePercent": "x", "factor": "nan"}, {"factor": None}, {"factor": "1e9"}])
def test_figures_of_politeness_that_are_no_numbers_are_absent(written: dict[str, Any]) -> None:
    found = of(TASK, (Kind.RUN, run_body("a", {"state": "Transferring", "politeness": written})))

    assert [name for name in found if "request_share" in name or "reply_time" in name] == []


def test_two_active_runs_of_one_task_are_one_series() -> None:
    bodies = [
        (Kind.RUN, run_body(name, {"state": "Verifying", "politeness": {"sharePercent": share, "factor": factor}}))
        for name, share, factor in (("a", 40, "1.10"), ("b", 90, "1.50"))
    ]
    found = of(TASK, *bodies)

    assert found["smbferry_task_request_share_ratio{namespace=team,task=nightly}"] == 0.4
    assert found["smbferry_task_reply_time_ratio{namespace=team,task=nightly}"] == 1.5


def test_runs_of_tasks_that_do_not_exist_make_no_series() -> None:
    polite = {"latencyFactor": "1.2", "sharePercent": 40, "factor": "1.42"}
    found = of(
        (Kind.RUN, run_body("a", {"state": "Transferring", "politeness": polite})), held("b", "LimitReached", hours=1)
    )

    assert not [name for name in found if "smbferry_task_" in name]


def many(count: int) -> list[tuple[Kind, Manifest]]:
    status = {"conditions": [ready(), condition("InSync", "True")], "nextScheduleTime": format_time(NOW)}
    return [(Kind.TASK, task_body(f"t{n:03}", status=status)) for n in range(count)]


def series_of_tasks(found: dict[str, float]) -> set[str]:
    labels = [name.partition("{")[2] for name in found if "smbferry_task_" in name or "kind=TransferTask,name=" in name]
    return {
        part.split("=")[1].rstrip("}") for text in labels for part in text.split(",") if part[:5] in {"task=", "name="}
    }


def test_tasks_beyond_the_limit_have_no_series_and_are_counted() -> None:
    found = of(*many(30), max_tasks=4)

    assert series_of_tasks(found) == {"t000", "t001", "t002", "t003"}
    assert found["smbferry_tasks_without_series"] == 26


def test_series_of_tasks_can_be_switched_off() -> None:
    found = of(*many(3), max_tasks=0)

    assert series_of_tasks(found) == set()
    assert found["smbferry_tasks_without_series"] == 0


def test_no_namespace_takes_the_series_of_another_by_making_tasks() -> None:
    keys = [Key(Kind.TASK, "aggressor", f"a{n:04}") for n in range(5000)] + [
        Key(Kind.TASK, "victim", f"v{n}") for n in range(3)
    ]
    chosen = Selection.of([*keys, Key(Kind.RUN, "victim", "v1-1")], 10)

    assert sorted(key.name for key in chosen.shown if key.namespace == "victim") == ["v0", "v1", "v2"]
    assert (len(chosen.shown), chosen.omitted) == (10, 4993)


@pytest.mark.parametrize(
    ("wanted", "most", "shares"),
    [
        ({"a": 2, "b": 9}, 6, {"a": 2, "b": 4}),
        ({"a": 9, "b": 9}, 7, {"a": 3, "b": 4}),
        ({"a": 1, "b": 1, "c": 1}, 2, {"a": 0, "b": 1, "c": 1}),
        ({}, 5, {}),
    ],
)
def test_shares_are_even_and_used_up(wanted: dict[str, int], most: int, shares: dict[str, int]) -> None:
    assert fair_shares(wanted, most) == shares
